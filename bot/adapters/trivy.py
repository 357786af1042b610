"""Trivy: scans images in their registry, all of a run with one database, and keeps the results.

What Trivy is told, beside what to scan, and why:
- each scan keeps what it unpacked to itself (`--cache-backend memory`): the shared cache is locked by one scan at a
  time, and finds a layer by the hash that the image's config claims, so that a layer could pass for another;
- it asks nobody but the registry, and says nothing to its makers;
- no file of the checkout, such as .trivyignore, and no variable changes its answer: Programs starts it elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock, Semaphore

import msgspec

from bot.adapters.programs import Finished, Programs
from bot.beside import beside
from bot.core.decoding import decode
from bot.core.index import NotProven
from bot.core.model import Platform
from bot.core.reference import Digest, Repository, is_loopback, parse_reference
from bot.core.text import plain
from bot.core.vulnerabilities import kept, trivy_report
from bot.core.vulnerabilities.findings import Database, PlatformScan, Scan
from bot.core.vulnerabilities.kept import ScanKey, read_kept, write_kept
from bot.core.vulnerabilities.trivy_report import AboutSomethingElse, read_database, read_report
from bot.errors import IntegrityError, ServiceError, UsageError

_PROGRAM = "trivy"
_DOWNLOAD_SECONDS = 600
_SCAN_SECONDS = 900
_TO_END_ITSELF = 30
_AT_ONCE = 4
_SILENT = ("--quiet", "--skip-version-check", "--disable-telemetry")
_OFFLINE = ("--skip-db-update", "--skip-java-db-update", "--offline-scan")
_AGAIN = "Nothing is known. Run it again; if it stays so, run trivy by hand and look at what it says."


class _Version(msgspec.Struct, rename="pascal"):
    version: str


class _Ready(msgspec.Struct, frozen=True):
    """A database that can be scanned with, and Trivy's version. `stamp` changes when its files do."""

    folder: Path
    database: Database
    scanner: str
    stamp: tuple[object, ...]


class Trivy:
    """Trivy with its databases and results below `cache`; `log` is told of each start. For use by many threads."""

    def __init__(self, programs: Programs, cache: Path, log: Callable[[str], None]) -> None:
        self._programs = programs
        self._cache = cache.absolute()  # Trivy is started in another folder
        self._log = log
        self._lock = Lock()
        self._ready: dict[str, Future[_Ready]] = {}
        self._slots = Semaphore(_AT_ONCE)

    def scan(self, repository: Repository, digest: Digest, platforms: Sequence[Platform], database: str) -> Scan:
        """What is known of these platforms of an image. `database` is HOST/PATH:TAG, or empty for Trivy's own.

        The first call of a run sees that the database is there and as new as Trivy wants it; all further ones use
        it as it is. Raises ServiceError where nothing could be learned, and IntegrityError where what was scanned
        is not what was asked for.
        """
        ready = self._database(database)
        parts = [beside(partial(self._part, ready, repository, digest, platform)) for platform in platforms]
        for part in parts:
            part.exception()  # waits: an error leaves no scan behind it
        return Scan(digest, tuple(part.result() for part in parts), ready.database, ready.scanner)

    def _database(self, repository: str) -> _Ready:
        with self._lock:
            if repository not in self._ready:
                self._ready[repository] = beside(lambda: self._prepare(repository))
            future = self._ready[repository]
        return future.result()

    def _prepare(self, repository: str) -> _Ready:
        """The database in a folder of its own: Trivy takes one that is new enough for the one that it is told of."""
        folder = self._cache / "trivy" / (sha256(repository.encode()).hexdigest()[:16] if repository else "own")
        host = _host_of(repository)
        arguments = [
            *("image", "--download-db-only", "--cache-dir", str(folder)),
            *(*_SILENT, "--timeout", f"{_DOWNLOAD_SECONDS}s"),
            *(("--db-repository", repository) if repository else ()),
            *(("--insecure",) if is_loopback(host) else ()),
        ]
        with _alone_in(folder):
            self._log(f"{_PROGRAM}: looking after the vulnerability database")
            seconds = _DOWNLOAD_SECONDS + _TO_END_ITSELF
            done = self._programs.run(_PROGRAM, arguments, seconds=seconds, registry=host)
            if done.code:
                raise ServiceError(
                    f"the vulnerability database cannot be had: {_reason(done)}",
                    where=repository or "trivy's own database",
                    next_step=(
                        "Nothing is known, which is not the same as no vulnerabilities. Run it again; if it stays so, "
                        f"see that the registry can be reached, or remove {folder}."
                    ),
                )
            stamp = _stamp(folder)
            try:
                database = read_database((folder / "db" / "metadata.json").read_bytes(), repository)
            except (OSError, NotProven) as error:
                raise ServiceError(str(error), where=str(folder), next_step=f"Remove {folder}. {_AGAIN}") from None
        return _Ready(folder, database, f"{_PROGRAM} {self._version(folder)}", stamp)

    def _version(self, folder: Path) -> str:
        done = self._programs.run(_PROGRAM, ["version", "--format", "json", "--cache-dir", str(folder)], seconds=60)
        try:
            version = plain(decode(done.out, _Version).version, 40)
        except ValueError:
            version = ""
        if done.code or not version:
            raise ServiceError("trivy does not say which version it is", where=_PROGRAM, next_step=_AGAIN)
        return version

    def _part(self, ready: _Ready, repository: Repository, digest: Digest, platform: Platform) -> PlatformScan:
        key = ScanKey(digest, platform, ready.database, ready.scanner)
        file = self._cache / "scans" / key.name
        if (found := _read(file, key)) is not None:
            self._log(f"{_PROGRAM}: {repository}@{digest} {platform}: known from an earlier scan")
            return found
        with self._slots:
            self._log(f"{_PROGRAM}: {repository}@{digest} {platform}: scanning")
            part = self._scanned(ready, repository, digest, platform)
        try:
            _write(file, write_kept(key, part))
        except OSError as error:
            self._log(f"{_PROGRAM}: the result cannot be kept: {error.strerror}")
        return part

    def _scanned(self, ready: _Ready, repository: Repository, digest: Digest, platform: Platform) -> PlatformScan:
        where = f"{repository}@{digest}"
        with tempfile.TemporaryDirectory(prefix="gateway-bot-trivy-", ignore_cleanup_errors=True) as folder:
            report = Path(folder) / "report.json"
            arguments = [
                *("image", "--cache-dir", str(ready.folder), "--cache-backend", "memory"),
                *(*_OFFLINE, *_SILENT, "--timeout", f"{_SCAN_SECONDS}s"),
                *("--scanners", "vuln", "--image-src", "remote", "--platform", str(platform)),
                *("--format", "json", "--output", str(report)),
                *(("--insecure",) if repository.is_loopback else ()),
                where,
            ]
            # what it unpacks goes where it is removed, also when Trivy is stopped
            variables = {"TMPDIR": folder}
            seconds = _SCAN_SECONDS + _TO_END_ITSELF
            done = self._programs.run(
                _PROGRAM, arguments, seconds=seconds, registry=repository.host, variables=variables
            )
            if _stamp(ready.folder) != ready.stamp:
                raise ServiceError(
                    f"the vulnerability database changed while {platform} was scanned",
                    where=str(ready.folder),
                    next_step="Another run has replaced it. Nothing is known; run it again.",
                )
            if done.code:
                raise ServiceError(
                    f"trivy could not scan {platform}: {_reason(done)}", where=where, next_step=_advice(done)
                )
            try:
                return read_report(_bounded(report), repository, digest, platform)
            except AboutSomethingElse as error:
                raise IntegrityError(
                    str(error), where=where, next_step="Find out from upstream what the image is before it is used."
                ) from None
            except (OSError, NotProven) as error:
                reason = "there is no report" if isinstance(error, OSError) else str(error)
                raise ServiceError(f"trivy, {platform}: {reason}", where=where, next_step=_AGAIN) from None


