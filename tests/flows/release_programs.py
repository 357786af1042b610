"""`cosign` and `syft` on a PATH: what they are asked goes to the stand-ins of tests/flows/releases.py.

The programs are bash, which starts in 3 ms, and speak to a socket on loopback; they print in the form of the real ones.
"""

from __future__ import annotations

import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.gates import Unanswered
from bot.core.model import Platform, Signature
from bot.core.reference import Digest, parse_reference
from bot.core.release.attestation import PAYLOAD, STATEMENTS
from bot.core.signature import NotSigned
from bot.core.versions import Ref
from bot.errors import BotError

if TYPE_CHECKING:
    from tests.flows.releases import Releasing

_PROGRAM = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\n' "$(basename "$0")" "$SIGSTORE_ID_TOKEN" "$#" "$@" >&3
read -r answer <&3
cat "$answer.err" >&2
cat "$answer.out"
exit "$(cat "$answer.code")"
"""
_UNSIGNED = "Error: no signatures found\nerror during command execution: no signatures found\n"
_UNATTESTED = "Error: no matching attestations: \nerror during command execution: no matching attestations: \n"

Said = tuple[int, bytes, str]
"""Exit code, standard output, standard error."""


class Programs:
    """What the programs answer, and how they were started."""

    def __init__(self, folder: Path, world: Releasing) -> None:
        self.folder, self.world = folder, world
        self.path = f"{folder}:/usr/bin:/bin"
        self.starts: list[tuple[str, ...]] = []
        self.tokens: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, program: str, token: str, arguments: Sequence[str]) -> str:
        """Where the files of an answer are."""
        with self._lock:
            self.starts.append((program, *arguments))
            self.tokens.add(token)
            name = str(self.folder / f"answer-{len(self.starts)}")
        try:
            code, out, err = self._cosign(arguments) if program == "cosign" else self._syft(arguments)
        except BotError as error:
            code, out, err = 1, b"", f"error during command execution: {error.what}\n"
        Path(f"{name}.out").write_bytes(out)
        Path(f"{name}.err").write_text(err)
        Path(f"{name}.code").write_text(str(code))
        return name

    def _cosign(self, arguments: Sequence[str]) -> Said:
        stamp, command = self.world.stamp, arguments[0]
        if command == "version":
            return 0, b'{"gitVersion": "v3.1.3"}', ""
        if command in {"download", "tree"} or "--new-bundle-format=false" in arguments:
            return (10, b"", _UNSIGNED) if command == "verify" else (0, b"", "")
        reference = parse_reference(arguments[-1])
        assert reference.digest is not None
        about = (reference.repository, reference.digest)
        flags = dict(pairwise(arguments))
        signature = Signature(flags.get("--certificate-oidc-issuer", ""), flags.get("--certificate-identity", ""))
        match command:
            case "sign":
                stamp.sign(*about, None)  # type: ignore[arg-type] # it is not looked at
            case "attest":
                predicate = Path(flags["--predicate"]).read_bytes()
                stamp.attest(*about, flags["--type"], predicate, None)  # type: ignore[arg-type] # as above
            case "verify":
                answer = stamp.verify(*about, Ref(""), signature)
                if isinstance(answer, Unanswered):
                    return 1, b"", f"error during command execution: {answer.reason}\n"
                if isinstance(answer, NotSigned):
                    return 10, b"", _UNSIGNED
                return 0, _claims(str(reference.repository), reference.digest), ""
            case "verify-attestation":
                return self._attested(stamp.attestations(*about, flags["--type"], signature), reference.digest)
        return 0, b"", ""

    def _attested(self, answer: object, digest: Digest) -> Said:
        if not isinstance(answer, tuple):
            is_none = isinstance(answer, NotSigned)
            return 1, b"", _UNATTESTED if is_none else f"error during command execution: {answer}\n"
        lines = [_envelope(each.predicate_type, each.predicate, digest) for each in answer]
        return 0, b"\n".join(lines), ""

    def _syft(self, arguments: Sequence[str]) -> Said:
        outputs = dict(each.split("=", 1) for each in arguments if "-json=" in each)
        reference = parse_reference(arguments[1].removeprefix("registry:"))
        assert reference.digest is not None
        platform = Platform(*arguments[3].split("/"))
        made = self.world.syft.sboms(reference.repository, reference.digest, platform)
        manifest = self.world.upstream.manifests[reference.digest].data
        config = self.world.upstream.blobs[json.loads(manifest)["config"]["digest"]]
        metadata = {"manifest": b64encode(manifest).decode(), "config": b64encode(config).decode()}
        Path(outputs["syft-json"]).write_text(json.dumps({"source": {"metadata": metadata}}))
        Path(outputs["cyclonedx-json"]).write_bytes(made.cyclonedx)
        Path(outputs["spdx-json"]).write_bytes(made.spdx)
        return 0, b"", ""


def _claims(image: str, digest: str) -> bytes:
    critical: Mapping[str, object] = {
        "identity": {"docker-reference": image},
        "image": {"docker-manifest-digest": digest},
        "type": "https://sigstore.dev/cosign/sign/v1",
    }
    return json.dumps([{"critical": critical, "optional": {}}]).encode()


def _envelope(kind: str, predicate: bytes, digest: str) -> bytes:
    statement = {
        "_type": STATEMENTS[0],
        "predicateType": kind,
        "subject": [{"name": "x", "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicate": json.loads(predicate),
    }
    payload = b64encode(json.dumps(statement).encode()).decode()
    return json.dumps({"payloadType": PAYLOAD, "payload": payload, "signatures": []}).encode()


@contextmanager
def on_the_path(folder: Path, world: Releasing) -> Iterator[Programs]:
    """Both programs, for as long as the block lasts."""
    programs = Programs(folder, world)

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            program, token, count = (self.rfile.readline().decode().rstrip("\n") for _ in range(3))
            arguments = [self.rfile.readline().decode().rstrip("\n") for _ in range(int(count))]
            self.wfile.write(f"{programs.answer(program, token, arguments)}\n".encode())

    folder.mkdir()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Line) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for name in ("cosign", "syft"):
            (folder / name).write_text(_PROGRAM.replace("{port}", str(server.server_address[1])))
            (folder / name).chmod(0o755)
        yield programs
        server.shutdown()
