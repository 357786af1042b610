"""What is kept between scans and between runs: databases, and the results of scans."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bot.beside import beside
from bot.core.reference import Repository
from bot.core.vulnerabilities.findings import compare
from tests.trivy import AMD, ARM, BOTH, GONE, HOST, RATED_ANEW, RECORDED, Scanner, digest_of_image


@pytest.fixture
def scanner(tmp_path: Path) -> Scanner:
    return Scanner(tmp_path)


def test_both_images_are_scanned_side_by_side_with_one_database(scanner: Scanner) -> None:
    """Each scan waits for all others: one after the other they would never end."""
    gate = scanner.folder / "gate"
    gate.mkdir()
    scanner.wrap(before=f"mkdir {gate}/$$; while [ $(ls {gate} | wc -l) -lt 4 ]; do sleep 0.01; done")
    current, candidate = beside(lambda: scanner.scan("current")), beside(lambda: scanner.scan("candidate"))
    scans = [current.result(30), candidate.result(30)]

    assert scans[0].database == scans[1].database
    assert [arguments[1] for arguments in scanner.starts if "--scanners" not in arguments] == [
        "--download-db-only",
        "--format",
    ]


def test_a_scan_that_is_known_costs_no_scan(scanner: Scanner) -> None:
    first = scanner.scan("current")
    scanner.again()
    again = scanner.scan("current")

    assert scanner.scans == 2
    assert sum("known from an earlier scan" in line for line in scanner.log) == 2
    assert again == first


def test_a_new_database_makes_every_scan_anew(scanner: Scanner) -> None:
    scanner.scan("current", database="first")
    scanner.again()
    second = scanner.scan("current", database="second"), scanner.scan("candidate", database="second")

    assert scanner.scans == 6
    assert [(f.id, f.severity) for f in second[0].findings if f.id == RATED_ANEW] == [(RATED_ANEW, "HIGH")] * 2
    assert [(c.id, c.platforms) for c in compare(*second).persisting] == [(RATED_ANEW, BOTH)]


def test_the_next_days_database_in_the_same_place_makes_every_scan_anew(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(RECORDED, kept)
    scanner = Scanner(tmp_path / "scanner", kept=kept)
    yesterday = scanner.scan("current", (AMD,))
    shutil.copytree(kept / "second", kept / "first", dirs_exist_ok=True)
    scanner.again()
    today = scanner.scan("current", (AMD,)), scanner.scan("candidate", (AMD,))

    assert scanner.scans == 3
    assert [(f.id, f.severity) for f in yesterday.findings if f.id == RATED_ANEW] == [(RATED_ANEW, "MEDIUM")]
    assert [(c.id, c.severity, c.was) for c in compare(*today).persisting] == [(RATED_ANEW, "HIGH", None)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:-10],
        lambda content: content.replace(b'"HIGH"', b'"LOW"'),
        lambda content: content.replace(b'"MEDIUM"', b'"LOW"'),
        lambda _: b"{}",
    ],
    ids=["empty", "cut", "edited", "rated-lower", "other"],
)
def test_a_kept_result_that_was_damaged_or_edited_is_not_believed(
    scanner: Scanner, damage: Callable[[bytes], bytes]
) -> None:
    expected = scanner.scan("candidate", (ARM,))
    (file,) = scanner.kept
    content = file.read_bytes()
    file.write_bytes(damage(content))
    scanner.again()
    actual = scanner.scan("candidate", (ARM,))

    assert (scanner.scans, file.read_bytes()) == (2, content)
    assert expected == actual


def test_the_result_of_another_image_is_not_believed(scanner: Scanner) -> None:
    scanner.scan("current", (AMD,))
    (clean,) = scanner.kept
    content = clean.read_bytes()
    scanner.again()
    expected = scanner.scan("candidate", (AMD,))
    for file in scanner.kept:
        file.write_bytes(content)
    scanner.again()
    actual = scanner.scan("candidate", (AMD,))

    assert expected == actual


def test_results_that_cannot_be_kept_are_results(scanner: Scanner) -> None:
    (scanner.folder / "cache").mkdir()
    (scanner.folder / "cache" / "scans").write_text("in the way")
    scan = scanner.scan("current", (AMD,))

    assert [finding.id for finding in scan.findings] == [GONE, RATED_ANEW]
    assert any("cannot be kept" in line for line in scanner.log)


def test_each_repository_of_databases_has_a_folder_of_its_own(scanner: Scanner) -> None:
    """Trivy takes a database that is new enough for the one that it is told of, wherever it came from."""
    for name in ("first", "second"):
        scanner.scan("current", (AMD,), name)
    folders = {
        arguments[arguments.index("--cache-dir") + 1]
        for arguments in scanner.starts
        if "--download-db-only" in arguments
    }

    assert len(folders) == 2


def test_two_runs_look_after_the_database_one_after_the_other(scanner: Scanner) -> None:
    """The second one's Trivy starts when the first one's has ended."""
    busy = scanner.folder / "busy"
    scanner.install(
        f'case "$*" in *--download-db-only*) mkdir {busy} || exit 1; sleep 0.2; rmdir {busy} ;; esac\n'
        f"exec {scanner.command}"
    )
    first, second = scanner.trivy, scanner.again()
    repository, digest = Repository(HOST, "acme/current"), digest_of_image("current")
    runs = [beside(partial(trivy.scan, repository, digest, (AMD,), scanner.database())) for trivy in (first, second)]
    scans = [run.result(30) for run in runs]

    assert scans[0] == scans[1]
    assert not busy.exists()
