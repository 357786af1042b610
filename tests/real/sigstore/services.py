"""A private Sigstore: Fulcio with a CT log, a timestamp authority, Rekor v2, and Rekor v1 for the legacy format.

Ports are fixed and there is no password worth keeping: it runs in a network namespace of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.real.sigstore.keys import PASSWORD

ISSUER = "https://token.actions.githubusercontent.com"
OTHER_ISSUER = "https://token.actions.elsewhere.example"
HOSTS = tuple(issuer.removeprefix("https://") for issuer in (ISSUER, OTHER_ISSUER))

_CTLOG, _FULCIO, _GRPC, _METRICS = 18000, 18001, 18002, 18003
_OTHER = 100
"""How far the other instance's ports are away."""
_TSA, _REKOR2, _REKOR2_GRPC, _REKOR2_METRICS, _TREES, _REKOR1 = 18010, 18020, 18021, 18022, 18030, 18031
SIGNED_BY = {"fulcio": _FULCIO, "rekor": _REKOR2, "timestamps": _TSA}
"""The services that cosign 3 asks for a signature, with their ports."""

_READY_SECONDS = 60.0
_SINCE = "2020-01-01T00:00:00Z"
_ANY = "api-version=1,start-time=" + _SINCE + ",operator=sigstore.test"


def fulcio_url(*, other: bool = False) -> str:
    return f"http://127.0.0.1:{_FULCIO + other * _OTHER}"


def rekor1_url() -> str:
    return f"http://127.0.0.1:{_REKOR1}"


@contextmanager
def authority(programs: Path, keys: Path, work: Path, *, other: bool = False) -> Iterator[None]:
    """Fulcio and its CT log: what says who signed."""
    move = other * _OTHER
    work.mkdir(parents=True)
    issuers = {
        issuer: {"IssuerURL": issuer, "ClientID": "sigstore", "Type": "ci-provider", "CIProvider": "workflow"}
        for issuer in (ISSUER, OTHER_ISSUER)
    }
    names = {"SubjectAlternativeNameTemplate": "https://github.com/{{ .job_workflow_ref }}"}
    config = work / "fulcio.json"
    config.write_text(json.dumps({"OIDCIssuers": issuers, "CIIssuerMetadata": {"workflow": names}}))
    log = [str(programs / "ctlog"), f"127.0.0.1:{_CTLOG + move}", str(keys / "ctlog.key"), str(keys / "fulcio.pem")]
    fulcio = [
        str(programs / "fulcio"),
        "serve",
        f"--config-path={config}",
        f"--ct-log-url=http://127.0.0.1:{_CTLOG + move}",
        "--ca=fileca",
        f"--fileca-cert={keys / 'fulcio.pem'}",
        f"--fileca-key={keys / 'fulcio.key'}",
        f"--fileca-key-passwd={PASSWORD}",
        "--fileca-watch=false",
        "--host=127.0.0.1",
        f"--port={_FULCIO + move}",
        "--grpc-host=127.0.0.1",
        f"--grpc-port={_GRPC + move}",
        f"--metrics-port={_METRICS + move}",
        f"--legacy-unix-domain-socket={work / 'fulcio.sock'}",
    ]
    trust = {"SSL_CERT_FILE": str(keys / "tls-ca.pem")}
    with _running([*log, str(work / "ctlog")], _CTLOG + move, work), _running(fulcio, _FULCIO + move, work, trust):
        yield


