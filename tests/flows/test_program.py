"""The program in processes of its own, and several images in one run."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import DOWNSTREAM, PROJECT, SIGNATURE, Gated, Town
from tests.flows.test_apply import drifted
from tests.releasing import program as installed


def program(town: Town, *args: str, line: str = "{}") -> subprocess.CompletedProcess[str]:
    """The program in a process of its own; `line` puts it into a line of bash."""
    command = f"'{sys.executable}' -m bot -C '{town.root}' {' '.join(args)}"
    environ = {**os.environ, **town.environ}
    script = f"set -o pipefail; {line.format(command)}"
    return subprocess.run(["bash", "-c", script], cwd=PROJECT, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", ["{} | true", "{} >&-", "{} 2>&-", "{} >/dev/null 2>&1"])
def test_a_stream_that_nobody_reads_makes_no_noise(town: Town, line: str) -> None:
    done = program(town, "config", "schema", line=line)

    assert done.stderr == ""
    assert done.returncode in {0, 1}


def test_a_terminal_without_unicode_is_spoken_to(town: Town) -> None:
    town.environ["PYTHONIOENCODING"] = "ascii"

    done = program(town, "plan")

    assert "upgrade v1.3.1 -> v1.4.1" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_two_runs_at_once_end_in_one_pull_request_and_one_branch(town: Town) -> None:
    done = program(town, "propose", line="{0} & {0}; first=$?; wait $!; exit $((first + $?))")

    branches = [ref for ref in town.github.repositories[DOWNSTREAM].refs if "gateway-bot/" in ref]
    assert len(branches) == 1
    assert len(town.github.pulls(DOWNSTREAM)) == 1
    assert (done.returncode, done.stdout.count("upgrade v1.3.1 -> v1.4.1")) == (0, 2)


def with_another_image(town: Town, host: str) -> None:
    """A second image before the first, whose registry is at `host`."""
    town.github.create_repository("other/image")
    town.github.add_release("other/image", "v1.1.0")
    other = (
        f'[[image]]\nname = "other"\nregistry = "{host}/other/image"\ngithub = "other/image"\n'
        '[[image.pins]]\ntype = "dotenv"\nfile = "other.env"\nkeys = { REF = "ref", DIGEST = "digest" }\n'
    )
    town.write("other.env", f"REF=v1.0.0\nDIGEST=sha256:{'0' * 64}\n")
    town.write("gateway-bot.toml", f"{other}{town.text('gateway-bot.toml')}")
    town.github.commit(DOWNSTREAM, "main", town.checkout())


@pytest.mark.parametrize("command", ["plan", "apply", "propose"])
def test_an_image_whose_registry_is_down_does_not_stop_the_others(town: Town, command: str) -> None:
    with_another_image(town, "127.0.0.1:9")

    run = town.run(command, "--json")

    outcomes = {line["image"]: line["outcome"] for line in map(json.loads, run.out.splitlines())}
    assert outcomes == {"other": "blocked", "agentgateway": "propose"}
    assert ("v1.4.1" in town.text("versions.env")) == (command == "apply")
    assert len(town.github.pulls(DOWNSTREAM)) == (command == "propose")
    assert run.code == 4


def test_an_image_whose_file_is_missing_does_not_stop_the_check_of_the_others(town: Town) -> None:
    with_another_image(town, "127.0.0.1:9")
    (town.root / "other.env").unlink()

    run = town.run("check", "--json")

    answers = {line["image"]: line["ok"] for line in map(json.loads, run.out.splitlines())}
    assert answers == {"other": False, "agentgateway": True}
    assert run.code == 3


def test_one_image_is_chosen_by_name(town: Town) -> None:
    with_another_image(town, "127.0.0.1:9")

    run = town.run("plan", "--image", "agentgateway", "--json")
    bare = town.run("resolve", "v1.4.1")
    named = town.run("resolve", "v1.4.1", "--image", "agentgateway")
    to = town.run("plan", "--to", "v1.4.1")

    assert run.json["image"] == "agentgateway"
    assert (run.code, bare.code, named.code, to.code) == (0, 2, 0, 2)


def test_the_first_blocked_image_gives_the_exit_code(town: Town) -> None:
    with_another_image(town, "127.0.0.1:9")
    drifted(town)

    run = town.run("plan", "--json")

    assert ([json.loads(line)["exit_code"] for line in run.out.splitlines()], run.code) == ([4, 3], 4)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_ends_at_once_and_takes_along_what_it_started(gated: Gated, sent: signal.Signals) -> None:
    gated.ask(SIGNATURE)
    gated.programs.signature(gated.candidate, "hang")
    command = [sys.executable, "-m", "bot", "-C", str(gated.town.root), "plan"]
    asked, environ = gated.programs.answers / "cosign.group", {**os.environ, **gated.town.environ}
    # a shell that runs the tests in the background makes them, and all they start, deaf to SIGINT
    hearing = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environ,
        stderr=subprocess.PIPE,
        preexec_fn=hearing,  # noqa: PLW1509 - one call, which takes no lock
    ) as bot:
        while not asked.exists() or not asked.read_text():
            time.sleep(0.01)
        bot.send_signal(sent)
        _, said = bot.communicate(timeout=20)
    left = subprocess.run(["pgrep", "-r", "DRS", "-g", str(int(asked.read_text()))], capture_output=True, check=False)

    assert bot.returncode == 130
    assert b"interrupted" in said
    assert left.stdout == b""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_while_it_is_loading_it_says_so_in_one_line(tmp_path: Path, sent: signal.Signals) -> None:
    with loading(tmp_path, signal.SIG_DFL) as bot:
        bot.send_signal(sent)
        out, said = bot.communicate(timeout=20)

    assert (bot.returncode, out, said) == (130, "", "interrupted: nothing was begun\n")


def test_deaf_to_a_signal_from_its_start_it_stays_so(tmp_path: Path) -> None:
    with loading(tmp_path, signal.SIG_IGN) as bot:
        bot.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            bot.wait(timeout=0.3)
        bot.kill()


def loading(folder: Path, to_interrupts: signal.Handlers) -> subprocess.Popen[str]:
    """The installed program, in the middle of loading a library that takes its time."""
    (folder / "click.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(30)\n")
    bot = subprocess.Popen(
        [installed("gateway-bot"), "--version"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, to_interrupts),  # noqa: PLW1509 - as above
    )
    assert bot.stdout is not None
    assert bot.stdout.readline() == "loading\n"
    return bot
