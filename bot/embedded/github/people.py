"""What persons do on the embedded GitHub: everything that a maintainer can do to a proposal in the browser.

They are administrators: rules that protect branches do not stop them. What they do is recorded as if it came over
the API. Each raises RefusalError where GitHub would refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from bot.embedded.github import merging
from bot.embedded.github.endpoints import ROUTES
from bot.embedded.github.place import Place
from bot.embedded.github.records import Account, MergeMethod, Pull
from bot.embedded.github.routing import Call, find
from bot.embedded.server import Request, Response

_PERMISSIONS = ("contents", "issues", "pull_requests", "actions")
_PERSON = "octocat"


class People(Place):
    """A GitHub with people. `by` is the login of who does it."""

    def act(
        self, full_name: str, method: str, path: str, sent: Mapping[str, object] | None = None, *, by: str = _PERSON
    ) -> Response:
        """One request below `/repos/OWNER/NAME` in the name of a person. Raises RefusalError."""
        person = Account(by, dict.fromkeys(_PERMISSIONS, "write"), kind="User")
        with self._lock:
            wanted, names = find(ROUTES, method, path)
            request = Request.of(method, f"/repos/{full_name}{path}", json.dumps(sent or {}).encode())
            call = Call(request, person, self.repositories[full_name], names, self.clock(), bypass=True)
            return wanted.answer(call)

    def merge(self, full_name: str, number: int, *, by: str = _PERSON, method: MergeMethod = "merge") -> None:
        """Merges a pull request."""
        self.act(full_name, "PUT", f"/pulls/{number}/merge", {"merge_method": method}, by=by)

    def close(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        """Closes an issue, or a pull request without merging it."""
        self.act(full_name, "PATCH", f"/issues/{number}", {"state": "closed"}, by=by)

    def reopen(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        """Opens a closed issue or pull request again."""
        self.act(full_name, "PATCH", f"/issues/{number}", {"state": "open"}, by=by)

    def edit_pull(
        self, full_name: str, number: int, *, title: str | None = None, body: str | None = None, by: str = _PERSON
    ) -> None:
        """Changes the title or the body of an issue or a pull request."""
        given = {"title": title, "body": body}
        sent = {name: text for name, text in given.items() if text is not None}
        self.act(full_name, "PATCH", f"/issues/{number}", sent, by=by)

    def label(self, full_name: str, number: int, name: str, *, by: str = _PERSON) -> None:
        """Puts a label on, which is made where the repository has none of that name."""
        self.act(full_name, "POST", f"/issues/{number}/labels", {"labels": [name]}, by=by)

    def unlabel(self, full_name: str, number: int, name: str, *, by: str = _PERSON) -> None:
        """Takes a label off."""
        self.act(full_name, "DELETE", f"/issues/{number}/labels/{quote(name, safe='')}", by=by)

    def assign(self, full_name: str, number: int, login: str, *, by: str = _PERSON) -> None:
        self.act(full_name, "POST", f"/issues/{number}/assignees", {"assignees": [login]}, by=by)

    def unassign(self, full_name: str, number: int, login: str, *, by: str = _PERSON) -> None:
        self.act(full_name, "DELETE", f"/issues/{number}/assignees", {"assignees": [login]}, by=by)

    def set_milestone(self, full_name: str, number: int, milestone: int | None, *, by: str = _PERSON) -> None:
        """Puts it into a milestone by its number, or into none."""
        self.act(full_name, "PATCH", f"/issues/{number}", {"milestone": milestone}, by=by)

    def remove_reviewer(self, full_name: str, number: int, login: str, *, by: str = _PERSON) -> None:
        """Takes a request for a review back; `login` is a person's, or a team's slug."""
        pull = self._pull(full_name, number)
        kind = "team_reviewers" if login in pull.teams else "reviewers"
        self.act(full_name, "DELETE", f"/pulls/{number}/requested_reviewers", {kind: [login]}, by=by)

    def comment(self, full_name: str, number: int, body: str, *, by: str = _PERSON) -> None:
        self.act(full_name, "POST", f"/issues/{number}/comments", {"body": body}, by=by)

    def delete_branch(self, full_name: str, branch: str, *, by: str = _PERSON) -> None:
        """Deletes a branch; what is open from it is closed."""
        self.act(full_name, "DELETE", f"/git/refs/heads/{quote(branch)}", by=by)

    def restore_branch(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        """The `Restore branch` button of a closed pull request whose branch is gone."""
        pull = self._pull(full_name, number)
        sent = {"ref": f"refs/heads/{pull.head}", "sha": pull.head_sha}
        with self._lock:
            self.act(full_name, "POST", "/git/refs", sent, by=by)
            self.repositories[full_name].record(pull, "head_ref_restored", Account(by, kind="User"), self.clock())

    def rename_branch(self, full_name: str, old: str, new: str, *, by: str = _PERSON) -> None:
        """Renames a branch; what GET /branches says of the old name leads to the new one."""
        with self._lock:
            self.repositories[full_name].rename_branch(old, new, Account(by, kind="User"), self.clock())

    def update_branch(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        """The `Update branch` button: the base merged into the head."""
        self.act(full_name, "PUT", f"/pulls/{number}/update-branch", by=by)

    def disable_auto_merge(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        with self._lock:
            pull = self._pull(full_name, number)
            self.repositories[full_name].disable_auto_merge(pull, Account(by, kind="User"), self.clock())

    def ready_for_review(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        """The pull request is a draft no more."""
        self._set_draft(full_name, number, draft=False, by=by)

    def convert_to_draft(self, full_name: str, number: int, *, by: str = _PERSON) -> None:
        self._set_draft(full_name, number, draft=True, by=by)

    def checks_pass(self, full_name: str, number: int) -> None:
        """The required checks pass for the head of a pull request; with auto-merge it is merged."""
        with self._lock:
            repository = self.repositories[full_name]
            call = Call(Request.of("POST", "/"), None, repository, (), self.clock())
            merging.checks_pass(call, self._pull(full_name, number))

    def _set_draft(self, full_name: str, number: int, *, draft: bool, by: str) -> None:
        with self._lock:
            pull = self._pull(full_name, number)
            if pull.draft != draft:
                pull.draft = draft
                event = "convert_to_draft" if draft else "ready_for_review"
                self.repositories[full_name].record(pull, event, Account(by, kind="User"), self.clock())

    def _pull(self, full_name: str, number: int) -> Pull:
        pull = self.repositories[full_name].issues[number]
        if not isinstance(pull, Pull):
            raise KeyError(f"#{number} of {full_name} is no pull request")
        return pull
