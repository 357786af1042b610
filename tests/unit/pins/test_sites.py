from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bot.core.model import (
    DockerfileSite,
    DotenvSite,
    Image,
    MarkdownSite,
    PatternSite,
    Pin,
    SourceFile,
    TerraformSite,
)
from bot.core.pins.sites import Drift, Edit, allowed_keys, current_pin, drift, edits, read_sites, rewrite
from bot.core.reference import Digest, Repository, Tag
from bot.core.versions import Ref, Version
from bot.errors import PinError

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
OLD = Pin(Ref("v1.4.1"), Version("1.4.1", (1, 4, 1)), Digest(A), Tag("v1.4.1"))
NEW = Pin(Ref("v1.10.0"), Version("1.10.0", (1, 10, 0)), Digest(B), Tag("v1.10.0"))

FILES = {
    "versions.env": f"# é\nAPP_REF=v1.4.1\nAPP_VERSION=1.4.1 # ü\nexport APP_DIGEST='{A}'\nEXTRA=x\n",
    "infra/variables.tf": f'# é\nvariable "image" {{\n  default = "1.dkr.example/x:v1.4.1@{A}" # ü\n}}\n',
    "Dockerfile": f'# é\nARG APP_REF="v1.4.1" APP_IMAGE=ghcr.io/a/b@{A}\nFROM ${{APP_IMAGE}}\nLABEL a="é"\n',
    "README.md": f"# é\n\n| Name | Default |\n|---|---|\n| é image | `ghcr.io/a/b:v1.4.1@{A}` |\n\n"
    "<!-- b -->[v1.4.1](https://x.example/v1.4.1), 1.4.1 é<!-- e -->\n",
    "chart.yaml": f"é: ü\nimage: {{tag: v1.4.1, digest: {A}}}\n",
}
IMAGE = Image(
    "app",
    Repository("ghcr.io", "a/b"),
    (
        DotenvSite(
            "versions.env",
            (("APP_REF", "ref"), ("APP_DIGEST", "digest"), ("APP_VERSION", "version")),
            ("EXTRA",),
        ),
        TerraformSite("infra/variables.tf", "image"),
        DockerfileSite("Dockerfile", (("APP_IMAGE", "image"), ("APP_REF", "ref"))),
        MarkdownSite("README.md", row="é image", column="Default"),
        MarkdownSite("README.md", "<!-- b -->", "<!-- e -->"),
        PatternSite("chart.yaml", r"^image: \{tag: (?P<image>[^,]+), digest: (?P<digest>[^}]+)\}"),
    ),
)
SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda data: data,
    "with CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "with a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "without a final newline": lambda data: data.rstrip(b"\n"),
    "with all of that": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n").rstrip(b"\r\n"),
}


def sources(shape: str = "as it is") -> dict[str, SourceFile]:
    return {file: SourceFile(file, SHAPES[shape](text.encode())) for file, text in FILES.items()}


def replaced(data: bytes) -> bytes:
    text = data.replace(A.encode(), B.encode())
    return re.sub(rb"(?<![0-9.])1\.4\.1", b"1.10.0", text)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_byte_outside_the_pin_is_kept(shape: str) -> None:
    before = sources(shape)
    held = read_sites(IMAGE, before, allowed_keys([IMAGE]))
    expected = {file: replaced(source.data) for file, source in before.items()}

    assert expected == rewrite(before, held, NEW)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rewrite_and_its_reverse_give_the_same_bytes(shape: str) -> None:
    before, allowed = sources(shape), allowed_keys([IMAGE])
    there = rewrite(before, read_sites(IMAGE, before, allowed), NEW)
    between = {file: replace(before[file], data=data) for file, data in there.items()}
    expected = {file: source.data for file, source in before.items()}

    assert expected == rewrite(between, read_sites(IMAGE, between, allowed), OLD)


