"""A private Sigstore that runs while tests sign, and GitHub's endpoint that gives a run its identity token.

The services stay in a network namespace of their own, since one of them listens on all addresses; each that cosign
asks is reached by a free port of 127.0.0.1. It is there in about a second, once a session (once a worker under xdist).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.parts import REAL, ROOT, require
from tests.real.sigstore import services
from tests.real.sigstore.issuer import token
from tests.real.sigstore.keys import make_keys
from tests.real.sigstore.relay import Relay

Service = Literal["fulcio", "rekor", "timestamps", "tokens"]
ISSUER = services.ISSUER
GITHUB = "https://github.com/"
"""What stands before a workflow and its ref in an identity."""

_PARTS = ("cosign3", "fulcio", "timestamp-server", "rekor-posix", "ctlog")
_REQUEST_TOKEN = "of this run"  # noqa: S105 - the endpoint is on loopback, and gives tokens of a private Sigstore
_READY_SECONDS = 30


class LiveSigstore:
    """Signs for whoever holds a token. The trusted root and the signing config are files of `folder`."""

    def __init__(self, folder: Path, keys: Path, relays: Mapping[str, Relay], tokens: Relay) -> None:
        self.folder = folder
        self._keys = keys
        self._relays = {**relays, "tokens": tokens}

    @property
    def trusted_root(self) -> Path:
        return self.folder / "trusted-root.json"

    @property
    def signing_config(self) -> Path:
        return self.folder / "signing-config.json"

    def environ(self, identity: str) -> dict[str, str]:
        """What GitHub's runner gives a job with `id-token: write`. `identity` is that of its certificate."""
        workflow = quote(_workflow(identity), safe="")
        url = f"http://127.0.0.1:{self._relays['tokens'].port}/token?api-version=2.0&workflow={workflow}"
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": _REQUEST_TOKEN}

    def token(self, identity: str, *, seconds_ago: int = 0) -> str:
        """A token for SIGSTORE_ID_TOKEN. It is good for ten minutes."""
        return token(self._keys, ISSUER, _workflow(identity), seconds_ago=seconds_ago)

    def stop(self, *names: Service) -> None:
        """Refuse all calls to these services, or to all of Sigstore."""
        for name in names or services.SIGNED_BY:
            self._relays[name].stop()

    def hang(self, *names: Service) -> None:
        """Never answer a call to these services, or to any of Sigstore's."""
        for name in names or services.SIGNED_BY:
            self._relays[name].hang()

    def start(self) -> None:
        """Everything answers again."""
        for relay in self._relays.values():
            relay.start()


@pytest.fixture(scope="session")
def sigstore_of_session() -> Iterator[LiveSigstore]:
    """One for all tests; `live_sigstore` is the same one, whole."""
    for part in _PARTS:
        require(part)
    with tempfile.TemporaryDirectory(prefix="sigstore-") as folder:  # a socket's path is short
        yield from _running(Path(folder))


@pytest.fixture
def live_sigstore(sigstore_of_session: LiveSigstore) -> Iterator[LiveSigstore]:
    """A private Sigstore, of which a test may stop parts."""
    yield sigstore_of_session
    sigstore_of_session.start()


def _running(folder: Path) -> Iterator[LiveSigstore]:
    keys = folder / "keys"
    make_keys(keys, services.HOSTS)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(services.HOSTS)}\n")
    alone = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'
    again = [sys.executable, "-m", "tests.real.sigstore.live", str(REAL / "bin"), str(folder)]
    command = ["unshare", "-rnmp", "--fork", "--kill-child", "sh", "-euc", alone, "sh", str(hosts), *again]
    with (folder / "log").open("wb") as log:
        program = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        relays = {name: Relay(folder / f"{name}.sock") for name in services.SIGNED_BY}
        cosign = Path(require("cosign3"))
        ports = {name: relay.port for name, relay in relays.items()}
        services.signing_config(cosign, folder / "signing-config.json", ports=ports)
        services.trusted_root(cosign, keys, keys, folder / "trusted-root.json")
        assert program.stdout is not None
        if program.stdout.readline() != b"ready\n":
            pytest.fail(f"the private Sigstore did not start:\n{(folder / 'log').read_text()[-3000:]}")
        with _tokens(folder / "tokens.sock", keys) as tokens:
            yield LiveSigstore(folder, keys, relays, tokens)
        for relay in relays.values():
            relay.stop()
    finally:
        program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout):
            assert pipe is not None
            pipe.close()


class Server(ThreadingHTTPServer):
    """Listens at a socket's file, behind a relay that a test can stop."""

    address_family = socket.AF_UNIX

    def listen_at(self, file: Path) -> None:
        self.socket.bind(str(file))
        self.server_activate()


@contextmanager
def _tokens(file: Path, keys: Path) -> Iterator[Relay]:
    """GitHub's endpoint, as a runner's job sees it: a token of the workflow that its URL names."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            trusted = self.headers["Authorization"].lower() == f"bearer {_REQUEST_TOKEN}"
            known = trusted and query.get("audience") == ["sigstore"]
            given = {"value": token(keys, ISSUER, query["workflow"][0])} if known else {"message": "no"}
            body = json.dumps(given).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Silent."""

        def address_string(self) -> str:
            return "a relay"

    with Server(("", 0), Answers, bind_and_activate=False) as server:
        server.listen_at(file)
        Thread(target=server.serve_forever, daemon=True).start()
        relay = Relay(file)
        try:
            yield relay
        finally:
            relay.stop()
            server.shutdown()


def _workflow(identity: str) -> str:
    return identity.removeprefix(GITHUB)
