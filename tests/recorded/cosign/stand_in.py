"""The adapter with a checkout of its own and a `cosign` on the PATH that a test writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.adapters.cosign import Cosign
from bot.adapters.programs import Programs
from bot.core.reference import Digest
from bot.core.signature import Answer
from bot.embedded.images import build_image
from tests.recorded.cosign.records import HOST, file_of, replaying
from tests.sigstore import REF, SIGNATURE, image_of

CASE = "bundle"
VERSION = """case "$1" in version) echo '{"gitVersion": "v3.1.3"}'; exit 0 ;; esac"""
"""The first lines of a `cosign` that has a version."""

KIND = "https://sigstore.dev/cosign/sign/v1"
_TOOLS = ("cat", "head", "sleep", "tr")


def digest_of_case(case: str) -> Digest:
    """The digest of the image that tests/real/sigstore signs, or has others sign."""
    return build_image(variation=case).digest


class StandIn:
    """The adapter with a checkout, where a trusted root stands, and a `cosign` of the test's own on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.path = folder / "checkout", folder / "path"
        self.checkout.mkdir()
        self.path.mkdir()
        for tool in _TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or "/nowhere")
        (self.checkout / "trusted-root.json").write_text("{}")
        self.signature = SIGNATURE
        self.logins: list[str] = []
        self.cosign = Cosign(Programs({"PATH": str(self.path)}, self.logins.append), self.checkout)

    def install(self, script: str) -> None:
        """Make `cosign` this shell script."""
        (self.path / "cosign").write_text(f"#!/bin/sh\n{script}\n")
        (self.path / "cosign").chmod(0o755)

    def prints(self, text: str | bytes, *, code: int = 0, err: str | bytes = "") -> None:
        """Make `cosign` one of a known version that says this, whatever it is asked."""
        for name, said in (("out", text), ("err", err)):
            (self.path / name).write_bytes(said if isinstance(said, bytes) else said.encode())
        self.install(f"{VERSION}\ncat {self.path}/out\ncat {self.path}/err >&2\nexit {code}")

    def replays(self, major: str, case: str) -> None:
        """Make `cosign` one that says what the real one said of a case."""
        self.install(replaying(file_of(major, case)))

    def verify(self, case: str = CASE) -> Answer:
        return self.cosign.verify(image_of(HOST, case), digest_of_case(case), REF, self.signature)


def claim(kind: str = KIND, digest: str = "") -> str:
    """What `cosign verify` prints of an image, by default of CASE's."""
    image = f'{{"docker-manifest-digest": "{digest or digest_of_case(CASE)}"}}'
    return f'[{{"critical": {{"identity": {{}}, "image": {image}, "type": "{kind}"}}, "optional": {{}}}}]'
