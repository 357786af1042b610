"""Does our config work with a release? Rendered by Terraform, held against its schema, given to its own program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from bot.beside import beside, settled
from bot.core.gateway_config.answer import ConfigAnswer, Judged
from bot.core.gateway_config.expansion import dummies
from bot.core.gateway_config.explained import Explained, explained
from bot.core.gateway_config.verdict import Answer, refusal
from bot.core.model import ConfigEnvironment, GatewayConfig, Image, Pin, SourceFile
from bot.core.text import plain
from bot.core.versions import Ref
from bot.errors import NoEngine

_SECONDS = 30
"""For what the schemas say; upstream's take some hundredths."""


class Renderer(Protocol):
    """Terraform."""

    def read(self, path: str) -> SourceFile: ...

    def render(self, config: GatewayConfig, environment: ConfigEnvironment) -> str: ...


class Engine(Protocol):
    """A Docker Engine."""

    def ask(self, image: str, arguments: Sequence[str], config: str, environ: Mapping[str, str]) -> Answer: ...


class Schemas(Protocol):
    """Files of upstream's repository."""

    def read(self, repository: str, path: str, ref: Ref) -> bytes | None: ...


class ConfigTools(Protocol):
    """What this question needs."""

    @property
    def renderer(self) -> Renderer: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def schemas(self) -> Schemas: ...


def validate(image: Image, config: GatewayConfig, current: Pin, candidate: Pin, tools: ConfigTools) -> ConfigAnswer:
    """What the candidate's program and its schema say of every environment's config; no value of a config is in it.

    Raises UsageError for a file that is not there, PolicyError for a template that does not render, and
    ServiceError where nothing is known.
    """
    schemas = [beside(partial(_schema, image, config, pin, tools)) for pin in (candidate, current)]
    try:
        template = tools.renderer.read(config.template).data.decode(errors="replace")
        rendering = [beside(partial(tools.renderer.render, config, each)) for each in config.environments]
        settled(*rendering)
        texts = [each.result() for each in rendering]
        asking = [beside(partial(_asked, image, config, candidate, template, text, tools)) for text in texts]
        settled(*asking)
    finally:
        settled(*schemas)
    new, old = (each.result() for each in schemas)
    try:  # a schema can be written so that reading it takes for ever, and explains nothing then
        said = beside(partial(explained, new, old, texts, published=bool(config.schema))).result(_SECONDS)
    except TimeoutError:
        said = Explained(tuple(() for _ in texts), unknown=f"it takes more than {_SECONDS} s to read")
    answers = [each.result() for each in asking]
    return ConfigAnswer(
        judged=tuple(
            Judged(environment.name, "" if isinstance(answer, NoEngine) else answer, misfits)
            for environment, answer, misfits in zip(config.environments, answers, said.mismatches, strict=True)
        ),
        not_asked=next((plain(each.what, 300) for each in answers if isinstance(each, NoEngine)), ""),
        schema_unknown=f"{config.schema} at {candidate.ref}: {said.unknown}" if said.unknown else "",
        unchanged_unknown=f"{config.schema} at {current.ref}: {said.unchanged}" if said.unchanged else "",
        differences=said.differences,
        # a key that only a variable brought in could be a value that nobody should read
        fields=tuple(f for f in said.fields if all(step in template for step in f.replace("[]", "").split("."))),
    )


def _schema(image: Image, config: GatewayConfig, pin: Pin, tools: ConfigTools) -> bytes | None:
    return tools.schemas.read(image.github, config.schema, pin.ref) if config.schema else None


def _asked(
    image: Image, config: GatewayConfig, candidate: Pin, template: str, text: str, tools: ConfigTools
) -> str | NoEngine:
    """Why the program refuses this config, empty where it accepts it; or that there is no engine to run it."""
    environ = dummies(text, dict(config.dummies))
    try:
        answer = tools.engine.ask(f"{image.repository}@{candidate.digest}", config.arguments, text, environ)
    except NoEngine as error:
        return error
    return refusal(config, answer, template, text)
