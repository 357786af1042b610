"""Repositories with a past, and the settings by which it is read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bot.adapters.git.past import Past
from bot.core.ledger import Ledger
from bot.core.model import Image
from bot.flows.history import history
from bot.settings.file import settings_in
from tests.repositories import Repo

TODAY = """[[image]]
name = "app"
registry = "ghcr.io/acme/app"
github = "acme/app"
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = { APP_REF = "ref", APP_DIGEST = "digest" }
[[image.pins]]
type = "terraform"
file = "main.tf"
variable = "image"
[[image.pins]]
type = "dockerfile"
file = "Dockerfile"
args = { APP_IMAGE = "image" }
"""
IMAGE = settings_in(TODAY).images[0]


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def dotenv(number: int) -> str:
    return f"APP_REF=v1.{number}.0\nAPP_DIGEST={digest(number)}\n"


def terraform(number: int) -> str:
    return f'variable "image" {{\n  default = "ghcr.io/acme/app:v1.{number}.0@{digest(number)}"\n}}\n'


def images(text: str) -> Sequence[Image]:
    return settings_in(text).images


def ledger(repo: Repo, *, image: Image = IMAGE, base: str = "", root: Path | None = None) -> Ledger:
    return history(image, Past(root or repo.root, repo.environ), base, images)


def clone(repo: Repo, *options: str) -> Repo:
    """A clone below a home of its own, over a transport that serves filters and depths as a server does."""
    folder = repo.root.parent / f"clone{len(list(repo.root.parent.iterdir()))}"
    folder.mkdir()
    made = Repo(folder)
    (made.root / ".git" / "HEAD").unlink()
    subprocess.run(["rm", "-r", str(made.root)], check=True)
    repo.run("config", "uploadpack.allowFilter", "true")
    repo.run("config", "uploadpack.allowAnySHA1InWant", "true")
    subprocess.run(
        ["git", "clone", "-q", *options, f"file://{repo.root}", str(made.root)],
        env={**made.environ, "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
    )
    return made


def pins(found: Ledger) -> list[tuple[str, str]]:
    """Ref and file of every entry, newest first."""
    return [(entry.pin.ref, entry.file) for entry in found.entries]