def test_sites_that_agree_have_no_drift_and_no_edits() -> None:
    before = sources()
    held = read_sites(IMAGE, before, allowed_keys([IMAGE]))
    pin = current_pin(IMAGE, held)
    found = [*drift(IMAGE, held, pin), *edits(held, pin), *rewrite(before, held, pin)]

    assert (OLD, found) == (pin, [])


def test_a_site_that_disagrees_is_drift() -> None:
    before = sources()
    before["chart.yaml"] = SourceFile("chart.yaml", f"image: {{tag: v1.3.0, digest: {A}}}".encode())
    held = read_sites(IMAGE, before, allowed_keys([IMAGE]))
    expected = (
        (Drift("chart.yaml", 1, "v1.3.0", "v1.4.1"),),
        (Edit("chart.yaml", 1, "v1.3.0", "v1.4.1"),),
        {"chart.yaml": f"image: {{tag: v1.4.1, digest: {A}}}".encode()},
        "chart.yaml:1",
    )
    found = drift(IMAGE, held, OLD)

    assert expected == (found, edits(held, OLD), rewrite(before, held, OLD), found[0].where)


def test_another_tag_of_the_same_ref_is_no_drift() -> None:
    before = sources()
    before["chart.yaml"] = SourceFile("chart.yaml", f"image: {{tag: 1.4.1, digest: {A}}}".encode())

    assert not drift(IMAGE, read_sites(IMAGE, before, allowed_keys([IMAGE])), OLD)


def test_edits_name_every_value_before_and_after() -> None:
    held = read_sites(IMAGE, sources(), allowed_keys([IMAGE]))
    expected = [
        ("versions.env", 2, "v1.4.1", "v1.10.0"),
        ("versions.env", 3, "1.4.1", "1.10.0"),
        ("versions.env", 4, A, B),
        ("infra/variables.tf", 3, f"1.dkr.example/x:v1.4.1@{A}", f"1.dkr.example/x:v1.10.0@{B}"),
        ("Dockerfile", 2, "v1.4.1", "v1.10.0"),
        ("Dockerfile", 2, f"ghcr.io/a/b@{A}", f"ghcr.io/a/b@{B}"),
        ("README.md", 5, f"ghcr.io/a/b:v1.4.1@{A}", f"ghcr.io/a/b:v1.10.0@{B}"),
        ("README.md", 7, "v1.4.1", "v1.10.0"),
        ("README.md", 7, "v1.4.1", "v1.10.0"),
        ("README.md", 7, "1.4.1", "1.10.0"),
        ("chart.yaml", 2, "v1.4.1", "v1.10.0"),
        ("chart.yaml", 2, A, B),
    ]

    assert expected == [(edit.file, edit.line, edit.old, edit.new) for edit in edits(held, NEW)]


def test_a_missing_file_is_refused() -> None:
    before = sources()
    del before["Dockerfile"]
    with pytest.raises(PinError) as refused:
        read_sites(IMAGE, before, allowed_keys([IMAGE]))
    expected = "Dockerfile"

    assert expected == refused.value.where


def test_an_image_value_in_no_known_form_is_refused() -> None:
    before = sources()
    before["infra/variables.tf"] = SourceFile("infra/variables.tf", b'variable "image" {\n default = "name:v1"\n}')
    with pytest.raises(PinError) as refused:
        read_sites(IMAGE, before, allowed_keys([IMAGE]))
    expected = "infra/variables.tf:2"

    assert expected == refused.value.where


@pytest.mark.parametrize(
    "second",
    [
        PatternSite("versions.env", r"^APP_REF=(?P<ref>.*)$"),
        PatternSite("versions.env", r"(?P<version>1\.4)\.1\nAPP_VERSION"),
        PatternSite("versions.env", r"=v(?P<version>1\.4\.1)$"),
        IMAGE.sites[0],
    ],
)
def test_two_sites_that_hold_the_same_bytes_are_refused(second: PatternSite | DotenvSite) -> None:
    image = replace(IMAGE, sites=(IMAGE.sites[0], second))
    with pytest.raises(PinError) as refused:
        read_sites(image, sources(), allowed_keys([image]))

    assert "two pin sites of app hold the same text" in refused.value.what


