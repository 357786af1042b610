"""Holds are written into gateway-bot.toml and taken out again, and nothing else in it changes."""

from __future__ import annotations

import random
import tomllib
from datetime import date
from typing import Any

import pytest

from bot.core.hold_edit import MAX_REASON, MAX_VERSION, holds_in, with_hold, without_holds
from bot.core.model import Hold, SourceFile
from bot.core.reference import Digest
from bot.core.versions import Ref
from bot.errors import UsageError
from bot.settings.file import settings_in

DIGEST, OTHER = Digest(f"sha256:{'a' * 64}"), Digest(f"sha256:{'b' * 64}")
NEW = Hold("1.4.0", "slow")
LINES = '\n[[image.hold]]\nversion = "1.4.0"\nreason = "slow"\n'


def image(name: str, more: str = "") -> str:
    return (
        f'[[image]]\nname = "{name}"\nregistry = "ghcr.io/acme/{name}"\ngithub = "acme/{name}"\n{more}'
        '\n[[image.pins]]\ntype = "terraform"\nfile = "main.tf"\nvariable = "image"\n'
    )


def source(text: str | bytes) -> SourceFile:
    return SourceFile("gateway-bot.toml", text if isinstance(text, bytes) else text.encode())


def added(text: str, hold: Hold = NEW, name: str = "app") -> str:
    return with_hold(source(text), name, hold).decode()


def lifted(text: str, version: str = "1.4.0", digest: Digest | None = None, name: str = "app") -> str:
    return without_holds(source(text), name, version, digest)[0].decode()


HELD = image("app") + LINES


def test_a_hold_stands_below_its_own_image_and_before_the_next() -> None:
    text = f"{image('app')}\n{image('other')}\n[release]\n# end\n"

    assert added(text) == f"{image('app')}{LINES}\n{image('other')}\n[release]\n# end\n"
    assert added(text, name="other") == f"{image('app')}\n{image('other')}{LINES}\n[release]\n# end\n"


def test_the_next_hold_stands_below_the_last_one_as_that_does() -> None:
    held = '\n  [[image.hold]] # first\n    version = "1.3.0"\n    reason = "x" # why\n    # see issue 5\n'
    text = f"{image('app')}{held}\n[image.policy]\nchannel = 'stable'\n"
    expected = '\n  [[image.hold]]\n    version = "1.4.0"\n    reason = "slow"\n'

    assert added(text) == f"{image('app')}{held}{expected}\n[image.policy]\nchannel = 'stable'\n"


def test_a_comment_stays_with_the_lines_that_it_belongs_to() -> None:
    above, below = "# of the pins\n", "# of the release\n[release]\n"

    assert added(f"{image('app')}{above}\n{below}") == f"{image('app')}{above}{LINES}\n{below}"
    assert added(image("app") + below) == image("app") + LINES + below


def test_what_looks_like_a_header_in_a_string_misleads_nobody() -> None:
    pattern = '\n[[image.pins]]\ntype = "pattern"\nfile = "x"\npattern = """(?P<ref>\n[[image]]\nname = "other"\n)"""\n'
    text = f"{image('app')}{pattern}\n{image('other')}"

    assert added(text) == f"{image('app')}{pattern}{LINES}\n{image('other')}"


def test_a_table_of_the_image_that_follows_others_is_still_its_own() -> None:
    text = f'{image("app")}\n[watch]\nsilent_days = 3\n\n[image.policy]\nchannel = "stable"\n'

    assert added(text) == text + LINES


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ("hold = []\n", 'hold = [{ version = "1.4.0", reason = "slow" }]\n'),
        (
            'hold = [{version = "1.3.0", reason = "x"}] # why\n',
            'hold = [{version = "1.3.0", reason = "x"}, { version = "1.4.0", reason = "slow" }] # why\n',
        ),
        (
            'hold = [ # all\n  {version = "1.3.0", reason = "]"}, # first\n  # last\n]\n',
            (
                'hold = [ # all\n  {version = "1.3.0", reason = "]"}, # first\n'
                '  { version = "1.4.0", reason = "slow" },\n  # last\n]\n'
            ),
        ),
    ],
)
def test_a_hold_joins_an_array_where_the_image_has_one(array: str, expected: str) -> None:
    before, after = image("app", array), image("app", expected)

    assert added(before) == after
    assert lifted(after) == before


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_the_mark_at_the_beginning_stay(ends: str, bom: bytes, *, last: bool) -> None:
    body = image("app") if last else image("app").rstrip("\n")
    before = bom + body.replace("\n", ends).encode()
    lines = LINES if last else f"\n{LINES}".rstrip("\n")
    expected = bom + (body + lines).replace("\n", ends).encode()

    after = with_hold(source(before), "app", NEW)

    assert expected == after
    assert without_holds(source(after), "app", "1.4.0", None) == (before, (NEW,))


