"""Builds in an engine: with its own builder, so that neither buildx nor a client has to be there."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from bot.core.decoding import convert, decode
from bot.core.model import Platform
from bot.core.reference import parse_digest
from bot.core.release.inspected import Inspected, Instruction
from bot.core.text import plain
from bot.errors import ReleaseError, ServiceError

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

SECONDS = 600.0
"""Labels take a second; the rest is for an instruction that has no place here, and is refused for its layer."""

_TAG = "gateway-bot/build"
_SILENCE_SECONDS = 60
_MAX_PRINTED = 16 * 1024 * 1024
_MAX_INSTRUCTIONS = 200
_MEMORY = 512 * 1024 * 1024
_STEP = re.compile(r"Step \d+/\d+ : (.*)", re.DOTALL)
_MADE = re.compile(r" ---> ([0-9a-f]{12})\n")
_OK, _BAD_REQUEST = 200, 400


class _RootFS(msgspec.Struct):
    layers: list[str] = msgspec.field(name="Layers", default_factory=list)


class _Image(msgspec.Struct, rename="pascal"):
    """Docker Engine API, "Inspect an image"."""

    id: str
    os: str
    architecture: str
    root_fs: _RootFS = msgspec.field(name="RootFS")
    variant: str | None = None
    author: str | None = None
    config: dict[str, object] | None = None


class _Step(msgspec.Struct, rename="pascal"):
    """Docker Engine API, "Get the history of an image"."""

    id: str
    created_by: str = ""


class _Line(msgspec.Struct):
    """What a build prints."""

    stream: str = ""
    error: str = ""


def tag_until(when: float) -> str:
    """A tag of this run's own, that is stale from `when` on, in seconds since 1970."""
    return f"{_TAG}:{int(when)}-{secrets.token_hex(8)}"


def sweep(client: APIClient, log: Callable[[str], None]) -> None:
    """Remove the images that runs that were killed have left."""
    for image in client.images(filters={"reference": _TAG}):
        for tag in map(str, image.get("RepoTags") or ()):
            until = tag.removeprefix(f"{_TAG}:").partition("-")[0]
            if tag.startswith(f"{_TAG}:") and until.isdigit() and int(until) < time.time():
                log(f"removing an image that an earlier run left: {plain(tag, 80)}")
                forget(client, tag)


def forget(client: APIClient, image: str) -> None:
    """Remove a name of an image, and the image where it has no other; one that is gone is not our fault."""
    with contextlib.suppress(Exception):
        client.remove_image(image)


def is_there(client: APIClient, image: str) -> bool:
    """Whether the engine has it."""
    from docker.errors import ImageNotFound  # noqa: PLC0415 - loaded with the client

    try:
        _of(client.inspect_image, image)
    except ImageNotFound:
        return False
    return True


def inspected(client: APIClient, image: str, base: Inspected | None = None) -> Inspected:
    """What the engine says of an image; with its base, by which instructions it came from there."""
    found = _inspect(client, image)
    layers = tuple(parse_digest(layer) for layer in found.root_fs.layers)
    platform = Platform(found.os, found.architecture, found.variant or "")
    value = Inspected(found.id, platform, layers, found.config or {}, found.author or "")
    if base is None:
        return value
    steps = convert(_of(client.history, image), list[_Step])[:_MAX_INSTRUCTIONS]
    instructions, below = list[Instruction](), len(base.layers)
    # newest first; what lies below the base has no id, or the base's own
    own = next((number for number, step in enumerate(steps) if step.id in {"<missing>", base.id}), len(steps))
    for step in reversed(steps[:own]):
        above = below if layers == base.layers else len(_inspect(client, step.id).root_fs.layers)
        instructions.append(Instruction(step.created_by, adds_layer=above > below))
        below = above
    return msgspec.structs.replace(value, instructions=tuple(instructions))


