from __future__ import annotations

import random

import pytest

from bot.core.model import (
    DockerfileSite,
    DotenvSite,
    Image,
    MarkdownSite,
    PatternSite,
    Pin,
    Site,
    SourceFile,
    TerraformSite,
)
from bot.core.pins.held import Held
from bot.core.pins.sites import allowed_keys, read_sites, rewrite
from bot.core.reference import Digest, Repository, Tag
from bot.core.versions import Ref, Version
from bot.errors import PinError

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
NEW = Pin(Ref("v1.10.0"), Version("1.10.0", (1, 10, 0)), Digest(B), Tag("v1.10.0"))
TABLE = f"<!-- b -->\n| Name | Default |\n|---|:-:|\n| [a\\_b](#x) | `ghcr.io/a/b:v1.4.1@{A}` |\n<!-- e -->\n"
PLACES: list[tuple[Site, str]] = [
    (DotenvSite("f", (("R", "ref"), ("D", "digest")), ("O",)), f"# é\nexport R='v1.4.1' # x\n\nD={A}\nO=\n"),
    (TerraformSite("f", "a"), f'# é\nvariable "a" {{\n  type = string\n  default = "h.x/p:v1@{A}"\n}}\nlocals {{}}\n'),
    (
        DockerfileSite("f", (("R", "ref"), ("I", "image"))),
        f'# é\nARG R="v1.4.1"\nARG I=h.x/p@{A} X=1\nFROM ${{I}}\nARG R\nRUN <<EOF\nARG R=x\nEOF\n',
    ),
    (MarkdownSite("f", row="a_b", column="Default"), TABLE),
    (MarkdownSite("f", "<!-- b -->", "<!-- e -->", "a_b"), TABLE),
    (MarkdownSite("f", "<!-- b -->", "<!-- e -->"), TABLE),
    (PatternSite("f", r"^i: (?P<image>\S+) # (?P<version>.*)$"), f"é: x\ni: h.x/p@{A} # 1.4.1\n"),
]
PIECES = [
    *(bytes([byte]) for byte in b"\0\n\r\t\x0b\x0c\x1b \"'`$#\\={}()[]<>|*_-:@/.,;!&%~^+\x7f\xff\xc3"),
    *(b"\r\n", b"\xef\xbb\xbf", "é".encode(), "\u2028".encode(), "\x85".encode(), b"<<EOF\n", b"EOF\n", b"${x}", b"$("),
    *(b"/*", b"*/", b"<!--", b"-->", b"```\n", b"| ", b"||", b"---", b"export ", b"ARG ", b"FROM ", b"RUN ", b"\\\n"),
    *(b"variable ", b"default = ", b'"a"', b"R=", b"D=", b"sha256:", b"v1.4.1", b"1.4.1", A.encode(), b"%{if x}"),
]
FLOODS = [
    *(
        b"[",
        b"a {",
        b'x="${',
        b"`",
        b"` ",
        b"<<A ",
        b"|",
        b"1.",
        b"v1.1.1-",
        b"a/",
        b"a:",
        b"R=",
        b"\\\n",
        b"\n",
        b"<",
        b"_a",
    ),
    *(b"](", b"[a](", b"http://", b"&amp", b"**"),
]


def mutated(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randint(0, len(data)), dice.choice([0, 0, 1, 1, 2, 5, 20])
        piece = dice.choice([b"", dice.choice(PIECES), dice.choice(PIECES), data[at : at + 30]])
        data = data[:at] + piece + data[at + length :]
    return data


def read(image: Image, data: bytes) -> tuple[Held, ...] | PinError:
    try:
        return read_sites(image, {"f": SourceFile("f", data)}, allowed_keys([image]))
    except PinError as refused:
        return refused


def without(data: bytes, held: tuple[Held, ...]) -> bytes:
    for value in sorted(held, key=lambda value: value.start, reverse=True):
        data = data[: value.start] + data[value.end :]
    return data


@pytest.mark.parametrize(("site", "text"), PLACES, ids=[type(site).__name__ for site, _ in PLACES])
def test_whatever_a_file_holds_the_pin_is_found_once_or_refused(site: Site, text: str) -> None:
    dice = random.Random(20240229)  # noqa: S311 - the same mutations in every run
    image = Image("x", Repository("h.x", "p"), (site,))
    broken = []
    outcomes = set()
    for _ in range(400):
        data = mutated(text.encode(), dice)
        held = read(image, data)
        outcomes.add(type(held))
        if isinstance(held, PinError):
            broken += [] if held.where.startswith("f") and held.next_step else [data]
            continue
        after = rewrite({"f": SourceFile("f", data)}, held, NEW).get("f", data)
        again = read(image, after)
        assert not isinstance(again, PinError)
        broken += [] if without(data, held) == without(after, again) else [data]

    assert ([], {PinError, tuple}) == (broken, outcomes)


@pytest.mark.parametrize(("site", "text"), PLACES, ids=[type(site).__name__ for site, _ in PLACES])
@pytest.mark.parametrize(
    "flood",
    [piece * (50_000 // len(piece)) for piece in FLOODS],
    ids=[piece.decode() for piece in FLOODS],
)
def test_a_flood_is_read_or_refused(site: Site, text: str, flood: bytes) -> None:
    image = Image("x", Repository("h.x", "p"), (site,))
    outcomes = {type(read(image, data)) for data in (text.encode() + flood, flood + b"\n" + text.encode())}

    assert outcomes <= {PinError, tuple}
