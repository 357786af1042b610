"""SBOMs as files in a folder: one job makes them, and another one, which may push and sign, takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import MAX_PREDICATE, canonical
from bot.core.release.sbom import KINDS, Kind, Sboms, file_name, prove_sbom
from bot.errors import IntegrityError, UsageError


class SbomFiles:
    """The folder; `stem` is what all the names begin with."""

    def __init__(self, folder: Path, stem: str, validate: Callable[[Kind, bytes], None]) -> None:
        """`validate` raises NotProven for a document that is no valid SBOM."""
        self._folder = folder
        self._stem = stem
        self._validate = validate
        self._read_before: dict[Digest, Sboms] = {}

    def ready(self, images: Sequence[tuple[Platform, Digest]] = ()) -> None:
        """Raises UsageError where there is no such folder, and as `sboms` does for each of these images."""
        if not self._folder.is_dir():
            raise self._unusable(self._folder, "there is no such folder")
        for platform, digest in images:
            self._of(digest, platform)

    def sboms(self, repository: Repository, digest: Digest, platform: Platform) -> Sboms:
        """Both SBOMs of one platform. Raises UsageError for a file that is missing, IntegrityError for another's."""
        del repository  # what they are about is their digest
        return self._of(digest, platform)

    def _of(self, digest: Digest, platform: Platform) -> Sboms:
        if digest not in self._read_before:
            self._read_before[digest] = self._proven(digest, platform)
        return self._read_before[digest]

    def _proven(self, digest: Digest, platform: Platform) -> Sboms:
        cyclonedx, spdx = (self._read(platform, kind) for kind in KINDS)
        try:
            documents = dict(zip(KINDS, (cyclonedx, spdx), strict=True))
            packages = min(prove_sbom(kind, text, digest) for kind, text in documents.items())
            for kind, text in documents.items():
                self._validate(kind, text)
        except NotProven as error:
            raise IntegrityError(
                f"the SBOMs of {platform} are not this image's: {error}",
                where=str(self._folder),
                next_step="Make them again for this tag: gateway-bot release sbom TAG --output DIR",
            ) from None
        return Sboms(cyclonedx, spdx, packages)

    def write(self, platform: Platform, made: Sboms) -> list[Path]:
        """Keep both. Raises UsageError."""
        written = []
        for kind in KINDS:
            path = self._folder / file_name(self._stem, platform, kind)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(made.of(kind))
            except OSError as error:
                raise self._unusable(path, f"it cannot be written: {error.strerror}") from None
            written.append(path)
        return written

    def _read(self, platform: Platform, kind: Kind) -> bytes:
        path = self._folder / file_name(self._stem, platform, kind)
        try:
            if path.is_file() and path.stat().st_size > MAX_PREDICATE:
                raise self._unusable(path, f"it is larger than {MAX_PREDICATE:,} bytes")
            return canonical(path.read_bytes())
        except OSError as error:
            raise self._unusable(path, f"it cannot be read: {error.strerror}") from None
        except NotProven as error:
            raise self._unusable(path, str(error)) from None

    def _unusable(self, path: Path, what: str) -> UsageError:
        next_step = "Name the folder that `gateway-bot release sbom TAG --output DIR` wrote, for this very tag."
        return UsageError(what, where=str(path), next_step=next_step)
