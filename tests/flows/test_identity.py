"""Who the bot is: as a GitHub App it gets a token for this repository alone, renews it, and shows it nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bot.embedded.github import EmbeddedGitHub, Installation
from bot.embedded.github.records import Account, Level, Pull
from bot.embedded.server import Exchange, Fault, Response, json_response
from tests.flows.conftest import DOWNSTREAM, NOW, TOKEN, UPSTREAM, Run, TestClock, Town

APP, SLUG, INSTALLATION = "12345", "acme-bumper", 678
WRITE: dict[str, Level] = {"contents": "write", "pull_requests": "write"}
GIVE = f"/app/installations/{INSTALLATION}/access_tokens"
KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))


def private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class MovingClock(TestClock):
    """A machine's clock, `wrong` by so much; it stands still but for what was slept."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong = timedelta(0)

    def true(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.slept))

    def now(self) -> datetime:
        return self.true() + self.wrong


@dataclass
class AppTown:
    """A town whose bot is a GitHub App; the App is installed on the town's repository unless a test says otherwise."""

    town: Town
    clock: MovingClock

    @property
    def github(self) -> EmbeddedGitHub:
        return self.town.github

    def installed(
        self, permissions: Mapping[str, Level] = WRITE, *, on: str = DOWNSTREAM, key: rsa.RSAPrivateKey = KEY
    ) -> None:
        installation = Installation(permissions, frozenset({on, "acme/another"}))
        self.github.add_app(APP, SLUG, public(key), {INSTALLATION: installation})

    def run(self, *args: str, **environ: str) -> Run:
        return self.town.run(*args, environ=environ)

    @property
    def pulls(self) -> tuple[Pull, ...]:
        return self.github.pulls(DOWNSTREAM)

    @property
    def asked(self) -> list[str]:
        """What the App asked in its own name."""
        return [f"{e.method} {e.path}" for e in self.github.exchanges if e.path.endswith(("/installation", "_tokens"))]

    @property
    def given(self) -> dict[str, Account]:
        """Whom each token stands for, oldest first."""
        return {token: account for token, (account, _) in self.github.apps.tokens.items()}

    @property
    def of_repository(self) -> list[Exchange]:
        """What was asked of the repository with a token."""
        found = (e for e in self.github.exchanges if e.path.startswith(f"/repos/{DOWNSTREAM}"))
        return [e for e in found if not e.path.endswith("/installation")]


@pytest.fixture
def app_town(town: Town) -> Iterator[AppTown]:
    clock = MovingClock()
    town.clock = clock
    town.github.clock = clock.true
    del town.environ["GITHUB_TOKEN"]
    town.environ |= {"GATEWAY_BOT_APP_ID": APP, "GATEWAY_BOT_APP_PRIVATE_KEY": private(KEY)}
    world = AppTown(town, clock)
    world.installed()
    yield world
    town.github.intercept = None


def bearer(exchange: Exchange) -> str:
    return exchange.headers.get("authorization", "").removeprefix("Bearer ")


def dated(world: AppTown) -> Callable[[str, str], Fault]:
    """Every answer says when it was given, as GitHub's do."""

    def date(response: Response) -> Response:
        header = ("Date", format_datetime(world.clock.true(), usegmt=True))
        return Response(response.status, response.body, (*response.headers, header))

    return lambda _method, _path: Fault(change=date)


def test_an_app_proposes_with_a_token_for_this_repository_and_no_more_than_it_needs(app_town: AppTown) -> None:
    run = app_town.run("propose", "--json")

    (token,), (account,) = app_town.given.keys(), app_town.given.values()
    (asked,) = (e for e in app_town.github.exchanges if e.path == GIVE)
    assert run.json["pull_request"].endswith("/pull/1")
    assert app_town.asked == [f"GET /repos/{DOWNSTREAM}/installation", f"POST {GIVE}"]
    assert json.loads(asked.body) == {"repositories": ["ai-gateway"], "permissions": WRITE}
    assert (account.permissions, account.repositories) == (WRITE, frozenset({DOWNSTREAM}))
    assert {bearer(e) for e in app_town.of_repository} == {token}
    assert [pull.author.login for pull in app_town.pulls] == [f"{SLUG}[bot]"]


