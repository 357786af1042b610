"""The run that finds nothing new, as a whole process, against bare.py: wall time, memory, requests, round trips.

python -m bench.nothing_new BIN [RUNS]: BIN is the folder of an environment with the bot and its libraries only.
The two run in turn, A B A B; ratios are by pair, and the median is what counts. Exits 1 over a goal.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from bot.embedded.server import Exchange, Fault
from bot.embedded.tokens import TokenServer

SOURCE = "agentgateway/agentgateway"
HERE = Path(__file__).parent
GOAL_RATIO, GOAL_MIB = 1.5, 50.0

SETTINGS = """[[image]]
name = "agentgateway"
registry = "{host}/{source}"
{github}
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = {{ REF = "ref", VERSION = "version", DIGEST = "digest" }}
[[image.pins]]
type = "terraform"
file = "variables.tf"
variable = "gateway_image"
[[image.pins]]
type = "dockerfile"
file = "Dockerfile"
args = {{ IMAGE = "image" }}
"""


@dataclass(frozen=True)
class Case:
    """One world: how much there is to list, whether a token is asked for, how long each answer takes (ms)."""

    mode: str
    count: int
    token: bool
    delay: int
    round_trips: int

    @property
    def name(self) -> str:
        return (
            f"{self.count:,} {self.mode}{', token' if self.token else ''}{f', {self.delay} ms' if self.delay else ''}"
        )


CASES = (
    Case("releases", 100, token=False, delay=0, round_trips=1),
    Case("releases", 100, token=True, delay=0, round_trips=3),
    Case("releases", 100, token=False, delay=50, round_trips=1),
    Case("releases", 100, token=True, delay=50, round_trips=3),
    Case("tags", 5000, token=False, delay=0, round_trips=5),
    Case("tags", 5000, token=True, delay=0, round_trips=7),
    Case("tags", 5000, token=False, delay=50, round_trips=5),
    Case("tags", 5000, token=True, delay=50, round_trips=7),
)


@dataclass(frozen=True)
class Measured:
    """One whole process: wall time in seconds, peak memory in MiB, requests, dependent round trips."""

    wall: float
    memory: float
    requests: int
    round_trips: int


def depth(exchanges: Iterable[Exchange]) -> int:
    """The longest chain of exchanges of which each began after the one before had ended."""
    chains: list[tuple[float, int]] = []
    for exchange in sorted(exchanges, key=lambda e: e.started):
        longest = max((length for ended, length in chains if ended <= exchange.started), default=0)
        chains.append((exchange.ended, longest + 1))
    return max((length for _, length in chains), default=0)


@contextmanager
def world(case: Case) -> Iterator[tuple[EmbeddedRegistry, EmbeddedGitHub, Path, str]]:
    """A registry, a GitHub and a checkout in which nothing is new."""
    tokens = TokenServer() if case.token else None
    delay = (lambda _, __: Fault(delay=case.delay / 1000)) if case.delay else None
    with (
        EmbeddedRegistry(tokens=tokens, intercept=delay) as registry,
        EmbeddedGitHub(intercept=delay) as github,
        tempfile.TemporaryDirectory() as folder,
    ):
        newest = f"v1.{case.count - 1}.0"
        digest = registry.push_image(SOURCE, newest, attestations=True)
        image = registry.repository(SOURCE).find_manifest(newest)
        assert image is not None
        github.create_repository(SOURCE)
        notes = "* feat: something by @someone in https://github.com/agentgateway/agentgateway/pull/1\n" * 20
        for number in range(case.count):
            if case.mode == "releases":
                github.add_release(SOURCE, f"v1.{number}.0", body=notes)
            else:
                registry.push_bytes(SOURCE, f"v1.{number}.0", image.data, image.media_type)
        root = Path(folder)
        settings = SETTINGS.format(
            host=registry.host, source=SOURCE, github=f'github = "{SOURCE}"' if case.mode == "releases" else ""
        )
        (root / "gateway-bot.toml").write_text(settings)
        (root / "versions.env").write_text(f"REF={newest}\nVERSION={newest[1:]}\nDIGEST={digest}\n")
        reference = f"{registry.host}/{SOURCE}:{newest}@{digest}"
        (root / "variables.tf").write_text(f'variable "gateway_image" {{\n  default = "{reference}"\n}}\n')
        (root / "Dockerfile").write_text(f"ARG IMAGE={reference}\nFROM ${{IMAGE}}\n")
        yield registry, github, root, digest


def measure(command: Sequence[str], registry: EmbeddedRegistry, github: EmbeddedGitHub) -> Measured:
    registry.exchanges.clear()
    github.exchanges.clear()
    environ = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "GITHUB_API_URL": github.url}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    assert b"nothing new" in output, output
    exchanges = [*registry.exchanges, *github.exchanges]
    return Measured(wall, usage.ru_maxrss / 1024, len(exchanges), depth(exchanges))


def run(case: Case, binaries: Path, runs: int) -> bool:
    """Measure one world and print its line; whether every goal is met."""
    with world(case) as (registry, github, root, digest):
        tag = f"v1.{case.count - 1}.0"
        bot = [str(binaries / "gateway-bot"), "-C", str(root), "plan"]
        arguments = [github.url, SOURCE, registry.host, SOURCE, tag, digest, case.mode]
        bare = [str(binaries / "python"), str(HERE / "bare.py"), *arguments]
        for command in (bot, bare):
            measure(command, registry, github)  # a warm-up, which does not count
        pairs = [(measure(bot, registry, github), measure(bare, registry, github)) for _ in range(runs)]
    ours, theirs = [list(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(a.wall / b.wall for a, b in pairs)
    memory = max(m.memory for m in ours)
    trips, requests = max(m.round_trips for m in ours), max(m.requests for m in ours)
    good = (
        ratio <= GOAL_RATIO
        and memory <= GOAL_MIB
        and requests == max(m.requests for m in theirs)
        # without a delay requests that go side by side may still not overlap
        and (trips <= case.round_trips or not case.delay)
    )
    print(
        f"{case.name:<28} {statistics.median(m.wall for m in ours) * 1000:6.0f} ms "
        f"{statistics.median(m.wall for m in theirs) * 1000:6.0f} ms {ratio:6.2f}x {memory:6.1f} MiB "
        f"{max(m.memory for m in theirs):6.1f} MiB {requests:5} {max(m.requests for m in theirs):5} {trips:6}  "
        f"{'ok' if good else 'OVER A GOAL'}"
    )
    return good


def main() -> int:
    binaries = Path(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    print(f"{'nothing new':<28} {'bot':>9} {'bare':>9}   ratio {'peak':>10} {'bare':>10}   req  bare  trips")
    good = [run(case, binaries, runs) for case in CASES]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
