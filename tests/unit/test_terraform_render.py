"""The adapter on what the real Terraform said; tests/real/test_render.py sees that it still says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.adapters import terraform as adapter
from bot.adapters.programs import Programs
from bot.adapters.terraform import Terraform
from bot.beside import beside
from bot.core.model import ConfigEnvironment, GatewayConfig
from bot.errors import BotError, PolicyError, ServiceError, UsageError
from tests.terraform import CASES, SECRET, checkout, program, recorded_at, replaying, said_of

BASE = CASES["a later file overrides"]
CONFIG = GatewayConfig("config.tftpl", (ConfigEnvironment("dev"),))


def error_of(question: Callable[[], object]) -> BotError:
    with pytest.raises(BotError) as caught:
        question()
    return caught.value


def terraform_at(root: Path, script: str = "exit 97") -> Terraform:
    """A Terraform that does what the script says."""
    folder = root / "bin"
    folder.mkdir(exist_ok=True)
    program(folder, script)
    return Terraform(Programs({"PATH": f"{folder}:/usr/bin:/bin"}, lambda _: None), root)


def render_error(root: Path, config: GatewayConfig = CONFIG, script: str = "exit 97") -> BotError:
    return error_of(lambda: terraform_at(root, script).render(config, config.environments[0]))


@pytest.mark.parametrize("name", CASES)
def test_what_the_real_terraform_said_is_understood(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    terraform = replaying(recorded_at(name), checkout(case, tmp_path), tmp_path / "bin")

    assert said_of(terraform, case) == case.expected


@pytest.mark.parametrize("name", [name for name in CASES if "secret" in name and name != "a secret value"])
def test_a_secret_is_in_what_terraform_says_and_in_no_error(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    secret = case.values[0][1].strip('"')
    terraform = replaying(recorded_at(name), checkout(case, tmp_path), tmp_path / "bin")
    error = error_of(lambda: terraform.render(case.config, case.environment))

    assert secret in recorded_at(name).read_text()
    assert secret not in f"{error.what} {error.where} {error.next_step}"


def test_environments_are_rendered_side_by_side(tmp_path: Path) -> None:
    terraform = replaying(recorded_at("a later file overrides"), checkout(BASE, tmp_path), tmp_path / "bin")
    rendering = [beside(lambda: terraform.render(BASE.config, BASE.environment)) for _ in range(4)]

    assert [each.result(30) for each in rendering] == [BASE.expected] * 4


def test_terraform_sees_neither_tokens_nor_variables_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TF_VAR_region", "TF_CLI_ARGS", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    (tmp_path / "config.tftpl").write_text("a")
    render_error(tmp_path, script=f"env > {tmp_path}/seen; exit 97")
    seen = (tmp_path / "seen").read_text()

    assert SECRET not in seen
    assert "CHECKPOINT_DISABLE=1\n" in seen


@pytest.mark.parametrize("place", ["template", "declaration", "var file"])
def test_a_file_that_does_not_exist_is_wrong_use(place: str, tmp_path: Path) -> None:
    case = replace(BASE, more={})
    missing = {"template": "app/config.tftpl", "declaration": "app/vars.tf", "var file": "env/dev.tfvars"}[place]
    (checkout(case, tmp_path) / missing).unlink()
    error = error_of(lambda: terraform_at(tmp_path).render(case.config, case.environment))

    assert isinstance(error, UsageError)
    assert (error.where, error.what) == (missing, "there is no such file")


def test_a_file_outside_of_the_checkout_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    (root / "config.tftpl").symlink_to(tmp_path / "secret")
    by_path = replace_template(CONFIG, "../secret")
    errors = [render_error(root, config) for config in (CONFIG, by_path, replace_template(CONFIG, "/etc/hosts"))]

    assert {(type(error), error.what) for error in errors} == {(UsageError, "it is outside of the checkout")}


def test_a_link_inside_the_checkout_is_followed(tmp_path: Path) -> None:
    root = checkout(BASE, tmp_path)
    (root / "app/config.tftpl").rename(root / "app/real.tftpl")
    (root / "app/config.tftpl").symlink_to("real.tftpl")
    terraform = replaying(recorded_at("a later file overrides"), root, tmp_path / "bin")

    assert terraform.render(BASE.config, BASE.environment) == BASE.expected


def test_a_folder_a_pipe_and_a_huge_file_are_no_templates(tmp_path: Path) -> None:
    import os  # noqa: PLC0415 - only this test makes a pipe

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"a" * (adapter.MAX_BYTES + 1))
    said = [render_error(tmp_path, replace_template(CONFIG, name)) for name in ("folder", "pipe", "huge", "a\0b")]

    assert [type(error) for error in said] == [UsageError] * 4
    assert [error.what for error in said] == [
        "it is no regular file",
        "it is no regular file",
        "it is larger than 1,048,576 bytes",
        "it cannot be read: ValueError",
    ]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ((("a b", "1"),), "that is no name of a Terraform variable"),
        ((("a", "{"),), "its value is no JSON"),
        ((("a", "[" * 100_000),), "its value is no JSON"),
    ],
)
def test_values_that_are_none_are_wrong_use(values: tuple[tuple[str, str], ...], what: str, tmp_path: Path) -> None:
    (tmp_path / "config.tftpl").write_text("a")
    config = GatewayConfig("config.tftpl", (ConfigEnvironment("dev", (), values),))
    error = render_error(tmp_path, config)

    assert isinstance(error, UsageError)
    assert error.what == what


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.tftpl").write_bytes(b"\xff")
    error = render_error(tmp_path)

    assert isinstance(error, PolicyError)
    assert (error.where, error.what) == ("config.tftpl", "it is no UTF-8")


def test_a_template_that_reads_files_never_reaches_terraform(tmp_path: Path) -> None:
    (tmp_path / "config.tftpl").write_text('a\n${file("/etc/hostname")}\n')
    error = render_error(tmp_path, script=f"touch {tmp_path}/started")

    assert isinstance(error, PolicyError)
    assert error.where == "config.tftpl:2"
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("exit 3", "terraform plan ended with exit 3 and said nothing that can be read"),
        ('echo \'{"diagnostic": {"severity": 1}}\'; echo nonsense; exit 1', "terraform plan ended with exit 1"),
        ("exit 0", "terraform show ended with exit 0"),
        ('echo "{}"', "terraform show ended with exit 0"),
        (
            'case "$1" in show) echo \'{"planned_values": {"outputs": {"rendered": {"value": 5}}}}\' ;; esac',
            "terraform s",
        ),
        ("yes", "terraform printed more than 8,388,608 bytes"),
    ],
)
def test_a_terraform_that_cannot_be_understood_says_nothing_of_the_config(
    script: str, what: str, tmp_path: Path
) -> None:
    (tmp_path / "config.tftpl").write_text("a")
    error = render_error(tmp_path, script=script)

    assert isinstance(error, ServiceError)
    assert error.what.startswith(what)


def test_a_terraform_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_SECONDS", 0.2)
    (tmp_path / "config.tftpl").write_text("a")
    began = time.monotonic()
    error = render_error(tmp_path, script="sleep 60")

    assert isinstance(error, ServiceError)
    assert time.monotonic() - began < 10


def test_no_terraform_is_an_error_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "config.tftpl").write_text("a")
    terraform = Terraform(Programs({"PATH": str(tmp_path)}, lambda _: None), tmp_path)
    error = error_of(lambda: terraform.render(CONFIG, CONFIG.environments[0]))

    assert isinstance(error, ServiceError)
    assert error.what == "terraform is not installed"


def test_a_config_of_a_size_that_none_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.tftpl").write_text("a")
    value = "head -c 1048577 /dev/zero | tr '\\0' a"
    show = f'printf \'{{"planned_values": {{"outputs": {{"rendered": {{"value": "\'; {value}; echo \'"}}}}}}}}\''
    error = render_error(tmp_path, script=f'case "$1" in show) {show} ;; esac')

    assert isinstance(error, PolicyError)
    assert error.what == "it renders to more than 1,048,576 bytes"


def replace_template(config: GatewayConfig, template: str) -> GatewayConfig:
    return GatewayConfig(template, config.environments)