def test_a_second_run_as_an_app_changes_nothing(app_town: AppTown) -> None:
    app_town.run("propose")
    before = [e for e in app_town.of_repository if e.method != "GET"]

    run = app_town.run("propose")

    assert [e for e in app_town.of_repository if e.method != "GET"] == before
    assert run.code == 0


def test_an_app_wins_over_a_token(app_town: AppTown) -> None:
    run = app_town.run("propose", GITHUB_TOKEN=TOKEN)

    assert TOKEN not in {bearer(e) for e in app_town.of_repository}
    assert run.code == 0
    assert [pull.author.login for pull in app_town.pulls] == [f"{SLUG}[bot]"]


NOT_BY_THEMSELVES = "Checks do not start by themselves"


@pytest.mark.parametrize(
    ("login", "in_actions", "starts"),
    [
        ("github-actions[bot]", "true", False),
        ("github-actions[bot]", "", False),
        ("acme-bumper[bot]", "true", True),
        ("acme-bumper[bot]", "", True),
    ],
)
def test_the_author_of_the_pull_request_tells_whether_checks_start(
    town: Town, login: str, in_actions: str, *, starts: bool
) -> None:
    town.github.tokens[TOKEN] = Account(login, WRITE)

    first = town.run("propose", environ={"GITHUB_ACTIONS": in_actions})
    second = town.run("propose", environ={"GITHUB_ACTIONS": in_actions})

    (pull,) = town.github.pulls(DOWNSTREAM)
    assert [first.code, second.code] == [0, 0]
    assert [NOT_BY_THEMSELVES in text for text in (first.out, pull.body)] == [not starts] * 2


def test_checks_of_an_apps_pull_request_start_by_themselves(app_town: AppTown) -> None:
    run = app_town.run("propose", GITHUB_ACTIONS="true")

    assert "opened with a GitHub App" in run.out
    assert "Checks start by themselves" in run.out
    assert NOT_BY_THEMSELVES not in app_town.pulls[0].body


def test_a_plan_asks_for_no_token(app_town: AppTown) -> None:
    run = app_town.run("plan")

    assert app_town.asked == []
    assert run.code == 0


def test_a_pin_in_a_workflow_file_needs_a_permission_of_its_own(app_town: AppTown) -> None:
    town = app_town.town
    town.write(".github/workflows/ci.yml", f"env:\n  IMAGE: {town.image}@{town.digests['v1.3.1']}\n")
    pin = "[[image.pins]]\ntype = 'pattern'\nfile = '.github/workflows/ci.yml'\npattern = 'IMAGE: (?P<image>.+)'\n"
    town.write("gateway-bot.toml", f"{town.text('gateway-bot.toml')}\n{pin}")
    town.github.create_repository(DOWNSTREAM, town.checkout())

    refused = app_town.run("propose")
    app_town.installed({**WRITE, "workflows": "write"})
    done = app_town.run("propose")

    assert "lacks permissions that this needs: workflows: write" in refused.out
    assert [account.permissions for account in app_town.given.values()] == [{**WRITE, "workflows": "write"}]
    assert (refused.code, done.code, len(app_town.pulls)) == (7, 0, 1)


def ends_after(world: AppTown, number: int) -> Callable[[str, str], Fault | None]:
    """So many requests of the repository, and the token is about to end: GitHub takes it no more."""
    seen: list[str] = []

    def shortened(response: Response) -> Response:
        answer = json.loads(response.body)
        account, _ = world.github.apps.tokens[answer["token"]]
        ends = world.clock.true() + timedelta(seconds=340)
        world.github.apps.tokens[answer["token"]] = account, ends
        return json_response(201, answer | {"expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"})

    def passed(response: Response) -> Response:
        world.clock.slept.append(60)
        (first,) = world.given
        world.github.apps.tokens[first] = world.given[first], world.clock.true()
        return response

    def intercept(_: str, path: str) -> Fault | None:
        if path == GIVE:
            return Fault(change=shortened)
        if path.startswith(f"/repos/{DOWNSTREAM}") and not path.endswith("/installation"):
            seen.append(path)
            return Fault(change=passed) if len(seen) == number else None
        return None

    return intercept


