from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from bot.core.distribution import (
    CAP_SECONDS,
    FLOOR_SECONDS,
    Challenge,
    Login,
    is_own_realm,
    next_page,
    origin,
    parse_challenge,
    retry_after,
)
from tests.unit.values import NOW

GHCR = "https://ghcr.io/token"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f'Bearer realm="{GHCR}",service="ghcr.io",scope="repository:a/b:pull"', Challenge("bearer", GHCR, "ghcr.io")),
        (f'bearer REALM="{GHCR}"', Challenge("bearer", GHCR)),
        (f"Bearer realm={GHCR}, service=ghcr.io", Challenge("bearer", GHCR, "ghcr.io")),
        (f'Bearer  realm = "{GHCR}" , service = "x"', Challenge("bearer", GHCR, "x")),
        (f'Bearer scope="a,b",realm="{GHCR}"', Challenge("bearer", GHCR)),
        (f'Bearer error="a, realm=\\"https://evil.example\\"",realm="{GHCR}"', Challenge("bearer", GHCR)),
        (f'Bearer realm="{GHCR}",service="say \\"hi\\" \\\\"', Challenge("bearer", GHCR, 'say "hi" \\')),
        (f'Bearer realm="{GHCR}",realm="https://evil.example"', Challenge("bearer", GHCR)),
        (f'Negotiate, Bearer realm="{GHCR}"', Challenge("bearer", GHCR)),
        (f'Digest realm="x", nonce="y", Bearer realm="{GHCR}"', Challenge("bearer", GHCR)),
        (f'Bearer realm="{GHCR}",service="x", Basic realm="y"', Challenge("bearer", GHCR, "x")),
        ('Basic realm="Registry"', Challenge("basic")),
        ("Basic", Challenge("basic")),
        ('Bearer service="x", Basic realm="y"', Challenge("basic")),
        ("", None),
        ("Bearer", None),
        ('Bearer realm=""', None),
        ('Bearer service="x"', None),
        ('Bearer realm="https://ghcr.io/token', None),
        ("Negotiate", None),
        ('Basicx realm="x"', None),
        (f'NotBearer realm="{GHCR}"', None),
    ],
)
def test_the_challenge_that_can_be_answered(header: str, expected: Challenge | None) -> None:
    actual = parse_challenge(header)

    assert expected == actual


def test_a_hostile_challenge_takes_no_time() -> None:
    for header in ("Bearer " * 5000, 'Bearer realm="' + "\\" * 50_000, "Bearer a=" + "a=" * 30_000, "," * 60_000):
        assert parse_challenge(header) is None


@pytest.mark.parametrize(
    ("realm", "host"),
    [
        (GHCR, "ghcr.io"),
        ("https://GHCR.io:443/token?x=y", "ghcr.io"),
        (GHCR, "ghcr.io:443"),
        ("https://ghcr.io:443/token", "ghcr.io:443"),
        ("https://auth.docker.io/token", "registry-1.docker.io"),
        ("https://gitlab.com/jwt/auth", "registry.gitlab.com"),
        ("https://public.ecr.aws/token/", "public.ecr.aws"),
        ("http://127.0.0.1:5000/token", "127.0.0.1:5000"),
        ("http://localhost/token", "localhost"),
        ("https://reg.example:8443/t", "reg.example:8443"),
    ],
)
def test_a_realm_of_the_registrys_own(realm: str, host: str) -> None:
    assert is_own_realm(realm, host)


