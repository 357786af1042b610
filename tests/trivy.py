"""What Trivy needs to look at: images with packages that it recognises, and vulnerability databases of our own.

The world of these tests: `current` and `candidate` are Wolfi images, `rebased` is the current one on another base.
There are two databases, `first` and the one of the next day, `second`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bot.adapters.programs import Programs
from bot.adapters.trivy import Trivy
from bot.core.distribution import Login
from bot.core.model import Platform
from bot.core.reference import Digest, Repository
from bot.core.vulnerabilities.findings import Scan
from bot.embedded.images import (
    MANIFEST,
    Content,
    MultiPlatformImage,
    config_of,
    index_of,
    layer_of,
    manifest_of,
    platform_of,
)
from bot.embedded.registry import EmbeddedRegistry

RECORDED = Path(__file__).resolve().parent / "recorded" / "trivy"
HOST = "127.0.0.1:5000"
"""The registry in what was recorded."""

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
BOTH = (AMD, ARM)

ARM_ONLY, GONE, RATED_ANEW, UNRATED = (f"CVE-2026-000{number}" for number in range(1, 5))
"""New on arm64 alone; fixed; MEDIUM in the first database, HIGH in the second, and for Chainguard in both; without
a severity, new on amd64."""

Entry = Sequence[object]
"""Of a database: the path of a bucket, a key, and a value."""


def wolfi(packages: Mapping[str, str], family: str = "wolfi") -> dict[str, bytes]:
    """The files by which a scanner knows Wolfi, the family of upstream's base image, and its packages."""
    installed = "".join(f"P:{name}\nV:{version}\nA:noarch\no:{name}\nL:MIT\n\n" for name, version in packages.items())
    release = f'ID={family}\nNAME="{family}"\nVERSION_ID="20230201"\n'
    return {"etc/os-release": release.encode(), "lib/apk/db/installed": installed.encode()}


def image_of(files: Mapping[Platform, Mapping[str, bytes]]) -> MultiPlatformImage:
    """An image whose platforms differ: the files of its one layer for each."""
    blobs: list[Content] = []
    manifests: list[Content] = []
    entries: list[dict[str, object]] = []
    for platform, content in files.items():
        layer = layer_of(content)
        config = config_of(str(platform), layer, {})
        manifest = manifest_of(config, (layer,))
        blobs += [config, layer]
        manifests.append(manifest)
        entries.append(manifest.descriptor(platform=platform_of(str(platform))))
    return MultiPlatformImage(tuple(blobs), tuple(manifests), index_of(entries, {}))


def images() -> dict[str, MultiPlatformImage]:
    """The images of these tests by name; the same bytes each time."""
    old = {"glibc": "2.40-r0", "openssl": "3.5.0-r1", "zlib": "1.3-r0"}
    new = {"glibc": "2.40-r0", "openssl": "3.5.1-r0", "zlib": "1.3-r1"}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as jar:
        jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), "Implementation-Title: app\n")
    return {
        "current": image_of({AMD: wolfi(old), ARM: wolfi(old)}),
        "candidate": image_of(
            {AMD: wolfi({**new, "busybox": "1.37.0-r0"}), ARM: wolfi({**new, "openssl": "3.5.0-r0"})}
        ),
        "rebased": image_of({AMD: wolfi(old, "chainguard"), ARM: wolfi(old, "chainguard")}),
        "scratch": image_of({AMD: {"app/gateway": b"a program"}}),
        "packageless": image_of({AMD: {"etc/os-release": wolfi({})["etc/os-release"]}}),
        "java": image_of({AMD: {**wolfi(old), "app/app.jar": archive.getvalue()}}),
        "mislabelled": _mislabelled(),
    }


def databases() -> dict[str, tuple[str, list[Entry]]]:
    """The day on which each was made, and what is in it."""
    return {"first": ("2026-08-19", _entries(2)), "second": ("2026-08-20", _entries(3))}


def push_database(registry: EmbeddedRegistry, name: str, made: str, entries: Sequence[Entry], maker: str) -> None:
    """Puts a database under `name:2`, in the form in which Trivy gets its own. `maker` is the program trivy-db."""
    metadata = {"Version": 2, "NextUpdate": f"{made}T18:00:00Z", "UpdatedAt": f"{made}T12:00:00Z"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trivy.db"
        subprocess.run([maker, file], input=json.dumps(entries).encode(), check=True, timeout=60)
        packed = _packed({"trivy.db": file.read_bytes(), "metadata.json": json.dumps(metadata).encode()})
    layer = Content("application/vnd.aquasec.trivy.db.layer.v1.tar+gzip", packed)
    config = Content("application/vnd.aquasec.trivy.config.v1+json", b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor(annotations={"org.opencontainers.image.title": "db.tar.gz"})],
    }
    for blob in (config, layer):
        registry.repository(name).add_blob(blob.data)
    registry.push_bytes(name, "2", json.dumps(manifest).encode(), MANIFEST)


