"""How Terraform is started where it changes what runs: a script stands for it. tests/real has the real one."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bot.adapters import terraform_run
from bot.adapters.terraform_run import TerraformRun, Work
from bot.core.model import TerraformService
from bot.core.terraform_changes import Changed
from bot.errors import BotError, ReleaseError, ServiceError, UsageError
from tests.terraform import program

IMAGE = "ghcr.io/acme/app@sha256:" + "a" * 64
SERVICE = TerraformService("infra", ("infra/a.tfvars",))
PLANNED = ("-input=false", "-lock-timeout=10s", "-var-file=a.tfvars", "-var", f"gateway_image={IMAGE}")
CHANGED = (Changed("a.b", "update"),)
SECRETIVE = {
    "AWS_SECRET_ACCESS_KEY": "hunter2-aws",
    "TF_VAR_password": "hunter2-variable",
    "TF_TOKEN_app_example_com": "hunter2-token",
}


class Bench:
    """A checkout, a `terraform` that does as it is told, and what the bot logs."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "checkout", folder / "bin"
        (self.root / "infra").mkdir(parents=True)
        self.bin.mkdir()
        self.said: list[str] = []
        self.environ = {"PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(folder / "temporary")}

    def script(self, **steps: str) -> None:
        """What each step does, in a shell; the others succeed."""
        cases = "\n".join(f"{step}) {text} ;;" for step, text in steps.items())
        program(self.bin, f'echo "$@" >> {self.root}/asked\ncase "$2" in\n{cases}\nesac')

    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().splitlines()

    def run(
        self,
        work: Callable[[Work], object],
        service: TerraformService = SERVICE,
        more: Mapping[str, str] | None = None,
    ) -> object:
        environ = {**self.environ, **(more or {})}
        with TerraformRun(environ, self.root, self.said.append).started(service) as started:
            return work(started)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    made = Bench(tmp_path)
    made.script(show="echo '{}'")
    yield made
    assert list(temporary.iterdir()) == []


def planned(work: Work) -> bytes:
    return work.plan(IMAGE)


def applied(work: Work) -> None:
    work.plan(IMAGE)
    work.apply(IMAGE, CHANGED)


def test_a_plan_that_is_applied_is_the_one_that_was_shown(bench: Bench) -> None:
    bench.run(applied)

    actual = [re.sub(r"/\S+/(\w+\.tfplan)", r"\1", line) for line in bench.asked()]

    assert bench.said == ["terraform init in infra", "terraform plan", "terraform apply of 1 change"]
    assert actual == [
        "-chdir=infra init -no-color -input=false",
        f"-chdir=infra plan -no-color {' '.join(PLANNED)} -out=0.tfplan",
        "-chdir=infra show -json 0.tfplan",
        "-chdir=infra apply -no-color -input=false -lock-timeout=10s 0.tfplan",
    ]


def test_the_clouds_variables_pass_and_what_would_change_the_answer_does_not(bench: Bench) -> None:
    bench.script(init=f"env > {bench.root}/env")
    passed = {
        **SECRETIVE,
        "AWS_PROFILE": "x",
        "GOOGLE_PROJECT": "x",
        "ARM_CLIENT_ID": "x",
        "TF_WORKSPACE": "x",
        "TF_CLI_ARGS_init": "-backend-config=x",
        "HOME": "/nowhere",
    }
    others = {
        "GITHUB_TOKEN": "x",
        "GH_TOKEN": "x",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x",
        "GATEWAY_BOT_APP_PRIVATE_KEY": "x",
        "LD_PRELOAD": "",
        "TF_LOG": "trace",
        "TF_LOG_PATH": "x",
        "TF_CLI_ARGS": "-json",
        "TF_CLI_ARGS_plan": "-destroy",
        "TF_CLI_ARGS_apply": "-x",
        "TF_IN_AUTOMATION": "",
    }
    bench.run(lambda _: None, more=passed | others)

    seen = dict(line.split("=", 1) for line in (bench.root / "env").read_text().splitlines())

    assert {name: seen.get(name) for name in passed} == passed
    assert seen["TF_IN_AUTOMATION"] == "1"
    assert set(others) & set(seen) == {"TF_IN_AUTOMATION"}


def test_without_terraform_it_says_what_to_do(bench: Bench) -> None:
    (bench.bin / "terraform").unlink()

    with pytest.raises(UsageError, match="terraform is not installed") as error:
        bench.run(planned, more={"PATH": str(bench.bin)})

    assert "leave out `--run`" in error.value.next_step


@pytest.mark.parametrize("folder", ["gone", "file", "away"])
def test_a_folder_that_is_none_of_the_checkout_is_refused(bench: Bench, folder: str) -> None:
    (bench.root / "file").touch()
    (bench.root / "away").symlink_to("/")

    with pytest.raises(UsageError, match="it is no folder of the checkout"):
        bench.run(planned, TerraformService(folder))

    assert not (bench.root / "asked").exists()


def test_a_program_that_cannot_be_started_is_told(bench: Bench) -> None:
    (bench.bin / "terraform").write_bytes(b"\x7fELF")

    with pytest.raises(UsageError, match="it cannot be started"):
        bench.run(planned)


@pytest.mark.parametrize("step", ["init", "plan", "show", "apply"])
def test_a_step_that_fails_says_its_last_words_and_no_secret_of_the_environment(bench: Bench, step: str) -> None:
    quoted = " ".join(SECRETIVE.values())
    bench.script(**{"show": "echo '{}'", step: f'echo "Error: no access with {quoted}" >&2; exit 1'})

    with pytest.raises(ServiceError) as error:
        bench.run(applied, more=SECRETIVE)

    assert error.value.what == f"terraform {step}: Error: no access with *** *** ***"


def test_an_apply_that_had_begun_says_how_far_it_came(bench: Bench) -> None:
    bench.script(apply="echo 'a.b: Modifying... [id=1]'; echo 'Error: refused' >&2; exit 1")

    with pytest.raises(ReleaseError) as error:
        bench.run(applied)

    assert error.value.what == "the apply ended early; done: nothing; not done, or not known: a.b. Error: refused"


def test_a_plan_that_is_too_large_is_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform_run, "MAX_BYTES", 2)

    with pytest.raises(ServiceError, match="the plan is larger than 2 bytes"):
        bench.run(planned)