@pytest.mark.parametrize("spelled", ["1.4.0", "v1.4.0", "1.4"])
def test_the_same_hold_again_changes_nothing(spelled: str) -> None:
    text = HELD.replace('"slow"', "'slow'  # it is")

    assert added(text, Hold(spelled, "slow")) == text


def test_a_hold_of_the_same_version_is_changed_in_place() -> None:
    held = (
        '\n[[image.hold]]\n"version" = "v1.4.0" # V\nuntil = 2026-01-01 # U\n'
        "reason = 'x' # R\nrolled_back_to = \"v1.3.1\"\n"
    )
    now = (
        '\n[[image.hold]]\n"version" = "v1.4.0" # V\nreason = "new" # R\nrolled_back_to = "v1.3.1"\n'
        f'digest = "{DIGEST}"\n'
    )
    text, other = image("app") + held, image("other") + held

    by_digest = f'{text}digest = "{DIGEST}"\n{other}'
    assert added(by_digest, Hold("1.4.0", "new", digest=DIGEST)) == f"{image('app')}{now}{other}"
    assert added(text, Hold("1.4", "x", date(2027, 1, 1))) == text.replace("2026", "2027")


def test_a_hold_in_an_array_is_changed_in_place() -> None:
    text = image("app", 'hold = [{version = "v1.4.0", reason = "x"}, {version = ">1.5, <2", reason = "y"}] # H\n')
    now = '{ version = ">1.5, <2", reason = "z", until = 2027-01-01 }] # H'

    assert added(text, Hold("<2,>1.5", "z", date(2027, 1, 1))) == text.replace(
        '{version = ">1.5, <2", reason = "y"}] # H', now
    )


def test_another_image_of_the_version_is_another_hold() -> None:
    one, two = Hold("1.4.0", "slow", digest=DIGEST), Hold("1.4.0", "slow", digest=OTHER)

    text = added(added(HELD, one), two)

    assert holds_in(source(text), "app") == (NEW, one, two)
    assert holds_in(source(lifted(text, digest=OTHER)), "app") == (NEW, one)
    assert lifted(text) == image("app")


def test_all_that_a_hold_says_is_written_and_read() -> None:
    hold = Hold(
        ">=1.4,<1.4.3", 'a "\\u0041"\n\r\t\x00\x1b[31m\u202e ]]\n[[image]]', date(2027, 2, 3), DIGEST, Ref("v1.3.1")
    )

    text = added(image("app"), hold)

    assert settings_in(text).images[0].policy.holds == (hold,)


def test_what_stands_around_a_hold_stays_when_it_goes() -> None:
    own = '[[image.hold]] # H\n# inside\nversion = "v1.4.0"\nreason = "x"\n'
    text = f"{image('app')}\n# above\n{own}# below\n\n[release]\n"

    data, removed = without_holds(source(text), "app", "1.4.0", None)

    assert removed == (Hold("v1.4.0", "x"),)
    assert data.decode() == f"{image('app')}\n# above\n# below\n\n[release]\n"


def test_nothing_changes_where_nothing_is_held() -> None:
    text = f"{HELD}\n{image('other')}"
    asked = [("app", "1.4.1", None), ("other", "1.4.0", None), ("app", "1.4.0", DIGEST), ("app", ">=1.4.0", None)]

    actual = [without_holds(source(text), name, version, digest) for name, version, digest in asked]

    assert actual == [(text.encode(), ())] * 4


