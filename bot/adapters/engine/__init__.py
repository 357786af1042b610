"""Docker Engine: builds a Dockerfile, and runs the program of an image in a container that can do next to nothing."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bot.adapters.engine import building, containers
from bot.adapters.engine.building import inspected
from bot.adapters.engine.context import packed
from bot.adapters.engine.images import provide
from bot.adapters.engine.output import MAX_BYTES, Output
from bot.adapters.engine.readiness import NO_NETWORK, Probe, reachable
from bot.beside import waited
from bot.core.distribution import Login
from bot.core.gateway_config.verdict import Answer
from bot.core.model import Platform, SourceFile
from bot.core.release.built import Ran
from bot.core.release.inspected import Inspected
from bot.core.text import plain
from bot.errors import BotError, NoEngine, ServiceError, UsageError

if TYPE_CHECKING:
    from docker import APIClient

SECONDS = 30.0
"""The real program takes under 50 ms; one that waits for something waits for it in vain."""

STOP_SECONDS = 120.0
"""A gateway serves on after SIGTERM for as long as its config says; ECS kills it after 120 s at the latest."""

_REQUEST_SECONDS = 60
_OUT_OF_MEMORY = f"needed more than {containers.MEMORY // 1024**2} MiB of memory and was stopped"
_NOT_FOR_HERE = re.compile(r"exec [^\n]*: exec format error")


class Engine:
    """One Docker Engine. `host` as DOCKER_HOST has it, empty for the usual socket. May be used from several threads.

    `login` gives the credentials of a registry's host. Docker's own config is the caller's: none of it is used here.
    """

    def __init__(self, host: str, login: Callable[[str], Login | None], log: Callable[[str], None]) -> None:
        self._host = host
        self._login = login
        self._log = log
        self._lock = threading.Lock()
        self._client: APIClient | None = None

    def ask(
        self,
        image: str,
        arguments: Sequence[str],
        config: str,
        environ: Mapping[str, str],
        *,
        seconds: float = SECONDS,
    ) -> Answer:
        """What the program of `image`, REPOSITORY@DIGEST, says to a config; `{file}` in `arguments` is its path.

        The container has no network, no right, a read-only root, bounded memory, processes and time, and of the
        image's environment nothing but PATH. It is gone afterwards, and what a killed run left is removed. Raises
        NoEngine, or ServiceError where the engine cannot get or run exactly this image.
        """
        with self._answering(f"{image} cannot be run"):
            with self._lock:
                client = self._connected()
                containers.sweep(client, self._log)
                names = provide(client, image, self._login, self._log)
            command = containers.command(arguments)
            # a name without a value is taken out of what the image sets
            environment = [*names, *(f"{name}={value}" for name, value in ({"HOME": "/"} | dict(environ)).items())]
            with containers.created(client, image, command, environment, NO_NETWORK, seconds) as container:
                containers.give(client, container, image, config)
                with containers.attached(client, container, seconds + _REQUEST_SECONDS) as output:
                    client.start(container)
                    answer = self._watch(client, container, output, seconds)
        if _NOT_FOR_HERE.fullmatch(answer.err.strip()):
            raise ServiceError(
                "the engine cannot run programs of this image's platform (exec format error)",
                where=image,
                next_step="Ask on a machine of a platform that the image has; see its platforms in the report.",
            )
        return answer

    @contextlib.contextmanager
    def built(
        self, base: str, root: Path, dockerfile: SourceFile, arguments: Mapping[str, str], platform: str = ""
    ) -> Iterator[tuple[Inspected, Inspected]]:
        """The image `base`, REPOSITORY@DIGEST, and what the Dockerfile of the checkout at `root` makes of it.

        What was made is gone afterwards. `platform`, as `linux/arm64`, is the engine's own if empty; for another one
        `base` is the digest of its own manifest: an engine keeps one platform under the digest of an index. Raises
        ReleaseError for a Dockerfile that does not build, UsageError for too large a context, NoEngine, ServiceError.
        """
        with contextlib.ExitStack() as left:
            with self._answering(f"{dockerfile.path} cannot be built"):
                with self._lock:
                    client = self._connected()
                    containers.sweep(client, self._log)
                    building.sweep(client, self._log)
                    if platform and not building.is_there(client, base):
                        left.callback(building.forget, client, base)
                    provide(client, base, self._login, self._log, platform)
                below = inspected(client, base)
                tag = building.tag_until(time.time() + building.SECONDS + containers.STALE_SECONDS)
                left.callback(building.forget, client, tag)
                building.build(client, packed(root, dockerfile), dockerfile.path, arguments, tag, platform)
                above = inspected(client, tag, below)
            yield below, above

    def build_for(
        self, platform: Platform, base: str, root: Path, dockerfile: SourceFile, arguments: Mapping[str, str]
    ) -> Inspected:
        """What the Dockerfile makes of `base` for a platform, which need not be the engine's own. As `built`."""
        with self.built(base, root, dockerfile, arguments, str(platform)) as (_, above):
            return above

    def start(
        self,
        image: str,
        arguments: Sequence[str],
        config: str,
        environ: Mapping[str, str],
        *,
        port: int,
        path: str,
        seconds: float = SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ) -> Ran:
        """Start the program of an image that is in the engine, as it stands there, with a config and more variables.

        It is asked `GET path` on `port` until it answers 200, for at most `seconds`; then it gets SIGTERM, and has
        `stop_seconds` to end by itself. Bounded as in `ask`, but with a network. Raises NoEngine, or ServiceError where
        this machine cannot reach the port.
        """
        with self._answering(f"{image} cannot be started"):
            client = self._connected()
            network = reachable(client, self._host, port)
            environment = [f"{name}={value}" for name, value in environ.items()]
            command, longest = containers.command(arguments), seconds + stop_seconds
            with containers.created(client, image, command, environment, network, longest) as container:
                containers.give(client, container, image, config)
                with containers.attached(client, container, longest + _REQUEST_SECONDS) as output:
                    client.start(container)
                    began = time.monotonic()
                    probe = Probe(network.address_of(client, container), path, began + seconds)
                    ready = probe.until_ready(lambda: containers.ended(client, container, 0) is None)
                    return self._stopped(client, container, output, Ran(probe.said, ready), seconds, stop_seconds)

    def _stopped(
        self, client: APIClient, container: str, output: Output, ran: Ran, seconds: float, stop_seconds: float
    ) -> Ran:
        """Let a program that is ready end by SIGTERM, one that is not by force."""
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the client

        began = time.monotonic()
        stopped = "" if ran.is_ready else f"was not ready within {seconds:.0f} s and was stopped"
        if ran.is_ready:
            with contextlib.suppress(APIError):  # it may have ended by itself just now
                client.kill(container, signal="SIGTERM")
        state = containers.ended(client, container, began + (stop_seconds if ran.is_ready else 0))
        took = round((time.monotonic() - began) * 1000)
        if state is None:
            stopped = stopped or f"did not end within {stop_seconds:.0f} s of SIGTERM and was stopped"
            with contextlib.suppress(APIError):  # as above
                client.kill(container)
            state = containers.ended(client, container, time.monotonic() + _REQUEST_SECONDS)
        else:
            stopped = ""
        output.join(_REQUEST_SECONDS)
        if state is None:
            raise _unstoppable(container)
        if state.get("OOMKilled"):
            stopped = _OUT_OF_MEMORY
        answer = Answer(int(state["ExitCode"]), *output.texts(), stopped)
        return msgspec.structs.replace(ran, ended=answer, stop_ms=took)

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    def _connected(self) -> APIClient:
        if self._client is None:
            from docker import APIClient  # noqa: PLC0415 - 121 ms, for the runs that ask an engine

            try:
                client = APIClient(base_url=self._host or None, version="auto", timeout=_REQUEST_SECONDS)
            except (AttributeError, TypeError):  # of a library that takes Docker's config file as it comes
                raise UsageError(
                    "Docker's config file is no JSON object of the usual form",
                    where="DOCKER_CONFIG/config.json",
                    next_step="Mend it (docker login HOST writes it anew), or point DOCKER_CONFIG to an empty folder.",
                ) from None
            except _foreseen() as error:
                raise NoEngine(
                    f"no Docker Engine answers: {_why(error)}",
                    where=self._host or "the Docker socket",
                    next_step="Start Docker, or name an engine in DOCKER_HOST.",
                ) from None
            self._client = client
        return self._client

    def _watch(self, client: APIClient, container: str, output: Output, seconds: float) -> Answer:
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the client

        deadline = time.monotonic() + seconds
        waited(output.changed.wait, seconds)
        state = containers.ended(client, container, deadline) if not output.is_too_much else None
        stopped = ""
        if state is None:
            stopped = f"did not end within {seconds:.0f} s and was stopped"
            if output.is_too_much:
                stopped = f"printed more than {MAX_BYTES:,} bytes and was stopped"
            with contextlib.suppress(APIError):  # it may have ended by itself just now
                client.kill(container)
            state = containers.ended(client, container, time.monotonic() + _REQUEST_SECONDS)
        output.join(_REQUEST_SECONDS)
        if state is None:
            raise _unstoppable(container)
        if output.error is not None and not stopped:
            raise output.error
        if state.get("OOMKilled"):
            stopped = _OUT_OF_MEMORY
        return Answer(int(state["ExitCode"]), *output.texts(), stopped)

    @contextlib.contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        """What the library raises, as the bot's own errors."""
        try:
            yield
        except BotError:
            raise
        except _foreseen() as error:
            raise ServiceError(
                f"{what}: {_why(error)}",
                where=self._host or "the Docker Engine",
                next_step="See that the Docker Engine works and reaches the registry, and run it again.",
            ) from None


def _why(error: BaseException) -> str:
    """What the engine said, or the system's word for what is below it; the same each time, without addresses."""
    if explanation := getattr(error, "explanation", None):
        return plain(str(explanation), 300)
    said = type(error).__name__
    below: BaseException | None = error
    while below is not None:
        said = getattr(below, "strerror", None) or said
        below = below.__cause__ or below.__context__
    return plain(said, 300)


def _foreseen() -> tuple[type[Exception], ...]:
    """What the library and those below it raise; they have no common root."""
    from docker.errors import DockerException  # noqa: PLC0415 - loaded with the client
    from requests import RequestException  # noqa: PLC0415 - loaded with the client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - loaded with the client

    return (DockerException, RequestException, HTTPError, OSError, ValueError, LookupError)


def _unstoppable(container: str) -> ServiceError:
    return ServiceError(
        "the engine does not stop a container", where=container[:12], next_step="Look at the engine's log."
    )
