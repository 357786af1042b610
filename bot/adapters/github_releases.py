"""The releases of a repository, their drafts and files. GitHub REST API 2022-11-28, "Releases", "Release assets"."""

from __future__ import annotations

from collections.abc import Sequence

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi, Refused
from bot.core.reference import Digest, parse_digest
from bot.core.release.github_release import Asset, Changes, Create, ReleaseFile, Shown
from bot.core.text import plain
from bot.errors import BotError, ReleaseError

_FORBIDDEN, _NOT_FOUND, _INVALID = 403, 404, 422
_SPENT = "immutable release"
_UPLOADED = "uploaded"


class GitHubReleases:
    """Read and written; each write is sent once, and what became of a doubtful one the caller looks up."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def all(self) -> Sequence[Shown]:
        """Every release, newest first; drafts too, where the token may write."""
        pages = self._api.pages("/releases?per_page=100", list[answers.Release])
        return [self._shown(release) for page in pages for release in page]

    def read(self, number: int) -> Shown | None:
        """One release or draft by its id, as it is now; None where it is gone."""
        found = self._api.read(f"/releases/{number}", answers.Release)
        return None if found is None else self._shown(found)

    def create(self, wanted: Create) -> Shown:
        """A new draft. Raises ReleaseError for a tag that once had an immutable release."""
        sent = {
            "tag_name": wanted.tag,
            "target_commitish": wanted.commit,
            "name": wanted.name,
            "body": wanted.body,
            "draft": True,
            "prerelease": wanted.prerelease,
        }
        try:
            return self._shown(self._api.write("POST", "/releases", sent, answers.Release))
        except Refused as refused:
            raise _told(refused) from None

    def publish(self, release: Shown, changes: Changes, *, latest: bool) -> Shown:
        """The draft, changed and published in one request. Raises ReleaseError as `create`."""
        given = {
            "target_commitish": changes.target,
            "name": changes.name,
            "body": changes.body,
            "prerelease": changes.prerelease,
        }
        sent = {name: value for name, value in given.items() if value is not None}
        # Without its tag GitHub takes the tag off a draft
        sent |= {"tag_name": release.tag, "draft": False, "make_latest": "true" if latest else "false"}
        try:
            return self._shown(self._api.write("PATCH", f"/releases/{release.id}", sent, answers.Release))
        except Refused as refused:
            raise _told(refused) from None

    def upload(self, release: Shown, file: ReleaseFile) -> Asset:
        """The file as GitHub keeps it. Raises IntegrityError for an address that is not the API's."""
        path = f"/releases/{release.id}/assets"
        answer = self._api.upload(
            release.upload_url, path, {"name": file.name}, file.data, file.content_type, answers.Asset
        )
        return self._asset(answer)

    def delete_asset(self, asset: Asset) -> None:
        """Take a file away; one that is gone is as good."""
        self._delete(f"/releases/assets/{asset.id}")

    def delete_draft(self, draft: Shown) -> None:
        """Take a draft away with its files; one that is gone is as good."""
        self._delete(f"/releases/{draft.id}")

    def _delete(self, path: str) -> None:
        try:
            self._api.delete(path)
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    def _shown(self, release: answers.Release) -> Shown:
        return Shown(
            id=release.id,
            tag=release.tag_name,
            target=release.target_commitish,
            name=release.name or "",
            body=release.body or "",
            draft=release.draft,
            prerelease=release.prerelease,
            immutable=release.immutable,
            url=plain(release.html_url, 300),
            upload_url=release.upload_url,
            assets=tuple(self._asset(asset) for asset in release.assets),
        )

    def _asset(self, asset: answers.Asset) -> Asset:
        return Asset(asset.id, asset.name, asset.size, asset.state == _UPLOADED, self._digest(asset))

    def _digest(self, asset: answers.Asset) -> Digest | None:
        try:
            return parse_digest(asset.digest) if asset.digest else None
        except ValueError as error:
            raise self._api.untrue(f"/releases/assets/{asset.id}", str(error)) from None


def _told(refused: Refused) -> BotError:
    """What GitHub's refusals of a release mean. A token without `workflows` is answered as if nothing were there."""
    if refused.status == _INVALID and _SPENT in refused.what:
        return ReleaseError(
            refused.what,
            where=refused.where,
            next_step="The tag had an immutable release once, and GitHub gives it no other: release the next version "
            "(`gateway-bot release bump patch`).",
        )
    if refused.status in {_FORBIDDEN, _NOT_FOUND}:
        return Refused(
            refused.what,
            where=refused.where,
            next_step="Give the token the permission `contents: write`. If the tagged commit changes a file in "
            ".github/workflows that the default branch has not, GitHub asks for `workflows: write` too, which only "
            "an App or a personal token can have: merge that change first.",
            status=refused.status,
        )
    return refused
