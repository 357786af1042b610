"""The adapter on what the real Trivy answered; tests/real/test_trivy.py sees that it still answers so."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from functools import partial
from pathlib import Path

import pytest

from bot.beside import beside
from bot.core.model import Platform
from bot.core.reference import Repository
from bot.core.vulnerabilities.findings import Changes, compare
from bot.errors import BotError, IntegrityError, ServiceError, UsageError
from tests.trivy import AMD, ARM, ARM_ONLY, BOTH, GONE, HOST, RATED_ANEW, RECORDED, UNRATED, Scanner, digest_of_image


@pytest.fixture
def scanner(tmp_path: Path) -> Scanner:
    return Scanner(tmp_path)


def differences(changes: Changes) -> list[tuple[str, str, tuple[Platform, ...]]]:
    groups = ("new", "escalated", "fixed", "unseen", "persisting")
    return [(group, change.id, change.platforms) for group in groups for change in getattr(changes, group)]


def test_what_the_real_trivy_said_of_two_images_is_told_apart(scanner: Scanner) -> None:
    changes = compare(scanner.scan("current"), scanner.scan("candidate"))

    assert differences(changes) == [
        ("new", ARM_ONLY, (ARM,)),
        ("new", UNRATED, (AMD,)),
        ("fixed", GONE, BOTH),
        ("persisting", RATED_ANEW, BOTH),
    ]


def test_a_cache_that_cannot_be_written_is_no_answer(scanner: Scanner) -> None:
    (scanner.folder / "cache").write_text("in the way")
    with pytest.raises(ServiceError, match="the folder for the vulnerability database cannot be used"):
        scanner.scan("current", (AMD,))


def test_a_database_that_cannot_be_had_is_said_to_both_who_wait_for_it(scanner: Scanner) -> None:
    waiting = [beside(partial(scanner.scan, name, BOTH, "nothing")) for name in ("current", "candidate")]
    errors = [future.exception(30) for future in waiting]

    assert len(scanner.starts) == 1
    for error in errors:
        assert isinstance(error, ServiceError)
        assert "NAME_UNKNOWN" in error.what
        assert "not the same as no vulnerabilities" in error.next_step


@pytest.mark.parametrize(
    ("image", "platform", "words"),
    [
        ("scratch", ARM, "trivy could not scan linux/arm64: remote error: no child with platform linux/arm64"),
        ("java", AMD, "Unable to initialize the Java DB"),
    ],
)
def test_what_trivy_last_said_is_the_reason(scanner: Scanner, image: str, platform: Platform, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        scanner.scan(image, (platform,))

    assert words in caught.value.what
    assert len(caught.value.what) < 400


def test_an_image_of_another_platform_is_refused(scanner: Scanner) -> None:
    with pytest.raises(IntegrityError, match="scanned for linux/arm64 is for linux/amd64"):
        scanner.scan("mislabelled", (ARM,))


def test_one_platform_without_an_answer_is_no_answer(scanner: Scanner) -> None:
    with pytest.raises(ServiceError, match="linux/arm64"):
        scanner.scan("scratch", BOTH)


@pytest.mark.parametrize(
    ("after", "kind", "words"),
    [
        ("code=137", ServiceError, "trivy could not scan linux/amd64: exit 137 without a word"),
        ("echo 'GET https://x/blob?sig=secret: EOF' >&2; code=1", ServiceError, "GET https://x/blob?… EOF"),
        (
            "printf 'fatal error: cannot allocate memory\\n\\ngoroutine 1:\\n\\tx.go:96 +0x315\\n' >&2; code=2",
            ServiceError,
            "trivy could not scan linux/amd64: fatal error: cannot allocate memory",
        ),
        ("rm $report", ServiceError, "there is no report"),
        ("echo > $report", ServiceError, "the report is none that can be read"),
        ("head -c 900 $report > $report.cut; mv $report.cut $report", ServiceError, "none that can be read"),
        ("sed -i s/SchemaVersion/Version/ $report", ServiceError, "SchemaVersion is 0, not 2"),
        ("sed -i s/sha256:b/sha256:c/g $report; sed -i s/sha256:/sha256:0/ $report", IntegrityError, "about"),
        ("echo >> $cache/db/metadata.json", ServiceError, "the vulnerability database changed"),
        ("echo >> $cache/db/trivy.db", ServiceError, "the vulnerability database changed"),
        ("rm $cache/db/trivy.db", ServiceError, "the vulnerability database changed"),
    ],
)
def test_a_scan_that_goes_wrong_is_never_without_findings(
    scanner: Scanner, after: str, kind: type[BotError], words: str
) -> None:
    scanner.wrap(after=after)
    with pytest.raises(kind) as caught:
        scanner.scan("current", (AMD,))

    assert words in caught.value.what
    assert "secret" not in caught.value.what
    assert not (scanner.folder / "cache" / "scans").exists()


def test_a_report_of_another_image_is_refused(scanner: Scanner) -> None:
    other = RECORDED / "first" / "candidate-linux-amd64.json"
    scanner.wrap(after=f"cp {shlex.quote(str(other))} $report")
    with pytest.raises(IntegrityError, match=r"the report is about .*candidate"):
        scanner.scan("current", (AMD,))


def test_a_trivy_that_never_answers_is_no_answer(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.adapters.trivy._SCAN_SECONDS", 0.3)
    monkeypatch.setattr("bot.adapters.trivy._TO_END_ITSELF", 0)
    scanner.wrap(before="sleep 60")
    with pytest.raises(ServiceError, match="did not end"):
        scanner.scan("current", (AMD,))


def test_without_trivy_nothing_is_known(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    (scanner.folder / "bin" / "trivy").unlink()
    monkeypatch.setenv("PATH", os.defpath)
    scanner.again()
    with pytest.raises(ServiceError, match="trivy is not installed"):
        scanner.scan("current", (AMD,))


@pytest.mark.parametrize("version", ["", "{}", '{"Version": ""}', '{"Version": 1}', "\udcff"])
def test_a_trivy_that_does_not_say_its_version_is_no_answer(scanner: Scanner, version: str) -> None:
    answer = scanner.folder / "answer"
    answer.write_text(version, errors="surrogateescape")
    scanner.install(f'[ "$1" = version ] && exec cat {answer}\nexec {scanner.command}')
    with pytest.raises(ServiceError, match="does not say which version"):
        scanner.scan("current", (AMD,))


@pytest.mark.parametrize("metadata", ["", "{}", '{"Version": 2, "UpdatedAt": "0001-01-01T00:00:00Z"}', "null"])
def test_a_database_of_no_known_day_is_no_database(scanner: Scanner, metadata: str) -> None:
    answer = scanner.folder / "answer"
    answer.write_text(metadata)
    scanner.install(f'{scanner.command}\ncase "$*" in *--download-db-only*) cp {answer} "$4/db/metadata.json" ;; esac')
    with pytest.raises(ServiceError, match=r"metadata\.json"):
        scanner.scan("current", (AMD,))


def test_a_database_without_its_tag_is_a_wrong_setting(scanner: Scanner) -> None:
    with pytest.raises(UsageError, match="neither a tag nor a digest"):
        scanner.trivy.scan(Repository(HOST, "acme/current"), digest_of_image("current"), (AMD,), "ghcr.io/acme/db")


def test_trivy_gets_the_login_of_the_registry_it_is_to_read_and_no_other(scanner: Scanner) -> None:
    scanner.scan("current", (AMD,))

    assert scanner.asked == [HOST, HOST]


def test_trivy_is_told_to_ask_nobody_else_and_to_share_no_layers(scanner: Scanner) -> None:
    scanner.scan("current", (AMD,))
    scan = next(arguments for arguments in scanner.starts if "--scanners" in arguments)

    for option in (
        "--skip-db-update",
        "--skip-java-db-update",
        "--offline-scan",
        "--skip-version-check",
        "--disable-telemetry",
    ):
        assert option in scan
    assert scan[scan.index("--cache-backend") + 1] == "memory"
    assert scan[-1] == f"{HOST}/acme/current@{digest_of_image('current')}"


def test_plain_http_is_for_loopback_only(scanner: Scanner) -> None:
    scanner.scan("current", (AMD,))
    with pytest.raises(ServiceError):
        scanner.trivy.scan(
            Repository("registry.example", "acme/scratch"), digest_of_image("scratch"), (ARM,), scanner.database()
        )

    assert ["--insecure" in arguments for arguments in scanner.starts if "--scanners" in arguments] == [True, False]


def test_nothing_of_a_scan_stays_but_its_result(scanner: Scanner) -> None:
    scanner.wrap(before="echo $TMPDIR > $cache/where; echo unpacked > $TMPDIR/layer")
    scanner.scan("current", (AMD,))
    (file,) = (scanner.folder / "cache" / "trivy").glob("*/where")

    assert not Path(file.read_text().strip()).exists()
    assert [path.suffix for path in scanner.kept] == [".json"]


def test_an_error_waits_for_the_other_platforms(scanner: Scanner) -> None:
    ended = scanner.folder / "ended"
    scanner.wrap(before=f'case "$*" in *amd64*) sleep 0.3; touch {ended} ;; esac')
    with pytest.raises(ServiceError, match="linux/arm64"):
        scanner.scan("scratch", (ARM, AMD))

    assert ended.exists()


def test_what_is_recorded_names_no_port_or_path_of_the_machine_it_was_made_on() -> None:
    files = [file for file in RECORDED.rglob("*") if file.suffix in (".json", ".err")]
    texts = [file.read_text() for file in files]

    assert len(files) > 15
    assert all(json.loads(file.read_text()) for file in files if file.suffix == ".json")
    assert [
        text for text in texts if tempfile.gettempdir() in text or text.count("127.0.0.1") != text.count(HOST)
    ] == []
