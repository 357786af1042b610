"""Containers that can do next to nothing, from their making to their end."""

from __future__ import annotations

import atexit
import contextlib
import io
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from bot.adapters.engine.output import Output
from bot.adapters.engine.readiness import Network
from bot.core.text import plain
from bot.errors import ServiceError

if TYPE_CHECKING:
    from docker import APIClient

MEMORY = 512 * 1024 * 1024
_PROCESSES = 256
_NANO_CPUS = 1_000_000_000
_USER = "65532:65532"
_FOLDER, _NAME = "/gateway-bot", "config.yaml"
_LABEL = "gateway-bot.stale-after"
STALE_SECONDS = 3600
_POLL_SECONDS = 0.02
_REMOVE_SECONDS = 5.0


def sweep(client: APIClient, log: Callable[[str], None]) -> None:
    """Remove what runs that were killed have left."""
    for left in client.containers(all=True, filters={"label": _LABEL}):
        until = str(left["Labels"][_LABEL])
        if not until.isdigit() or int(until) < time.time():
            log(f"removing a container that an earlier run left: {plain(left['Id'], 12)}")
            remove(client, left["Id"])


@contextlib.contextmanager
def created(
    client: APIClient,
    image: str,
    command: list[str],
    environment: list[str],
    network: Network,
    seconds: float,
) -> Iterator[str]:
    """A container that is not started yet, and is gone with its volume at the end of the block."""
    from docker.types import LogConfig  # noqa: PLC0415 - loaded with the client

    host_config = client.create_host_config(
        **network.host_config,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        mem_limit=MEMORY,
        memswap_limit=MEMORY,
        pids_limit=_PROCESSES,
        nano_cpus=_NANO_CPUS,
        log_config=LogConfig(type="none", config={}),
    )
    until = int(time.time() + seconds + STALE_SECONDS)
    name = f"gateway-bot-{secrets.token_hex(8)}"

    def end() -> None:
        remove(client, name)

    atexit.register(end)  # an interrupted run leaves its threads, and would leave what they started
    try:
        client.create_container(
            image,
            name=name,
            command=command,
            environment=environment,
            user=_USER,
            hostname=network.hostname,
            ports=network.ports,
            volumes=[_FOLDER],  # the one way for a file into a read-only container of an engine elsewhere
            host_config=host_config,
            labels={_LABEL: str(until)},
            healthcheck={"test": ["NONE"]},
            use_config_proxy=False,
        )
        yield name
    finally:
        end()
        atexit.unregister(end)


def command(arguments: Sequence[str]) -> list[str]:
    """The arguments with the path that `give` puts a config to in place of `{file}`."""
    return [argument.replace("{file}", f"{_FOLDER}/{_NAME}") for argument in arguments]


def give(client: APIClient, container: str, image: str, config: str) -> None:
    """Put the config into a container that is not started yet."""
    if not client.put_archive(container, _FOLDER, _archive(config)):
        raise ServiceError("the engine did not take the config", where=image, next_step="Look at the engine's log.")


@contextlib.contextmanager
def attached(client: APIClient, container: str, timeout: float) -> Iterator[Output]:
    """What a container is going to print, with at most so many seconds of silence."""
    # The library's own attach never closes its connection; this is the same request, without an upgrade.
    answer = client.post(
        f"{client.base_url}/v{client.api_version}/containers/{container}/attach",
        params={"stream": 1, "stdout": 1, "stderr": 1},
        stream=True,
        timeout=timeout,
    )
    try:
        answer.raise_for_status()
        yield Output(answer)
    except BaseException:
        remove(client, container)  # first: to close a connection waits for who reads from it
        raise
    finally:
        answer.close()


def ended(client: APIClient, container: str, deadline: float) -> dict[str, int] | None:
    """The state of a container that has ended, or None if it has not by then."""
    while True:
        state = client.inspect_container(container)["State"]
        if not state["Running"]:
            return cast("dict[str, int]", state)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)


def remove(client: APIClient, container: str) -> None:
    """Remove a container with its volume; one that is gone already, or whose engine is, is not our fault."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415 - loaded with the client

    ends = time.monotonic() + _REMOVE_SECONDS
    with contextlib.suppress(Exception):
        while True:
            try:
                client.remove_container(container, v=True, force=True)
            except NotFound:
                return
            except APIError:  # one that is just being started is refused
                if time.monotonic() >= ends:
                    return
                time.sleep(_POLL_SECONDS)
            else:
                return


def _archive(config: str) -> bytes:
    content = config.encode()
    entry = tarfile.TarInfo(_NAME)
    entry.size, entry.mode = len(content), 0o444
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
