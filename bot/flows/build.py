"""Does the Dockerfile make of the pinned image what it should, and does the result start?

Built with the pin's arguments, held against the image that it was built from, started with our config, asked for
readiness, stopped. For a release in build mode: every platform, as configs and manifests over upstream's own layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from bot.core.gates import Gate, Unanswered
from bot.core.gateway_config.expansion import dummies
from bot.core.gateway_config.verdict import explain
from bot.core.model import Build, ConfigEnvironment, DockerfileSite, GatewayConfig, Image, Platform, SourceFile
from bot.core.pins.held import Held
from bot.core.pins.sites import drift
from bot.core.pins.value import ImageValue, image_value
from bot.core.plan import Pinned
from bot.core.reference import Digest, digest_of
from bot.core.release.built import Built, Ran
from bot.core.release.inspected import Inspected, changes, layer_fault
from bot.core.release.rebuilt import Rebuilt, rebuild
from bot.core.text import plain
from bot.errors import BotError, PinError, UsageError
from bot.flows.observe import Files, read_pinned

_REFUSED = 6
_REPEAT = "gateway-bot build"


class Renderer(Protocol):
    """Terraform."""

    def read(self, path: str) -> SourceFile: ...

    def render(self, config: GatewayConfig, environment: ConfigEnvironment) -> str: ...


class Builder(Protocol):
    """A Docker Engine that builds for any platform."""

    def build_for(
        self, platform: Platform, base: str, root: Path, dockerfile: SourceFile, arguments: Mapping[str, str]
    ) -> Inspected: ...


class Engine(Protocol):
    """A Docker Engine that builds, and starts what it built."""

    def built(
        self, base: str, root: Path, dockerfile: SourceFile, arguments: Mapping[str, str]
    ) -> AbstractContextManager[tuple[Inspected, Inspected]]: ...

    def start(
        self, image: str, arguments: Sequence[str], config: str, environ: Mapping[str, str], *, port: int, path: str
    ) -> Ran: ...


class BuildTools(Protocol):
    """What a build needs; each is made when it is first used. `root` is the checkout."""

    @property
    def root(self) -> Path: ...

    @property
    def renderer(self) -> Renderer: ...

    @property
    def engine(self) -> Engine: ...


class Child(msgspec.Struct, frozen=True):
    """One platform of the pinned image, as its registry serves it."""

    platform: Platform
    manifest: bytes
    media_type: str
    config: bytes


class _Recipe(msgspec.Struct, frozen=True):
    """A Dockerfile, the arguments that hold the pin, and the repository that its base comes from."""

    file: SourceFile
    held: tuple[tuple[str, Held], ...]
    repository: str
    digest: Digest

    def base(self, digest: Digest) -> str:
        return f"{self.repository}@{digest}"

    def arguments(self, child: Digest | None = None) -> dict[str, str]:
        """By name; with `child`, the digest of one platform's manifest in place of the index's."""
        return {name: held.text if child is None else _for_child(held, child) for name, held in self.held}


def build(
    image: Image, files: Files, allowed_keys: Mapping[str, frozenset[str]], tools: BuildTools, *, environment: str = ""
) -> Built:
    """Build, prove, start and stop; an error is the answer of its step.

    It is started with the config of `environment`, the first of the settings if empty; where the settings say of no
    config, it is not started, and the answer says so. What was made is gone afterwards.
    """
    try:
        chosen = _environment(image, environment)
        recipe = _recipe(image, read_pinned(image, files, allowed_keys))
    except BotError as error:
        return Built(image.name, (_unanswered("pins", error),))
    arguments = recipe.arguments()
    built = Built(image.name, (), tuple(arguments.items()))
    try:
        with tools.engine.built(recipe.base(recipe.digest), tools.root, recipe.file, arguments) as (below, above):
            built = msgspec.structs.replace(built, built=above.id, platform=str(above.platform))
            steps = _proofs(recipe, built, below, above)
            if not steps[-1].refuses:
                steps += _run(image, chosen, above.id, tools)
    except BotError as error:
        steps = (_unanswered("built", error),)
    return msgspec.structs.replace(built, steps=steps)


def rebuild_all(
    image: Image, pinned: Pinned, children: Iterable[Child], root: Path, engine: Builder, created: datetime
) -> tuple[tuple[Platform, Rebuilt], ...]:
    """Every platform of the pinned image with the Dockerfile's labels, for a release in build mode.

    `created` is the commit date of the tag. Each platform is built on its own manifest by its digest, so an argument
    that holds the digest holds that one. Raises what `rebuild` does, PinError for drift, UsageError without a
    Dockerfile, ReleaseError for one that does not build, ServiceError.
    """
    recipe = _recipe(image, pinned)
    rebuilt = []
    for child in children:
        digest = digest_of(child.manifest)
        made = engine.build_for(child.platform, recipe.base(digest), root, recipe.file, recipe.arguments(digest))
        rebuilt.append((child.platform, rebuild(child.manifest, child.media_type, child.config, made, created)))
    return tuple(rebuilt)


def _recipe(image: Image, pinned: Pinned) -> _Recipe:
    site = next((site for site in image.sites if isinstance(site, DockerfileSite)), None)
    if site is None:
        raise UsageError(
            f"{image.name} has no pin site of the type `dockerfile`, so there is nothing to build",
            where="gateway-bot.toml",
            next_step="Name the Dockerfile and the ARGs that hold the pin: docs/build.md shows it.",
        )
    if found := drift(image, pinned.held, pinned.pin):
        raise PinError(
            f"holds {plain(found[0].holds, 300)}, {image.sites[0].file} says {found[0].expected}",
            where=found[0].where,
            next_step="Nothing was built. Repair it first: gateway-bot check --fix",
        )
    held = [value for value in pinned.held if value.site == site]
    images = [image_value(value).repository for value in held if value.field == "image"]
    repository = next((each for each in images if each is not None), image.repository)
    named = tuple((name, value) for (name, _), value in zip(site.args, held, strict=True))
    return _Recipe(pinned.sources[site.file], named, str(repository), pinned.pin.digest)


def _for_child(held: Held, child: Digest) -> str:
    """An engine keeps one platform under an index's digest, or a tag: only a manifest's own names one."""
    if held.field == "digest":
        return child
    if held.field != "image":
        return held.text
    value = image_value(held)
    return str(ImageValue(value.repository, None, child)) if value.repository or value.digest else held.text


def _environment(image: Image, name: str) -> ConfigEnvironment | None:
    environments = image.config.environments if image.config else ()
    if not name:
        return environments[0] if environments else None
    found = next((each for each in environments if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in environments) or "none"
        raise UsageError(
            f"{plain(name, 80)!r} is no environment of {image.name}",
            where="gateway-bot.toml",
            next_step=f"Name one of [[image.config.environments]]: {known}.",
        )
    return found


def _proofs(recipe: _Recipe, built: Built, below: Inspected, above: Inspected) -> tuple[Gate, ...]:
    arguments = ", ".join(f"{name}={value}" for name, value in built.arguments)
    said = f"{above.id} for {above.platform} from {recipe.file.path} with {arguments}"
    made = Gate("built", "pass", said, _REPEAT)
    if fault := layer_fault(below.layers, above):
        mend = "Let the Dockerfile hold FROM, ARG, LABEL and EXPOSE only: the image stays the one that upstream signed."
        return made, Gate("no-layer", "fail", fault, _REPEAT, _REFUSED, mend)
    count = len(below.layers)
    same = f"all {count} layers are the pinned image's, in order" if count != 1 else "its layer is the pinned image's"
    found = changes(below.settings, above.settings)
    said = f"changed: {found}"
    if found.others:
        said += "; only labels and exposed ports may change where a release is made in build mode"
    return (
        made,
        Gate("no-layer", "pass", same, _REPEAT),
        Gate("changes", "warn" if found.others else "pass", said, _REPEAT),
    )


def _run(image: Image, environment: ConfigEnvironment | None, built: str, tools: BuildTools) -> tuple[Gate, ...]:
    if image.config is None or environment is None:
        return (Gate("ready", "warn", "not started: gateway-bot.toml has no table [image.config] to start it with"),)
    asked = image.build
    try:
        template = tools.renderer.read(image.config.template).data.decode(errors="replace")
        text = tools.renderer.render(image.config, environment)
        environ = dummies(text, dict(image.config.dummies))
        ran = tools.engine.start(built, asked.start, text, environ, port=asked.port, path=asked.path)
    except BotError as error:
        return (_unanswered("ready", error),)
    said = f"{ran.said} at {asked.path} on port {asked.port}"
    if not ran.is_ready:
        return (_not_ready(ran, asked, said, environment, explain(ran.ended.err, template, text)),)
    ready = f"{said}, {ran.ready_ms} ms after the start, with the config of {environment.name}"
    return Gate("ready", "pass", ready, _REPEAT), _stopped(ran)


def _not_ready(ran: Ran, asked: Build, said: str, environment: ConfigEnvironment, why: str) -> Gate:
    how = f"it {ran.ended.stopped}" if ran.ended.stopped else f"it ended with exit {ran.ended.code}"
    mend = (
        f"See that the config of {environment.name} serves readiness on port {asked.port} of all addresses, and that "
        "[image.build] starts the program as it is started in production. gateway-bot validate asks about the config."
    )
    evidence = f"with the config of {environment.name}: {said}; {how}" + (f": {why}" if why else "")
    return Gate("ready", "fail", evidence, _REPEAT, _REFUSED, mend)


def _stopped(ran: Ran) -> Gate:
    if ran.ended.stopped or ran.ended.code != 0:
        how = f"it {ran.ended.stopped}" if ran.ended.stopped else f"exit {ran.ended.code} after {ran.stop_ms} ms"
        mend = "A program that does not end by itself is killed in every deployment, with its requests. Ask upstream."
        return Gate("stopped", "fail", f"SIGTERM: {how}", _REPEAT, _REFUSED, mend)
    return Gate("stopped", "pass", f"SIGTERM: exit 0 after {ran.stop_ms} ms", _REPEAT)


def _unanswered(step: str, error: BotError) -> Gate:
    return Unanswered.by(error).gate(step, _REPEAT)
