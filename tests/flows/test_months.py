"""Months of a proposal's life: releases, people and outages in random order, and what has to hold after each day."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bot.core.proposal.part import part_of
from bot.embedded.github.records import Pull
from bot.embedded.github.routing import RefusalError
from bot.embedded.server import Fault, Response
from tests.flows.conftest import DOWNSTREAM, NOW, Run, TestClock, Town

BRANCH = "gateway-bot/upgrade/agentgateway"
HEAD = f"refs/heads/{BRANCH}"


class Calendar(TestClock):
    """A clock that is put forward day by day."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.today = NOW

    def now(self) -> datetime:
        return self.today


@dataclass
class Months:
    """A town, chance, and what people did that has to stay."""

    town: Town
    chance: random.Random
    minor: int = 4
    words: dict[int, list[str]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    taken_off: set[int] = field(default_factory=set)
    series: int = 0
    story: list[str] = field(default_factory=list)

    @property
    def open(self) -> Pull | None:
        found = [pull for pull in self.town.github.pulls(DOWNSTREAM) if pull.state == "open"]
        assert len(found) <= 1, self.story
        return found[0] if found else None

    @property
    def has_branch(self) -> bool:
        return HEAD in self.town.github.repositories[DOWNSTREAM].refs

    def day(self) -> None:
        clock = self.town.clock
        assert isinstance(clock, Calendar)
        clock.today += timedelta(days=self.chance.randint(1, 4))
        for act in self.chance.sample(EVENTS, self.chance.choice([0, 1, 1, 2])):
            self.story.append(act.__name__)
            try:
                act(self)
            except RefusalError:
                self.story[-1] += " (refused)"
        if self.chance.random() < 0.25:
            self.outage()
        self.run()

    def outage(self) -> None:
        """A run in which GitHub answers wrongly from some request on."""
        after, seen = self.chance.randint(1, 9), list[str]()
        fault = self.chance.choice(
            [
                Fault(drop=True),
                Fault(drop=True, performed=True),
                Fault(answer=Response(502, b""), performed=True),
                Fault(answer=Response(403, b'{"message": "API rate limit exceeded"}')),
            ]
        )

        def fail(_: str, path: str) -> Fault | None:
            seen.append(path)
            return fault if len(seen) >= after else None

        self.town.github.intercept = fail
        run = self.town.run("propose", "--json")
        self.town.github.intercept = None
        self.story.append(f"outage after {after}: {run.code}")
        assert run.code in {0, 4, 7}
        if len(seen) >= after and run.code == 0:
            assert run.json["outcome"] == "propose", self.story

    def run(self) -> None:
        first = self.town.run("propose", "--json")
        self.story.append(f"run: {first.code} {first.json.get('did') or first.json['reason']}")
        self.holds(first)
        before = len(self.writes())
        second = self.town.run("propose", "--json")
        assert self.writes()[before:] == [], self.story
        self.holds(second)

    def writes(self) -> list[str]:
        return [e.path for e in self.town.github.exchanges if e.method not in {"GET", "HEAD"}]

    def holds(self, run: Run) -> None:
        """What is true after every run, whatever happened before."""
        github, pull = self.town.github, self.open
        objects = github.repositories[DOWNSTREAM].objects
        assert run.code in {0, 7}, (self.story, run.out, run.err)
        for other in github.pulls(DOWNSTREAM):
            for words in self.words.get(other.number, []):
                assert words in other.body + other.title, self.story
            assert not (other.number in self.taken_off and "dependencies" in other.labels), self.story
        if self.has_branch and self.commits:
            history = objects.history(github.repositories[DOWNSTREAM].refs[HEAD])
            assert set(self.commits) <= set(history), self.story
        comments = [c for p in github.pulls(DOWNSTREAM) for c in p.comments if c.author.login == "gateway-bot[bot]"]
        assert len(comments) <= self.series, self.story
        if pull is not None and run.code == 0 and "stop-updating" not in pull.labels:
            part = part_of(pull.body)
            assert part is None or part.digest not in self.declined, self.story
            if run.json["outcome"] == "propose":
                files = github.files_at(DOWNSTREAM, BRANCH)
                assert run.json["candidate"]["digest"].encode() in files["versions.env"][1], self.story


def release(months: Months) -> None:
    months.minor += 1
    clock = months.town.clock
    ref = f"v1.{months.minor}.0"
    months.town.digests[ref] = months.town.registry.push_image("agentgateway/agentgateway", ref, attestations=True)
    months.town.github.add_release("agentgateway/agentgateway", ref, published=clock.now())


def decline(months: Months) -> None:
    if (pull := months.open) is not None:
        part = part_of(pull.body)
        months.town.github.close(DOWNSTREAM, pull.number)
        if part is not None:
            months.declined.add(part.digest)


def reopen(months: Months) -> None:
    closed = [p for p in months.town.github.pulls(DOWNSTREAM) if p.state == "closed" and p.merged is None]
    if closed and months.open is None:
        pull = months.chance.choice(closed)
        months.town.github.reopen(DOWNSTREAM, pull.number)
        months.declined.clear()


def merge(months: Months) -> None:
    if (pull := months.open) is not None:
        method = months.chance.choice(["merge", "squash"])
        months.town.github.merge(DOWNSTREAM, pull.number, method="squash" if method == "squash" else "merge")
        _forget_commits(months)
        _pull_base(months)


def upgrade_by_hand(months: Months) -> None:
    months.town.run("apply")
    months.town.github.commit(DOWNSTREAM, "main", months.town.checkout())


def change_base(months: Months) -> None:
    text = f"{months.town.text('versions.env')}# {months.chance.random()}\n"
    months.town.write("versions.env", text)
    months.town.github.commit(DOWNSTREAM, "main", {"versions.env": ("100644", text.encode())})


def commit(months: Months) -> None:
    if months.has_branch:
        name = f"fix-{months.chance.randint(1, 3)}.txt"
        months.commits.append(
            months.town.github.commit(DOWNSTREAM, BRANCH, {name: ("100644", str(months.chance.random()).encode())})
        )
        months.series += 1


def update_branch(months: Months) -> None:
    if (pull := months.open) is not None:
        months.town.github.update_branch(DOWNSTREAM, pull.number)


def write(months: Months) -> None:
    if (pull := months.open) is not None:
        words = f"words {months.chance.random()}"
        months.words.setdefault(pull.number, []).append(words)
        where = months.chance.choice(["before", "after", "inside"])
        half = pull.body.find("**Merge**")
        texts = {"before": f"{words}\n\n{pull.body}", "after": f"{pull.body}\n\n{words}"}
        inside = f"{pull.body[:half]}{words}\n\n{pull.body[half:]}"
        months.town.github.edit_pull(DOWNSTREAM, pull.number, body=texts.get(where, inside))


def retitle(months: Months) -> None:
    if (pull := months.open) is not None:
        words = f"OPS-{months.chance.randint(1, 99)}"
        months.words.setdefault(pull.number, []).append(words)
        months.town.github.edit_pull(DOWNSTREAM, pull.number, title=f"{words} {pull.title}")


def take_label_off(months: Months) -> None:
    pull = months.open
    if pull is not None and "dependencies" in pull.labels:
        months.town.github.unlabel(DOWNSTREAM, pull.number, "dependencies")
        months.taken_off.add(pull.number)


def ask_to_rebase(months: Months) -> None:
    if (pull := months.open) is not None:
        months.town.github.label(DOWNSTREAM, pull.number, "rebase")


def stop(months: Months) -> None:
    if (pull := months.open) is not None:
        months.town.github.label(DOWNSTREAM, pull.number, "stop-updating")


def let_go_on(months: Months) -> None:
    pull = months.open
    if pull is not None and "stop-updating" in pull.labels:
        months.town.github.unlabel(DOWNSTREAM, pull.number, "stop-updating")


def delete_branch(months: Months) -> None:
    if months.has_branch:
        pull = months.open
        part = part_of(pull.body) if pull is not None else None
        months.town.github.delete_branch(DOWNSTREAM, BRANCH)
        if part is not None:
            months.declined.add(part.digest)
        _forget_commits(months)


def _forget_commits(months: Months) -> None:
    """What was merged or deleted by a person need not be on the branch any more."""
    months.commits.clear()


def _pull_base(months: Months) -> None:
    for path, (_, data) in months.town.github.files_at(DOWNSTREAM, "main").items():
        if not path.startswith("fix-"):
            months.town.write(path, data.decode())


EVENTS = [
    release, release, release, decline, reopen, merge, upgrade_by_hand, change_base, commit, update_branch,
    write, retitle, take_label_off, ask_to_rebase, ask_to_rebase, stop, let_go_on, let_go_on, delete_branch,
]  # fmt: skip


def live(town: Town, seed: int, days: int) -> Months:
    town.clock = Calendar()
    town.write("gateway-bot.toml", town.text("gateway-bot.toml") + '\n[pull_request]\nlabels = ["dependencies"]\n')
    town.github.commit(DOWNSTREAM, "main", town.checkout())
    months = Months(town, random.Random(seed))  # noqa: S311 - a story, no secret
    for _ in range(days):
        months.day()
    return months


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_people_did_is_undone(town: Town, seed: int) -> None:
    months = live(town, seed, 25)

    assert len(months.story) > 25


@pytest.mark.real
@pytest.mark.parametrize("seed", range(100, 106))
def test_nothing_that_people_did_is_undone_for_long(town: Town, seed: int) -> None:
    months = live(town, seed, 60)

    assert len(months.story) > 60