def _host_of(repository: str) -> str:
    if not repository:
        return ""
    try:
        return parse_reference(repository).repository.host
    except ValueError as error:
        raise UsageError(
            str(error), where="scan.database in gateway-bot.toml", next_step="Write it as HOST/PATH:TAG."
        ) from None


def _stamp(folder: Path) -> tuple[object, ...]:
    """What differs after a change of the database's files, whoever made it."""
    stamps: list[object] = []
    for name in ("metadata.json", "trivy.db"):
        try:
            status = (folder / "db" / name).stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(stamps)


def _bounded(file: Path) -> bytes:
    """The whole file; of one that is too large just enough to be refused."""
    with file.open("rb") as stream:
        return stream.read(trivy_report.MAX_BYTES + 1)


def _read(file: Path, key: ScanKey) -> PlatformScan | None:
    try:
        with file.open("rb") as stream:
            content = stream.read(kept.MAX_BYTES + 1)
    except OSError:
        return None
    return read_kept(content, key) if len(content) <= kept.MAX_BYTES else None


def _write(file: Path, content: bytes) -> None:
    """The whole file or none of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One run at a time: two that download would write into the same files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise ServiceError(
            f"the folder for the vulnerability database cannot be used: {error.strerror}",
            where=str(folder),
            next_step="See that it is a folder that may be written.",
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_QUERY = re.compile(r"\?[^\s\"]+")
"""Of a URL: registries sign addresses of blobs with it."""


def _reason(done: Finished) -> str:
    """The last thing that Trivy said, or why it fell; of a long one the end, where the cause stands."""
    lines = done.err.decode(errors="replace").splitlines()
    said = [line.rpartition("\t")[2].strip(" *") for line in lines]  # without the time and the level
    last = next((line for line in reversed(said) if line), f"exit {done.code} without a word")
    last = next((line for line in said if line.startswith(("fatal error:", "panic:"))), last)
    text = plain(_QUERY.sub("?…", last[-4000:]), 4000)
    return text if len(text) <= 300 else f"…{text[-299:]}"  # noqa: PLR2004 - a readable length


def _advice(done: Finished) -> str:
    if b"Java DB" in done.err:
        return (
            "The image holds Java archives. Trivy needs a second database for them, which the bot does not get: take "
            "`scan` out of the image in gateway-bot.toml, and scan it elsewhere."
        )
    return _AGAIN
