"""The adapter on a syft that does what it should and what none should; tests/real/test_syft.py has the real one."""

from __future__ import annotations

import json
import shutil
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters import syft as syft_adapter
from bot.adapters.programs import Programs
from bot.adapters.syft import Syft
from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import MAX_PREDICATE, canonical
from bot.core.release.sbom import Kind, Sboms
from bot.errors import BotError, IntegrityError, ServiceError, UsageError
from tests.unit.test_sbom import HEX, bom, scan, spdx
from tests.unit.values import NEW

ARM = Platform("linux", "arm64")
REPOSITORY = Repository("ghcr.io", "acme/app")


class Bench:
    """A `syft` of the test's own on the PATH, which copies three documents to where it is told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "path"
        self.path.mkdir()
        for tool in ("cat", "cp", "sleep", "env", "head", "sh"):
            (self.path / tool).symlink_to(shutil.which(tool) or "/nowhere")
        report, self.digest = scan(ARM)
        self.documents = {
            "syft-json": report,
            **{
                name: json.dumps(document).replace(HEX, self.digest.removeprefix("sha256:")).encode()
                for name, document in (("cyclonedx-json", bom()), ("spdx-json", spdx()))
            },
        }
        self.logins: list[str] = []
        self.validated: list[tuple[Kind, bytes]] = []
        self.install("")

    def install(self, first: str) -> None:
        """Make `syft` one that does this first."""
        copies = 'for word; do case $word in *-json=*) cp "$documents/${word%%=*}" "${word#*=}" ;; esac; done'
        script = f"#!/bin/sh\ndocuments={self.path}\n{first}\n{copies}\n"
        (self.path / "syft").write_text(script)
        (self.path / "syft").chmod(0o755)

    def sboms(
        self, repository: Repository = REPOSITORY, validate: Callable[[Kind, bytes], None] | None = None
    ) -> object:
        for name, document in self.documents.items():
            (self.path / name).write_bytes(document)
        programs = Programs({"PATH": str(self.path), "SYFT_LOG": "x"}, self.logins.append)
        syft = Syft(programs, validate or (lambda kind, document: self.validated.append((kind, document))))
        return syft.sboms(repository, self.digest, ARM)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_both_sboms_are_canonical_validated_and_counted(bench: Bench) -> None:
    sboms = bench.sboms()
    expected = [canonical(bench.documents[f"{kind}-json"]) for kind in ("cyclonedx", "spdx")]

    assert [("cyclonedx", expected[0]), ("spdx", expected[1])] == bench.validated
    assert isinstance(sboms, Sboms)
    assert [*expected, 2] == [sboms.cyclonedx, sboms.spdx, sboms.packages]


@pytest.mark.parametrize(("host", "plain_http"), [("ghcr.io", False), ("127.0.0.1:5000", True)])
def test_syft_is_told_the_manifest_its_platform_and_to_ask_nobody_else(
    bench: Bench, host: str, *, plain_http: bool, tmp_path: Path
) -> None:
    bench.install(f'printf "%s\\n" "$@" > {tmp_path}/arguments\nenv > {tmp_path}/variables')
    bench.sboms(Repository(host, "acme/app"))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    variables = (tmp_path / "variables").read_text()

    assert ["scan", f"registry:{host}/acme/app@{bench.digest}", "--platform", "linux/arm64"] == arguments[:4]
    assert "SYFT_CHECK_FOR_APP_UPDATE=false\n" in variables
    assert "SYFT_LOG" not in variables
    assert ("SYFT_REGISTRY_INSECURE_USE_HTTP=true\n" in variables) == plain_http
    assert bench.logins == [host]


@pytest.mark.parametrize("name", ["syft-json", "cyclonedx-json", "spdx-json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_none_is_refused(bench: Bench, name: str, content: bytes) -> None:
    bench.documents[name] = content
    with pytest.raises(IntegrityError) as refused:
        bench.sboms()

    assert refused.value.what.startswith("syft's answer cannot be used: ")
    assert bench.validated == []


@pytest.mark.parametrize("name", ["cyclonedx-json", "spdx-json"])
def test_an_sbom_of_another_image_is_refused_though_syft_looked_at_ours(bench: Bench, name: str) -> None:
    bench.documents[name] = bench.documents[name].replace(bench.digest.encode(), NEW.encode())
    with pytest.raises(IntegrityError, match="not about sha256:"):
        bench.sboms()

    assert bench.validated == []


def test_an_sbom_of_ours_is_refused_where_syft_looked_at_another_image(bench: Bench) -> None:
    bench.documents["syft-json"] = scan(Platform("linux", "amd64"))[0]

    with pytest.raises(IntegrityError, match=r"syft looked at sha256:[0-9a-f]{64} instead"):
        bench.sboms()


def test_what_its_library_calls_invalid_is_refused(bench: Bench) -> None:
    def validate(kind: Kind, _document: bytes) -> None:
        raise NotProven(f"no valid {kind}")

    with pytest.raises(IntegrityError, match="syft's answer cannot be used: no valid cyclonedx"):
        bench.sboms(validate=validate)


@pytest.mark.parametrize(
    ("first", "error", "why"),
    [
        ("echo could not determine source >&2; exit 1", ServiceError, "syft ended with 1: could not determine source"),
        ("exit 3", ServiceError, "syft ended with 3: it said nothing"),
        ("printf '\\033[31mred\\007' >&2; exit 1", ServiceError, "syft ended with 1: red"),
        ("exec sleep 100", ServiceError, "did not end within"),
        ("exec cat /dev/zero", ServiceError, "printed more than"),
        ("kill -KILL $$", ServiceError, "syft ended with -9"),
        ("exit 0", IntegrityError, "it wrote no syft: No such file or directory"),
    ],
)
def test_a_syft_that_fails_makes_no_sbom(
    bench: Bench, first: str, error: type[BotError], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syft_adapter, "_SECONDS", 1.0)
    bench.install(first)
    with pytest.raises(error) as refused:
        bench.sboms()

    assert why in refused.value.what
    assert str(refused.value).isprintable()


def test_an_sbom_beyond_all_measure_is_not_read(bench: Bench) -> None:
    bench.documents["spdx-json"] = b" " * (MAX_PREDICATE + 1)

    with pytest.raises(IntegrityError, match="its spdx is larger than 33,554,432 bytes"):
        bench.sboms()


def test_nothing_is_left_behind(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even of a syft that is stopped while it unpacks."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(syft_adapter, "_SECONDS", 0.5)
    bench.install('echo layer > "$TMPDIR/layer"; exec sleep 100')
    with pytest.raises(ServiceError):
        bench.sboms()

    assert list((tmp_path / "temporary").iterdir()) == []


def test_syft_stands_beside_the_interpreter_where_the_path_does_not_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    (tmp_path / "scripts").mkdir()
    program = tmp_path / "scripts" / "syft"
    syft = Syft(Programs({"PATH": str(tmp_path)}, lambda _host: None), lambda _kind, _document: None)
    with pytest.raises(UsageError) as refused:
        syft.ready()
    with pytest.raises(UsageError):
        syft.sboms(REPOSITORY, Digest(NEW), ARM)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    syft.ready()

    assert refused.value.next_step == "Install the bot with its extra `release`: docs/release.md says how."
