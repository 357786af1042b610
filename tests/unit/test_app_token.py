"""What GitHub may answer an App, and what becomes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from threading import Barrier
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bot.adapters.app_token import AppToken
from bot.adapters.connections import Connections
from bot.embedded.server import Fault, LoopbackServer, Request, Response, json_response
from bot.errors import BotError, ForgeError, IntegrityError, UsageError
from tests.flows.conftest import NOW, TestClock

APP, REPOSITORY, INSTALLATION = "12345", "acme/ai-gateway", 678
PERMISSIONS = {"contents": "write", "pull_requests": "write"}
FIND, GIVE = f"/repos/{REPOSITORY}/installation", f"/app/installations/{INSTALLATION}/access_tokens"
IAT = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
EXP = (
    "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion "
    "expires"
)
FAR = "'Expiration time' claim ('exp') is too far in the future"
UNGRANTED = "The permissions requested are not granted to this installation."


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, hidden).decode()


KEY = rsa.generate_private_key(65537, 2048)
PEM = pem(KEY)


class Apps(LoopbackServer):
    """GitHub's endpoints for one App that is installed on one repository. `time` is GitHub's."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOW
        self.sends_date = True
        self.minutes = 60
        self.installation: dict[str, Any] = {"id": INSTALLATION, "permissions": PERMISSIONS, "suspended_at": None}
        self.sent: list[tuple[Mapping[str, Any], Any]] = []
        """The claims and the body of every request that was answered."""
        self.given: list[str] = []

    def answer(self, request: Request) -> Response:
        response = self._answer(request)
        date = ("Date", format_datetime(self.time, usegmt=True))
        return Response(response.status, response.body, (*response.headers, *([date] if self.sends_date else [])))

    def _answer(self, request: Request) -> Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                token, KEY.public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.InvalidSignatureError:
            return json_response(401, {"message": "A JSON web token could not be decoded"})
        issued, expires = (datetime.fromtimestamp(claims[name], UTC) for name in ("iat", "exp"))
        if issued > self.time:
            return json_response(401, {"message": IAT})
        if expires <= self.time:
            return json_response(401, {"message": EXP})
        if expires > self.time + timedelta(minutes=10):
            return json_response(401, {"message": FAR})
        self.sent.append((claims, json.loads(request.body or b"null")))
        match request.method, request.path:
            case "GET", path if path == FIND:
                return json_response(200, self.installation)
            case "POST", path if path == GIVE:
                self.given.append(f"ghs_{APP}_given.{len(self.given)}-_x")
                ends = self.time + timedelta(minutes=self.minutes)
                return json_response(201, {"token": self.given[-1], "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"})
            case _:
                return json_response(404, {"message": "Not Found"})

    @property
    def asked(self) -> list[str]:
        return [f"{e.method} {e.path}" for e in self.exchanges]


