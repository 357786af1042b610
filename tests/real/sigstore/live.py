"""python -m tests.real.sigstore.live PROGRAMS FOLDER: a private Sigstore that can be asked from outside its namespace.

The keys stand in FOLDER/keys. Each service of `SIGNED_BY` is behind the socket FOLDER/NAME.sock, from the moment
`ready` is printed until standard input ends. It runs inside the network namespace: tests/live_sigstore.py starts it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from tests.real.sigstore import relay, services
from tests.real.sigstore.issuer import issuing


def main(programs: Path, folder: Path) -> None:
    keys = folder / "keys"
    with ExitStack() as running:
        running.enter_context(issuing(keys))
        running.enter_context(services.authority(programs, keys, folder / "authority"))
        running.enter_context(services.witnesses(programs, keys, folder / "witnesses", legacy=False))
        for name, port in services.SIGNED_BY.items():
            running.enter_context(relay.from_file(folder / f"{name}.sock", port))
        print("ready", flush=True)  # noqa: T201 - what it is started for waits for this
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