def test_a_step_that_takes_too_long_is_asked_to_end_and_given_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(terraform_run._SECONDS, "plan", 0.2)
    bench.script(plan=f"trap 'sleep 0.3; touch {bench.root}/unlocked; exit 1' INT; while :; do sleep 0.05; done")

    with pytest.raises(ServiceError, match=r"terraform plan did not end within 0 s and was stopped"):
        bench.run(planned)

    assert (bench.root / "unlocked").exists()


def test_a_plan_that_does_not_even_then_end_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(terraform_run._SECONDS, "plan", 0.2)
    monkeypatch.setattr(terraform_run, "_GRACE_SECONDS", 0.2)
    bench.script(plan="trap '' INT; while :; do sleep 0.05; done")
    began = time.monotonic()

    with pytest.raises(ServiceError, match="and was stopped"):
        bench.run(planned)

    assert time.monotonic() - began < 10


def interrupt_when(path: Path, times: int) -> None:
    """Signals as somebody sends them who is impatient."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.02)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)

    threading.Thread(target=send, daemon=True).start()


@pytest.fixture
def as_the_program() -> Iterator[None]:
    """SIGTERM interrupts, as `entry` in bot/__main__.py has it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGTERM, before)
    assert after is signal.default_int_handler


@pytest.mark.usefixtures("as_the_program")
@pytest.mark.parametrize("times", [1, 4])
def test_an_interrupted_apply_gets_one_interrupt_and_all_the_time_it_needs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(terraform_run, "_GRACE_SECONDS", 0.0)
    heard = bench.root / "heard"
    bench.script(
        apply=f"trap 'echo 1 >> {heard}' INT; touch {bench.root}/began; i=0; while [ $i -lt 20 ]; do sleep 0.05; "
        "i=$((i+1)); done; echo 'a.b: Modifications complete after 1s [id=1]'"
    )
    interrupt_when(bench.root / "began", times)

    with pytest.raises(KeyboardInterrupt):
        bench.run(applied)

    assert heard.read_text() == "1\n"
    assert bench.said[-1] == (
        "interrupted: terraform has ended with exit 0, done: a.b; not done, or not known: nothing"
    )


@pytest.mark.usefixtures("as_the_program")
def test_an_interrupted_plan_is_not_followed_by_an_apply(bench: Bench) -> None:
    bench.script(plan=f"touch {bench.root}/began; sleep 0.5", show="echo '{}'")
    interrupt_when(bench.root / "began", 1)

    with pytest.raises(KeyboardInterrupt):
        bench.run(applied)

    assert not any(" apply " in line for line in bench.asked())
    assert bench.said[-1] == "interrupted: terraform has ended, nothing was applied"


@pytest.mark.usefixtures("as_the_program")
def test_a_signal_between_two_steps_is_not_lost(bench: Bench) -> None:
    def told(_: Work) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        bench.run(told)


@pytest.mark.usefixtures("as_the_program")
def test_a_signal_before_the_apply_stops_it(bench: Bench) -> None:
    def told(work: Work) -> None:
        work.plan(IMAGE)
        os.kill(os.getpid(), signal.SIGTERM)
        work.apply(IMAGE, CHANGED)

    with pytest.raises(KeyboardInterrupt):
        bench.run(told)

    assert not any(" apply " in line for line in bench.asked())


def test_in_a_thread_of_its_own_it_works_without_hearing_signals(bench: Bench) -> None:
    found: list[object] = []

    def work() -> None:
        try:
            found.append(bench.run(planned))
        except BotError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=20)

    assert found == [b"{}\n"]
