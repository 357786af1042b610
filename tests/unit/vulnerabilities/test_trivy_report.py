from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.vulnerabilities import trivy_report
from bot.core.vulnerabilities.findings import Database, PlatformScan, Recognised
from bot.core.vulnerabilities.trivy_report import AboutSomethingElse, read_database, read_report

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
REPOSITORY = Repository("ghcr.io", "acme/app")
DIGEST = Digest(f"sha256:{'a' * 64}")
NAME = f"{REPOSITORY}@{DIGEST}"
PROJECT = Path(__file__).resolve().parents[3]

Json = Mapping[str, object]


def vulnerability(identity: str = "CVE-2026-0001", severity: str = "HIGH", **more: object) -> Json:
    return {
        "VulnerabilityID": identity,
        "PkgName": "openssl",
        "InstalledVersion": "1.0",
        "Severity": severity,
        "PrimaryURL": f"https://avd.aquasec.com/nvd/{identity}",
        **more,
    }


def result(*vulnerabilities: Json, cls: str = "os-pkgs", family: str = "wolfi", packages: int = 3) -> Json:
    listed = [{"Name": f"package-{n}"} for n in range(packages)]
    return {"Class": cls, "Type": family, "Packages": listed, "Vulnerabilities": list(vulnerabilities)}


def report(*results: Json, config: Json | None = None, metadata: Json | None = None, **more: object) -> bytes:
    document = {
        "SchemaVersion": 2,
        "ArtifactName": NAME,
        "ArtifactType": "container_image",
        "Metadata": {
            "RepoDigests": [NAME],
            "ImageConfig": {"os": "linux", "architecture": "amd64"} if config is None else config,
            **(metadata or {}),
        },
        "Results": list(results) or None,
        **more,
    }
    return json.dumps(document).encode()


def read(*results: Json, platform: Platform = AMD) -> PlatformScan:
    return read_report(report(*results), REPOSITORY, DIGEST, platform)


def test_what_was_found_and_among_what_is_read() -> None:
    seen = read(
        result(vulnerability(FixedVersion="1.1", Title="a title")),
        result(cls="lang-pkgs", family="gobinary", packages=2),
        result(cls="lang-pkgs", family="gobinary", packages=5),
    )
    (found,) = seen.findings

    assert seen.recognised == (Recognised("lang-pkgs", "gobinary", 7), Recognised("os-pkgs", "wolfi", 3))
    assert (found.id, found.package, found.installed, found.fixed) == ("CVE-2026-0001", "openssl", "1.0", "1.1")
    assert (found.severity, found.platform, found.title, found.kinds) == ("HIGH", AMD, "a title", ("os-pkgs",))
    assert found.url == "https://avd.aquasec.com/nvd/CVE-2026-0001"


@pytest.mark.parametrize("severity", ["", "NEGLIGIBLE", "high", "SEVERE", "2"])
def test_a_severity_that_is_not_known_is_unknown(severity: str) -> None:
    assert [found.severity for found in read(result(vulnerability(severity=severity))).findings] == ["UNKNOWN"]


def test_a_package_that_is_there_several_times_is_one_finding_with_the_worst_of_all() -> None:
    seen = read(
        result(
            vulnerability(severity="LOW", InstalledVersion="1.0", FixedVersion="1.1"),
            vulnerability(severity="CRITICAL", InstalledVersion="2.0", FixedVersion="2.1"),
            vulnerability(severity="MEDIUM", InstalledVersion="1.0", FixedVersion="1.1"),
        ),
        result(vulnerability(severity="", InstalledVersion="3.0"), cls="lang-pkgs", family="cargo"),
    )
    (found,) = seen.findings

    assert (found.severity, found.installed, found.fixed) == ("CRITICAL", "1.0, 2.0, 3.0", "1.1, 2.1")
    assert found.kinds == ("os-pkgs", "lang-pkgs")


def test_of_very_many_versions_the_rest_is_counted() -> None:
    (found,) = read(result(*(vulnerability(InstalledVersion=f"1.{n}") for n in range(100)))).findings

    assert found.installed == "1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, and 92 more"


def test_a_finding_in_a_class_of_its_own_is_not_lost() -> None:
    seen = read(result(vulnerability(), cls="new-pkgs"))

    assert (len(seen.findings), seen.recognised) == (1, ())


@pytest.mark.parametrize("results", [(), (result(packages=0),), (result(cls="config", packages=3),)])
def test_a_report_without_packages_recognised_nothing(results: tuple[Json, ...]) -> None:
    assert read(*results).recognised == ()


def test_an_operating_system_at_its_end_of_life_is_known_as_such() -> None:
    body = report(result(), metadata={"OS": {"Family": "alpine", "EOSL": True}})

    assert read_report(body, REPOSITORY, DIGEST, AMD).end_of_life


def test_strangers_texts_are_one_bounded_line_each() -> None:
    hostile = "\x1b[31mred\u202e\nnext" * 1000
    (found,) = read(
        result(vulnerability(hostile, PkgName=hostile, InstalledVersion=hostile, FixedVersion=hostile, Title=hostile))
    ).findings
    texts = (found.id, found.package, found.installed, found.fixed, found.title)

    assert all(text.isprintable() and 0 < len(text) <= 200 for text in texts)


