"""The tables that say what a candidate has to pass."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bot.core.model import ConfigEnvironment, GatewayConfig, Ignore, ScanPolicy, Signature
from bot.errors import UsageError
from bot.settings import FILE, read_settings

HEAD = '[[image]]\nname = "app"\nregistry = "ghcr.io/acme/app"\ngithub = "acme/app"\n'
PIN = '[[image.pins]]\ntype = "terraform"\nfile = "a.tf"\nvariable = "x"\n'
CONFIG = '[image.config]\ntemplate = "c.tftpl"\n'
ENVIRONMENT = '[[image.config.environments]]\nname = "prod"\n'


def gates(tmp_path: Path, tables: str, head: str = HEAD) -> tuple[object, object, object]:
    (tmp_path / FILE).write_text(head + PIN + tables)
    image = read_settings(tmp_path).images[0]
    return image.signature, image.scan, image.config


def refusal(tmp_path: Path, tables: str, head: str = HEAD) -> str:
    with pytest.raises(UsageError) as raised:
        gates(tmp_path, tables, head)
    return str(raised.value)


def test_a_question_without_a_table_is_not_asked(tmp_path: Path) -> None:
    assert gates(tmp_path, "") == (None, None, None)


def test_the_least_that_is_needed_has_careful_defaults(tmp_path: Path) -> None:
    tables = f'[image.signature]\nidentity = "https://x/@refs/tags/{{tag}}"\n[image.scan]\n{CONFIG}{ENVIRONMENT}'
    expected = (
        Signature("https://token.actions.githubusercontent.com", "https://x/@refs/tags/{tag}"),
        ScanPolicy("HIGH", "CRITICAL"),
        GatewayConfig(
            "c.tftpl",
            (ConfigEnvironment("prod"),),
            arguments=("--validate-only", "-f", "{file}"),
            valid="Configuration is valid!",
            invalid="No local configuration",
            without_engine="ci",
        ),
    )

    assert gates(tmp_path, tables) == expected


def test_everything_that_a_scan_can_say_is_read(tmp_path: Path) -> None:
    scan = '[image.scan]\nblock = "none"\noverride = "none"\ndatabase = "mirror.example/trivy-db:2"\n'
    ignore = '[[image.scan.ignore]]\nid = "CVE-2026-1"\nreason = "not reached"\nuntil = 2026-12-31\npackage = "p"\n'
    expected = ScanPolicy(
        None, None, (Ignore("CVE-2026-1", "not reached", date(2026, 12, 31), "p"),), "mirror.example/trivy-db:2"
    )

    assert gates(tmp_path, scan + ignore)[1] == expected


def test_the_values_of_an_environment_keep_their_types(tmp_path: Path) -> None:
    values = 'values = { text = "a\\"b", number = 3, yes = true, list = [1, "x"], map = { a = 1.5 } }\n'
    expected = (
        ("text", '"a\\"b"'),
        ("number", "3"),
        ("yes", "true"),
        ("list", '[1,"x"]'),
        ("map", '{"a":1.5}'),
    )

    config = gates(tmp_path, CONFIG + ENVIRONMENT + values)[2]

    assert isinstance(config, GatewayConfig)
    assert expected == config.environments[0].values


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[image.signature]\nidentity = ""\n', "identity"),
        ('[image.signature]\nidentity = "a b"\n', "matched exactly"),
        ('[image.signature]\nidentity = "x@{ref}"\n', "only {tag} is replaced"),
        ('[image.signature]\nidentity = "x"\nissuer = ""\n', "issuer"),
        ('[image.signature]\nidentity = "x"\ntrusted_root = "../root.json"\n', "trusted_root"),
        ('[image.scan]\nblock = "high"\n', "UNKNOWN, LOW, MEDIUM, HIGH, CRITICAL or none"),
        ('[image.scan]\ndatabase = "--output=/etc/passwd x"\n', "database"),
        ('[[image.scan.ignore]]\nid = "CVE-1"\nreason = "why"\n', "until"),
        ('[[image.scan.ignore]]\nid = "CVE-1"\nuntil = 2026-12-31\n', "reason"),
        ('[[image.scan.ignore]]\nid = "CVE-1"\nreason = ""\nuntil = 2026-12-31\n', "reason"),
        ('[[image.scan.ignore]]\nid = "CVE-1"\nreason = "why"\nuntil = "next year"\n', "until"),
        (CONFIG, "environments"),
        (f'[image.config]\ntemplate = "/etc/passwd"\n{ENVIRONMENT}', "no plain path"),
        (f'{CONFIG}declarations = ["../x.tf"]\n{ENVIRONMENT}', "no plain path"),
        (f'{CONFIG}{ENVIRONMENT}var_files = ["~/../../x"]\n', "no plain path"),
        (f'{CONFIG}arguments = ["--validate-only"]\n{ENVIRONMENT}', "{file}"),
        (f'{CONFIG}arguments = ["{{file}}", "{{file}}"]\n{ENVIRONMENT}', "{file}"),
        (f'{CONFIG}valid = ""\n{ENVIRONMENT}', "valid"),
        (f'{CONFIG}without_engine = "no"\n{ENVIRONMENT}', "ci, always or never"),
        (f"{CONFIG}{ENVIRONMENT}{ENVIRONMENT}", "two have the same name"),
        (f'{CONFIG}{ENVIRONMENT}values = {{ "a b" = 1 }}\n', "values"),
        (f'{CONFIG}dummies = {{ X = "" }}\n{ENVIRONMENT}', "dummies"),
        ('[image.scna]\nblock = "HIGH"\n', "did you mean 'scan'?"),
        ('[image.signature]\nidentiy = "x"\n', "did you mean 'identity'?"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_its_words(tmp_path: Path, tables: str, said: str) -> None:
    assert said in refusal(tmp_path, tables)


def test_a_schema_needs_the_repository_that_publishes_it(tmp_path: Path) -> None:
    head = HEAD.replace('github = "acme/app"\n', "")

    assert "needs `github`" in refusal(tmp_path, f'{CONFIG}schema = "s.json"\n{ENVIRONMENT}', head)
