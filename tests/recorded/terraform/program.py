"""Stands for Terraform: answers what was recorded, if it is asked what was recorded."""

import json
import sys
from pathlib import Path

record = json.loads(Path(sys.argv[1]).read_text())
arguments = sys.argv[2:]
said = record.get(arguments[0])
asked = {path.name: path.read_bytes().decode() for path in sorted(Path().iterdir()) if path.name != "plan"}
if said is None or said["arguments"] != arguments or record["question"] != asked:
    sys.exit("nobody recorded this question")
for message in said["out"]:
    sys.stdout.write(json.dumps(message) + "\n")
sys.exit(said["code"])
