"""What came of a release, step by step, in its forms for a person, a program and a step summary. Pure."""

from __future__ import annotations

import re

import msgspec

from bot.core.report import code
from bot.core.text import plain
from bot.errors import BotError


class Step(msgspec.Struct, frozen=True):
    """One thing that had to be so, and how it came to be; `did` says whether this run wrote something for it."""

    name: str
    said: str
    did: bool = False


class Failure(msgspec.Struct, frozen=True):
    """Why it stopped."""

    what: str
    where: str
    next_step: str
    exit_code: int

    @classmethod
    def of(cls, error: BotError) -> Failure:
        return cls(error.what, error.where, error.next_step, error.exit_code)


class PublicationJson(msgspec.Struct, frozen=True):
    """`release publish --json`: one object. `digest` is what was released, empty where it was not known yet."""

    tag: str
    ok: bool
    exit_code: int
    digest: str
    url: str
    steps: list[Step]
    warnings: list[str]
    failure: Failure | None


class Publication(msgspec.Struct, frozen=True):
    """A release that is published, or how far it came."""

    tag: str
    digest: str = ""
    url: str = ""
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    is_plan: bool = False
    """Nothing was to be written."""

    @property
    def exit_code(self) -> int:
        return self.failure.exit_code if self.failure else 0

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is PublicationJson's."""
        return msgspec.json.encode(
            PublicationJson(
                self.tag,
                self.failure is None,
                self.exit_code,
                self.digest,
                self.url,
                list(self.steps),
                list(self.warnings),
                self.failure,
            )
        )

    def text(self) -> str:
        """For a person: what is doubtful, and how it ended. Steps were told as they were taken; a plan shows them."""
        lines = [f"{step.name}: {plain(step.said, 500)}" for step in self.steps if self.is_plan]
        lines += [f"warning: {plain(warning, 500)}" for warning in self.warnings]
        lines += self._failed() if self.failure else [self._ended(), *([self.url] if self.url else [])]
        return "\n".join(lines)

    def summary(self) -> str:
        """For GitHub's step summary, in Markdown; every value in it stands in code."""
        rows = [f"| {code(step.name)} | {'done' if step.did else 'ok'} | {code(step.said)} |" for step in self.steps]
        lines = [f"### {code(self._ended() if not self.failure else f'{self.tag} is not published')}"]
        if rows:
            lines.append("\n".join(["| step | | |", "|---|---|---|", *rows]))
        lines += [f"**Warning:** {code(warning)}" for warning in self.warnings]
        if self.failure is not None:
            where = f"{self.failure.where}: {self.failure.what}"
            lines += [f"**Stopped:** {code(where)}", f"**Next:** {code(self.failure.next_step)}"]
        elif self.url:
            lines.append(f"<{self.url}>" if re.fullmatch(r"https?://[\w.:/-]+", self.url) else code(self.url))
        return "\n\n".join(lines) + "\n"

    def _ended(self) -> str:
        if self.is_plan:
            return (
                f"{self.tag}: nothing was written. `release publish` would copy what is missing, sign and attest it, "
                "set the tags that are not there, and publish the GitHub Release"
            )
        if not any(step.did for step in self.steps):
            return f"{self.tag} is published as {self.digest}: nothing was left to do"
        return f"{self.tag} is published as {self.digest}"

    def _failed(self) -> list[str]:
        failure = self.failure
        if failure is None:
            return []
        did = [step.name for step in self.steps if step.did]
        reached = f"the last that it did: {did[-1]}" if did else "nothing was written"
        return [
            f"{self.tag} is not published by this run; {reached}",
            f"error: {plain(failure.where, 500)}: {plain(failure.what, 1000)}",
            f"  next: {failure.next_step}",
        ]
