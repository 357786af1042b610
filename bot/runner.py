"""What GitHub's runner is told: the step summary, annotations, outputs, variables. Nothing outside GitHub Actions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bot.errors import BotError, UsageError
from bot.settings import Environment

if TYPE_CHECKING:
    from bot.core.release.publication import Publication
    from bot.flows.upgrade import Result


class Runner:
    """The runner that started this step, if one did."""

    def __init__(self, environment: Environment, log: Callable[[str], None]) -> None:
        self._environment = environment
        self._log = log

    def tell(self, result: Result) -> None:
        """The step summary and annotations for what is wrong; nothing outside GitHub Actions."""
        if self._environment.step_summary is None and not self._environment.in_actions:
            return
        from bot.core import report
        from bot.core.plan import Blocked
        from bot.core.text import plain

        outcome = result.outcome
        self._summary(report.summary(outcome, result.did, result.url, result.warnings))
        if isinstance(outcome, Blocked):
            where, then = plain(outcome.where, 1000), plain(outcome.next_step, 1000)
            self._annotate("error", f"{report.headline(outcome)}\n{where}\nNext: {then}")
        for warning in result.warnings:
            self._annotate("warning", warning)

    def tell_error(self, error: BotError) -> None:
        """What stopped a command before it had an answer."""
        from bot.core.report import stopped

        self._summary(stopped(error))
        self._annotate("error", f"{error.what}\n{error.where}\nNext: {error.next_step}")

    def tell_release(self, done: Publication) -> None:
        """The step summary, annotations and outputs of a release; nothing outside GitHub Actions."""
        from bot.core.text import plain

        self._summary(done.summary())
        failure = done.failure
        if failure is not None:
            self._annotate("error", f"{failure.what}\n{failure.where}\nNext: {plain(failure.next_step, 1000)}")
        for warning in done.warnings:
            self._annotate("warning", warning)
        self.set_outputs({"digest": done.digest, "tag": done.tag, "url": done.url})

    def _summary(self, text: str) -> None:
        if self._environment.step_summary is not None:
            from bot.adapters import actions

            try:
                actions.append_summary(self._environment.step_summary, text)
            except OSError as error:
                self._log(f"the step summary cannot be written: {error.strerror}")

    def _annotate(self, level: Literal["error", "warning"], text: str) -> None:
        if self._environment.in_actions:
            from bot.adapters import actions
            from bot.core.text import plain

            said = "\n".join(plain(line, 1000) for line in text.splitlines())
            print(actions.annotation(level, "gateway-bot", said), file=sys.stderr)  # noqa: T201 - the runner reads it

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Variables of the job's later steps. Raises UsageError outside GitHub Actions, and for a name of a program."""
        path = self._environment.others.get("GITHUB_ENV")
        if not path:
            raise UsageError(
                "there is no GITHUB_ENV: nothing follows that could read it",
                where="--export",
                next_step="It is for a step of a workflow; in a shell, read versions.env with a dotenv library.",
            )
        from bot.adapters import actions

        try:
            actions.set_variables(Path(path), variables)
        except ValueError as error:
            raise UsageError(
                str(error),
                where="keys",
                next_step="Give the key a name in capitals that ends with _REF, _VERSION, _DIGEST, _IMAGE or _TAG, in "
                "gateway-bot.toml and its file.",
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=path, next_step="Run it in a step."
            ) from None

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        """The step's outputs; nothing outside GitHub Actions."""
        path = self._environment.others.get("GITHUB_OUTPUT")
        if path:
            from bot.adapters import actions

            try:
                actions.set_outputs(Path(path), outputs)
            except OSError as error:
                self._log(f"the step's outputs cannot be written: {error.strerror}")
