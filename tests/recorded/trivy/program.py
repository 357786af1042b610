"""A `trivy` on the PATH of tests: asks the real one and keeps what it answered, or answers from what was kept.

    program.py record KEPT REAL STARTS ARGUMENT...
    program.py replay KEPT - STARTS ARGUMENT...

Kept is for each database, in a folder named like its repository: its `metadata.json`, `version.json` and each report
as IMAGE-OS-ARCHITECTURE.json; where Trivy failed, what it said, as `.err` instead of `.json`. Every start leaves a
line with its arguments in the file STARTS. Standard library only: it is started for each scan.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def value(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def last_name(reference: str) -> str:
    """`app` of HOST:PORT/acme/app:2 and of HOST:PORT/acme/app@sha256:..."""
    return reference.rpartition("/")[2].partition("@")[0].partition(":")[0]


def kept_file(kept: Path, arguments: list[str]) -> Path:
    """Where the answer to these arguments is kept, without its suffix."""
    database = Path(value(arguments, "--cache-dir")) / "name"
    if "--download-db-only" in arguments:
        database.write_text(last_name(value(arguments, "--db-repository")))
    if arguments[0] == "version":
        name = "version"
    elif "--download-db-only" in arguments:
        name = "metadata"
    else:
        name = f"{last_name(arguments[-1])}-{value(arguments, '--platform').replace('/', '-')}"
    return kept / database.read_text() / name


def answer_file(arguments: list[str]) -> Path | None:
    """Where Trivy writes the answer; None: it prints it."""
    if arguments[0] == "version":
        return None
    if "--download-db-only" in arguments:
        return Path(value(arguments, "--cache-dir")) / "db" / "metadata.json"
    return Path(value(arguments, "--output"))


def record(real: str, arguments: list[str], file: Path) -> int:
    done = subprocess.run([real, *arguments], capture_output=True, check=False)
    answer = answer_file(arguments)
    file.parent.mkdir(parents=True, exist_ok=True)
    if done.returncode:
        file.with_suffix(".err").write_bytes(done.stderr)
    elif answer is None:
        file.with_suffix(".json").write_bytes(done.stdout)
    else:
        shutil.copy(answer, file.with_suffix(".json"))
    os.write(1, done.stdout)
    os.write(2, done.stderr)
    return done.returncode


def replay(arguments: list[str], file: Path) -> int:
    if not file.with_suffix(".json").exists():
        os.write(2, file.with_suffix(".err").read_bytes())
        return 1
    answer = answer_file(arguments)
    if answer is None:
        os.write(1, file.with_suffix(".json").read_bytes())
        return 0
    answer.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file.with_suffix(".json"), answer)
    if answer.name == "metadata.json":
        answer.with_name("trivy.db").write_bytes(b"the replayed scans do not read it")
    return 0


def main() -> int:
    mode, kept, real, starts, *arguments = sys.argv[1:]
    with Path(starts).open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    file = kept_file(Path(kept), arguments)
    return record(real, arguments, file) if mode == "record" else replay(arguments, file)


if __name__ == "__main__":
    sys.exit(main())
