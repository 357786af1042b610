"""The issues of one repository. GitHub REST API 2022-11-28, "Issues"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from urllib.parse import urlencode

import msgspec

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi, Refused
from bot.core.issue_text import Issue, State
from bot.errors import ForgeError

MAX_PAGES = 10
"""Pages of 100 that are looked through for an issue."""

_GONE = 410
_INSIDERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


class _User(msgspec.Struct):
    type: str = ""


class _Pull(msgspec.Struct):
    """That it is one is all that counts."""


class _Comment(msgspec.Struct):
    body: str | None = None
    user: _User | None = None
    author_association: str = ""


class _Issue(msgspec.Struct):
    number: int
    state: str
    title: str
    html_url: str
    body: str | None = None
    user: _User | None = None
    labels: list[answers.Label | str] = []
    pull_request: _Pull | None = None


class Issues:
    """Read, opened and edited; pull requests, which GitHub lists among them, are left out."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def labelled(self, label: str) -> Sequence[Issue]:
        """Those with this label, open and closed, newest first."""
        return self._list({"labels": label, "state": "all"})

    def latest(self, *, closed: bool) -> Sequence[Issue]:
        """The open ones, and the closed ones too where that is asked; those that changed last first, 1,000 at most."""
        return self._list({"state": "all" if closed else "open", "sort": "updated"})

    def read(self, number: int) -> Issue | None:
        """None where it was deleted or moved away."""
        try:
            found = self._api.read(f"/issues/{number}", _Issue)
        except Refused as refused:
            if refused.status == _GONE:
                return None
            raise
        return _issue(found) if found is not None else None

    def open(self, title: str, body: str, label: str, look: Callable[[], Issue | None]) -> Issue:
        """Open one. After a doubtful answer `look` says what became of it, before anything else is done."""
        try:
            return _issue(self._api.write("POST", "/issues", {"title": title, "body": body, "labels": [label]}, _Issue))
        except Refused as refused:
            if not refused.doubtful:
                raise _told(refused) from None
            found = look()
            if found is None:
                raise
            return found

    def edit(self, number: int, body: str, state: State | None = None) -> None:
        """Set the body and, where it is given, the state, in one request; doing it twice is the same as once."""
        sent = {"body": body}
        if state is not None:
            sent |= {"state": "open"} if state == "open" else {"state": "closed", "state_reason": state}
        try:
            self._api.write("PATCH", f"/issues/{number}", sent, msgspec.Raw)
        except Refused as refused:
            there = self.read(number) if refused.doubtful else None
            if there is None or not _same(there.body, body) or state not in {None, "open" if there.is_open else state}:
                raise

    def comment_once(self, number: int, text: str, mark: str, since: datetime) -> None:
        """Comment, unless an insider's comment with this mark is there since then; `text` holds the mark."""
        if self._has_comment(number, mark, since):
            return
        try:
            self._api.write("POST", f"/issues/{number}/comments", {"body": text}, msgspec.Raw)
        except Refused as refused:
            if not refused.doubtful or not self._has_comment(number, mark, since):
                raise

    def _has_comment(self, number: int, mark: str, since: datetime) -> bool:
        query = urlencode({"since": f"{since:%Y-%m-%dT%H:%M:%SZ}", "per_page": 100})
        pages = self._api.pages(f"/issues/{number}/comments?{query}", list[_Comment])
        return any(mark in (each.body or "") and _by_insider(each) for page in pages for each in page)

    def _list(self, query: dict[str, str]) -> Sequence[Issue]:
        pages = self._api.pages(f"/issues?{urlencode({**query, 'per_page': '100'})}", list[_Issue])
        try:
            return [_issue(each) for page in islice(pages, MAX_PAGES) for each in page if each.pull_request is None]
        except Refused as refused:
            raise _told(refused) from None


def _same(one: str, other: str) -> bool:
    """GitHub may store CRLF and cut white space at the end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _told(refused: Refused) -> Exception:
    """GitHub answers 410 where a repository has no issues."""
    if refused.status != _GONE:
        return refused
    return ForgeError(
        "the repository has no issues, so there is nowhere to say it",
        where=refused.where,
        next_step="Switch them on under Settings, General, Features.",
    )


def _issue(found: _Issue) -> Issue:
    return Issue(
        number=found.number,
        url=found.html_url,
        title=found.title,
        body=found.body or "",
        is_open=found.state == "open",
        labels=tuple(label if isinstance(label, str) else label.name for label in found.labels),
        by_program=_is_program(found.user),
    )


def _by_insider(made: _Comment) -> bool:
    """Whether a program or somebody who belongs to the repository wrote it: from outside, neither can."""
    return _is_program(made.user) or made.author_association in _INSIDERS


def _is_program(user: _User | None) -> bool:
    return user is not None and user.type == "Bot"
