"""Docker Engine: runs the program of an image in a container that can do nothing but read one file and print."""

from __future__ import annotations

import atexit
import contextlib
import io
import re
import secrets
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from bot.adapters.engine.images import provide
from bot.adapters.engine.output import MAX_BYTES, Output
from bot.core.distribution import Login
from bot.core.gateway_config.verdict import Answer
from bot.core.text import plain
from bot.errors import BotError, NoEngine, ServiceError, UsageError

if TYPE_CHECKING:
    from docker import APIClient

SECONDS = 30.0
"""The real program takes under 50 ms; one that waits for something waits for it in vain."""

MEMORY = 512 * 1024 * 1024
_PROCESSES = 256
_NANO_CPUS = 1_000_000_000
_USER = "65532:65532"
_FOLDER, _NAME = "/gateway-bot", "config.yaml"
_LABEL = "gateway-bot.stale-after"
_STALE_SECONDS = 3600
_REQUEST_SECONDS = 60
_POLL_SECONDS = 0.02
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
                self._sweep(client)
                names = provide(client, image, self._login, self._log)
            command = [argument.replace("{file}", f"{_FOLDER}/{_NAME}") for argument in arguments]
            # a name without a value is taken out of what the image sets
            environment = [*names, *(f"{name}={value}" for name, value in ({"HOME": "/"} | dict(environ)).items())]
            with self._container(client, image, command, environment, seconds) as container:
                if not client.put_archive(container, _FOLDER, _archive(config)):
                    raise ServiceError(
                        "the engine did not take the config", where=image, next_step="Look at the engine's log."
                    )
                answer = self._run(client, container, seconds)
        if _NOT_FOR_HERE.fullmatch(answer.err.strip()):
            raise ServiceError(
                "the engine cannot run programs of this image's platform (exec format error)",
                where=image,
                next_step="Ask on a machine of a platform that the image has; see its platforms in the report.",
            )
        return answer

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

    def _sweep(self, client: APIClient) -> None:
        """Remove what runs that were killed have left."""
        for left in client.containers(all=True, filters={"label": _LABEL}):
            until = str(left["Labels"][_LABEL])
            if not until.isdigit() or int(until) < time.time():
                self._log(f"removing a container that an earlier run left: {plain(left['Id'], 12)}")
                _remove(client, left["Id"])

    @contextlib.contextmanager
    def _container(
        self, client: APIClient, image: str, command: list[str], environment: list[str], seconds: float
    ) -> Iterator[str]:
        """A container that is not started yet, and is gone with its volume at the end of the block."""
        from docker.types import LogConfig  # noqa: PLC0415 - loaded with the client

        host_config = client.create_host_config(
            network_mode="none",
            dns=["127.0.0.1"],  # the program wants some resolver to be named, though it reaches none
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            mem_limit=MEMORY,
            memswap_limit=MEMORY,
            pids_limit=_PROCESSES,
            nano_cpus=_NANO_CPUS,
            log_config=LogConfig(type="none", config={}),
        )
        until = int(time.time() + seconds + _STALE_SECONDS)
        container = f"gateway-bot-{secrets.token_hex(8)}"

        def remove() -> None:
            _remove(client, container)

        atexit.register(remove)  # an interrupted run leaves its threads, and would leave what they started
        try:
            client.create_container(
                image,
                name=container,
                command=command,
                environment=environment,
                user=_USER,
                hostname="gateway-bot",
                volumes=[_FOLDER],  # the one way for a file into a read-only container of an engine elsewhere
                host_config=host_config,
                labels={_LABEL: str(until)},
                healthcheck={"test": ["NONE"]},
                use_config_proxy=False,
            )
            yield container
        finally:
            remove()
            atexit.unregister(remove)

    def _run(self, client: APIClient, container: str, seconds: float) -> Answer:
        """Start the container, and wait until it ends or has to be stopped."""
        # The library's own attach never closes its connection; this is the same request, without an upgrade.
        attached = client.post(
            f"{client.base_url}/v{client.api_version}/containers/{container}/attach",
            params={"stream": 1, "stdout": 1, "stderr": 1},
            stream=True,
            timeout=seconds + _REQUEST_SECONDS,
        )
        attached.raise_for_status()
        output = Output(attached)
        try:
            client.start(container)
            return self._watch(client, container, output, seconds)
        except BaseException:
            _remove(client, container)  # first: to close a connection waits for who reads from it
            raise
        finally:
            attached.close()

    def _watch(self, client: APIClient, container: str, output: Output, seconds: float) -> Answer:
        from docker.errors import APIError  # noqa: PLC0415 - loaded with the client

        deadline = time.monotonic() + seconds
        output.changed.wait(seconds)
        state = self._ended(client, container, deadline) if not output.is_too_much else None
        stopped = ""
        if state is None:
            stopped = f"did not end within {seconds:.0f} s and was stopped"
            if output.is_too_much:
                stopped = f"printed more than {MAX_BYTES:,} bytes and was stopped"
            with contextlib.suppress(APIError):  # it may have ended by itself just now
                client.kill(container)
            state = self._ended(client, container, time.monotonic() + _REQUEST_SECONDS)
        output.join(_REQUEST_SECONDS)
        if state is None:
            raise ServiceError(
                "the engine does not stop a container", where=container[:12], next_step="Look at the engine's log."
            )
        if output.error is not None and not stopped:
            raise output.error
        if state.get("OOMKilled"):
            stopped = f"needed more than {MEMORY // 1024**2} MiB of memory and was stopped"
        return Answer(int(state["ExitCode"]), *output.texts(), stopped)

    def _ended(self, client: APIClient, container: str, deadline: float) -> dict[str, int] | None:
        """The state of a container that has ended, or None if it has not by then."""
        while True:
            state = client.inspect_container(container)["State"]
            if not state["Running"]:
                return cast("dict[str, int]", state)
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_SECONDS)

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


def _archive(config: str) -> bytes:
    content = config.encode()
    entry = tarfile.TarInfo(_NAME)
    entry.size, entry.mode = len(content), 0o444
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _remove(client: APIClient, container: str) -> None:
    """Remove a container with its volume; one that is gone already, or whose engine is, is not our fault."""
    with contextlib.suppress(Exception):
        client.remove_container(container, v=True, force=True)