@pytest.mark.real  # by its length
def test_a_token_that_ends_after_any_request_is_renewed(app_town: AppTown) -> None:
    app_town.run("propose")
    total = len(app_town.of_repository)
    for number in range(1, total):
        app_town.town.pin("v1.3.1")
        app_town.github.exchanges.clear()
        app_town.github.apps.tokens.clear()
        app_town.github.intercept = ends_after(app_town, number)

        run = app_town.run("propose")

        first, second = app_town.given
        assert app_town.asked == [f"GET /repos/{DOWNSTREAM}/installation", f"POST {GIVE}", f"POST {GIVE}"]
        assert [bearer(e) for e in app_town.of_repository] == [first] * number + [second] * (total - number)
        assert (run.code, [pull.state for pull in app_town.pulls]) == (0, ["open"])

    assert total >= 8


@pytest.mark.parametrize("hours", [-3000, -5, 5, 3000])
def test_an_app_on_a_machine_whose_clock_is_wrong_proposes(app_town: AppTown, hours: int) -> None:
    app_town.clock.wrong = timedelta(hours=hours)
    app_town.github.intercept = dated(app_town)

    run = app_town.run("propose")

    assert f"this machine's clock is {abs(hours) * 3600} s {'behind' if hours < 0 else 'ahead of'} GitHub's" in run.err
    assert (run.code, len(app_town.pulls)) == (0, 1)


def another_key(world: AppTown) -> None:
    world.town.environ["GATEWAY_BOT_APP_PRIVATE_KEY"] = private(OTHER_KEY)


def deleted_key(world: AppTown) -> None:
    world.run("plan")
    world.installed(key=OTHER_KEY)


def another_app(world: AppTown) -> None:
    world.town.environ["GATEWAY_BOT_APP_ID"] = "999"


def no_key(world: AppTown) -> None:
    world.town.environ["GATEWAY_BOT_APP_PRIVATE_KEY"] = "no key"


def cut_key(world: AppTown) -> None:
    text = private(KEY)
    world.town.environ["GATEWAY_BOT_APP_PRIVATE_KEY"] = text[:900] + text[text.index("\n-----END") :]


def half(world: AppTown) -> None:
    del world.town.environ["GATEWAY_BOT_APP_PRIVATE_KEY"]


def answers(status: int, message: str) -> Callable[[AppTown], None]:
    def set_up(world: AppTown) -> None:
        answer = json_response(status, {"message": message})
        world.github.intercept = lambda _, path: Fault(answer=answer) if path == GIVE else None

    return set_up


FAULTS: dict[str, tuple[Callable[[AppTown], None], int, str, str]] = {
    "another App's key": (another_key, 7, "does not take the private key for one of GitHub App 12345", "the same App"),
    "a deleted key": (deleted_key, 7, "does not take the private key", "must still be listed on the App's page"),
    "no such App": (another_app, 7, "there is no GitHub App 999: Integration not found", "Copy the id"),
    "installed elsewhere": (
        lambda world: world.installed(on="acme/elsewhere"),
        7,
        "GitHub App 12345 is not installed on acme/ai-gateway",
        "under Install App, install it on acme and give it this repository",
    ),
    "suspended": (
        answers(403, "This installation has been suspended"),
        7,
        "the installation of GitHub App 12345 on acme is suspended",
        "has to lift that",
    ),
    "may only read": (
        lambda world: world.installed({"contents": "read", "pull_requests": "write"}),
        7,
        "lacks permissions that this needs: contents: write",
        "accept them in its installation on acme",
    ),
    "no key": (no_key, 2, "GATEWAY_BOT_APP_PRIVATE_KEY: it is no private key in PEM form", "the .pem file"),
    "a part of a key": (cut_key, 2, "the App's private key cannot be used", "the whole text of a .pem file"),
    "an id without a key": (half, 2, "GATEWAY_BOT_APP_ID is set and GATEWAY_BOT_APP_PRIVATE_KEY is not", "Set both"),
    "an outage": (answers(503, "x"), 4, "GitHub gives the App no token: HTTP 503", "Run it again"),
}


@pytest.mark.parametrize(("set_up", "code", "words", "step"), FAULTS.values(), ids=FAULTS)
def test_an_app_that_gets_no_token_says_what_to_do_and_does_nothing(
    app_town: AppTown, set_up: Callable[[AppTown], None], code: int, words: str, step: str
) -> None:
    set_up(app_town)

    run = app_town.run("propose")

    assert words in run.out + run.err
    assert step in run.out + run.err
    assert_shown_nowhere(app_town, run)
    assert app_town.of_repository == []
    assert (code, app_town.pulls) == (run.code, ())