class Scanner:
    """The adapter with a `trivy` of its own on the PATH, which records or replays.

    `starts` is how it was started; `logins` are there to be read by host, and `asked` is for which they were.
    """

    def __init__(self, folder: Path, *, kept: Path = RECORDED, real: str = "", host: str = HOST) -> None:
        self.folder, self.host = folder, host
        self.log: list[str] = []
        self.logins: dict[str, Login] = {}
        self.asked: list[str] = []
        self._starts = folder / "starts"
        (folder / "bin").mkdir(parents=True)
        mode = "record" if real else "replay"
        command = shlex.join([sys.executable, "-S", str(RECORDED / "program.py"), mode, str(kept), real or "-"])
        self.command = f'{command} {shlex.quote(str(self._starts))} "$@"'
        """What the shell runs for `trivy`."""
        self.install(f"exec {self.command}")
        self.trivy = self.again()

    def install(self, script: str) -> None:
        """Make `trivy` this shell script."""
        program = self.folder / "bin" / "trivy"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def wrap(self, before: str = "", after: str = "") -> None:
        """Do something else in each scan, as the shell sees it: `$report` and `$cache` are Trivy's."""
        self.install(
            f'case "$*" in *--scanners*) ;; *) exec {self.command} ;; esac\n'
            'for word; do case "$before" in --output) report=$word ;; --cache-dir) cache=$word ;; esac\n'
            "before=$word; done\n"
            f"{before}\n{self.command}\ncode=$?\n{after}\nexit $code"
        )

    def again(self) -> Trivy:
        """The adapter of another run, with the same cache."""
        environ = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        self.trivy = Trivy(Programs(environ, self._login), self.folder / "cache", self.log.append)
        return self.trivy

    def scan(self, image: str, platforms: Sequence[Platform] = BOTH, database: str = "first") -> Scan:
        """One of the images of these tests, with one of their databases."""
        repository = Repository(self.host, f"acme/{image}")
        return self.trivy.scan(repository, digest_of_image(image), platforms, self.database(database))

    def database(self, name: str = "first") -> str:
        return f"{self.host}/acme/{name}:2"

    @property
    def kept(self) -> list[Path]:
        """The files in which results of scans are kept."""
        return sorted((self.folder / "cache" / "scans").iterdir())

    @property
    def starts(self) -> list[list[str]]:
        """The arguments of each start."""
        lines = self._starts.read_text().splitlines() if self._starts.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def scans(self) -> int:
        return sum("--scanners" in arguments for arguments in self.starts)

    def _login(self, host: str) -> Login | None:
        self.asked.append(host)
        return self.logins.get(host)


def digest_of_image(name: str) -> Digest:
    return images()[name].digest


def normalised(text: str, host: str) -> str:
    """What was recorded, without what differs from run to run."""
    text = text.replace(host, HOST)
    text = re.sub(r'("(?:CreatedAt|DownloadedAt)": ?)"[^"]*"', r'\1"2026-08-20T12:00:00Z"', text)
    text = re.sub(r'("ReportID": )"[^"]*"', r'\1"00000000-0000-7000-8000-000000000000"', text)
    text = re.sub(r'("(?:ArtifactID|Fingerprint)": )"[^"]*"', rf'\1"sha256:{"0" * 64}"', text)
    return re.sub(r"^\d{4}-\d\d-\d\dT[\d:]+Z", "2026-08-20T12:00:00Z", text, flags=re.MULTILINE)


def recorded_files(folder: Path) -> Iterator[Path]:
    """What was kept, as paths in `folder`."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".err"):
            yield file.relative_to(folder)


def _entries(rating: int) -> list[Entry]:
    """Severities are 1 for LOW to 4 for CRITICAL; a vendor's own counts before that of others."""
    sources = [["data-source", name, {"ID": name, "Name": name}] for name in ("wolfi", "chainguard")]
    fixes = {
        ("openssl", ARM_ONLY): "3.5.0-r1",
        ("zlib", GONE): "1.3-r1",
        ("glibc", RATED_ANEW): "2.41-r0",
        ("busybox", UNRATED): "1.38.0-r0",
    }
    advisories = [
        [family, package, identity, {"FixedVersion": fixed}]
        for family in ("wolfi", "chainguard")
        for (package, identity), fixed in fixes.items()
    ]
    ratings: dict[str, Mapping[str, int]] = {
        ARM_ONLY: {"wolfi": 3, "chainguard": 3},
        GONE: {"wolfi": 4, "chainguard": 4},
        RATED_ANEW: {"wolfi": rating, "chainguard": 3},
    }
    details = [
        ["vulnerability", identity, {"Title": f"a title of {identity} @all", "VendorSeverity": rated}]
        for identity, rated in ratings.items()
    ]
    return [*sources, *advisories, *details]


def _mislabelled() -> MultiPlatformImage:
    """What the index calls arm64 is the same image as its amd64."""
    image = image_of({AMD: wolfi({"glibc": "2.40-r0"})})
    manifest = image.manifests[0]
    return MultiPlatformImage(
        image.blobs, image.manifests, index_of([manifest.descriptor(platform=platform_of(str(ARM)))], {})
    )


def _packed(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
