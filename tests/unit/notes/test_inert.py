from __future__ import annotations

import pytest

from bot.core.notes import inert
from tests.unit.notes.judge import faults, text_of

HOSTILE = {
    "mention": "thanks @all and @org/team, (@x) [@y] *@z* **@a**",
    "mention_in_code": "`@all` and ``a ` @all``\n\n```\n@all\n```\n\n    @all",
    "mention_after_invisible": "@\u200ball @\u202eall @\u2060all @\U000e0041all \u00e9@all",
    "mention_by_entity": "&#64;all &commat;all &#x40;all &#0064;all &amp;#64;all",
    "mention_by_escape": "\\@all \\\\@all",
    "mention_over_dropped_html": (
        "@<!-- -->all @<b></b>all #<i></i>1 GH<b></b>-1 https://git<!-- -->hub.com/o/r/issues/1"
    ),
    "mention_after_bold": "a**@all** a_b_@all a`b`@all",
    "mention_over_image": "@![](x)all ![@all](x) ![a ![#1](y)](x)",
    "mention_as_emphasis_ends": "_@all_ __@all__ ~~@all~~ ***@all***",
    "reference": "#1 o/r#1 GH-1 gh-1 (#1) fixes #1, closes o/r#1; resolves: #1 r#1 _GH-1_",
    "reference_by_entity": "&num;1 &#35;1 o/r&num;1 fixes &num;1 G&#72;-1",
    "reference_in_code": "`fixes #1` and\n\n```\ncloses o/r#1 GH-1 https://github.com/o/r/issues/1\n```",
    "commit": "o/r@a1b2c3d user@0123456789abcdef0123456789abcdef01234567",
    "closing_url": "resolves https://github.com/o/r/issues/1, fixed https://GitHub.com/o/r/pull/1.",
    "github_in_disguise": (
        "https://GITHUB.com/o/r/issues/1 http://github.com/o/r/issues/1 https://www.github.com/o/r/issues/1 "
        "https://u:p@github.com/o/r/issues/1 https://github.com:443/o/r/issues/1 https://github.com./o/r/issues/1 "
        "https://github%2ecom/o/r/issues/1 https://\uff47ithub.com/o/r/issues/1 www.github.com/o/r/issues/1 "
        "github.com/o/r/issues/1 //github.com/o/r/issues/1 https:\\\\github.com\\o\\r\\issues\\1 xhttps://github.com/o"
    ),
    "github_links": (
        "[a](https://github.com/o/r/issues/1) [b](http://github.com/o/r) [c](<https://github.com/o/r>) [d][e] [e]\n"
        "<https://github.com/o/r/issues/1> [f](//github.com/o/r) [g](https://u@github.com/) [h](https:github.com/o)\n"
        "[i](https://github&#46;com/o/r/issues/1) [j](&#104;ttps://github.com/o/r/issues/1)\n\n"
        "[e]: https://github.com/o/r/issues/1 'fixes #1'"
    ),
    "github_in_other_urls": (
        "https://x.org/?u=https://github.com/o/r/issues/1 [a](https://x.org/github.com/o/r/issues/1)"
    ),
    "acting_urls": "https://x.org/@all https://x.org/a#1 https://x.org/GH-1 [b](https://x.org/a@0123456#2 'fixes #1')",
    "entity_in_url": "[a](https://x.org/?a&num;1&commat;all&amp;#64;all) <https://x.org/?&num;1>",
    "other_schemes": (
        "[a](http://x.org) [b](javascript:alert(1)) [c](data:text/html,x) [d](/x) [e](//x.org) [f](mailto:a@b.c)\n"
        "http://x.org ftp://x.org www.x.org <http://x.org> <javascript:alert(1)> [g](JaVaScRiPt&colon;alert) [h](#x)"
    ),
    "disguised_link": "[https://good.org](https://evil.org) [https://github.com/o/r/issues/1](https://x.org)",
    "reference_over_dropped_link": "#[1](/x) @[all](/x) GH-[1](/x) o/r[#1](/x) - [[x](/x)] y\n\n- [[x](/x)] z",
    "reference_over_emphasis": "#*1* #**1** @*all* GH-**1** *GH-*1 [#](https://x.org)1 `#`1 ~~@~~all",
    "reference_over_nothing": (
        "#` `1 @` `all [#**&#8203;**1](https://x.org) [GH-` `1](https://x.org) #[](x)1 #![](x)1 G` `H-1"
    ),
    "image_from_url": "!https://github.com/o/r/issues/1 !<https://github.com/o/r/issues/1>",
    "scheme_after_scheme": "`https://xhttps://github.com/o/r/issues/1` a-www.github.com/o/r/issues/1 https://gh-1.org",
    "image": (
        "![a](https://x/y.png) [![b](https://x/y.png)](https://x.org/c) ![c][d]\n!<b></b>[e](https://x.org)\n\n[d]: /x"
    ),
    "html": "<b>x</b> <img src=x onerror=y> <script>z</script>\n\n<details><summary>@all #1</summary>\n</details>\n",
    "comment": (
        "<!-- hidden @all -->\n\ntext <!-- x --> more <!-- open\n\n`<!--`\n\n```\n<!-- x\n```\n\n&lt;!-- y --> \\<!-- z"
    ),
    "html_by_entity": "&lt;img src=x&gt; &#60;b&#62; &lt;/details&gt; \\<b>",
    "end_of_details": "</details>\n\n</details\n>\n\n- </details>",
    "control": (
        "a\x00b\x1b[31mc\x07d\x7fe\x9bf\u2028g\u2029h\ud800i\ue000j\ufeffk\u00adl\u061cm\rn\x0bo&#8238;p&#x1b;q&zwj;r"
    ),
    "fence_ends_early": "```\na\n````\nb\n\n~~~~\n```\n</details>\n~~~\n\n```` x\n```\n@all\n````\n<b>",
    "fence_languages": (
        "```GH-1\nx\n```\n```math\nx\n```\n```mermaid\nx\n```\n~~~ Ma`th\nx\n~~~\n```ma{}th\nx\n```\n```sh <b>\nx\n```"
    ),
    "fence_left_open": "- a\n  ```\n  @all\n<b>out</b>",
    "code_spans": "`` `<b>` `` `a`<!-- -->`<b>`<!-- -->``c`` `` ` `` ` `` `\\`<b>`",
    "headings": "# a\n## b #\n\nc\n===\n\nd\n---\n# #1\n####### e\n#\n\n&#35; f",
    "headings_by_escape": "\\# a\n\n&#35; b\n\nc\n\\===\n\nd\n&#61;&#61;\n\ne\n\\---",
    "check_boxes": (
        "- [ ] a\n- [x] b\n1. [X] c\n\n[ ] d\n\n> - [ ] e\n\n```\n- [ ] f\n```\n- \\[ ] g\n- &#91; ] h\n- **[ ]** i"
    ),
    "alert": "> [!WARNING]\n> x\n\n> \\[!NOTE]\n> y",
    "footnote": "a[^1] [^2]\n\n[^1]: @all\n[^2]: <b>x</b>",
    "math": "$x$ $$y$$ $`z`$ \\$a\\$ &dollar;b&dollar;\n\n$$\nc\n$$",
    "blocks_by_entity": (
        "&#45; a\n&#42; b\n&#62; c\n&#43; d\n1&#46; e\n&#32;&#32;&#32;&#32;f\n&#96;&#96;&#96;\n&#126;&#126;&#126;\ng"
    ),
    "newline_by_entity": "a&#10;&#10;# b&#10;- c&#10;<b>&#10;[d](https://x.org/&#10;e) `&#10;`",
    "empty_emphasis": "*&#8203;* **&#8203;** * &#32;x* ~~&#32;~~ **`&#8203;`** **`\u200b`**",
    "table": (
        "| a | @b |\n|--|:-:|\n| `x\\|<b>` | fixes #1 |\n| \\\\| y | &vert; \\|\n| ![z](z) <br> | "
        "[u](https://github.com/o) |"
    ),
    "table_by_entity": "a\n:&#45;\n\nb &vert; c\n\\-&vert;-\n",
    "quoted": "> > # a\n> ```\n> @all\n> - #1",
    "commit_message": (
        "[skip ci] `[ci skip]`\n\n```\n[no ci]\nskip-checks: true\n```\nCo-authored-by: a <a@b.c>\nRelease-As: 9.0.0"
    ),
}

