"""The server of the embedded GitHub: who calls, what is asked, rate limits and conditional requests."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.embedded.github import gitdata, issues, pulls, releases, repositories
from bot.embedded.github.forms import account_form
from bot.embedded.github.routing import Call, RefusalError, Route, authorise, find, not_found
from bot.embedded.github.state import Account, Pull, Release, Repository
from bot.embedded.gitobjects import FILE, Commit, Entry
from bot.embedded.server import Intercept, LoopbackServer, Request, Response, json_response

FileBytes = tuple[str, bytes]
"""Git's mode of a file, and its content."""

_ROUTES: tuple[Route, ...] = (
    *repositories.ROUTES,
    *gitdata.ROUTES,
    *releases.ROUTES,
    *issues.ROUTES,
    *pulls.ROUTES,
)
_REPOSITORY = re.compile(r"/repos/([^/]+/[^/]+)(/.*)?")
_LIMIT, _ANONYMOUS_LIMIT = 5000, 60


def now_utc() -> datetime:
    """The machine's clock, in whole seconds as GitHub shows them."""
    return datetime.now(UTC).replace(microsecond=0)


class EmbeddedGitHub(LoopbackServer):
    """A GitHub for the given tokens. `clock` gives the time of everything that is made through the API."""

    def __init__(
        self,
        tokens: Mapping[str, Account] | None = None,
        *,
        clock: Callable[[], datetime] = now_utc,
        intercept: Intercept | None = None,
    ) -> None:
        super().__init__(intercept=intercept)
        self.tokens = dict(tokens or {})
        self.clock = clock
        self.repositories: dict[str, Repository] = {}
        self.used: dict[str, int] = {}
        """Requests that cost some of the rate limit, by login; those without a token under ``."""
        self._lock = threading.RLock()

    def create_repository(
        self,
        full_name: str,
        files: Mapping[str, FileBytes] | None = None,
        *,
        default_branch: str = "main",
        private: bool = False,
    ) -> Repository:
        """A repository with these files as its first commit."""
        owner, _, name = full_name.partition("/")
        with self._lock:
            repository = Repository(owner, name, default_branch, private)
            self.repositories[full_name] = repository
            self.commit(full_name, default_branch, files or {"README.md": (FILE, b"")}, message="First commit")
        return repository

    def commit(
        self,
        full_name: str,
        branch: str,
        files: Mapping[str, FileBytes | None],
        *,
        message: str = "A change",
        author: str = "octocat",
        when: datetime | None = None,
    ) -> str:
        """Commits changed files to a branch as a person would; None deletes a file. Returns the SHA.

        A branch that does not exist starts at the default branch.
        """
        with self._lock:
            repository = self.repositories[full_name]
            objects = repository.objects
            parent = repository.find_commit(branch) or repository.find_commit(repository.default_branch)
            tree = objects.files(objects.commits[parent].tree) if parent else {}
            for path, file in files.items():
                if file is None:
                    del tree[path]
                else:
                    tree[path] = Entry(file[0], objects.add_blob(file[1]))
            person = Account(author, kind="User")
            ident = person.ident(when or self.clock())
            repository.people[ident.email] = person
            parents = (parent,) if parent else ()
            sha = objects.add_commit(Commit(objects.add_files(tree), parents, ident, ident, message))
            repository.set_ref(f"refs/heads/{branch}", sha, self.clock())
            return sha

    def add_release(
        self,
        full_name: str,
        tag: str,
        *,
        published: datetime | None = None,
        created: datetime | None = None,
        name: str = "",
        body: str = "",
        draft: bool = False,
        prerelease: bool = False,
        author: str = "github-actions[bot]",
    ) -> Release:
        """A release and its tag at the default branch. `created` is by default the time of publication."""
        with self._lock:
            repository = self.repositories[full_name]
            when = published or self.clock()
            release = Release(
                id=len(repository.releases) + 1,
                tag=tag,
                name=name or tag,
                body=body,
                author=Account(author),
                created=created or when,
                published=None if draft else when,
                draft=draft,
                prerelease=prerelease,
            )
            repository.releases.append(release)
            if not draft:
                head = repository.refs[f"refs/heads/{repository.default_branch}"]
                repository.refs.setdefault(f"refs/tags/{tag}", head)
            return release

    def pulls(self, full_name: str) -> tuple[Pull, ...]:
        """Every pull request, oldest first."""
        return tuple(self.repositories[full_name].pulls)

    def files_at(self, full_name: str, ref: str) -> dict[str, FileBytes]:
        """Every file of a branch, tag or commit: path to mode and bytes."""
        repository = self.repositories[full_name]
        sha = repository.find_commit(ref)
        if sha is None:
            raise KeyError(f"{full_name} has no {ref}")
        objects = repository.objects
        files = objects.files(objects.commits[sha].tree)
        return {path: (entry.mode, objects.blobs[entry.sha]) for path, entry in files.items()}

    def merge(
        self, full_name: str, number: int, *, by: str = "octocat", method: Literal["merge", "squash"] = "merge"
    ) -> None:
        """Merges a pull request as a person would."""
        person = Account(by, {"contents": "write"}, kind="User")
        body = f'{{"merge_method": "{method}"}}'.encode()
        self._act(person, full_name, "PUT", f"/pulls/{number}/merge", body)

    def close(self, full_name: str, number: int, *, by: str = "octocat") -> None:
        """Closes a pull request without merging it, as a person would."""
        person = Account(by, {"pull_requests": "write"}, kind="User")
        self._act(person, full_name, "PATCH", f"/pulls/{number}", b'{"state": "closed"}')

    def answer(self, request: Request) -> Response:
        with self._lock:
            try:
                caller = self._caller(request)
                response = self._conditional(request, self._route(request, caller))
            except RefusalError as refusal:
                caller, response = None, refusal.response
            return self._with_limits(response, caller)

    def _route(self, request: Request, caller: Account | None) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        matched = _REPOSITORY.fullmatch(request.path)
        if matched is None:
            return self._without_repository(request, caller)
        repository = self.repositories.get(matched[1])
        if repository is None:
            raise not_found()
        wanted, names = find(_ROUTES, method, matched[2] or "")
        authorise(wanted, caller, repository)
        return wanted.answer(Call(request, caller, repository, names, self.clock()))

    def _without_repository(self, request: Request, caller: Account | None) -> Response:
        match request.path, caller:
            case "/user", None:
                raise RefusalError(401, "Requires authentication")
            case "/user", Account(kind="Bot"):
                raise RefusalError(403, "Resource not accessible by integration")
            case "/user", Account() as user:
                return json_response(200, account_form(request.base_url, user))
            case "/rate_limit", _:
                limit, used = self._limit(caller)
                core = {"limit": limit, "used": used, "remaining": limit - used, "reset": int(time.time()) + 3600}
                return json_response(200, {"resources": {"core": core}, "rate": core})
            case _:
                raise not_found()

    def _caller(self, request: Request) -> Account | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            token = base64.b64decode(token).decode().partition(":")[2]
        if not scheme:
            return None
        for known, account in self.tokens.items():
            if secrets.compare_digest(known.encode(), token.encode()):
                return account
        raise RefusalError(401, "Bad credentials")

    def _conditional(self, request: Request, response: Response) -> Response:
        """The same answer with an ETag, or 304 where the client has it already (that costs nothing)."""
        if request.method not in ("GET", "HEAD") or response.status != 200:  # noqa: PLR2004 - OK
            return response
        tag = f'W/"{hashlib.sha256(response.body).hexdigest()}"'
        headers = (*response.headers, ("ETag", tag))
        if tag in request.headers.get("If-None-Match", ""):
            return Response(304, b"", headers)
        return Response(response.status, response.body, headers)

    def _limit(self, caller: Account | None) -> tuple[int, int]:
        return (_LIMIT if caller else _ANONYMOUS_LIMIT), self.used.get(caller.login if caller else "", 0)

    def _with_limits(self, response: Response, caller: Account | None) -> Response:
        login = caller.login if caller else ""
        if response.status != 304:  # noqa: PLR2004 - Not Modified
            self.used[login] = self.used.get(login, 0) + 1
        limit, used = self._limit(caller)
        reset = datetime.now(UTC) + timedelta(hours=1)
        headers = (
            ("X-RateLimit-Limit", str(limit)),
            ("X-RateLimit-Remaining", str(max(limit - used, 0))),
            ("X-RateLimit-Used", str(used)),
            ("X-RateLimit-Reset", str(int(reset.timestamp()))),
            ("X-RateLimit-Resource", "core"),
            ("X-GitHub-Request-Id", secrets.token_hex(8).upper()),
            ("X-GitHub-Media-Type", "github.v3; format=json"),
        )
        return Response(response.status, response.body, response.headers + headers)

    def _act(self, person: Account, full_name: str, method: str, path: str, body: bytes) -> None:
        """One request in the name of a person. Raises RefusalError."""
        with self._lock:
            wanted, names = find(_ROUTES, method, path)
            request = Request.of(method, f"/repos/{full_name}{path}", body)
            wanted.answer(Call(request, person, self.repositories[full_name], names, self.clock()))
