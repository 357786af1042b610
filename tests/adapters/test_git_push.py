"""A release's commit and tag on their way to real remotes: folders on this disk, and git's own server for HTTP."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from bot.errors import BotError, ForgeError, ServiceError, UsageError
from tests.repositories import Repo

TAG = "v1.2.4"
TOKEN = "ghs_may-push-here"  # noqa: S105 - of a server on loopback
WORKFLOW = Path(__file__).parents[2] / ".github/workflows/rollback.yml"
STEP = yaml.safe_load(WORKFLOW.read_text())["jobs"]["release"]["steps"][-1]["env"]
"""The variables by which the step of rollback.yml that pushes is let in."""


class Checkout(Repo):
    """One commit that the remote has, and a release on top of it that it has not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bare = folder / "remote.git"
        first = self.commit("feat: one", {"a": "1"})
        self.run("clone", "-q", "--bare", str(self.root), str(self.bare))
        self.run("remote", "add", "origin", str(self.bare))
        self.run("fetch", "-q", "origin")
        self.run("branch", "-q", "--set-upstream-to=origin/main")
        self.first, self.made = first, self.commit("chore(release): v1.2.4", {"a": "2"})
        self.run("tag", "-a", "-m", TAG, TAG)

    def push(self) -> bool:
        return self.git.push("origin", "main", TAG)

    def refused(self) -> BotError:
        with pytest.raises(BotError) as raised:
            self.push()
        return raised.value

    def remote(self) -> dict[str, str]:
        """The remote's refs, tags by the commit that they lead to."""
        lines = self.run("ls-remote", str(self.bare), "refs/heads/*", "refs/tags/*").splitlines()
        found = {name.removesuffix("^{}"): sha for sha, name in (line.split("\t") for line in lines)}
        return {name.rpartition("/")[2]: sha for name, sha in found.items()}

    def hook(self, name: str, script: str) -> None:
        """A hook of the remote."""
        write_hook(self.bare / "hooks" / name, script)

    def colleague(self) -> Path:
        """Another checkout of the remote."""
        folder = self.root.parent / "colleague"
        self.run("clone", "-q", str(self.bare), str(folder))
        return folder


