"""Publish what was attested as the files of a GitHub Release, also where another run is at the same release.

Two runs may attest different SBOMs of one image, each of them right: whose file is there first is the release's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from bot.core.release.github_release import Asset, Changes, Create, ReleaseFile, Shown, WantedRelease
from bot.errors import ReleaseError
from bot.flows.github_release import Published, Releases, publish_release
from bot.flows.prove_release import Proof

_TRIES = 4


def publish_proofs(
    wanted: WantedRelease,
    proofs: Sequence[Proof],
    releases: Releases,
    reread: Callable[[Sequence[Proof]], Sequence[Proof]],
    tell: Callable[[str], None],
) -> Published:
    """`wanted` without its files, with these. `reread` is asked for what is attested by now. Raises as the release."""
    for left in reversed(range(_TRIES)):
        whole = replace(wanted, files=_files(proofs, wanted.tag, releases.all()))
        try:
            return publish_release(whole, _Careful(releases, partial(reread, proofs)), tell)
        except (_AttestedToo, ReleaseError):
            proofs = reread(proofs)
            if not left or _files(proofs, wanted.tag, releases.all()) == whole.files:
                raise
    raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def _files(proofs: Sequence[Proof], tag: str, shown: Sequence[Shown]) -> tuple[ReleaseFile, ...]:
    """Of several documents the one that the release has already, else the first."""
    ours = [release for release in shown if release.tag == tag]
    published = [release for release in ours if not release.draft]
    there = {asset.digest for release in published or ours for asset in release.assets}
    files = []
    for proof in proofs:
        offered = [ReleaseFile(proof.name, proof.media_type, document) for document in proof.documents]
        files.append(next((file for file in offered if file.digest in there), offered[0]))
    return tuple(files)


class _AttestedToo(ReleaseError):
    """A file that would have been taken away is another run's, and as right as ours."""


class _Careful:
    """The releases, of which no file is taken away that we attested: whoever put it there may publish any moment."""

    def __init__(self, releases: Releases, reread: Callable[[], Sequence[Proof]]) -> None:
        self._releases = releases
        self._reread = reread

    def all(self) -> Sequence[Shown]:
        return self._releases.all()

    def read(self, number: int) -> Shown | None:
        return self._releases.read(number)

    def create(self, wanted: Create) -> Shown:
        return self._releases.create(wanted)

    def publish(self, release: Shown, changes: Changes, *, latest: bool) -> Shown:
        return self._releases.publish(release, changes, latest=latest)

    def upload(self, release: Shown, file: ReleaseFile) -> Asset:
        return self._releases.upload(release, file)

    def delete_draft(self, draft: Shown) -> None:
        self._releases.delete_draft(draft)

    def delete_asset(self, asset: Asset) -> None:
        for proof in self._reread() if asset.uploaded else ():
            offered = [ReleaseFile(proof.name, proof.media_type, document) for document in proof.documents]
            if asset.name == proof.name and any(asset.holds(file) for file in offered):
                raise _AttestedToo(
                    f"another run attested and uploaded {asset.name}",
                    where=asset.name,
                    next_step="Run it again when the other run is done: it continues where this one stopped.",
                )
        self._releases.delete_asset(asset)