GENERATED = """\
<!-- Release notes generated using configuration in .github/release.yml at v1.4.0 -->

## What's Changed
### Features
* feat: add `mcp` by @user in https://github.com/agentgateway/agentgateway/pull/123
* fix: snake_case and Vec<String>, closes #99 by @dependabot[bot] in https://github.com/agentgateway/agentgateway/pull/124
## New Contributors
* @x made their first contribution in https://github.com/agentgateway/agentgateway/pull/123

**Full Changelog**: https://github.com/agentgateway/agentgateway/compare/v1.3.1...v1.4.0
"""

READABLE = """\
#### What's Changed

##### Features

- feat: add `mcp` by \uff20user in [agentgateway/agentgateway\uff03123]\
(https://redirect.github.com/agentgateway/agentgateway/pull/123)
- fix: snake_case and Vec, closes \uff0399 by \uff20dependabot\\[bot\\] in [agentgateway/agentgateway\uff03124]\
(https://redirect.github.com/agentgateway/agentgateway/pull/124)

#### New Contributors

- \uff20x made their first contribution in [agentgateway/agentgateway\uff03123]\
(https://redirect.github.com/agentgateway/agentgateway/pull/123)

**Full Changelog**: [v1.3.1...v1.4.0](https://redirect.github.com/agentgateway/agentgateway/compare/v1.3.1...v1.4.0)"""