class Clock(TestClock):
    """A machine's clock: `wrong` by so much, and `passed` since the beginning, as sleeping makes it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong = timedelta(0)

    def now(self) -> datetime:
        return NOW + self.wrong + timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return 1000.0 + sum(self.slept)


@pytest.fixture
def apps() -> Iterator[Apps]:
    with Apps() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logged() -> list[str]:
    return []


Make = Callable[..., AppToken]


@pytest.fixture
def make(apps: Apps, clock: Clock, logged: list[str]) -> Iterator[Make]:
    with Connections({}) as client:

        def made(key: str = PEM, permissions: Mapping[str, str] = PERMISSIONS) -> AppToken:
            return AppToken(client, apps.url, REPOSITORY, APP, key, permissions, clock, logged.append)

        yield made


@pytest.fixture
def token(make: Make) -> AppToken:
    return make()


def passes(apps: Apps, clock: Clock, seconds: float) -> None:
    clock.slept.append(seconds)
    apps.time += timedelta(seconds=seconds)


def on(path: str, *answers: Response) -> Callable[[str, str], Fault | None]:
    """These answers to that path, in this order; the last one for ever."""
    left = list(answers)

    def intercept(_: str, asked: str) -> Fault | None:
        if asked != path:
            return None
        return Fault(answer=left.pop(0) if len(left) > 1 else left[0])

    return intercept


def refused(status: int, message: str, *headers: tuple[str, str]) -> Response:
    return json_response(status, {"message": message, "status": str(status)}, *headers)


def assert_no_secret(error: BaseException, *more: str) -> None:
    """Nowhere in the error, in those before it, nor in what was logged."""
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or found.__context__
    shown = "".join([*traceback.format_exception(error), *(f"{e!r}{vars(e)}" for e in chain), *more])
    secrets = (*PEM.splitlines()[1:-1], "ghs_", "eyJ")

    assert not any(secret in shown for secret in secrets)


def test_the_token_is_for_this_repository_and_for_what_is_needed_alone(apps: Apps, token: AppToken) -> None:
    actual = token()

    (found, nothing), (asked, body) = apps.sent
    assert apps.asked == [f"GET {FIND}", f"POST {GIVE}"]
    assert found == asked == {"iat": NOW.timestamp() - 60, "exp": NOW.timestamp() + 540, "iss": APP}
    assert (nothing, body) == (None, {"repositories": ["ai-gateway"], "permissions": PERMISSIONS})
    assert {e.headers["x-github-api-version"] for e in apps.exchanges} == {"2022-11-28"}
    assert actual == apps.given[0]


@pytest.mark.parametrize(("seconds", "requests"), [(0, 2), (3299, 2), (3300, 3), (3600, 3), (86400, 3)])
def test_a_token_is_kept_until_five_minutes_before_its_end(
    apps: Apps, clock: Clock, token: AppToken, seconds: float, requests: int
) -> None:
    token()
    passes(apps, clock, seconds)

    actual = token()

    assert len(apps.asked) == requests
    assert actual == apps.given[-1]


@pytest.mark.parametrize("hours", [-2000, -5, -0.2, 0.2, 5, 2000])
def test_a_clock_that_is_wrong_is_set_by_githubs(
    apps: Apps, clock: Clock, token: AppToken, logged: list[str], hours: float
) -> None:
    clock.wrong = timedelta(hours=hours)

    first = token()
    passes(apps, clock, 3299)
    kept = token()
    passes(apps, clock, 1)
    renewed = token()

    assert [e.status for e in apps.exchanges] == [401, 200, 201, 201]
    assert logged == [
        f"this machine's clock is {abs(hours) * 3600:.0f} s {'behind' if hours < 0 else 'ahead of'} GitHub's"
    ]
    assert [first, kept, renewed] == [apps.given[0], apps.given[0], apps.given[1]]


@pytest.mark.parametrize("seconds", [-30, 0, 30, 59])
def test_a_clock_that_is_nearly_right_costs_nothing(apps: Apps, clock: Clock, token: AppToken, seconds: float) -> None:
    clock.wrong = timedelta(seconds=seconds)

    token()

    assert [e.status for e in apps.exchanges] == [200, 201]


@pytest.mark.parametrize(("hours", "said"), [(-5, EXP), (5, IAT)])
def test_a_wrong_clock_that_github_does_not_correct_is_said(
    apps: Apps, clock: Clock, token: AppToken, hours: float, said: str
) -> None:
    clock.wrong = timedelta(hours=hours)
    apps.sends_date = False

    with pytest.raises(ForgeError, match="this machine's clock is wrong") as raised:
        token()

    assert said in raised.value.what
    assert "Set this machine's clock" in raised.value.next_step
    assert_no_secret(raised.value)
    assert len(apps.asked) == 1


@pytest.mark.parametrize("said", [IAT, EXP, FAR])
def test_githubs_time_is_tried_once(apps: Apps, token: AppToken, said: str) -> None:
    date = ("Date", format_datetime(NOW + timedelta(hours=1), usegmt=True))
    apps.intercept = on(FIND, refused(401, said, date))

    with pytest.raises(ForgeError, match="this machine's clock is wrong"):
        token()

    assert len(apps.asked) == 2


@pytest.mark.parametrize(
    "date",
    [
        "31 Dec 9999 23:59:59 -2300",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "01 Jan 0001 00:00:00 +0500",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Thu, 20 Aug 2026 12:00:00 -0000",
        "no date",
    ],
)
def test_a_date_that_cannot_be_is_not_githubs_time(apps: Apps, token: AppToken, date: str) -> None:
    apps.sends_date = False
    apps.intercept = on(FIND, refused(401, IAT, ("Date", date)))

    with pytest.raises(ForgeError, match="this machine's clock is wrong"):
        token()

    assert len(apps.asked) == 1


@pytest.mark.parametrize("date", ["31 Dec 9999 23:59:59 -2300", "01 Jan 0001 00:00:00 +0500"])
def test_a_token_that_comes_with_such_a_date_is_counted_by_the_machines_clock(
    apps: Apps, token: AppToken, date: str
) -> None:
    ends = "2026-08-20T13:00:00Z"
    apps.intercept = on(GIVE, json_response(201, {"token": "ghs_x", "expires_at": ends}, ("Date", date)))

    actual = [token(), token()]

    assert actual == ["ghs_x", "ghs_x"]
    assert len(apps.asked) == 2


@pytest.mark.parametrize("ends", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:00"])
def test_a_token_that_ends_at_a_time_that_cannot_be_is_not_githubs(apps: Apps, token: AppToken, ends: str) -> None:
    apps.intercept = on(GIVE, json_response(201, {"token": "ghs_x", "expires_at": ends}))

    with pytest.raises(IntegrityError, match="a time that cannot be") as raised:
        token()

    assert_no_secret(raised.value)


def test_without_githubs_time_the_machines_counts(apps: Apps, clock: Clock, token: AppToken) -> None:
    apps.sends_date = False

    token()
    passes(apps, clock, 3301)
    actual = token()

    assert actual == apps.given[1]


def test_threads_share_one_token(apps: Apps, token: AppToken) -> None:
    at_once = Barrier(8)

    def ask(_: int) -> str:
        at_once.wait()
        return token()

    with ThreadPoolExecutor(8) as pool:
        actual = set(pool.map(ask, range(8)))

    assert apps.asked == [f"GET {FIND}", f"POST {GIVE}"]
    assert actual == {apps.given[0]}


class Case(NamedTuple):
    path: str
    answer: Response
    code: int
    where: str
    words: str
    next_step: str


SETTINGS = "GATEWAY_BOT_APP_ID, GATEWAY_BOT_APP_PRIVATE_KEY"
NOT_THERE = "GitHub App 12345 is not installed on acme/ai-gateway"
REFUSALS = {
    "a key of another App": Case(
        FIND,
        refused(401, "A JSON web token could not be decoded"),
        7,
        SETTINGS,
        "does not take the private key for one of GitHub App 12345: A JSON web token could not be decoded",
        "the key must still be listed on the App's page",
    ),
    "a key that was deleted meanwhile": Case(
        GIVE, refused(401, "Bad credentials"), 7, SETTINGS, "does not take the private key", "generate a new one"
    ),
    "no such App": Case(
        FIND, refused(404, "Integration not found"), 7, SETTINGS, "there is no GitHub App 12345", "Copy the id"
    ),
    "not installed": Case(FIND, refused(404, "Not Found"), 7, FIND, NOT_THERE, "under Install App, install it on acme"),
    "uninstalled meanwhile": Case(GIVE, refused(404, "Not Found"), 7, GIVE, NOT_THERE, "install it on acme"),
    "the repository was taken away meanwhile": Case(
        GIVE,
        refused(
            422, "There is at least one repository that does not exist or is not accessible to the parent installation."
        ),
        7,
        GIVE,
        NOT_THERE,
        "give it this repository",
    ),
    "suspended": Case(
        GIVE, refused(403, "This installation has been suspended"), 7, FIND, "on acme is suspended", "has to lift that"
    ),
    "suspended, as the installation says": Case(
        FIND,
        json_response(200, {"id": 1, "suspended_at": "2026-08-01T00:00:00Z"}),
        7,
        FIND,
        "on acme is suspended",
        "has to lift that",
    ),
    "an address that is not allowed": Case(
        GIVE,
        refused(403, "the `acme` organization has an IP allow list enabled"),
        7,
        GIVE,
        "HTTP 403: the `acme` organization has an IP allow list enabled",
        "rules for Apps and for IP addresses",
    ),
    "something that nobody foresaw": Case(
        GIVE, Response(418, b"\x1b[2J<html>"), 7, GIVE, "HTTP 418: no message", "Look at the App's installation"
    ),
    "hostile words": Case(
        GIVE, refused(400, "a\x1b[2J\nb" + "x" * 9000), 7, GIVE, "HTTP 400: a bxxx", "Look at the App's installation"
    ),
    "renamed": Case(
        FIND,
        Response(301, b"", (("Location", "/repositories/1/installation"),)),
        7,
        FIND,
        "nothing was sent there",
        "set GITHUB_REPOSITORY to its new name",
    ),
    "another host in GitHub's place": Case(
        FIND,
        Response(302, b"", (("Location", "https://evil.example/"),)),
        5,
        FIND,
        "nothing was sent there",
        "what GITHUB_API_URL serves",
    ),
    "a redirect to what is no address": Case(
        FIND, Response(302, b"", (("Location", "https://[evil/"),)), 5, FIND, "nothing was sent there", "GITHUB_API_URL"
    ),
    "HTML instead of an installation": Case(FIND, Response(200, b"<html>"), 5, FIND, "lacks what its docu", "a proxy"),
    "an installation without a number": Case(FIND, json_response(200, {}), 5, FIND, "lacks what its docu", "a proxy"),
    "no token": Case(GIVE, json_response(201, {"token": "ghs_x"}), 5, GIVE, "lacks what its docu", "a proxy"),
    "an end in no time zone": Case(
        GIVE,
        json_response(201, {"token": "ghs_x", "expires_at": "2026-08-20T13:00:00"}),
        5,
        GIVE,
        "lacks what its docu",
        "a proxy",
    ),
    "a token of two lines": Case(
        GIVE,
        json_response(201, {"token": "ghs_x\r\nX-Evil: y", "expires_at": "2026-08-20T13:00:00Z"}),
        5,
        GIVE,
        "characters that no token has",
        "a proxy",
    ),
    "an empty token": Case(
        GIVE,
        json_response(201, {"token": "", "expires_at": "2026-08-20T13:00:00Z"}),
        5,
        GIVE,
        "characters that no token has",
        "a proxy",
    ),
    "an answer without end": Case(GIVE, Response(201, b"x" * 2_000_000), 5, GIVE, "larger than", "look at"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_to_do(apps: Apps, token: AppToken, logged: list[str], case: Case) -> None:
    apps.intercept = on(case.path, case.answer)

    with pytest.raises(BotError) as raised:
        token()

    error = raised.value
    assert case.words in error.what
    assert case.next_step in error.next_step
    assert len(error.what) < 500
    assert f"{error.what}{error.next_step}".isprintable()
    assert_no_secret(error, *logged)
    assert len(apps.asked) == (1 if case.path == FIND else 2)
    assert (case.code, case.where) == (error.exit_code, error.where.removeprefix(apps.url))


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        (PERMISSIONS, {"contents": "read", "pull_requests": "write"}, "contents: write"),
        (PERMISSIONS, {"metadata": "read"}, "contents: write, pull_requests: write"),
        ({"issues": "write", "actions": "read"}, {"issues": "write", "actions": "odd"}, "actions: read"),
        ({"issues": "read", "actions": "read"}, {"issues": "admin"}, "actions: read"),
    ],
)
def test_a_permission_that_is_missing_is_named(
    apps: Apps, make: Make, wanted: dict[str, str], held: dict[str, str], expected: str
) -> None:
    apps.installation["permissions"] = held
    apps.intercept = on(GIVE, refused(422, UNGRANTED))

    with pytest.raises(ForgeError) as raised:
        make(permissions=wanted)()

    assert "accept them in its installation on acme" in raised.value.next_step
    assert_no_secret(raised.value)
    assert raised.value.what == f"GitHub App 12345 lacks permissions that this needs: {expected}"


@pytest.mark.parametrize("held", [PERMISSIONS, None])
def test_a_permission_that_seems_to_be_there_leaves_githubs_words(
    apps: Apps, token: AppToken, held: dict[str, str] | None
) -> None:
    apps.installation["permissions"] = held
    apps.intercept = on(GIVE, refused(422, UNGRANTED))

    with pytest.raises(ForgeError) as raised:
        token()

    assert raised.value.what == f"GitHub gives App 12345 no token: HTTP 422: {UNGRANTED}"


@pytest.mark.parametrize("path", [FIND, GIVE])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_fault_that_passes_is_waited_for(apps: Apps, clock: Clock, token: AppToken, path: str, status: int) -> None:
    left = [Response(status)] * 2
    apps.intercept = lambda _, asked: Fault(answer=left.pop()) if left and asked == path else None

    actual = token()

    assert clock.slept == [1.0, 2.0]
    assert actual == apps.given[0]


@pytest.mark.parametrize("path", [FIND, GIVE])
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(answer=Response(500)), "HTTP 500"),
        (Fault(answer=Response(503, b"", (("Retry-After", "1"),))), "HTTP 503"),
        (Fault(drop=True), "the connection broke off"),
        (Fault(cut=3), "the connection broke off"),
    ],
    ids=["500", "503", "dropped", "cut"],
)
def test_an_outage_is_no_refusal(
    apps: Apps, token: AppToken, logged: list[str], path: str, fault: Fault, why: str
) -> None:
    apps.intercept = lambda _, asked: fault if asked == path else None

    with pytest.raises(BotError, match=f"gives the App no token: .*{why}") as raised:
        token()

    assert "Run it again when GitHub answers" in raised.value.next_step
    assert_no_secret(raised.value, *logged)
    assert apps.asked.count(f"{'GET' if path == FIND else 'POST'} {path}") == 3
    assert raised.value.exit_code == 4


def test_a_port_that_nobody_listens_on_is_an_outage(apps: Apps, token: AppToken) -> None:
    apps.stop()

    with pytest.raises(BotError, match="no connection") as raised:
        token()

    assert_no_secret(raised.value)
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (refused(429, "slow down", ("Retry-After", "7")), [7.0, 7.0]),
        (refused(403, "You have exceeded a secondary rate limit", ("Retry-After", "60")), [60.0, 60.0]),
        (refused(403, "You have exceeded a secondary rate limit", ("Retry-After", "61")), []),
        (refused(429, "slow down", ("Retry-After", "9" * 400)), []),
        (refused(403, "API rate limit exceeded"), []),
        (refused(403, "x", ("X-RateLimit-Remaining", "0")), []),
        (refused(429, "slow down"), []),
    ],
)
def test_a_rate_limit_is_waited_for_a_minute_at_most(
    apps: Apps, clock: Clock, token: AppToken, answer: Response, waits: list[float]
) -> None:
    apps.intercept = on(GIVE, answer)

    with pytest.raises(BotError, match=f"HTTP {answer.status}") as raised:
        token()

    assert raised.value.exit_code == 4
    assert waits == clock.slept


def test_after_a_fault_the_next_call_asks_again(apps: Apps, token: AppToken) -> None:
    apps.intercept = on(GIVE, refused(404, "Not Found"))
    with pytest.raises(ForgeError):
        token()
    apps.intercept = None

    actual = token()

    assert actual == apps.given[0]


def test_a_token_that_cannot_be_renewed_is_not_given_away(apps: Apps, clock: Clock, token: AppToken) -> None:
    token()
    passes(apps, clock, 3300)
    apps.intercept = on(GIVE, Response(500))

    with pytest.raises(BotError, match="HTTP 500"):
        token()


OTHERS: dict[str, tuple[Callable[[], str], str]] = {
    "encrypted": (partial(pem, KEY, b"x"), "it is encrypted with a passphrase"),
    "elliptic": (partial(pem, ec.generate_private_key(ec.SECP256R1())), "it is no RSA key"),
    "cut": (lambda: PEM[:900] + PEM[PEM.index("\n-----END") :], "it is no private key in PEM form, or only a part"),
    "public": (
        lambda: KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "it is no private key",
    ),
    "of OpenSSH": (
        lambda: KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
        "it is no private key",
    ),
    "nonsense": (lambda: "nonsense", "it is no private key"),
}


@pytest.mark.parametrize(("key", "words"), OTHERS.values(), ids=OTHERS)
def test_a_key_that_cannot_be_used_is_wrong_settings(
    apps: Apps, make: Make, key: Callable[[], str], words: str
) -> None:
    with pytest.raises(UsageError, match="the App's private key cannot be used: ") as raised:
        make(key())()

    assert words in raised.value.what
    lines = [line for line in key().splitlines() if len(line) > 40]
    shown = f"{raised.value!r}{raised.value.next_step}{raised.value.__cause__!r}{raised.value.__context__!r}"
    assert not any(line in shown for line in lines)
    assert apps.asked == []
    assert (raised.value.where, raised.value.exit_code) == ("GATEWAY_BOT_APP_PRIVATE_KEY", 2)


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", " "])
def test_a_key_in_either_form_is_used(apps: Apps, make: Make, form: PrivateFormat, line_break: str) -> None:
    key = KEY.private_bytes(Encoding.PEM, form, NoEncryption()).decode().replace("\n", line_break)

    actual = make(key)()

    assert actual == apps.given[0]


def test_who_is_no_app_does_not_load_what_an_app_needs() -> None:
    program = "import sys, bot.adapters.app_token; print([m for m in ('jwt', 'cryptography') if m in sys.modules])"

    actual = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.strip()

    assert actual == "[]"