def write_hook(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_branch_and_tag_are_pushed_and_nothing_else(checkout: Checkout) -> None:
    checkout.run("tag", "-a", "-m", "x", "unrelated", "HEAD^")
    checkout.run("branch", "feature")
    checkout.run("config", "push.followTags", "true")

    assert checkout.push()
    assert checkout.remote() == {"main": checkout.made, TAG: checkout.made}
    assert checkout.run("ls-remote", "origin", f"refs/tags/{TAG}").split()[0] == checkout.run("rev-parse", TAG)


def test_a_second_push_has_nothing_to_bring(checkout: Checkout) -> None:
    assert [checkout.push(), checkout.push()] == [True, False]


def test_what_is_there_in_half_is_completed(checkout: Checkout) -> None:
    checkout.run("push", "-q", "origin", "main")

    assert checkout.push()
    assert checkout.remote() == {"main": checkout.made, TAG: checkout.made}


def protected_branch(checkout: Checkout) -> None:
    checkout.hook(
        "pre-receive",
        'while read old new ref; do [ "$ref" != refs/heads/main ] || '
        "{ echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1; }; done",
    )


def protected_tags(checkout: Checkout) -> None:
    checkout.hook("update", 'case "$1" in refs/tags/*) echo "GH013: tags are made by the team" >&2; exit 1 ;; esac')


def hook_here(checkout: Checkout) -> None:
    write_hook(checkout.root / ".git" / "hooks" / "pre-push", "echo 'the tests do not pass \033[31m' >&2; exit 1")


def faster(checkout: Checkout) -> None:
    folder = checkout.colleague()
    for command in (["commit", "-q", "--allow-empty", "-m", "theirs"], ["push", "-q", "origin", "main"]):
        checkout.run("-C", str(folder), *command)


def faster_here(checkout: Checkout) -> None:
    """And it was fetched since."""
    faster(checkout)
    checkout.run("fetch", "-q", "origin")


def other_tag(checkout: Checkout) -> None:
    checkout.run("--git-dir", str(checkout.bare), "tag", TAG, checkout.first)


def lacks_rights(checkout: Checkout) -> None:
    checkout.hook("pre-receive", "echo 'GH013: Repository rule violations found' >&2; exit 1")


@pytest.mark.parametrize(
    ("spoil", "words", "advice"),
    [
        (protected_branch, "GH006: Protected branch update failed", "lets bypass it; or merge"),
        (protected_tags, f"refs/tags/{TAG} [remote rejected] (hook declined); GH013", "lets bypass it"),
        (hook_here, "the tests do not pass", "it pushes what is here"),
        (faster, "refs/heads/main [rejected] (fetch first)", "Somebody was faster"),
        (faster_here, "refs/heads/main [rejected] (non-fast-forward)", "Somebody was faster"),
        (other_tag, f"refs/tags/{TAG} [rejected] (already exists)", "the tag names another commit"),
        (lacks_rights, "Repository rule violations", "lets bypass it"),
    ],
)
def test_a_refused_push_brings_neither_and_says_what_to_do(
    checkout: Checkout, spoil: Callable[[Checkout], None], words: str, advice: str
) -> None:
    spoil(checkout)
    before = checkout.remote()

    error = checkout.refused()

    assert isinstance(error, ForgeError)
    assert words in error.what
    assert "\033" not in error.what
    assert advice in error.next_step
    assert checkout.run("rev-parse", "HEAD", f"{TAG}^{{commit}}") == f"{checkout.made}\n{checkout.made}"
    assert before == checkout.remote()


@pytest.mark.parametrize("spoil", [faster, faster_here, other_tag])
def test_what_is_advised_leads_to_where_the_next_bump_can_start(
    checkout: Checkout, spoil: Callable[[Checkout], None]
) -> None:
    spoil(checkout)
    step = checkout.refused().next_step
    command = step[step.index("git tag -d") :].partition("; ")[0]

    subprocess.run(command, shell=True, cwd=checkout.root, env=checkout.environ, check=True, capture_output=True)  # noqa: S602 - as it is pasted

    assert checkout.run("rev-parse", "HEAD") == checkout.remote()["main"]
    assert checkout.run("status", "--porcelain") == ""
    assert {"main"} | set(checkout.run("tag").split()) == set(checkout.remote())


def test_what_is_said_of_whose_tag_it_is_can_be_run(checkout: Checkout) -> None:
    other_tag(checkout)
    step = checkout.refused().next_step
    command = step[step.index("git fetch") :].partition(". ")[0]

    done = subprocess.run(command, shell=True, cwd=checkout.root, env=checkout.environ, check=True, capture_output=True)  # noqa: S602 - as it is pasted

    assert checkout.first in done.stdout.decode()


def test_a_remotes_words_do_not_pass_for_gits(checkout: Checkout) -> None:
    """They come to a program that looks at the first letters of lines."""
    checkout.push()
    checkout.hook("post-update", r"printf 'x\f*\trefs/heads/main:refs/heads/main\t[new]\v \ta\t\302\205*\tb\tc\n' >&2")
    checkout.run("tag", "-a", "-m", "y", "other")
    checkout.run("push", "-q", "origin", "other")

    assert not checkout.push()


def test_a_remote_that_is_not_there_is_not_known_to_have_taken_it(checkout: Checkout) -> None:
    checkout.bare.rename(checkout.bare.with_suffix(".away"))

    error = checkout.refused()

    assert isinstance(error, ServiceError)
    assert "not known whether the push reached origin" in error.what


def test_no_remote_is_a_matter_of_settings(checkout: Checkout) -> None:
    checkout.run("remote", "remove", "origin")

    error = checkout.refused()

    assert isinstance(error, UsageError)
    assert "git remote add origin URL" in error.next_step


def test_what_stands_on_a_closed_port_is_not_reached(checkout: Checkout) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_address[1]
    checkout.run("remote", "set-url", "origin", f"http://ada:s3cr@t@127.0.0.1:{port}/x.git")

    error = checkout.refused()

    assert isinstance(error, ServiceError)
    assert "127.0.0.1" in error.what
    assert "s3cr" not in error.what
    assert "t@" not in error.what


def test_a_hook_of_the_push_sees_no_token(checkout: Checkout, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    write_hook(checkout.root / ".git" / "hooks" / "pre-push", f"env > {seen}")
    given = {"GITHUB_TOKEN": "ghs_x", "GATEWAY_BOT_APP_PRIVATE_KEY": "pem", "GIT_DIR": "/nowhere", "MINE": "kept"}
    checkout.environ |= given | {"GIT_SSH_COMMAND": "ssh -4", "GIT_TRACE": "1"}

    assert checkout.push()
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert {"MINE", "GIT_SSH_COMMAND"} <= names
    assert names.isdisjoint({"GITHUB_TOKEN", "GATEWAY_BOT_APP_PRIVATE_KEY", "GIT_TRACE"})


@contextmanager
def smart_http(root: Path, spoilt: str = "") -> Iterator[str]:
    """git-http-backend, for whoever knows the token. `spoilt` is a status line that answers every pack, or `cut`, with
    which the remote takes the pack and is silent about it.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            wanted = f"Basic {b64encode(f'x-access-token:{TOKEN}'.encode()).decode()}"
            if self.headers.get("Authorization") != wanted:
                self.reply("401 Unauthorized", {"WWW-Authenticate": 'Basic realm="git"'}, b"")
                return
            packs = self.command == "POST" and self.path.endswith("git-receive-pack")
            if packs and spoilt and spoilt != "cut":
                self.reply(spoilt, {}, b"")
                return
            status, headers, answer = backend(root, self, body)
            if packs and spoilt == "cut" and len(body) > 4:  # the probe with a flush alone comes before
                self.close_connection = True
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n")
                self.wfile.write(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode())
                return
            self.reply(status, headers, answer)

        def reply(self, status: str, headers: dict[str, str], body: bytes) -> None:
            code, _, words = status.partition(" ")
            self.send_response(int(code), words)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names that the library calls

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/remote.git"
        finally:
            server.shutdown()
            thread.join()


def backend(root: Path, request: BaseHTTPRequestHandler, body: bytes) -> tuple[str, dict[str, str], bytes]:
    """What git-http-backend answers: a CGI program (RFC 3875)."""
    path, _, query = request.path.partition("?")
    environ = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "REMOTE_USER": "x",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=True, timeout=30)
    head, _, answer = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return headers.pop("Status", "200 OK"), headers, answer


def over_http(checkout: Checkout, url: str, token: str = TOKEN) -> None:
    """As a step of a workflow is given its way: by variables, with nothing left in the checkout."""
    checkout.run("remote", "set-url", "origin", url)
    checkout.environ |= {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": STEP["GIT_CONFIG_KEY_0"].replace("${{ github.server_url }}", url.rpartition("/")[0]),
        "GIT_CONFIG_VALUE_1": STEP["GIT_CONFIG_VALUE_0"],
        "GIT_TERMINAL_PROMPT": "0",
        "PUSH_TOKEN": token,
    }


def test_a_token_of_the_step_pushes_and_stays_nowhere(checkout: Checkout) -> None:
    with smart_http(checkout.bare.parent) as url:
        over_http(checkout, url)
        pushed = [checkout.push(), checkout.push()]
    kept = "".join(path.read_text(errors="replace") for path in (checkout.root / ".git").rglob("*") if path.is_file())

    assert pushed == [True, False]
    assert checkout.remote() == {"main": checkout.made, TAG: checkout.made}
    assert TOKEN not in kept


@pytest.mark.parametrize("token", ["ghs_has-expired", ""])
def test_who_is_not_let_in_is_told_what_it_takes(checkout: Checkout, token: str) -> None:
    with smart_http(checkout.bare.parent) as url:
        over_http(checkout, url, token)
        if not token:
            checkout.environ["GIT_CONFIG_COUNT"] = "1"  # nobody is asked for one
        error = checkout.refused()

    assert isinstance(error, ForgeError)
    assert "origin does not let git in" in error.what
    assert "contents: write" in error.next_step
    assert checkout.remote() == {"main": checkout.first}


@pytest.mark.parametrize(
    ("spoilt", "kind"),
    [("403 Forbidden", ForgeError), ("500 Internal Server Error", ServiceError), ("cut", ServiceError)],
)
def test_a_server_that_fails_in_the_middle_is_not_one_that_refuses(
    checkout: Checkout, spoilt: str, kind: type[BotError]
) -> None:
    with smart_http(checkout.bare.parent, spoilt) as url:
        over_http(checkout, url)
        error = checkout.refused()
    with smart_http(checkout.bare.parent) as url:
        over_http(checkout, url)
        again = checkout.push()

    assert isinstance(error, kind), error.what
    assert again == (spoilt != "cut")  # what was cut off had arrived
    assert checkout.remote() == {"main": checkout.made, TAG: checkout.made}