KEPT = {
    "email": ("a@b.c and name@1.2.3", "a@b.c and name@1.2.3"),
    "https_link": ("[docs](https://x.org/a_(b)?q=1&r=2 'title')", "[docs](https://x.org/a_%28b%29?q=1&r=2)"),
    "bare_https": ("see https://x.org/a_b/(c), ok", "see <https://x.org/a_b/%28c%29>, ok"),
    "reference_link": ("[a][b]\n\n[b]: https://x.org", "[a](https://x.org)"),
    "url_as_text": (
        "[https://github.com/o/r/pull/5](https://github.com/o/r/pull/5)",
        "[o/r\uff035](https://redirect.github.com/o/r/pull/5)",
    ),
    "idn": ("https://m\u00fcnchen.de/\u00fc", "<https://xn--mnchen-3ya.de/%C3%BC>"),
    "emphasis": ("*a* __b__ ~~c~~ ***d***", "*a* **b** ~~c~~ ***d***"),
    "punctuation": ("1.5 > 1.4; R&D, `a|b`, :tada: it's C# (50%)!", "1.5 > 1.4; R&amp;D, `a|b`, :tada: it's C# (50%)!"),
    "sha": ("0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234567"),
    "lists": ("1. a\n2. b\n   - c\n\n3) d", "1. a\n2. b\n   - c\n\n3. d"),
    "loose_list": ("- a\n\n  b\n- c", "- a\n\n  b\n\n- c"),
    "fence": ("```rust\nfn a<'b>() {}\n\n    c\n```", "```rust\nfn a<'b>() {}\n\n    c\n```"),
    "table": ("a|b\n:-|-:\n1|2", "| a | b |\n| :--- | ---: |\n| 1 | 2 |"),
    "alert": ("> [!NOTE]\n> a\n>\n> b", "> NOTE:\n> a\n>\n> b"),
    "task": ("- [ ] a\n- [x] b", "- \u2610 a\n- \u2611 b"),
    "rule": ("a\n\n---\nb", "a\n\n***\n\nb"),
    "hard_break": ("a  \nb\\\nc", "a\nb\nc"),
    "emoji": ("\u26a0\ufe0f x", "\u26a0\ufe0f x"),
    "badge": ("[![build](https://x.org/b.svg)](https://x.org/c)", "[build](https://x.org/c)"),
    "empty": ("", ""),
    "only_a_comment": ("<!-- x -->", ""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_notes_do_nothing(case: str) -> None:
    actual = faults(inert(HOSTILE[case]))

    assert actual == []


@pytest.mark.parametrize("case", HOSTILE)
def test_inert_notes_stay_inert(case: str) -> None:
    actual = faults(inert(inert(HOSTILE[case])))

    assert actual == []


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_words_around_code_lists_and_tables_do_nothing(case: str) -> None:
    hostile = HOSTILE[case]
    quoted = "\n".join(f"> {line}" for line in hostile.splitlines())
    listed = "\n".join(f"  {line}" for line in hostile.splitlines())
    cell = " ".join(hostile.split())
    actual = [
        faults(inert(text))
        for text in (quoted, f"-{listed[1:]}", f"| a | b |\n|---|---|\n| {cell} | {cell} |", f"[{cell}](https://x.org)")
    ]

    assert actual == [[], [], [], []]


@pytest.mark.parametrize("case", KEPT)
def test_harmless_notes_keep_their_sense(case: str) -> None:
    text, expected = KEPT[case]
    actual = inert(text)

    assert expected == actual


def test_generated_notes_read_well() -> None:
    actual = inert(GENERATED)

    assert actual == READABLE


def test_readable_notes_are_inert() -> None:
    actual = faults(READABLE)

    assert actual == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [("@all", "mention"), ("fixes #1", "closing"), ("https://github.com/o/r", "github.com"), ("<b>", "html_block")],
)
def test_the_judge_sees_what_acts(text: str, fault: str) -> None:
    actual = any(fault in found for found in faults(text))

    assert actual


def test_what_is_dropped_around_words_keeps_the_words() -> None:
    actual = text_of(inert("<p align=center>one <b>two</b></p>\n\n![three](x) [four](javascript:x) `<five>`"))

    assert " ".join(actual.split()) == "one two three four <five>"
