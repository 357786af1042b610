"""A repository's branches, commits and files on GitHub, by its git data API: one commit holds all files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import msgspec

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi, Refused
from bot.core.model import SourceFile
from bot.core.proposal.names import blob_id
from bot.core.proposal.shown import Blob, Change, Commit, Conflict
from bot.errors import PinError

_INVALID, _NOT_FOUND = 422, 404
_PLAIN = ("100644", "100755")
_DELETE = (
    "mutation($id: ID!, $ref: GitRefname!, $at: GitObjectID!, $gone: GitObjectID!) { updateRefs(input: {"
    "repositoryId: $id, refUpdates: [{name: $ref, beforeOid: $at, afterOid: $gone}]}) { clientMutationId } }"
)


class _Standing(msgspec.Struct):
    status: str


class GitData:
    """The git side of one repository."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api
        self._branches: dict[str, frozenset[str]] = {}

    @property
    def name(self) -> str:
        """OWNER/NAME."""
        return self._api.repository

    def default_branch(self) -> str:
        """The repository's own."""
        found = self._api.read("", answers.Repository)
        if found is None:
            raise self._api.missing("")
        return found.default_branch

    def head(self, branch: str) -> Commit | None:
        """The commit at the head of a branch; None where there is no branch."""
        found = self._api.read(f"/branches/{quote(branch)}", answers.Branch)
        if found is None:
            return None
        return self._commit(found.commit)

    def branches(self, prefix: str) -> frozenset[str]:
        """The names of the branches that begin so, as they were when this was asked first: one request a run."""
        if prefix not in self._branches:
            pages = self._api.pages(f"/git/matching-refs/heads/{quote(prefix)}", list[answers.Ref])
            names = frozenset(ref.ref.removeprefix("refs/heads/") for page in pages for ref in page)
            self._branches[prefix] = names
        return self._branches[prefix]

    def commit_of(self, sha: str) -> Commit:
        """One commit, by its name."""
        found = self._api.read(f"/git/commits/{sha}", answers.Commit)
        if found is None:
            raise self._api.missing(f"/git/commits/{sha}")
        return Commit(sha, found.tree.sha, found.message, tuple(parent.sha for parent in found.parents))

    def tag(self, name: str) -> Commit | None:
        """The commit that a tag names, by way of its own object if it is annotated; None where there is no tag."""
        try:
            found = self._api.read(f"/commits/tags/{quote(name)}", answers.Head)
        except Refused as refused:
            if refused.status != _INVALID:  # as GitHub answers for what it does not find here
                raise
            found = None
        return None if found is None else self._commit(found)

    def change(self, base: str, branch: str) -> Change | None:
        """What is on a branch and not on its base; None where one of them is not there."""
        found = self._api.read(f"/compare/{quote(base)}...{quote(branch)}?per_page=100", answers.Compared)
        if found is None:
            return None
        commits = tuple(self._commit(each) for each in found.commits)
        whole = len(commits) == found.total_commits
        # with nothing ahead the branch is behind its base, and so is where they met
        head = commits[-1] if commits and whole else self._commit(found.merge_base_commit)
        if not whole:
            head = self.head(branch) or head
        files = {file.filename: file.sha or "" for file in found.files or () if file.status == "modified"}
        whole = whole and len(files) == len(found.files or ())
        return Change(self._commit(found.base_commit), head, commits, files, whole=whole)

    def reaches(self, head: str, commit: str) -> bool:
        """Whether a commit is this head or before it; both by their names, so that nothing else can be meant."""
        found = self._api.read(f"/compare/{head}...{commit}?per_page=1", _Standing)
        return found is not None and found.status in {"identical", "behind"}  # without anything in common it is a 404

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]:
        """These files as a commit holds them; those that it does not have are left out."""
        return {path: Blob(entry.mode, entry.sha) for path, entry in self._entries(commit.tree, paths).items()}

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]:
        """The bytes of these files. Raises PinError for one that is missing or no plain file."""
        found: dict[str, SourceFile] = {}
        for path in paths:
            name = blobs.get(path)
            if name is None or name.mode not in _PLAIN:
                what = "there is no such file" if name is None else f"it is no plain file (mode {name.mode})"
                raise PinError(f"{what} on the branch", where=path, next_step="Mend `file` in gateway-bot.toml.")
            blob = self._api.read(f"/git/blobs/{name.sha}", answers.Content)
            if blob is None:
                raise self._api.missing(f"/git/blobs/{name.sha}")
            try:
                data = base64.b64decode(blob.content.replace("\n", ""), validate=True)
            except ValueError:
                data = b""
            if blob_id(data) != name.sha:
                raise self._api.untrue(f"/git/blobs/{name.sha}", f"GitHub's blob of {path} holds other bytes")
            found[path] = SourceFile(path, data, name.mode)
        return found

    def tree(self, on: Commit, blobs: Mapping[str, Blob], contents: Mapping[str, bytes]) -> str:
        """A tree that is the commit's with these files replaced, their modes kept."""
        entries = [
            {"path": path, "mode": blobs[path].mode, "type": "blob", **self._content(data)}
            for path, data in contents.items()
        ]
        return self._api.write("POST", "/git/trees", {"base_tree": on.tree, "tree": entries}, answers.Sha).sha

    def commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit without author and committer: GitHub puts in the token's own, and signs it."""
        made = {"message": message, "tree": tree, "parents": list(parents)}
        return self._api.write("POST", "/git/commits", made, answers.Sha).sha

    def set_branch(self, branch: str, commit: str, *, before: str | None) -> None:
        """Create a branch, or move it forward from `before`; never by force. Raises Conflict for somebody faster."""
        try:
            if before is not None:
                path = f"/git/refs/heads/{quote(branch)}"
                self._api.write("PATCH", path, {"sha": commit, "force": False}, msgspec.Raw)
            else:
                self._api.write("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit}, msgspec.Raw)
        except Refused as refused:
            now = self._api.read(f"/branches/{quote(branch)}", answers.Branch)
            if now is not None and now.commit.sha == commit:
                return  # the answer was lost, the work was done
            if refused.status == _INVALID and (now.commit.sha if now else None) != before:
                raise Conflict(f"{branch} was changed by somebody else meanwhile") from None
            raise

    def delete_branch(self, branch: str, at: str) -> bool:
        """Delete a branch whose head is still `at`, else False. One that is gone already is as good.

        REST deletes whatever is there, so this is GraphQL, which compares. Raises ForgeError.
        """
        repository = self._api.read("", answers.Repository)
        if repository is None:
            raise self._api.missing("")
        variables = {"id": repository.node_id, "ref": f"refs/heads/{branch}", "at": at, "gone": "0" * 40}
        has_graphql, why = True, ""
        try:
            why = self._api.graphql(_DELETE, variables)
        except Refused as refused:
            has_graphql = refused.status != _NOT_FOUND
            if has_graphql and not refused.doubtful:
                raise
            why = refused.what
        now = self._api.read(f"/branches/{quote(branch)}", answers.Branch)
        if now is None or now.commit.sha != at:
            return now is None
        if has_graphql:
            raise self._api.refused(f"the branch was not deleted: {why}")
        self._api.delete(f"/git/refs/heads/{quote(branch)}")  # a look-alike of GitHub without GraphQL
        return True

    def _commit(self, head: answers.Head) -> Commit:
        if head.commit is None or head.parents is None:  # GitHub sends the whole commit; look-alikes may not
            return self.commit_of(head.sha)
        tree, message = head.commit.tree.sha, head.commit.message
        return Commit(head.sha, tree, message, tuple(parent.sha for parent in head.parents))

    def _content(self, data: bytes) -> dict[str, str]:
        """Text goes with the tree itself; other bytes need a request of their own."""
        try:
            return {"content": data.decode()}
        except UnicodeDecodeError:
            blob = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
            return {"sha": self._api.write("POST", "/git/blobs", blob, answers.Sha).sha}

    def _entries(self, tree: str, paths: Iterable[str]) -> dict[str, answers.Entry]:
        """The entries of these files: one request, or one a folder where the repository is too large for that."""
        wanted = set(paths)
        whole = self._tree(f"{tree}?recursive=1")
        if not whole.truncated:
            return {entry.path: entry for entry in whole.tree if entry.path in wanted}
        found: dict[str, answers.Entry] = {}
        folders: dict[str, answers.Tree] = {"": self._tree(tree)}
        for path in sorted(wanted):
            entry, walked = None, ""
            for part in path.split("/"):
                folder = folders[walked]
                entry = next((e for e in folder.tree if e.path == part), None)
                walked = f"{walked}/{part}".lstrip("/")
                if entry is None or entry.type != "tree":
                    break
                if walked not in folders:
                    folders[walked] = self._tree(entry.sha)
            if entry is not None and walked == path:
                found[path] = entry
        return found

    def _tree(self, name: str) -> answers.Tree:
        found = self._api.read(f"/git/trees/{name}", answers.Tree)
        if found is None:
            raise self._api.missing(f"/git/trees/{name}")
        return found