def secrets(world: AppTown) -> set[str]:
    """Every secret that there was: the key, each assertion, each token."""
    key = world.town.environ.get("GATEWAY_BOT_APP_PRIVATE_KEY", "").splitlines()
    sent = {part for e in world.github.exchanges for part in bearer(e).split(".") if len(part) > 40}
    return {line for line in key if len(line) > 40} | sent | set(world.given)


def assert_shown_nowhere(world: AppTown, *runs: Run) -> None:
    """In no output, no file that was written, no address that was asked, nothing that stands on GitHub."""
    root = world.town.root.parent
    files = [path.read_bytes().decode(errors="replace") for path in root.rglob("*") if path.is_file()]
    requests = [e.path for e in (*world.github.exchanges, *world.town.registry.exchanges)]
    pulls = [f"{pull.title}{pull.body}{[c.body for c in pull.comments]}" for pull in world.pulls]
    commits = world.github.repositories[DOWNSTREAM].objects.commits.values()
    shown = "\n".join([*(r.out + r.err for r in runs), *files, *requests, *pulls, *(c.message for c in commits)])

    assert [secret for secret in secrets(world) if secret in shown] == []


def test_no_secret_of_an_app_is_shown_anywhere(app_town: AppTown) -> None:
    folder = app_town.town.root.parent
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_OUTPUT": str(folder / "output"),
    }
    plan = str(folder / "plan.json")

    runs = [
        app_town.run("plan", "--explain", "--save", plan, **actions),
        app_town.run("propose", "--dry-run", "--json", **actions),
        app_town.run("propose", "--plan", plan, "--json", **actions),
        app_town.run("propose", **actions),
    ]

    assert [run.code for run in runs] == [0] * 4
    assert len(secrets(app_town)) > 6
    assert (folder / "summary.md").exists()
    assert_shown_nowhere(app_town, *runs)


@pytest.mark.real  # by its length
@pytest.mark.parametrize("status", [401, 422, 500])
def test_no_secret_of_an_app_is_shown_when_github_refuses_anything(app_town: AppTown, status: int) -> None:
    town = app_town.town
    app_town.run("propose")
    total = len(app_town.github.exchanges)
    runs: list[Run] = []
    for number in range(total):
        town.pin("v1.3.1")
        left = number

        def refuse(method: str, path: str) -> Fault | None:
            nonlocal left
            left -= 1
            answer = json_response(status, {"message": "no", "errors": [f"{method} {path}"]})
            return Fault(answer=answer) if left < 0 else None

        app_town.github.intercept = refuse
        runs.append(app_town.run("propose", GITHUB_ACTIONS="true"))
    app_town.github.intercept = None

    assert {run.code for run in runs} <= {0, 2, 4, 5, 7}
    assert any(run.code for run in runs)
    assert_shown_nowhere(app_town, *runs)


def test_an_enterprises_token_stays_with_the_enterprise(town: Town) -> None:
    town.environ["GITHUB_TOKEN"] = TOKEN
    with EmbeddedGitHub() as public_github:
        public_github.repositories[UPSTREAM] = town.github.repositories.pop(UPSTREAM)

        run = town.run("propose", environ={"GATEWAY_BOT_UPSTREAM_API_URL": public_github.url})

        asked = [e for e in public_github.exchanges if e.path.startswith(f"/repos/{UPSTREAM}")]
        assert asked
        assert [e for e in public_github.exchanges if "authorization" in e.headers] == []
        assert not any(UPSTREAM in e.path for e in town.github.exchanges)
        assert (run.code, len(town.github.pulls(DOWNSTREAM))) == (0, 1)


def test_upstreams_own_token_goes_to_upstream_alone(town: Town) -> None:
    own = "github_pat_for-upstream"
    with EmbeddedGitHub({own: Account("reader")}) as public_github:
        public_github.repositories[UPSTREAM] = town.github.repositories.pop(UPSTREAM)
        environ = {"GATEWAY_BOT_UPSTREAM_API_URL": public_github.url, "GATEWAY_BOT_UPSTREAM_TOKEN": own}

        run = town.run("propose", environ=environ)

        assert {bearer(e) for e in public_github.exchanges} == {own}
        assert {bearer(e) for e in town.github.exchanges} == {TOKEN}
        assert run.code == 0