@pytest.mark.parametrize("url", ["http://a.example", "javascript:alert(1)", "https://a.example/" + "x" * 500])
def test_only_a_short_https_address_is_a_link(url: str) -> None:
    (found,) = read(result(vulnerability(PrimaryURL=url))).findings

    assert found.url == ""


@pytest.mark.parametrize(
    "body",
    [
        report(ArtifactName=f"{REPOSITORY}@sha256:{'b' * 64}"),
        report(ArtifactName=f"{REPOSITORY}:v1"),
        report(ArtifactName=""),
        report(ArtifactType="filesystem"),
        report(metadata={"RepoDigests": [f"{REPOSITORY}@sha256:{'b' * 64}"]}),
        report(metadata={"RepoDigests": [NAME, f"{REPOSITORY}@sha256:{'b' * 64}"]}),
        report(metadata={"RepoDigests": [DIGEST[7:]]}),
        report(metadata={"RepoDigests": []}),
        report(metadata={"RepoDigests": None}),
        report(config={"os": "linux", "architecture": "arm64"}),
        report(config={"os": "windows", "architecture": "amd64"}),
        report(config={"os": "linux", "architecture": "amd64", "variant": "v3"}),
        report(config={}),
    ],
)
def test_a_report_about_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(AboutSomethingElse):
        read_report(body, REPOSITORY, DIGEST, AMD)


@pytest.mark.parametrize(
    ("asked", "config"),
    [
        (ARM, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
        (ARM, {"os": "linux", "architecture": "aarch64"}),
        (Platform("linux", "arm", "v7"), {"os": "linux", "architecture": "arm", "variant": "v7"}),
        (Platform("linux", "arm", "v7"), {"os": "linux", "architecture": "arm"}),
    ],
)
def test_a_platform_has_several_spellings(asked: Platform, config: Json) -> None:
    assert read_report(report(result(), config=config), REPOSITORY, DIGEST, asked).platform == asked


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        report()[:-2],
        report() + b"{}",
        b"\xff" + report(),
        b"[" * 100_000,
        report(SchemaVersion=1),
        report(SchemaVersion="2"),
        report(Results="none"),
        report({"Class": "os-pkgs", "Packages": 3}),
        report(result({"PkgName": "openssl", "Severity": "HIGH"})),
        report({**result(), "ExperimentalModifiedFindings": [{"Type": "vulnerability"}]}),
    ],
)
def test_what_is_no_whole_report_is_refused(body: bytes) -> None:
    with pytest.raises(NotProven) as caught:
        read_report(body, REPOSITORY, DIGEST, AMD)

    assert len(str(caught.value)) < 400


def test_a_report_over_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trivy_report, "MAX_BYTES", len(report(result())))

    assert read(result()).findings == ()
    with pytest.raises(NotProven, match="larger than"):
        read(result(), result())


READ = """
import re, sys
from pathlib import Path
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.vulnerabilities.trivy_report import read_report
body = Path(sys.argv[1]).read_bytes()
scan = read_report(body, Repository("ghcr.io", "acme/app"), Digest("sha256:" + "a" * 64), Platform("linux", "amd64"))
# not getrusage: that starts from what the process had that started this one
print(len(body), len(scan.findings), re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])
"""


def test_a_report_of_50_megabytes_is_read_in_less_than_300(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    many = [vulnerability(f"CVE-2026-{n}", Title="t" * 80, Description="d" * 900) for n in range(42_000)]
    file.write_bytes(report(result(*many, packages=20_000)))
    command = [sys.executable, "-c", READ, str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=PROJECT, timeout=60)
    size, found, peak = map(int, done.stdout.split())

    assert (size > 50_000_000, found) == (True, 42_000)
    assert peak < 300 * 1024


def test_a_database_is_known_by_its_day() -> None:
    body = (
        b'{"Version":2,"NextUpdate":"2026-08-20T14:00:00+02:00","UpdatedAt":"2026-08-19T12:00:00.123456789Z",'
        b'"DownloadedAt":"2026-08-20T00:00:00Z"}'
    )
    database = read_database(body, "ghcr.io/acme/db:2")

    assert str(database) == "database 2 of 2026-08-19 from ghcr.io/acme/db:2"
    assert database.next_update == datetime(2026, 8, 20, 12, tzinfo=UTC)
    assert database.updated.date() == datetime(2026, 8, 19, tzinfo=UTC).date()


def test_a_next_update_that_is_none_is_not_known() -> None:
    body = b'{"Version":2,"NextUpdate":"0001-01-01T00:00:00Z","UpdatedAt":"2026-08-19T12:00:00Z"}'

    assert read_database(body, "") == Database(2, datetime(2026, 8, 19, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"Version":2}',
        b'{"Version":0,"UpdatedAt":"2026-08-19T12:00:00Z"}',
        b'{"Version":2,"UpdatedAt":"0001-01-01T00:00:00Z"}',
        b'{"Version":2,"UpdatedAt":"2026-08-19T12:00:00"}',
        b'{"Version":2,"UpdatedAt":"yesterday"}',
        b'{"Version":"2","UpdatedAt":"2026-08-19T12:00:00Z"}',
    ],
)
def test_a_database_of_no_known_day_is_refused(body: bytes) -> None:
    with pytest.raises(NotProven):
        read_database(body, "")
