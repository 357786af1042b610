"""GitHub, written to: git data, branches, pull requests. PyGithub does the requests; answers are parsed here.

PyGithub's retries are off: a repeated POST makes things twice, and its waits have no bound. Reads are asked
again here; after a doubtful write the answer is looked up before anything else is done.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec
from github import Auth, Github, GithubException
from requests import RequestException

from bot import __version__
from bot.adapters import answers
from bot.beside import beside
from bot.clock import Clock
from bot.core.model import SourceFile
from bot.core.proposal import Blob, Commit, Conflict, PullRequest, blob_id
from bot.errors import BotError, ForgeError, IntegrityError, PinError, ServiceError

ATTEMPTS = 3
DEADLINE_SECONDS = 60.0
"""For one request, redirects and waiting included: PyGithub knows no such bound."""

_PROXY = "Look at what GITHUB_API_URL serves; a proxy may answer in GitHub's place."
_CONTINUE = "Nothing was lost: run it again later, it continues where it stopped."
_T = TypeVar("_T")
_NOT_FOUND, _INVALID, _TOO_MANY, _SERVER_ERRORS = 404, 422, 429, 500


class Forge:
    """One repository on GitHub. `base` is its branch for pull requests, empty for the default one."""

    def __init__(
        self, api_url: str, repository: str, token: str, base: str, clock: Clock, log: Callable[[str], None]
    ) -> None:
        # One second between writes, as GitHub asks; none where GitHub is a test's on loopback
        between = 0.0 if api_url.startswith("http://") else 1.0
        logging.getLogger("github").setLevel(logging.CRITICAL)  # it logs what servers say, unescaped
        self._github = Github(
            base_url=api_url,
            auth=Auth.Token(token),
            user_agent=f"gateway-bot/{__version__}",
            timeout=20,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=between,
        )
        self._api_url = api_url
        self._repository = repository
        self._base = base
        self._clock = clock
        self._log = log

    @property
    def name(self) -> str:
        """OWNER/NAME."""
        return self._repository

    def close(self) -> None:
        self._github.close()

    def base(self) -> str:
        """The branch that pull requests go to."""
        if not self._base:
            found = self._read("", answers.Repository)
            if found is None:
                raise self._error(_NOT_FOUND, "")
            self._base = found.default_branch
        return self._base

    def head(self, branch: str) -> Commit | None:
        """The commit at the head of a branch; None where there is no branch."""
        found = self._read(f"/branches/{quote(branch)}", answers.Branch)
        if found is None:
            return None
        sha, commit, parents = found.commit.sha, found.commit.commit, found.commit.parents
        if commit is None or parents is None:  # GitHub sends the whole commit with the branch; look-alikes may not
            commit = self._read(f"/git/commits/{sha}", answers.Commit)
            if commit is None:
                raise self._error(_NOT_FOUND, f"/git/commits/{sha}")
            parents = commit.parents
        return Commit(sha, commit.tree.sha, commit.message, tuple(parent.sha for parent in parents))

    def blobs(self, commit: Commit, paths: Iterable[str]) -> dict[str, Blob]:
        """These files as a commit holds them; those that it does not have are left out."""
        return {path: Blob(entry.mode, entry.sha) for path, entry in self._entries(commit.tree, paths).items()}

    def read(self, blobs: Mapping[str, Blob], paths: Iterable[str]) -> dict[str, SourceFile]:
        """The bytes of these files. Raises PinError for one that is missing or no plain file."""
        found: dict[str, SourceFile] = {}
        for path in paths:
            name = blobs.get(path)
            if name is None or name.mode not in {"100644", "100755"}:
                what = "there is no such file" if name is None else f"it is no plain file (mode {name.mode})"
                raise PinError(f"{what} on the base", where=path, next_step="Mend `file` in gateway-bot.toml.")
            blob = self._read(f"/git/blobs/{name.sha}", answers.Content)
            if blob is None:
                raise self._error(_NOT_FOUND, f"/git/blobs/{name.sha}")
            try:
                data = base64.b64decode(blob.content.replace("\n", ""), validate=True)
            except ValueError:
                data = b""
            if blob_id(data) != name.sha:
                raise self._untrue(f"/git/blobs/{name.sha}", f"GitHub's blob of {path} holds other bytes", _PROXY)
            found[path] = SourceFile(path, data, name.mode)
        return found

    def pulls(self, branch: str, base: str) -> Sequence[PullRequest]:
        """All pull requests from this branch of this very repository to `base`, newest first."""
        owner = self._repository.partition("/")[0]
        query = urlencode({"head": f"{owner}:{branch}", "base": base, "state": "all", "per_page": 100})
        found = self._read(f"/pulls?{query}", list[answers.Pull]) or []
        # What comes back is checked again: a filter that GitHub does not understand returns all
        return [
            _pull_request(pull)
            for pull in found
            if (pull.head.ref, pull.base.ref) == (branch, base)
            and pull.head.repo is not None
            and pull.head.repo.full_name.lower() == self._repository.lower()
        ]

    def tree(self, base: Commit, blobs: Mapping[str, Blob], contents: Mapping[str, bytes]) -> str:
        """A tree that is the base's with these files replaced, their modes kept."""
        entries = []
        for path, data in contents.items():
            blob = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
            sha = self._write("POST", "/git/blobs", blob, answers.Sha).sha
            entries.append({"path": path, "mode": blobs[path].mode, "type": "blob", "sha": sha})
        return self._write("POST", "/git/trees", {"base_tree": base.tree, "tree": entries}, answers.Sha).sha

    def commit(self, message: str, tree: str, parents: Sequence[str]) -> str:
        """A commit without author and committer: GitHub puts in the token's own, and signs it."""
        return self._write(
            "POST", "/git/commits", {"message": message, "tree": tree, "parents": list(parents)}, answers.Sha
        ).sha

    def set_branch(self, branch: str, commit: str, *, before: str | None) -> None:
        """Create a branch, or move it forward from `before`; never by force. Raises Conflict for somebody faster."""
        try:
            if before is not None:
                path = f"/git/refs/heads/{quote(branch)}"
                self._write("PATCH", path, {"sha": commit, "force": False}, msgspec.Raw)
            else:
                self._write("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit}, msgspec.Raw)
        except _Refused as refused:
            now = self._read(f"/branches/{quote(branch)}", answers.Branch)
            if now is not None and now.commit.sha == commit:
                return  # the answer was lost, the work was done
            if refused.status == _INVALID and (now.commit.sha if now else None) != before:
                raise Conflict(f"{branch} was changed by somebody else meanwhile") from None
            raise

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or find the one that a doubtful or refused create left open."""
        try:
            made = self._write(
                "POST", "/pulls", {"head": branch, "base": base, "title": title, "body": body}, answers.Pull
            )
        except _Refused:
            existing = next((pull for pull in self.pulls(branch, base) if pull.is_open), None)
            if existing is None:
                raise
            return existing
        return _pull_request(made)

    def edit(self, pull: PullRequest, title: str, body: str) -> None:
        """Set title and body; doing it twice is the same as once."""
        self._write("PATCH", f"/pulls/{pull.number}", {"title": title, "body": body}, msgspec.Raw)

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
        found = self._read(f"/git/trees/{name}", answers.Tree)
        if found is None:
            raise self._error(_NOT_FOUND, f"/git/trees/{name}")
        return found

    def _read(self, path: str, kind: type[_T]) -> _T | None:
        """A GET, asked again while the service has a passing fault; None for 404."""
        for attempt in range(ATTEMPTS):
            try:
                return self._request("GET", path, None, kind)
            except _Refused as refused:
                if refused.status == _NOT_FOUND:
                    return None
                doubtful = refused.status == 0 or refused.status >= _SERVER_ERRORS
                passing = doubtful and refused.exit_code == ServiceError.exit_code
                if not passing or attempt + 1 == ATTEMPTS:
                    raise
                self._log(f"{refused}; again in {2**attempt} s")
                self._clock.sleep(2.0**attempt)
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises

    def _write(self, verb: str, path: str, data: object, kind: type[_T]) -> _T:
        """One write, once; a doubtful answer is for the caller to look into."""
        return self._request(verb, path, data, kind)

    def _request(self, verb: str, path: str, data: object, kind: type[_T]) -> _T:
        url = f"/repos/{self._repository}{path}"
        asked = beside(lambda: self._github.requester.requestJsonAndCheck(verb, url, input=data)[1])
        try:
            answer = asked.result(timeout=DEADLINE_SECONDS)
        except TimeoutError:
            raise self._error(0, path, None, f"not within {DEADLINE_SECONDS:g} s") from None
        except GithubException as error:
            raise self._error(error.status, path, error) from None
        except RequestException as error:
            raise self._error(0, path, None, type(error).__name__) from None
        except RuntimeError:  # PyGithub's way to say that it was sent to another host
            what = "GitHub redirects to another address, and nothing was sent there"
            step = "Set GITHUB_API_URL and GITHUB_REPOSITORY to where the repository is now."
            raise self._untrue(path, what, step) from None
        except Exception as error:  # noqa: BLE001 - PyGithub falls over answers that GitHub does not give
            raise self._untrue(path, f"the answer is none of GitHub's ({type(error).__name__})", _PROXY) from None
        try:
            return msgspec.convert(answer, kind) if kind is not msgspec.Raw else answer
        except msgspec.ValidationError as error:
            raise self._untrue(
                path, f"GitHub's answer lacks what its documentation promises: {error}", _PROXY
            ) from None

    def _untrue(self, path: str, what: str, next_step: str) -> _Refused:
        """An answer that cannot be GitHub's; a write may have worked all the same."""
        where = f"{self._api_url}/repos/{self._repository}{path.partition('?')[0]}"
        return _Refused(what, where=where, next_step=next_step, status=0, kind=IntegrityError)

    def _error(self, status: int, path: str, error: GithubException | None = None, why: str = "") -> _Refused:
        where = f"{self._api_url}/repos/{self._repository}{path.partition('?')[0]}"
        message = _message(error)
        headers = {name.lower(): value for name, value in ((error.headers if error else None) or {}).items()}
        if status == 0 or status >= _SERVER_ERRORS:
            what = f"GitHub does not answer: {why or f'HTTP {status}'}"
            return _Refused(what, where=where, next_step=_CONTINUE, status=status, kind=ServiceError)
        limited = status == _TOO_MANY or "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
        if limited or "rate limit" in message.lower():
            what = f"GitHub's rate limit is used up (HTTP {status})"
            return _Refused(what, where=where, next_step=_CONTINUE, status=status, kind=ServiceError)
        what = f"GitHub answered HTTP {status}: {message}"
        return _Refused(what, where=where, next_step=_advice(status, message), status=status, kind=ForgeError)


class _Refused(BotError):
    """A request that did not succeed, as a user is told; `status` is GitHub's, 0 where it gave no answer."""

    def __init__(self, what: str, *, where: str, next_step: str, status: int, kind: type[BotError]) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.status = status
        self.exit_code = kind.exit_code


def _pull_request(pull: answers.Pull) -> PullRequest:
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        body=pull.body or "",
        is_open=pull.state == "open",
        merged=pull.merged_at is not None,
    )


def _message(error: GithubException | None) -> str:
    """GitHub's own words, on one line."""
    data = error.data if error is not None else None
    message = data.get("message") if isinstance(data, dict) else None
    text = message if isinstance(message, str) else "no message"
    return "".join(char for char in text[:300] if char.isprintable())


def _advice(status: int, message: str) -> str:
    if "not permitted to create or approve pull requests" in message:
        return "Allow it under Settings, Actions, General: `Allow GitHub Actions to create and approve pull requests`."
    if "SAML" in message or "SSO" in message:
        return "Authorise the token for the organisation's single sign-on, then run it again."
    return {
        401: "Renew GITHUB_TOKEN: it has expired or was revoked.",
        403: "Give the token the permissions `contents: write` and `pull-requests: write` on this repository.",
        404: "Check GITHUB_REPOSITORY; a token that may not see a repository gets the same answer.",
        422: "A rule of the repository refused it: look at its branch protection and rulesets.",
    }.get(status, _CONTINUE)