@pytest.mark.parametrize(
    "text",
    [
        'image = [ { name = "app" } ]\n',
        'image = [ { name = "app", hold = [{ version = "1.3.0", reason = "x" }] } ]\n',
    ],
)
def test_where_no_place_is_proven_the_lines_to_write_are_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        added(text, Hold("1.4.0", 'say "no"'))

    assert caught.value.where == "gateway-bot.toml"
    assert caught.value.next_step.endswith('\n[[image.hold]]\nversion = "1.4.0"\nreason = "say \\"no\\""')


def test_a_hold_that_cannot_be_taken_out_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        lifted('image = [ { name = "app", hold = [{ version = "1.4.0", reason = "x" }] } ]\n')

    assert "hold of 1.4.0" in caught.value.next_step


@pytest.mark.parametrize(
    ("hold", "where"),
    [
        (Hold("1.4.0", ""), "--reason"),
        (Hold("1.4.0", "x" * (MAX_REASON + 1)), "--reason"),
        (Hold("1.4.0", "\udcff"), "--reason"),
        (Hold("1" * (MAX_VERSION + 1), "x"), "VERSION"),
        (Hold("", "x"), "VERSION"),
    ],
)
def test_what_the_settings_would_not_take_is_not_written(hold: Hold, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        added(image("app"), hold)

    assert where == caught.value.where


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"image = 1", b"[[image]]", b"=", b'[[image]]\nname="app"\n[[image.hold]]\nversion = 1\nreason = "x"\n'],
)
def test_a_file_that_cannot_be_read_is_wrong_settings(text: bytes) -> None:
    with pytest.raises(UsageError):
        holds_in(source(text), "app")


def test_the_limits_are_those_of_the_settings() -> None:
    longest = Hold(">=1,<" + "9" * (MAX_VERSION - 5), "ä" * MAX_REASON)

    assert settings_in(added(image("app"), longest)).images[0].policy.holds == (longest,)


COMMENTS = ("", "", " # x", "  # [[image]] '''", ' # """ ]')
ODD = ("[[image]]", '"""', "''", "#", "]", "}", "\\", '"', "\n", "[[image.hold]]\n", "é", "=", ",", "{", "\t", "1.4.0")


