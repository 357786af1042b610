from __future__ import annotations

import re
from datetime import timedelta

from markdown_it import MarkdownIt

from bot.core.model import Ignore, ScanPolicy
from bot.core.vulnerabilities.findings import Changes, Finding, compare
from bot.core.vulnerabilities.section import LIMIT, lines, markdown
from tests.unit.notes.judge import faults
from tests.unit.vulnerabilities.made import ARM, CURRENT, POLICY, TODAY, changes, everywhere, finding, scan

HOSTILE = (
    "| @all fixes #1 | <img src=x onerror=alert(1)> `x` ``` [a](javascript:x) ![i](https://evil.example/i) "
    "</details> <!-- https://github.com/o/r/issues/1 GH-1 www.evil.example \x1b[31m\u202e $x$ \n\n# heading\n- [ ] box"
)


def rendered(found: Changes, policy: ScanPolicy = POLICY) -> str:
    return markdown(found, policy, TODAY)


def rows(text: str) -> list[list[str]]:
    """The cells of all rows, as a reader sees them."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(text)
    cells = [
        "".join(child.content for child in tokens[index + 1].children or ())
        for index, token in enumerate(tokens)
        if token.type == "td_open"
    ]
    return [cells[start : start + 5] for start in range(0, len(cells), 5)]


def test_without_findings_there_is_nothing_to_say() -> None:
    assert (rendered(changes()), lines(changes(), POLICY, TODAY)) == ("", [])


def test_what_comes_stands_before_what_goes_and_what_stays_is_folded() -> None:
    found = changes(
        [finding("CVE-2026-1", "CRITICAL"), finding("CVE-2026-2", "LOW"), finding("CVE-2026-3")],
        [finding("CVE-2026-2", "HIGH"), finding("CVE-2026-3"), finding("CVE-2026-4", "MEDIUM", ARM, fixed="")],
    )
    above, _, folded = rendered(found).partition("<details>\n<summary>1 that both images have</summary>\n\n")

    assert above.startswith("**Vulnerabilities**: 1 new, 1 escalated, 1 fixed, 1 in both images.\n\n")
    assert rows(above) == [
        ["escalated HIGH, was LOW", "CVE-2026-2", "openssl 1.0-r0", "1.0-r1", "linux/amd64"],
        ["new MEDIUM", "CVE-2026-4", "openssl 1.0-r0", "—", "linux/arm64"],
        ["fixed CRITICAL", "CVE-2026-1", "openssl 1.0-r0", "1.0-r1", "linux/amd64"],
    ]
    assert rows(folded) == [["HIGH", "CVE-2026-3", "openssl 1.0-r0", "1.0-r1", "linux/amd64"]]


def test_what_can_no_longer_be_seen_is_not_called_fixed() -> None:
    found = compare(scan([finding()], digest=CURRENT), scan(known=()))

    assert [row[0] for row in rows(rendered(found))] == ["not seen HIGH"]


def test_only_findings_that_stay_are_only_the_fold() -> None:
    same = everywhere("CVE-2026-1")
    text = rendered(changes(same, same))

    assert text.startswith("**Vulnerabilities**: 1 in both images.\n\n<details>")


def test_ids_are_linked_to_https_only() -> None:
    found = changes(
        after=[
            finding("CVE-2026-1", url="https://avd.aquasec.com/nvd/cve-2026-1"),
            finding("GHSA-2", url="https://github.com/advisories/GHSA-2"),
            finding("CVE-2026-3", url="http://plain.example"),
            finding("CVE-2026-4", url="javascript:alert(1)"),
        ]
    )

    assert re.findall(r"\[([\w-]+)\]\(([^)]*)\)", rendered(found)) == [
        ("CVE-2026-1", "https://avd.aquasec.com/nvd/cve-2026-1"),
        ("GHSA-2", "https://redirect.github.com/advisories/GHSA-2"),
    ]


def test_an_ignored_finding_is_marked_until_its_day() -> None:
    found = changes(after=[finding(), finding("CVE-2026-0002")])
    held = Ignore("CVE-2026-0001", "x", TODAY)
    over = Ignore("CVE-2026-0002", "x", TODAY - timedelta(days=1))
    policy = ScanPolicy(ignores=(held, over))

    assert [row[0] for row in rows(rendered(found, policy))] == ["new HIGH, ignored through 2026-08-20", "new HIGH"]
    assert "HIGH, ignored through 2026-08-20  CVE-2026-0001" in lines(found, policy, TODAY)[1]


def hostile(identity: str) -> Finding:
    return finding(
        f"{identity}{HOSTILE}",
        package=HOSTILE,
        installed=HOSTILE,
        fixed=HOSTILE,
        title=HOSTILE,
        url="https://evil.example/)|(x @all",
    )


def test_nothing_that_a_stranger_wrote_acts() -> None:
    found = changes([hostile("a"), hostile("b")], [hostile("b"), hostile("c")])
    text = rendered(found)
    folds = r"(?m)^(?:</?details>|<summary>\d+ that both images have</summary>)$"

    assert len(rows(text)) == 3
    assert len(re.findall(folds, text)) == 3
    assert faults(re.sub(folds, "", text)) == []


def test_a_terminal_sees_words_only() -> None:
    shown = lines(changes(after=[hostile("a")]), POLICY, TODAY)

    assert len(shown) == 2
    assert all(line.isprintable() for line in shown)


def test_a_terminal_gets_one_line_each() -> None:
    found = changes(
        [finding("CVE-2026-1"), finding("CVE-2026-3")], [finding("CVE-2026-2", title="t"), finding("CVE-2026-3")]
    )

    assert lines(found, POLICY, TODAY) == [
        "vulnerabilities: 1 new, 1 fixed, 1 in both images",
        "  new    HIGH      CVE-2026-2  openssl 1.0-r0 (fixed in 1.0-r1) on linux/amd64: t",
        "  fixed  HIGH      CVE-2026-1  openssl 1.0-r0 (fixed in 1.0-r1) on linux/amd64",
        "  stays  HIGH      CVE-2026-3  openssl 1.0-r0 (fixed in 1.0-r1) on linux/amd64",
    ]


def test_very_many_findings_stay_within_the_bound_and_the_rest_is_counted() -> None:
    before = [hostile(f"b{n}") for n in range(3000)] + [finding(f"CVE-2026-{n}") for n in range(3000)]
    after = [hostile(f"c{n}") for n in range(3000)] + [finding(f"CVE-2026-{n}") for n in range(3000)]
    text = rendered(changes(before, after))
    counted = sum(int(number) for number in re.findall(r"And (\d+) more\.", text))

    assert len(text) <= LIMIT
    assert len(rows(text)) + counted == 9000
    assert len(lines(changes(before, after), POLICY, TODAY)) == 42


def test_the_sixteenth_difference_is_folded() -> None:
    text = rendered(changes(after=[finding(f"CVE-2026-{n}") for n in range(16)]))

    assert "<summary>1 more that come or go</summary>" in text
    assert len(rows(text)) == 16
