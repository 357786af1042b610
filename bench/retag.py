"""A re-tag of 100 MB on two platforms, as a whole process, against `crane copy` and `skopeo copy --all`.

python -m bench.retag BIN [RUNS]: BIN is the folder of an environment with the bot and its libraries only. The three run
in turn, each into a registry that is started anew; ratios are by turn, against the faster of the other two. Exits 1
over a goal.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.parts import free_port, require, running

Registry = Callable[[], AbstractContextManager[str]]
HERE = Path(__file__).parent
GOAL_RATIO, GOAL_MIB = 1.0, 80.0
MEGABYTES, LAYERS = 50, 4
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Measured:
    """One whole process: wall time in seconds, peak memory in MiB."""

    wall: float
    memory: float
    said: str


def push_image(host: str, megabytes: int = MEGABYTES, layers: int = LAYERS) -> str:
    """An image of as many megabytes on each of two platforms; its reference by digest."""
    base = f"http://{host}/v2/bench/app"
    chance = random.Random(1)  # noqa: S311 - bytes that do not compress, the same each time
    with httpx.Client(timeout=60) as client:

        def blob(data: bytes, kind: str) -> dict[str, object]:
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            place = httpx.URL(client.post(f"{base}/blobs/uploads/").headers["Location"])
            url = httpx.URL(base).join(place).copy_merge_params({"digest": digest})
            assert client.put(url, content=data).status_code == 201
            return {"mediaType": kind, "digest": digest, "size": len(data)}

        def manifest(document: Mapping[str, object], kind: str) -> dict[str, object]:
            data = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            answer = client.put(f"{base}/manifests/{digest}", content=data, headers={"Content-Type": kind})
            assert answer.status_code == 201, answer.text
            return {"mediaType": kind, "digest": digest, "size": len(data)}

        entries = []
        for architecture in ("amd64", "arm64"):
            packed = [gzip.compress(chance.randbytes(megabytes * 1024**2 // layers), 0) for _ in range(layers)]
            config = json.dumps({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers"}}).encode()
            parts = {"config": blob(config, CONFIG), "layers": [blob(layer, LAYER) for layer in packed]}
            platform = {"os": "linux", "architecture": architecture}
            entries.append({**manifest(parts, MANIFEST), "platform": platform})
        return f"{host}/bench/app@{manifest({'manifests': entries}, INDEX)['digest']}"


@contextmanager
def in_memory() -> Iterator[str]:
    """crane's registry."""
    host = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        command = [require("crane"), "registry", "serve", "--address", host]
        with running(command, f"http://{host}/v2/", Path(folder) / "log"):
            yield host


@contextmanager
def on_disk() -> Iterator[str]:
    """Debian's docker-registry."""
    host = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = {"filesystem": {"rootdirectory": str(folder / "storage")}}
        log = {"level": "error", "accesslog": {"disabled": True}}
        settings = {"version": 0.1, "log": log, "storage": storage, "http": {"addr": host}}
        (folder / "config.yml").write_text(json.dumps(settings))
        command = [require("docker-registry"), "serve", str(folder / "config.yml")]
        with running(command, f"http://{host}/v2/", folder / "log"):
            yield host


def measure(command: Sequence[str], environ: dict[str, str] | None = None) -> Measured:
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        out.seek(0)
        said = out.read().decode()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    return Measured(wall, usage.ru_maxrss / 1024, said)


def turn(binaries: Path, source: str, registry: Registry) -> dict[str, Measured]:
    """Each of the three, into a registry of its own."""
    digest = source.partition("@")[2]
    crane, skopeo = require("crane"), require("skopeo")
    found: dict[str, Measured] = {}
    for name in ("ours", "crane", "skopeo"):
        with registry() as host, tempfile.TemporaryDirectory() as home:
            environ = {"PATH": os.environ["PATH"], "HOME": home}
            ours = [str(binaries / "python"), str(HERE / "retag_once.py"), source, f"{host}/copy/app"]
            plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
            command = {
                "ours": ours,
                "crane": [crane, "copy", source, f"{host}/copy/app:v1"],
                "skopeo": [skopeo, "copy", "--all", *plain, f"docker://{source}", f"docker://{host}/copy/app:v1"],
            }[name]
            found[name] = measure(command, environ)
            answer = httpx.get(f"http://{host}/v2/copy/app/manifests/{digest}", headers={"Accept": INDEX})
            assert answer.status_code == 200, answer.text
            if name == "ours":
                again = measure(ours, environ)
                assert "0 blobs copied (0 bytes)" in again.said, again.said
                found["again"] = again
    return found


def run(name: str, registry: Registry, binaries: Path, runs: int) -> bool:
    """Measure one kind of registry and print its line; whether every goal is met."""
    with registry() as host:
        # elsewhere: Linux counts what this process has needed for its children's own
        pushed = subprocess.run([sys.executable, "-m", "bench.retag", "push", host], capture_output=True, check=True)
        source = pushed.stdout.decode().strip()
        turn(binaries, source, registry)  # a warm-up, which does not count
        turns = [turn(binaries, source, registry) for _ in range(runs)]
    ratio = statistics.median(each["ours"].wall / min(each["crane"].wall, each["skopeo"].wall) for each in turns)
    memory = max(each["ours"].memory for each in turns)
    good = ratio <= GOAL_RATIO and memory <= GOAL_MIB
    walls = (statistics.median(each[who].wall for each in turns) * 1000 for who in ("ours", "crane", "skopeo", "again"))
    figures = " ".join(f"{wall:6.0f} ms" for wall in walls)
    print(f"{name:<28} {figures} {ratio:6.2f}x {memory:6.1f} MiB  {'ok' if good else 'OVER A GOAL'}")
    return good


def main() -> int:
    if sys.argv[1] == "push":
        print(push_image(sys.argv[2]))
        return 0
    binaries = Path(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    print(f"{'re-tag of 100 MB':<28} {'bot':>9} {'crane':>9} {'skopeo':>9} {'again':>9}   ratio {'peak':>10}")
    kinds = (("crane's registry, in memory", in_memory), ("docker-registry, on disk", on_disk))
    try:
        good = [run(name, registry, binaries, runs) for name, registry in kinds]
    except pytest.skip.Exception as missing:
        print(f"not measured: {missing}")
        return 0
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