@contextmanager
def witnesses(programs: Path, keys: Path, work: Path, *, legacy: bool = True) -> Iterator[None]:
    """The timestamp authority and both Rekors: what says when it was signed, and that the world may know.

    Without `legacy` there is no Rekor v1, which takes the longest to start.
    """
    work.mkdir(parents=True)
    timestamps = [
        str(programs / "timestamp-server"),
        "serve",
        "--host=127.0.0.1",
        f"--port={_TSA}",
        "--disable-ntp-monitoring",
        "--timestamp-signer=file",
        f"--file-signer-key-path={keys / 'tsa.key'}",
        f"--certificate-chain-path={keys / 'tsa.pem'}",
    ]
    rekor2 = [
        str(programs / "rekor-posix"),
        "serve",
        "--hostname=rekor.test",
        "--http-address=127.0.0.1",
        f"--http-port={_REKOR2}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={_REKOR2_GRPC}",
        f"--http-metrics-port={_REKOR2_METRICS}",
        f"--storage-dir={work / 'rekor2'}",
        f"--signer-filepath={keys / 'rekor2.key'}",
        "--checkpoint-interval=200ms",
        "--batch-max-age=50ms",
    ]
    rekor1 = [
        str(programs / "rekor-server"),
        "serve",
        "--rekor_server.address=127.0.0.1",
        f"--port={_REKOR1}",
        "--rekor_server.hostname=rekor1.test",
        f"--rekor_server.signer={keys / 'rekor1.key'}",
        "--trillian_log_server.address=127.0.0.1",
        f"--trillian_log_server.port={_TREES}",
        "--enable_retrieve_api=false",
        "--enabled_entry_types=hashedrekord,dsse,intoto",
    ]
    with ExitStack() as running:
        running.enter_context(_running(timestamps, _TSA, work))
        running.enter_context(_running(rekor2, _REKOR2, work))
        if not legacy:
            yield
            return
        running.enter_context(_running([str(programs / "memorylog"), f"127.0.0.1:{_TREES}"], _TREES, work))
        running.enter_context(_running(rekor1, _REKOR1, work))
        yield


def trusted_root(cosign: Path, authority_keys: Path, witness_keys: Path, out: Path) -> None:
    """The trusted root of Fulcio and its CT log with these keys, and of Rekor and the timestamps with those."""
    parts = [
        f"--fulcio=url={fulcio_url()},certificate-chain={authority_keys / 'fulcio.pem'}",
        f"--ctfe=url=http://127.0.0.1:{_CTLOG},public-key={authority_keys / 'ctlog.pub'},start-time={_SINCE}",
        f"--tsa=url=http://127.0.0.1:{_TSA}/api/v1/timestamp,certificate-chain={witness_keys / 'tsa.pem'}",
        f"--rekor=url=http://rekor.test,public-key={witness_keys / 'rekor2.pub'},start-time={_SINCE},origin=rekor.test",
        f"--rekor=url={rekor1_url()},public-key={witness_keys / 'rekor1.pub'},start-time={_SINCE}",
    ]
    subprocess.run([cosign, "trusted-root", "create", *parts, f"--out={out}"], check=True, timeout=60)


def signing_config(
    cosign: Path, out: Path, *, other: bool = False, rekor1: bool = False, ports: Mapping[str, int] = SIGNED_BY
) -> None:
    """Where cosign 3 signs: this or the other Fulcio; Rekor v2 and the timestamp authority, or Rekor v1 alone.

    `ports` are those by which they can be reached.
    """
    parts = [
        f"--fulcio=url=http://127.0.0.1:{ports['fulcio'] + other * _OTHER},{_ANY}",
        f"--oidc-provider=url={ISSUER},{_ANY}",
        "--rekor-config=ANY",
    ]
    if rekor1:
        parts.append(f"--rekor=url={rekor1_url()},{_ANY}")
    else:
        parts.append(f"--rekor=url=http://127.0.0.1:{ports['rekor']},{_ANY.replace('version=1', 'version=2')}")
        parts += [f"--tsa=url=http://127.0.0.1:{ports['timestamps']}/api/v1/timestamp,{_ANY}", "--tsa-config=ANY"]
    subprocess.run([cosign, "signing-config", "create", *parts, f"--out={out}"], check=True, timeout=60)


@contextmanager
def _running(
    command: Sequence[str], port: int, work: Path, variables: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The program from the moment it listens until the end of the block."""
    log = work / f"{Path(command[0]).name}.log"
    environ = {"PATH": os.environ["PATH"], "HOME": str(work), **(variables or {})}
    with log.open("wb") as output:
        program = subprocess.Popen(command, env=environ, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _listens(port):
            if program.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not listen:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        program.terminate()
        try:
            program.wait(timeout=5)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0
