"""The webhook is told at least once, and not on every run."""

from __future__ import annotations

import pytest

from tests.flows.alarms import (
    Chat,
    chat,
    issues,
    mend,
    move,
    switch,
    watched,
)
from tests.flows.conftest import DOWNSTREAM, SIGNATURE, Gated, Town

__all__ = ["chat", "watched"]


def test_the_webhook_is_told_when_it_begins_changes_and_ends_and_at_no_other_time(watched: Town, chat: Chat) -> None:
    told = []
    for step in (
        lambda: move(watched),
        lambda: switch(watched, "disabled_manually"),
        lambda: switch(watched, "active"),
    ):
        step()
        for _ in range(2):
            watched.run("watch")
            told.append(len(chat.texts))
    mend(watched)
    watched.run("watch")
    watched.run("watch")

    heads = [text.partition("\n")[0].removeprefix(f"gateway-bot, {DOWNSTREAM}: ") for text in chat.texts]
    assert told == [1, 1, 2, 2, 3, 3]
    assert heads == ["alarm", "the alarm has changed", "the alarm has changed", "over, all is well again"]
    assert chat.texts[0].endswith(f"{watched.github.url}/{DOWNSTREAM}/issues/1")


def test_no_mention_and_no_link_of_a_stranger_acts_in_the_chat(gated: Gated, watched: Town, chat: Chat) -> None:
    gated.ask(SIGNATURE)
    said = "error during command execution: no matching signatures: <!channel> @here <http://x.example|y> & more\n"
    for form in ("bundle", "legacy"):
        gated.programs._cosign(gated.current, form, err=said, code=12)

    watched.run("watch")

    assert len(chat.texts) == 1
    assert not any(sign in chat.texts[0] for sign in ("<", ">", "@here", "http://x", "& "))


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_webhook_that_fails_is_told_again_by_the_next_run_and_its_address_is_kept_secret(
    watched: Town, chat: Chat, status: int
) -> None:
    chat.status, chat.headers = status, (("Location", f"{chat.url}/elsewhere"),)
    move(watched)
    failed = watched.run("watch")
    mend(watched)
    over = watched.run("watch")
    tries = len(chat.exchanges)
    chat.status, chat.headers = 200, ()
    move(watched)

    run = watched.run("watch")

    assert "GATEWAY_BOT_WEBHOOK: the webhook was not told" in failed.err
    assert not any("top-secret" in text for each in (failed, over, run) for text in (each.out, each.err))
    assert {exchange.path for exchange in chat.exchanges} == {"/services/T0/B0/top-secret"}
    assert tries == (3 if status == 500 else 1)
    assert (failed.code, over.code, run.code, len(chat.texts)) == (5, 0, 5, 1)


def test_that_the_end_could_not_be_told_is_exit_4(watched: Town, chat: Chat) -> None:
    move(watched)
    watched.run("watch")
    mend(watched)
    chat.status = 403
    failed = watched.run("watch")
    chat.status = 200

    run = watched.run("watch")

    assert [issue.state for issue in issues(watched)] == ["closed"]
    assert (failed.code, run.code, len(chat.texts)) == (4, 0, 2)


def test_what_was_acknowledged_is_not_told(watched: Town, chat: Chat) -> None:
    chat.status = 403
    move(watched)
    watched.run("watch")
    watched.github.close(DOWNSTREAM, 1)
    chat.status = 200

    run = watched.run("watch")

    assert (run.code, chat.texts) == (0, [])
