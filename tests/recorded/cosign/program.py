"""Stands on the PATH as `cosign`.

`program.py record FOLDER COSIGN ARGUMENT...` runs the real one and keeps in FOLDER how it was started and what it
said. `program.py replay FILE - ARGUMENT...` says again what FILE, an array of such starts, holds for these arguments.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

mode, kept, program, *arguments = sys.argv[1:]
named = list(arguments)
given = ""
for at, flag in enumerate(arguments[:-1]):
    if flag == "--trusted-root":
        named[at + 1] = "trusted-root.json"
    if flag == "--bundle":
        named[at + 1] = "bundle.json"
        given = Path(arguments[at + 1]).read_text()

if mode == "record":
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    code, out, err = done.returncode, done.stdout, done.stderr
    start = {"arguments": named, "code": code, "out": out, "err": err, "given": given}
    (Path(kept) / f"{time.monotonic_ns()}.json").write_text(json.dumps(start))
else:
    starts = json.loads(Path(kept).read_text())
    same = [start for start in starts if (start["arguments"], start["given"]) == (named, given)]
    code, out, err = 99, "", f"was never started so: {named} {given}"
    if same:
        code, out, err = same[0]["code"], same[0]["out"], same[0]["err"]

sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