@pytest.mark.parametrize(
    ("realm", "host"),
    [
        ("http://ghcr.io/token", "ghcr.io"),
        ("https://evil.example/token", "ghcr.io"),
        ("https://ghcr.io.evil.example/token", "ghcr.io"),
        ("https://ghcr.io@evil.example/token", "ghcr.io"),
        ("https://u:p@ghcr.io/token", "ghcr.io"),
        ("https://ghcr.io\\@evil.example/token", "ghcr.io"),
        ("https://ghcr.io\\.evil.example/token", "ghcr.io"),
        ("https://ghcr.io/token#fragment", "ghcr.io"),
        ("https://ghcr.io:8443/token", "ghcr.io"),
        ("https://auth.docker.io/token", "ghcr.io"),
        ("https://127.0.0.1:5000/token", "127.0.0.1:5000"),
        ("http://localhost:5000/token", "127.0.0.1:5000"),
        ("/token", "ghcr.io"),
        ("//ghcr.io/token", "ghcr.io"),
        ("ghcr.io/token", "ghcr.io"),
        ("file://ghcr.io/token", "ghcr.io"),
        ("https://[ghcr.io/token", "ghcr.io"),
        ("", "ghcr.io"),
    ],
)
def test_a_realm_of_somebody_else(realm: str, host: str) -> None:
    assert not is_own_realm(realm, host)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('</v2/a/tags/list?last=x>; rel="next"', "https://h:1/v2/a/tags/list?last=x"),
        ('<?last=x>; rel="next"', "https://h:1/v2/a/tags/list?last=x"),
        ("<https://h:1/b>; rel=next", "https://h:1/b"),
        ('<https://H:1/b> ; REL = "Next"', "https://H:1/b"),
        ('</b>;title=x;rel="next";type=y', "https://h:1/b"),
        ('</p>; rel="prev", </n>; rel="next", </l>; rel="last"', "https://h:1/n"),
        ('</n>; rel="next", </m>; rel="next"', "https://h:1/n"),
        ("//h:1/b>; rel=next", None),
        ('</p>; rel="prev"', None),
        ('</p>; rel="nextish"', None),
        ("</p>; title=next", None),
        ("</b>", None),
        ("", None),
        ("<" * 50_000, None),
        ("<>;" * 20_000, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_next_page(header: str, expected: str | None) -> None:
    actual = next_page(header, "https://h:1/v2/a/tags/list?n=2")

    assert expected == actual


@pytest.mark.parametrize(
    "target", ["https://evil.example/b", "//evil.example/b", "http://h:1/b", "https://h/b", "https://u@h:1/b", "x:y"]
)
def test_a_next_page_on_another_host_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="on another host"):
        next_page(f'<{target}>; rel="next"', "https://h:1/a")


def test_an_origin_is_scheme_and_host() -> None:
    assert origin("HTTPS://Ghcr.IO:8443/a?b#c") == "https://ghcr.io:8443"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, 2.0),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("2.5", 2.5),
        ("0", FLOOR_SECONDS),
        ("99999999999", CAP_SECONDS),
        ("9" * 10_000, CAP_SECONDS),
        ("-5", 2.0),
        ("1e3", 2.0),
        ("488\u00b5s", 2.0),
        ("\u0665", 2.0),
        ("nonsense", 2.0),
        ("", 2.0),
        ("5, 6", 2.0),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9.0),
        (format_datetime((NOW + timedelta(seconds=9)).astimezone(timezone(timedelta(hours=5)))), 9.0),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), FLOOR_SECONDS),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), CAP_SECONDS),
        ("Thu, 20 Aug 2026 12:00:09", 2.0),
        ("Thu, 20 Aug 2026 12:00:09 -0000", 2.0),
        ("Thu, 20 Aug 99999 12:00:00 GMT", 2.0),
        ("Thu, 99 Aug 2026 12:00:00 GMT", 2.0),
        ("Thu, 20 Aug 2026 12:00:00 +99999999999999999999", 2.0),
        ("Mon, 01 Jan 0001 00:00:00 +1400", FLOOR_SECONDS),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_wait_stays_between_floor_and_cap(header: str | None, expected: float) -> None:
    actual = retry_after(header, NOW, 2.0)

    assert expected == actual


def test_a_wait_without_header_is_bounded_too() -> None:
    waits = [retry_after(None, datetime.now(UTC), otherwise) for otherwise in (-1.0, 0.1, 3.0, 1e9)]

    assert waits == [FLOOR_SECONDS, FLOOR_SECONDS, 3.0, CAP_SECONDS]


def test_a_login_shows_no_secret() -> None:
    login = Login("name", "hunter2", "an-identity-token")

    assert repr(login) == f"{login}" == "Login(...)"
