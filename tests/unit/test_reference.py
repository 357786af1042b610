from __future__ import annotations

import hashlib

import pytest

from bot.core.reference import (
    Reference,
    Repository,
    digest_of,
    is_loopback,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
)

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


def test_the_digest_of_bytes_is_one() -> None:
    expected = f"sha256:{hashlib.sha256(b'x').hexdigest()}"

    actual = digest_of(b"x")

    assert parse_digest(actual) == actual
    assert expected == actual


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}{HEX}",
        f"sha256:{HEX}\n",
        f" {DIGEST}",
        f"sha256:{HEX[:-6]}../../",
        f"sha256-{HEX}",
        f"sha256:{'g' * 64}",
        "sha256:" + "\u0661" * 64,
    ],
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="is no digest"):
        parse_digest(text)


@pytest.mark.parametrize("text", ["v1.4.1", "latest", "_", "a" * 128, "A.b-c_d"])
def test_what_is_a_tag(text: str) -> None:
    assert text == parse_tag(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a" * 129, "a/b", "a:b", "a b", "a\n", "\u00e9", "../x", "a+b"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(ValueError, match="is no image tag"):
        parse_tag(text)


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("ghcr.io/owner/name", "ghcr.io", "owner/name"),
        ("localhost/x", "localhost", "x"),
        ("localhost:5000/x", "localhost:5000", "x"),
        ("[::1]:5000/a/b", "[::1]:5000", "a/b"),
        ("reg.example:443/a/b/c/d", "reg.example:443", "a/b/c/d"),
        ("docker.io/library/nginx", "docker.io", "library/nginx"),
        ("ghcr.io/a__b/c-d/e--f/g.h", "ghcr.io", "a__b/c-d/e--f/g.h"),
    ],
)
def test_a_repository_names_its_host(text: str, host: str, path: str) -> None:
    actual = parse_repository(text)

    assert str(actual) == text
    assert Repository(host, path) == actual


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nginx",
        "library/nginx",
        "ghcr.io",
        "ghcr.io/",
        "/name",
        "ghcr.io//name",
        "ghcr.io/a//b",
        "ghcr.io/Owner/name",
        "ghcr.io/a/../b",
        "ghcr.io/a/b/",
        "ghcr.io/.a",
        "ghcr.io/a_-b",
        "ghcr.io/a\n",
        "ghcr.io:/a",
        "ghcr.io:123456/a",
        "https://ghcr.io/a",
        "u:p@ghcr.io/a",
        "ghcr.io\\@evil.example/a",
        "-ghcr.io/a",
        "gh cr.io/a",
        "\u0261hcr.io/a",
    ],
)
def test_what_is_no_repository(text: str) -> None:
    with pytest.raises(ValueError, match="is no repository"):
        parse_repository(text)


@pytest.mark.parametrize(
    ("text", "tag", "digest"),
    [
        ("ghcr.io/a/b:v1", "v1", None),
        (f"ghcr.io/a/b@{DIGEST}", None, DIGEST),
        (f"ghcr.io/a/b:v1@{DIGEST}", "v1", DIGEST),
    ],
)
@pytest.mark.parametrize("host", ["ghcr.io", "localhost:5000"])
def test_a_reference_reads_back_as_it_was_written(host: str, text: str, tag: str | None, digest: str | None) -> None:
    text = text.replace("ghcr.io", host)

    actual = parse_reference(text)

    assert (actual.tag, actual.digest) == (tag, digest)
    assert isinstance(actual, Reference)
    assert text == str(actual)


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/a/b",
        "localhost:5000/a/b",
        "localhost:5000",
        "ghcr.io/a/b@",
        "ghcr.io/a/b:v1@",
        "ghcr.io/a/b@v1",
        f"ghcr.io/a/b@sha512:{HEX}{HEX}",
        f"ghcr.io/a/b@{DIGEST}@{DIGEST}",
        f"@{DIGEST}",
        ":v1",
        "b:v1",
        "ghcr.io/a/b:v1:v2",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|names neither"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.1.2.3:80", True),
        ("[::1]", True),
        ("[::1]:5000", True),
        ("localhost.evil.example", False),
        ("evil.example:80", False),
        ("127.0.0.1.evil.example", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("128.0.0.1:80", False),
        ("[::2]:80", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, *, expected: bool) -> None:
    actual = is_loopback(host)

    assert Repository(host, "x").is_loopback == actual
    assert expected == actual