def test_sources_that_changed_since_are_refused() -> None:
    before = sources()
    held = read_sites(IMAGE, before, allowed_keys([IMAGE]))
    before["versions.env"] = replace(before["versions.env"], data=b"#\n" + before["versions.env"].data)
    with pytest.raises(PinError) as refused:
        rewrite(before, held, NEW)

    assert "no longer stands here" in refused.value.what


@pytest.mark.parametrize(
    "ref",
    ["v1.10.0\nPATH=/tmp", "v1.10.0 # x", "v1.10.0'", "v1.10.0$(id)", "v1.10.0\u2028x", 'v1.10.0"\nRUN id #', "${x}"],
)
@pytest.mark.parametrize("site", IMAGE.sites, ids=lambda site: f"{type(site).__name__}-{site.file}")
def test_a_ref_that_would_be_more_than_a_value_is_not_written(ref: str, site: DotenvSite) -> None:
    image = replace(IMAGE, sites=(site,))
    held = read_sites(image, sources(), allowed_keys([image]))
    with pytest.raises(PinError) as refused:
        rewrite(sources(), held, replace(NEW, ref=Ref(ref), tag=Tag(ref)))

    assert "would not read back" in refused.value.what


def test_a_ref_that_does_not_read_as_one_in_prose_is_not_written() -> None:
    image = replace(IMAGE, sites=(IMAGE.sites[4],))
    held = read_sites(image, sources(), allowed_keys([image]))
    with pytest.raises(PinError) as refused:
        rewrite(sources(), held, replace(NEW, ref=Ref("1.10.0")))
    expected = "README.md:7"

    assert expected == refused.value.where


def test_keys_are_allowed_over_all_images_of_a_file() -> None:
    other = Image("other", Repository("ghcr.io", "c/d"), (DotenvSite("versions.env", (("OTHER_REF", "ref"),)),))
    expected = {"versions.env": frozenset({"APP_REF", "APP_VERSION", "APP_DIGEST", "EXTRA", "OTHER_REF"})}

    assert expected == allowed_keys([IMAGE, other])


def test_a_second_image_in_the_same_file_is_no_extra_key() -> None:
    other = Image("other", Repository("ghcr.io", "c/d"), (DotenvSite("versions.env", (("OTHER_REF", "ref"),)),))
    env = SourceFile("versions.env", FILES["versions.env"].encode() + b"OTHER_REF=v2.0.0\n")
    expected = ["v2.0.0"]

    assert expected == [value.text for value in read_sites(other, {env.path: env}, allowed_keys([IMAGE, other]))]


def test_dotenv_pins_load_no_grammar_and_no_pin_prints_a_warning() -> None:
    script = (
        "import sys; from bot.core.model import *; from bot.core.pins.sites import read_sites; "
        "from bot.core.reference import Repository; "
        "env, tf = DotenvSite('e', (('A', 'ref'),)), TerraformSite('t', 'a'); "
        "files = {'e': SourceFile('e', b'A=v1'), 't': SourceFile('t', b'variable \"a\" { default = \"v1\" }')}; "
        "read_sites(Image('x', Repository('h.x', 'p'), (env,)), files, {}); "
        "print([name for name in sys.modules if name.startswith('tree_sitter')]); "
        "read_sites(Image('x', Repository('h.x', 'p'), (env, tf)), files, {}); "
        "print('tree_sitter_hcl' in sys.modules, 'tree_sitter_markdown' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    expected = ("[]\nTrue False\n", "")

    assert expected == (done.stdout, done.stderr)


def test_two_sites_that_hold_the_same_nothing_are_refused() -> None:
    sites = (PatternSite("a", "^X=(?P<ref>.*)$"), PatternSite("a", "^(?:X)=(?P<version>.*)$"))

    with pytest.raises(PinError, match="hold the same text"):
        read_sites(replace(IMAGE, sites=sites), {"a": SourceFile("a", b"X=\n")}, {})