def build(
    client: APIClient, context: bytes, dockerfile: str, arguments: Mapping[str, str], tag: str, platform: str
) -> None:
    """Build the Dockerfile at this path of a context, from nothing that was kept, without a network, under this tag.

    The library's own `build` would send every registry's credentials along. Raises ReleaseError where the Dockerfile
    does not build, ServiceError where its base cannot be had or the engine fails.
    """
    params = {
        "version": "1",
        "dockerfile": dockerfile,
        "t": tag,
        "buildargs": json.dumps(dict(arguments)),
        "nocache": "1",
        "rm": "1",
        "forcerm": "1",
        "networkmode": "none",
        "memory": str(_MEMORY),
        "memswap": str(_MEMORY),
        **({"platform": platform} if platform else {}),
    }
    response = client.post(
        f"{client.base_url}/v{client.api_version}/build",
        params=params,
        data=context,
        headers={"Content-Type": "application/x-tar"},
        stream=True,
        timeout=_SILENCE_SECONDS,
    )
    try:
        if response.status_code != _OK:
            raise _not_started(response, dockerfile)
        _follow(client, response, dockerfile)
    finally:
        response.close()


def _inspect(client: APIClient, image: str) -> _Image:
    return convert(_of(client.inspect_image, image), _Image)


def _of(method: object, image: str) -> object:
    """What a method of the library, which has no types of its own, says of an image."""
    return cast("Callable[[str], object]", method)(image)


def _not_started(response: Response, dockerfile: str) -> ReleaseError | ServiceError:
    body = next(_chunks(response, 64 * 1024), b"")
    try:
        said = plain(str(json.loads(body)["message"]), 300)
    except (ValueError, LookupError, TypeError):
        said = f"HTTP {response.status_code}"
    if response.status_code == _BAD_REQUEST:
        return _does_not_build(dockerfile, said)
    return ServiceError(f"the engine does not build: {said}", where=dockerfile, next_step=_ENGINE)


def _follow(client: APIClient, response: Response, dockerfile: str) -> None:
    """Read what the build prints, to its end; what one that fails has made is removed."""
    instruction, made = "", ""
    try:
        for line in _lines(response):
            if match := _STEP.match(line.stream):
                instruction = match[1]
            elif (match := _MADE.fullmatch(line.stream)) and not _is_base(instruction):
                made = match[1]
            if line.error:
                break
        else:
            made = ""
            return
    finally:
        if made:
            forget(client, made)
    raise _failed(dockerfile, instruction, line.error)


def _is_base(instruction: str) -> bool:
    return instruction.upper().startswith("FROM")


def _failed(dockerfile: str, instruction: str, error: str) -> ReleaseError | ServiceError:
    why = plain(error, 300)
    if _is_base(instruction):
        return ServiceError(
            f"the engine cannot get the base image: {plain(instruction, 200)}: {why}",
            where=dockerfile,
            next_step="Let FROM name the pinned image by its digest, in an ARG that a `dockerfile` pin site keeps.",
        )
    return _does_not_build(dockerfile, f"{plain(instruction, 200)}: {why}" if instruction else why)


def _does_not_build(dockerfile: str, why: str) -> ReleaseError:
    return ReleaseError(
        f"it does not build: {why}",
        where=dockerfile,
        next_step="Mend the Dockerfile. Docker's own builder reads it, which knows nothing of BuildKit's additions.",
    )


def _lines(response: Response) -> Iterator[_Line]:
    """One JSON object a line, bounded in time and in all that comes."""
    rest = b""
    for chunk in _chunks(response, _MAX_PRINTED):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (decode(line, _Line) for line in whole if line.strip())
    if rest.strip():
        yield decode(rest, _Line)


def _chunks(response: Response, limit: int) -> Iterator[bytes]:
    deadline, size = time.monotonic() + SECONDS, 0
    for chunk in response.iter_content(chunk_size=None):
        size += len(chunk)
        if size > limit or time.monotonic() > deadline:
            what = f"prints more than {limit:,} bytes" if size > limit else f"takes longer than {SECONDS:.0f} s"
            raise ServiceError(f"the build {what}", where="the Docker Engine", next_step=_ENGINE)
        yield chunk


_ENGINE = "Look at the Dockerfile and the engine's log, and run it again."
