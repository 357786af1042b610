"""syft, run as a program: the SBOMs of one platform's image, from its registry.

What syft is told, and why:
- the platform, though the digest is of one manifest only: it would write the platform of this machine into the SBOM;
- its own format beside the two: it alone holds the bytes of the manifest that was looked at;
- to ask nobody but the registry, and to unpack where it is cleaned up whatever happens to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.adapters.programs import Programs
from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import MAX_PREDICATE, canonical
from bot.core.release.sbom import KINDS, Kind, Sboms, prove_sbom, prove_scan
from bot.core.text import plain
from bot.errors import IntegrityError, ServiceError, UsageError

_PROGRAM = "syft"
_SECONDS = 900.0
_MAX_SCAN = 4 * MAX_PREDICATE
_AGAIN = "Run it again; if it stays so, run syft by hand and look at what it says."


class Syft:
    """Makes SBOMs with the syft that the PATH finds, or the one of the extra `release`.

    `validate` raises NotProven for a document that is no valid SBOM. May be used from several threads at once.
    """

    def __init__(self, programs: Programs, validate: Callable[[Kind, bytes], None]) -> None:
        self._programs = programs
        self._validate = validate

    def ready(self, images: Sequence[tuple[Platform, Digest]] = ()) -> None:
        """Raises UsageError where there is no syft, whatever the images are."""
        del images
        if self._programs.find(_PROGRAM) is None:
            raise UsageError(
                "syft is not installed, without which no SBOM can be made",
                where=_PROGRAM,
                next_step="Install the bot with its extra `release`: docs/release.md says how.",
            )

    def sboms(self, repository: Repository, digest: Digest, platform: Platform) -> Sboms:
        """Both SBOMs of the image manifest at `digest`, which is the one for `platform`; valid, and about no other.

        Two runs give SBOMs that differ in their serial number, namespace and time. Raises UsageError where there is no
        syft, ServiceError where it could not look, IntegrityError where what it says is not about this image.
        """
        self.ready()
        where = f"{repository}@{digest}"
        with tempfile.TemporaryDirectory(prefix="gateway-bot-syft-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            self._scan(repository, digest, platform, folder)
            try:
                prove_scan(_read(folder / "syft", _MAX_SCAN), digest, platform)
                found = {kind: canonical(_read(folder / kind, MAX_PREDICATE)) for kind in KINDS}
                packages = min(prove_sbom(kind, document, digest) for kind, document in found.items())
                for kind, document in found.items():
                    self._validate(kind, document)
            except NotProven as error:
                raise IntegrityError(f"syft's answer cannot be used: {error}", where=where, next_step=_AGAIN) from None
        return Sboms(found["cyclonedx"], found["spdx"], packages)

    def _scan(self, repository: Repository, digest: Digest, platform: Platform, folder: Path) -> None:
        variables = {"SYFT_CHECK_FOR_APP_UPDATE": "false", "TMPDIR": str(folder)}
        if repository.is_loopback:
            variables["SYFT_REGISTRY_INSECURE_USE_HTTP"] = "true"
        arguments = [
            *("scan", f"registry:{repository}@{digest}", "--platform", str(platform)),
            *("--output", f"syft-json={folder / 'syft'}"),
            *("--output", f"cyclonedx-json={folder / 'cyclonedx'}"),
            *("--output", f"spdx-json={folder / 'spdx'}"),
        ]
        done = self._programs.run(
            _PROGRAM, arguments, seconds=_SECONDS, registry=repository.host, variables=variables, folder=folder
        )
        if done.code:
            said = plain(done.err.decode(errors="replace")[-2000:], 500) or "it said nothing"
            raise ServiceError(
                f"syft ended with {done.code}: {said}",
                where=f"{repository}@{digest}",
                next_step=f"There is no SBOM. {_AGAIN}",
            )


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise NotProven(f"it wrote no {path.name}: {error.strerror}") from None
    if len(content) > most:
        raise NotProven(f"its {path.name} is larger than {most:,} bytes")
    return content
