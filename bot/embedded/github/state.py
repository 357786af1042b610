"""One repository of the embedded GitHub, and what moving its branches does to pull requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bot.embedded.github.records import Account, Event, Issue, Milestone, Pull, Release, Workflow
from bot.embedded.gitstore import ObjectStore

Rule = Literal["ruleset", "protection"]
"""What keeps a branch from API calls: a ruleset of the repository, or a classic branch protection."""

_HEADS = "refs/heads/"


@dataclass(slots=True)
class Repository:
    """A repository. Refs are full names: `refs/heads/main`."""

    owner: str
    name: str
    default_branch: str = "main"
    private: bool = False
    created: datetime | None = None
    objects: ObjectStore = field(default_factory=ObjectStore)
    refs: dict[str, str] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    people: dict[str, Account] = field(default_factory=dict)
    """Accounts by the address that stands in their commits."""
    collaborators: set[str] = field(default_factory=lambda: {"octocat"})
    """Who may be asked for a review and assigned, beside the owner."""
    teams: set[str] = field(default_factory=set)
    """Slugs of the teams that have access."""
    milestones: dict[int, Milestone] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    """By the name of the file."""
    protected: dict[str, Rule] = field(default_factory=dict)
    """By patterns of branch names in which `*` ends at a slash and `**` does not. Persons may bypass the rules."""
    allow_auto_merge: bool = False
    required_checks: bool = False
    """Whether a pull request waits for checks before it can be merged."""
    allow_drafts: bool = True
    """Private repositories of a free plan have none."""
    has_issues: bool = True
    delete_branch_on_merge: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    """New names of branches by their old ones."""
    immutable_releases: bool = False
    """Whether a release cannot be changed any more once it is published."""
    spent_tags: set[str] = field(default_factory=set)
    """Tags that have, or once had, an immutable release."""
    latest_release: int | None = None
    """The id of the release that was made the latest by its request."""
    _events: int = 0
    _releases: int = 0
    _assets: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def pulls(self) -> list[Pull]:
        return [issue for issue in self.issues.values() if isinstance(issue, Pull)]

    @property
    def next_number(self) -> int:
        return len(self.issues) + 1

    def next_release_id(self) -> int:
        """An id that no release has had."""
        self._releases = max([self._releases, *(release.id for release in self.releases)]) + 1
        return self._releases

    def next_asset_id(self) -> int:
        """An id that no asset has had."""
        self._assets += 1
        return self._assets

    def has_collaborator(self, login: str) -> bool:
        """Whether somebody has access, the owner included. Logins have no case."""
        return login.lower() in {name.lower() for name in (*self.collaborators, self.owner)}

    def find_commit(self, name: str) -> str | None:
        """The commit of a branch, a tag, a full ref or a SHA."""
        for ref in (f"{_HEADS}{name}", f"refs/tags/{name}", f"refs/{name}", name):
            if ref in self.refs:
                return self.refs[ref]
        return name if name in self.objects.commits else None

    def rule_for(self, ref: str) -> Rule | None:
        """The rule that protects a branch."""
        for pattern, rule in self.protected.items():
            steps = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
            if re.fullmatch(re.escape(_HEADS) + steps, ref):
                return rule
        return None

    def record(self, issue: Issue, event: str, by: Account, now: datetime, subject: str = "", before: str = "") -> None:
        """Remembers what happened to an issue or a pull request."""
        self._events += 1
        issue.events.append(Event(self._events, event, by, now, subject, before))
        issue.updated = now

    def close(self, issue: Issue, by: Account, now: datetime, reason: str | None = None) -> None:
        """Closes what is open; a pull request's auto-merge is off from then on."""
        if isinstance(issue, Pull):
            self.disable_auto_merge(issue, by, now)
        issue.state, issue.state_reason, issue.closed, issue.closed_by = "closed", reason, now, by
        self.record(issue, "closed", by, now, reason or "")

    def disable_auto_merge(self, pull: Pull, by: Account, now: datetime) -> None:
        if pull.auto_merge is not None:
            pull.auto_merge = None
            self.record(pull, "auto_merge_disabled", by, now)

    def finish(self, pull: Pull, sha: str, by: Account, now: datetime) -> None:
        """A pull request is merged: its commits are in its base by `sha`."""
        pull.state, pull.closed, pull.closed_by = "closed", now, by
        pull.merged, pull.merged_by, pull.merge_sha = now, by, sha
        self.record(pull, "merged", by, now, sha)
        self.record(pull, "closed", by, now)
        ref = f"{_HEADS}{pull.head}"
        if self.delete_branch_on_merge and self.refs.get(ref) == pull.head_sha and pull.head != self.default_branch:
            self.delete_ref(ref, by, now)

    def set_ref(self, ref: str, sha: str, by: Account, now: datetime) -> None:
        """Moves or makes a ref; pull requests follow.

        One whose commits reached its base is merged, one that has no commits any more is closed.
        """
        before = self.refs.get(ref)
        self.refs[ref] = sha
        self.renamed.pop(ref.removeprefix(_HEADS), None)
        for pull in self.pulls:
            if pull.state == "open" and ref == f"{_HEADS}{pull.head}":
                pull.head_sha, pull.updated = sha, now
                if before is not None and not self.objects.is_ancestor(before, sha):
                    self.record(pull, "head_ref_force_pushed", by, now, sha)
                if self.objects.is_ancestor(sha, pull.base_sha):
                    self.close(pull, by, now)
            if pull.state == "open" and ref == f"{_HEADS}{pull.base}":
                if self.objects.is_ancestor(pull.head_sha, sha):
                    self.finish(pull, sha, by, now)
                else:
                    pull.base_sha = sha

    def delete_ref(self, ref: str, by: Account, now: datetime) -> None:
        """Deletes a ref; open pull requests from that branch, or to it, are closed."""
        sha = self.refs.pop(ref)
        for pull in self.pulls:
            if pull.state == "open" and ref in (f"{_HEADS}{pull.head}", f"{_HEADS}{pull.base}"):
                self.close(pull, by, now)
            if ref == f"{_HEADS}{pull.head}" and pull.head_sha == sha:
                self.record(pull, "head_ref_deleted", by, now)

    def rename_branch(self, old: str, new: str, by: Account, now: datetime) -> None:
        """Renames a branch.

        The default branch's name follows, open pull requests to it are retargeted, and those from it are closed.
        """
        sha = self.refs.pop(f"{_HEADS}{old}")
        self.refs[f"{_HEADS}{new}"] = sha
        self.renamed = {name: new if now_named == old else now_named for name, now_named in self.renamed.items()}
        self.renamed[old] = new
        self.renamed.pop(new, None)
        if self.default_branch == old:
            self.default_branch = new
        if old in self.protected:
            self.protected[new] = self.protected.pop(old)
        for pull in self.pulls:
            if pull.state == "open" and pull.head == old:
                self.close(pull, by, now)
            if pull.state == "open" and pull.base == old:
                pull.base = new
                self.record(pull, "automatic_base_change_succeeded", by, now)