class Writer:
    """Draws a valid gateway-bot.toml in the way that people write: comments, blank lines, any string, any spacing."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a test that can be run again
        self.pick = self.random.choice

    def file(self) -> bytes:
        text = self.pick(("", "# top\n", 'base = "main"\n\n')) + "".join(
            self.image(f"app-{number}") for number in range(self.random.randint(1, 3))
        )
        text += self.pick(("", "# end", '\n[watch]\nworkflow = "up.yml"\n', "[watch]\nsilent_days = 2 # d"))
        text = text.rstrip("\n") if self.random.random() < 0.3 else text
        ends = text.replace("\n", "\r\n") if self.random.random() < 0.3 else text
        return self.pick((b"", b"\xef\xbb\xbf")) + ends.encode()

    def image(self, name: str) -> str:
        lines = [f'name = "{name}"', "registry = 'ghcr.io/a/b'", 'github = "a/b"']
        inline = self.random.random() < 0.3
        if inline:
            lines.append(self.array())
        self.random.shuffle(lines)
        tables = [self.table("[image.policy]", ['channel = "stable"', f"allow = {self.quoted('>=1,<9')}"])]
        tables += [self.pin(number) for number in range(self.random.randint(1, 3))]
        if not inline:
            tables += [self.hold() for _ in range(self.random.choice((0, 0, 1, 3)))]
        self.random.shuffle(tables)
        return self.table(self.pick(("[[image]]", "[[ image ]]", '[["image"]]')), lines) + "".join(tables)

    def table(self, header: str, keys: list[str]) -> str:
        outer, inner = self.pick(("", "", "  ")), self.pick(("", "", "  ", "\t"))
        body = "".join(f"{inner}{key}{self.comment()}\n{self.gap(inner)}" for key in keys)
        return f"{self.gap(outer)}{outer}{header}{self.comment()}\n{body}{self.pick(('', chr(10)))}"

    def pin(self, number: int) -> str:
        pattern = f"(?P<image>x{number})" + "".join(self.random.choices(ODD, k=3)).replace("\\", "").replace("{", "")
        pattern = "".join(char for char in pattern if char not in "[]")
        keys = ['type = "pattern"', f'file = "f{number}"', f"pattern = {self.quoted(pattern)}"]
        return self.table("[[image.pins]]", keys)

    def hold(self) -> str:
        keys = self.keys()
        return self.table(self.pick(("[[image.hold]]", "[[ image . 'hold' ]]")), keys)

    def keys(self) -> list[str]:
        keys = [f"version = {self.quoted(self.pick(('1.2.0', 'v1.3', '>=2, <3')))}", f"reason = {self.reason()}"]
        if self.random.random() < 0.4:
            keys.append("until = 2026-03-04")
        return self.random.sample(keys, len(keys))

    def reason(self) -> str:
        return self.quoted("r" + "".join(self.random.choices(ODD, k=self.random.randint(1, 6))))

    def array(self) -> str:
        tables = [f"{{ {', '.join(self.keys())} }}" for _ in range(self.random.choice((0, 1, 2)))]
        comma = "," if tables and self.random.random() < 0.5 else ""
        if self.random.random() < 0.5:
            body = "".join(
                f"  {table}{',' if table is not tables[-1] or comma else ''}{self.comment()}\n{self.gap('  ')}"
                for table in tables
            )
            return f"hold = [{self.comment()}\n{body}]"
        return f"hold = [{self.pick(('', ' '))}{', '.join(tables)}{comma}{self.pick(('', ' '))}]"

    def quoted(self, text: str) -> str:
        basic = text.replace("\\", "\\\\").replace('"', '\\"')
        forms = [f'"{basic}"'.replace("\n", "\\n").replace("\t", "\\t"), f'"""\\\n{basic}"""', f'"""\n{basic}"""']
        if "'" not in text:
            forms += [f"'''\n{text}'''"] + ([f"'{text}'"] if "\n" not in text else [])
        return self.pick(forms)

    def comment(self) -> str:
        return self.pick(COMMENTS)

    def gap(self, indent: str) -> str:
        return self.pick(("", "", "", "\n", f"{indent}# [[image.hold]]\n", "# say \"\"\" '''\n\n"))


def expected(data: bytes, name: str, hold: dict[str, Any]) -> dict[str, Any]:
    table = tomllib.loads(data.decode("utf-8-sig"))
    (entry,) = (each for each in table["image"] if each["name"] == name)
    entry["hold"] = [*entry.get("hold", []), hold]
    return table


@pytest.mark.parametrize("seed", range(150))
def test_a_hold_that_is_added_and_taken_out_again_leaves_every_byte_as_it_was(seed: int) -> None:
    writer = Writer(seed)
    before = writer.file()
    name = writer.pick([each["name"] for each in tomllib.loads(before.decode("utf-8-sig"))["image"]])
    reason = "".join(writer.random.choices((*ODD, "\x7f", "\u202e"), k=4))
    assert settings_in(before.decode("utf-8-sig")).images

    after = with_hold(source(before), name, Hold("1.4.0", reason))

    hold = {"version": "1.4.0", "reason": reason}
    assert expected(before, name, hold) == tomllib.loads(after.decode("utf-8-sig"))
    assert settings_in(after.decode("utf-8-sig")).images
    assert without_holds(source(after), name, "1.4.0", None) == (before, (Hold("1.4.0", reason),))


@pytest.mark.parametrize("seed", range(75))
def test_each_hold_of_any_file_can_be_taken_out_and_the_others_stay(seed: int) -> None:
    before = source(Writer(seed).file())
    for entry in tomllib.loads(before.data.decode("utf-8-sig"))["image"]:
        holds = holds_in(before, entry["name"])
        for version in dict.fromkeys(hold.version for hold in holds):
            data, removed = without_holds(before, entry["name"], version, None)

            left = holds_in(source(data), entry["name"])
            assert removed == tuple(hold for hold in holds if hold.version == version)
            assert left == tuple(hold for hold in holds if hold.version != version)
