"""Pull requests on GitHub: found, opened, edited, closed, and dressed with labels, people and auto-merge."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import msgspec

from bot.adapters import answers
from bot.adapters.github_api import GitHubApi, Refused
from bot.core.model import MergeMethod
from bot.core.moment import moment
from bot.core.proposal.dressing import Event
from bot.core.proposal.shown import PullRequest

_NOT_FOUND = 404
_ENABLE = (
    "mutation($id: ID!, $method: PullRequestMergeMethod!, $head: GitObjectID!) { enablePullRequestAutoMerge("
    "input: {pullRequestId: $id, mergeMethod: $method, expectedHeadOid: $head}) { pullRequest { number } } }"
)
_DISABLE = "mutation($id: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $id}) { pullRequest { number } } }"


class PullRequests:
    """The pull requests of one repository."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def of(self, branch: str) -> Sequence[PullRequest]:
        """The newest 100 from this branch of this very repository, open and closed, newest first."""
        owner = self._api.repository.partition("/")[0]
        query = urlencode({"head": f"{owner}:{branch}", "state": "all", "per_page": 100})
        path = f"/pulls?{query}"
        found = self._api.read(path, list[answers.Pull])
        if found is None:
            raise self._api.missing("/pulls")
        # What comes back is checked again: a filter that GitHub does not understand returns all
        return [
            _pull_request(pull)
            for pull in found
            if pull.head.ref == branch
            and pull.head.repo is not None
            and pull.head.repo.full_name.lower() == self._api.repository.lower()
        ]

    def read(self, number: int) -> PullRequest:
        """One pull request, as it is now."""
        found = self._api.read(f"/pulls/{number}", answers.Pull)
        if found is None:
            raise self._api.missing(f"/pulls/{number}")
        return _pull_request(found)

    def open(self, branch: str, base: str, title: str, body: str, *, draft: bool) -> tuple[PullRequest, bool]:
        """Open a pull request, and say that it is new; or find the one that is open, whoever opened it."""
        sent: dict[str, object] = {"head": branch, "base": base, "title": title, "body": body}
        if draft:
            sent["draft"] = True
        try:
            return _pull_request(self._api.write("POST", "/pulls", sent, answers.Pull)), True
        except Refused:
            existing = next((pull for pull in self.of(branch) if pull.is_open and pull.base == base), None)
            if existing is None:
                raise
            return existing, False

    def edit(
        self, pull: PullRequest, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> PullRequest:
        """Set what is given, and the pull request as it is then; doing it twice is the same as once."""
        sent = {name: value for name, value in (("title", title), ("body", body), ("base", base)) if value is not None}
        return _pull_request(self._api.write("PATCH", f"/pulls/{pull.number}", sent, answers.Pull))

    def close(self, pull: PullRequest, body: str) -> None:
        """Close it and say why in its text, in one request."""
        self._api.write("PATCH", f"/pulls/{pull.number}", {"state": "closed", "body": body}, msgspec.Raw)

    def comment_once(self, pull: PullRequest, mark: str, text: str) -> bool:
        """Comment, unless a comment with this mark is there; whether it was made now."""
        path = f"/issues/{pull.number}/comments"
        if self._has_comment(path, mark, pull.author):
            return False
        try:
            self._api.write("POST", path, {"body": f"{text}\n\n{mark}"}, msgspec.Raw)
        except Refused as refused:
            if not refused.doubtful or not self._has_comment(path, mark, pull.author):
                raise
        return True

    def events(self, pull: PullRequest) -> list[Event]:
        """What happened to it so far; nothing where a look-alike of GitHub keeps none."""
        path = f"/issues/{pull.number}/events?per_page=100"
        try:
            return [_event(event) for page in self._api.pages(path, list[answers.Event]) for event in page]
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return []

    def add_labels(self, pull: PullRequest, labels: Sequence[str]) -> None:
        """GitHub makes the labels that do not exist."""
        self._api.write("POST", f"/issues/{pull.number}/labels", {"labels": list(labels)}, msgspec.Raw)

    def remove_label(self, pull: PullRequest, label: str) -> None:
        """Take a label off; one that is gone is as good."""
        try:
            self._api.delete(f"/issues/{pull.number}/labels/{quote(label, safe='')}")
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    def request_review(self, pull: PullRequest, people: Sequence[str], teams: Sequence[str]) -> None:
        sent = {"reviewers": list(people), "team_reviewers": list(teams)}
        self._api.write("POST", f"/pulls/{pull.number}/requested_reviewers", sent, msgspec.Raw)

    def assign(self, pull: PullRequest, people: Sequence[str]) -> frozenset[str]:
        """Who is assigned then: GitHub leaves out silently whom it does not let be assigned."""
        path = f"/issues/{pull.number}/assignees"
        found = self._api.write("POST", path, {"assignees": list(people)}, _Assigned)
        return frozenset(user.login for user in found.assignees)

    def set_milestone(self, pull: PullRequest, title: str) -> bool:
        """Put it into the open milestone of this title; False where there is none."""
        for page in self._api.pages("/milestones?state=open&per_page=100", list[answers.Milestone]):
            for milestone in page:
                if milestone.title == title:
                    sent = {"milestone": milestone.number}
                    self._api.write("PATCH", f"/issues/{pull.number}", sent, msgspec.Raw)
                    return True
        return False

    def enable_auto_merge(self, pull: PullRequest, method: MergeMethod, head: str) -> str:
        """For the commit `head` alone. GitHub's reason where it refuses, else nothing. REST has no such request."""
        return self._api.graphql(_ENABLE, {"id": pull.node_id, "method": method.upper(), "head": head})

    def disable_auto_merge(self, pull: PullRequest) -> str:
        """As above."""
        return self._api.graphql(_DISABLE, {"id": pull.node_id})

    def _has_comment(self, path: str, mark: str, author: str) -> bool:
        """Whether a program or the pull request's author has made it; anybody could write the mark."""
        pages = self._api.pages(f"{path}?per_page=100", list[answers.Comment])
        return any(
            mark in (comment.body or "") and (comment.user.type == "Bot" or comment.user.login == author)
            for page in pages
            for comment in page
            if comment.user is not None
        )


class _Assigned(msgspec.Struct):
    assignees: list[answers.User] = []


def _pull_request(pull: answers.Pull) -> PullRequest:
    by = pull.auto_merge.enabled_by if pull.auto_merge else None
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        body=pull.body or "",
        is_open=pull.state == "open",
        merged=pull.merged_at is not None,
        base=pull.base.ref,
        head_sha=pull.head.sha,
        node_id=pull.node_id,
        author=pull.user.login if pull.user else "",
        created=moment(pull.created_at) if pull.created_at else None,
        draft=pull.draft,
        labels=frozenset(label.name for label in pull.labels),
        assignees=_logins(pull.assignees),
        reviewers=_logins(pull.requested_reviewers),
        team_reviewers=frozenset(team.slug for team in pull.requested_teams or ()),
        milestone=pull.milestone.title if pull.milestone else "",
        auto_merge_by=(by.login if by else "somebody") if pull.auto_merge else "",
        default_branch=pull.base.repo.default_branch if pull.base.repo else "",
    )


def _logins(users: list[answers.User] | None) -> frozenset[str]:
    return frozenset(user.login for user in users or ())


def _event(event: answers.Event) -> Event:
    person = event.assignee or event.requested_reviewer
    team, by = event.requested_team, event.actor.login if event.actor else ""
    named = [
        event.label.name if event.label else "",
        event.milestone.title if event.milestone else "",
        person.login if person else "",
        team.slug if team else "",
    ]
    return Event(event.event, next(filter(None, named), ""), by)
