"""The whole story on loopback: an embedded registry and GitHub, and the same commands as in production.

Beside the tests the only module that imports `bot.embedded`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from bot.adapters.worktree import Worktree
from bot.core.model import Image, Pin
from bot.core.pins.sites import allowed_keys, rewrite
from bot.core.versions import Ref, Version, parse_version
from bot.demo_page import page
from bot.embedded.github import Account, EmbeddedGitHub
from bot.embedded.registry import EmbeddedRegistry
from bot.errors import UsageError
from bot.flows.observe import read_pinned
from bot.settings import FILE, read_settings

Main = Callable[[Sequence[str], Mapping[str, str]], int]

_DOWNSTREAM = "acme/ai-gateway"
_TOKEN = "demo"  # noqa: S105 - of the embedded GitHub, which dies with the demo
_NOTES = """## What's Changed
* feat: priority groups for failover by @contributor in https://github.com/{source}/pull/{number}
* fix: keep request bodies on retry, fixes #{number}

### Breaking changes
* the provider `azureOpenAI` is now called `azure`

**Full Changelog**: https://github.com/{source}/compare/{before}...{ref}
"""


def demo(root: Path, output: Path, main: Main) -> int:
    """Run check, plan and propose on a copy of the checkout, twice, and leave the pull request as a page.

    Returns the exit code of the first command that failed, or 0. Raises UsageError where `root` is no checkout
    with settings for an image that has GitHub Releases.
    """
    image = next((image for image in read_settings(root).images if image.github), None)
    if image is None:
        raise UsageError("no image has GitHub Releases", where=FILE, next_step="Give one `github` to see the demo.")
    bot = Account("gateway-bot[bot]", {"contents": "write", "pull_requests": "write"})
    with (
        tempfile.TemporaryDirectory(prefix="gateway-bot-demo-") as folder,
        EmbeddedRegistry() as registry,
        EmbeddedGitHub({_TOKEN: bot}) as github,
    ):
        copy = Path(folder) / "ai-gateway"
        _say(f"1. Upstream publishes: a registry at {registry.host} and a GitHub at {github.host}, both on loopback")
        names = _copy(root, copy)
        settings = (copy / FILE).read_text(encoding="utf-8-sig")
        if without_gates(settings) != settings:
            (copy / FILE).write_text(without_gates(settings), encoding="utf-8")
            _say(
                "   The demo has no cosign, Trivy or Docker Engine: it does not ask for signature, findings and config"
            )
        _publish(copy, image, registry, github)
        before = {path: (copy / path).read_bytes() for path in names}
        files = {path: ("100644", data) for path, data in before.items()}
        github.create_repository(_DOWNSTREAM, files, default_branch=read_settings(root).base or "main")
        environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": _DOWNSTREAM, "GITHUB_TOKEN": _TOKEN}
        story = (
            ("2. All places that hold the pin agree", ["check", "--online"]),
            ("3. The decision, with the reason for every release", ["plan", "--explain"]),
            ("4. One pull request in which every place changes together", ["propose"]),
            ("5. Run again, it changes nothing", ["propose"]),
        )
        for title, command in story:
            _say(f"\n{title}\n   $ gateway-bot {' '.join(command)}")
            code = main(["-C", str(copy), *command], environ)
            if code != 0:
                return code
        pull = github.pulls(_DOWNSTREAM)[0]
        after = {path: data for path, (_, data) in github.files_at(_DOWNSTREAM, pull.head).items()}
        output.mkdir(parents=True, exist_ok=True)
        target = output / "pull-request.html"
        target.write_text(page(pull, before, after), encoding="utf-8")
        _say(f"\n6. The pull request, as a maintainer sees it: open {target}")
    return 0


def without_gates(settings: str) -> str:
    """The settings without the tables that ask cosign, Trivy, Terraform and a Docker Engine."""
    return re.sub(r"(?m)^\[\[?image\.(?:signature|scan|config)\b.*\n(?:(?!\[).*\n?)*", "", settings)


def _publish(copy: Path, image: Image, registry: EmbeddedRegistry, github: EmbeddedGitHub) -> None:
    """Releases above the pin as upstream makes them, with what is no release among them; the pin moved to the demo."""
    files = Worktree(copy)
    pinned = read_pinned(image, files, allowed_keys(read_settings(copy).images))
    current = pinned.pin
    source, path = image.github, image.repository.path
    github.create_repository(source)
    digest = current.digest
    before = current.ref
    now = datetime.now(UTC).replace(microsecond=0)
    releases = (current.ref, *_next(current.version, "v" if current.ref.startswith("v") else ""))
    for number, ref in enumerate(releases):
        published = now - timedelta(days=6 * (len(releases) - number))
        pushed = registry.push_image(path, ref, attestations=True)
        notes = _NOTES.format(source=source, number=2000 + number, before=before, ref=ref)
        github.add_release(source, ref, published=published, body=notes)
        if ref == current.ref:
            digest = pushed
        before = Ref(ref)
        version = parse_version(ref)
        _say(f"   {ref:<24} {pushed}{'' if version and not version.prerelease else '  (no release)'}")
    pin = Pin(current.ref, current.version, digest, current.tag)
    files.write(pinned.sources, rewrite(pinned.sources, pinned.held, pin))
    for name in (*pinned.sources, FILE):
        file = copy / name
        text = file.read_bytes()
        file.write_bytes(text.replace(str(image.repository).encode(), f"{registry.host}/{path}".encode()))


def _next(version: Version, prefix: str) -> tuple[str, ...]:
    """What upstream published since: a patch, a nightly, a candidate, a minor release and its patch."""
    major, minor, patch = version.release
    return (
        f"{prefix}{major}.{minor}.{patch + 1}",
        f"{prefix}0.0.0-alpha.3fa9c1e",
        f"{prefix}{major}.{minor + 1}.0-rc.1",
        f"{prefix}{major}.{minor + 1}.0",
        f"{prefix}{major}.{minor + 1}.1",
    )


def _copy(root: Path, copy: Path) -> list[str]:
    """The files that git tracks; where there is no git, those that the settings name."""
    names = Worktree(root).tracked()
    names = names or [FILE, *(site.file for image in read_settings(root).images for site in image.sites)]
    for name in dict.fromkeys(names):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / name).read_bytes())
    return names


def _say(text: str) -> None:
    click.echo(text)
