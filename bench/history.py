"""`gateway-bot history` as a whole process, on a repository with 5,000 commits and 300 release tags.

python -m bench.history BIN [RUNS]: BIN is the folder of an environment with the bot and its libraries only. Exits 1
over the goal, which the median is held against.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

GOAL_SECONDS = 1.0
COMMITS, TAGS = 5_000, 300
FOLDERS, FILES = 20, 15
BEGINNING = 1_600_000_000

SETTINGS = """[[image]]
name = "app"
registry = "ghcr.io/acme/app"
github = "acme/app"
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = {{ APP_REF = "ref", APP_VERSION = "version", APP_DIGEST = "digest" }}
[[image.pins]]
type = "dockerfile"
file = "Dockerfile"
args = {{ APP_IMAGE = "image" }}
[[image.pins]]
type = "terraform"
file = "infrastructure/variables.tf"
variable = "image"
[[image.hold]]
version = "1.{number}.0"
reason = "the {number}th that was bad"
"""


class Story:
    """A history for `git fast-import`: upgrades on branches, merged and squashed, between commits of all kinds."""

    def __init__(self, commits: int, tags: int) -> None:
        self._chance = random.Random(1)  # noqa: S311 - the same history each time
        self._marks = 0
        self.pins = 0
        self._commits, self._tags = commits, tags
        self._released = sorted(self._chance.sample(range(1, commits), tags))

    def lines(self) -> Iterator[str]:
        main = 0
        for number in range(self._commits):
            # a quarter of what happens is the bot's
            upgrade = number == 0 or self._chance.random() < 0.25
            side = 0
            if number and self._chance.random() < 0.5:  # half of it is merged, half squashed
                side = yield from self._commit(number, "refs/heads/side", (main,), upgrade=upgrade)
                upgrade = False
            main = yield from self._commit(number, "refs/heads/main", (main, side), upgrade=upgrade)
            if number in self._released:
                yield from self._tag(self._released.index(number), main)

    def _commit(
        self, number: int, branch: str, parents: tuple[int, ...], *, upgrade: bool
    ) -> Generator[str, None, int]:
        self._marks += 1
        pin = self.pins + upgrade
        subject = f"deps(app): bump to v1.{pin}.0 (#{number})" if upgrade else f"feat: number {number}"
        merge = len(parents) > 1 and parents[1]
        if merge:
            subject = f"Merge pull request #{number} from acme/side"
        trailer = "\n\nGateway-Bot-Gates: digest=pass platforms=pass vulnerabilities=warn\n" if upgrade else "\n"
        yield f"commit {branch}\nmark :{self._marks}\n"
        who = f"Ada <ada@example.org> {BEGINNING + 3600 * number} +0000\n"
        yield f"author {who}committer {who}{_text(subject + trailer)}"
        if parents[0]:
            yield f"from :{parents[0]}\n"
        if merge:
            yield f"merge :{parents[1]}\n"
        if merge:
            yield from self._files()
        if upgrade:
            self.pins = pin
            yield from self._files()
        if number == 0:
            for folder in range(FOLDERS):
                for file in range(FILES):
                    yield f"M 644 inline src/part{folder}/file{file}.py\n{_text('pass')}"
        if number % 100 == 0:
            yield f"M 644 inline gateway-bot.toml\n{_text(SETTINGS.format(number=number))}"
        place = f"src/part{self._chance.randrange(FOLDERS)}/file{self._chance.randrange(FILES)}.py"
        yield f"M 644 inline {place}\n{_text(f'number = {self._marks}')}\n"
        return self._marks

    def _files(self) -> Iterator[str]:
        ref, digest = f"v1.{self.pins}.0", f"sha256:{self.pins:064x}"
        texts = {
            "versions.env": f"# the pin\nAPP_REF={ref}\nAPP_VERSION={ref[1:]}\nAPP_DIGEST={digest}\n",
            "Dockerfile": f"ARG APP_IMAGE=ghcr.io/acme/app@{digest}\nFROM ${{APP_IMAGE}}\n",
            "infrastructure/variables.tf": f'variable "image" {{\n  default = "ghcr.io/acme/app:{ref}@{digest}"\n}}\n',
        }
        for name, text in texts.items():
            yield f"M 644 inline {name}\n{_text(text)}"

    def _tag(self, number: int, mark: int) -> Iterator[str]:
        if number % 3 == 0:
            yield f"reset refs/tags/v0.{number}.0\nfrom :{mark}\n\n"
            return
        yield f"tag v0.{number}.0\nfrom :{mark}\n"
        yield f"tagger Ada <ada@example.org> {BEGINNING + mark} +0000\n{_text(f'v0.{number}.0')}"


def _text(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def make(folder: Path, commits: int = COMMITS, tags: int = TAGS) -> int:
    """A checkout with such a history, packed as a clone is; how many pins it had, one after the other."""
    story = Story(commits, tags)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str, given: bytes = b"") -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=environ, input=given, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("fast-import", "--quiet", given="".join(story.lines()).encode())
    git("checkout", "-q", "main")
    git("-c", "gc.writeCommitGraph=false", "gc", "-q")
    return story.pins


def measure(command: Sequence[str], folder: Path, pins: int) -> tuple[float, float]:
    """Wall time in seconds and peak memory in MiB of one whole process, whose answer is right."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    ledger = json.loads(output)
    released = {release["tag"] for entry in ledger["entries"] for release in entry["releases"]}
    assert (len(ledger["entries"]), len(released)) == (pins, TAGS), output[:2000]
    assert all(entry["gates"] for entry in ledger["entries"]), output[:2000]
    return wall, usage.ru_maxrss / 1024


def main() -> int:
    binaries = Path(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pins = make(folder)
        command = [str(binaries / "gateway-bot"), "-C", name, "history", "--json"]
        measure(command, folder, pins)  # a warm-up, which does not count
        found = [measure(command, folder, pins) for _ in range(runs)]
    wall = statistics.median(wall for wall, _ in found)
    good = wall <= GOAL_SECONDS
    print(f"{'history':<40} {'median':>9} {'slowest':>9} {'peak':>10}")
    print(
        f"{f'{COMMITS:,} commits, {TAGS} tags, {pins:,} pins':<40} {wall * 1000:6.0f} ms "
        f"{max(wall for wall, _ in found) * 1000:6.0f} ms {max(peak for _, peak in found):6.1f} MiB  "
        f"{'ok' if good else 'OVER THE GOAL'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
