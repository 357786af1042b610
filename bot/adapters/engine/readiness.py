"""Where a started program can be asked, and whether it is ready."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bot.errors import ServiceError

if TYPE_CHECKING:
    from docker import APIClient

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.005
_ASK_SECONDS = 2.0
_READY = 200
_HERE = re.compile(
    r"(?:(?:unix|npipe|http\+unix)://.*|(?:tcp|http|https)://(?:localhost|127\.[\d.]+|\[::1\])(?::\d+)?/?)?"
)


class Network(msgspec.Struct, frozen=True):
    """How a container reaches and is reached.

    `port` is the one that is asked, `published` whether it gets another number on this machine.
    """

    host_config: Mapping[str, Any]
    hostname: str | None = "gateway-bot"
    port: int = 0
    published: bool = False

    @property
    def ports(self) -> list[int] | None:
        return [self.port] if self.published else None

    def address_of(self, client: APIClient, container: str) -> tuple[str, int]:
        """Where this machine reaches a container that was started."""
        if not self.published:
            return _LOOPBACK, self.port
        settings = cast("dict[str, Any]", client.inspect_container(container)["NetworkSettings"])
        found = settings["Ports"].get(f"{self.port}/tcp")  # one that has ended already is published nowhere
        return _LOOPBACK, int(found[0]["HostPort"]) if found else 0


NO_NETWORK = Network(
    # the program wants some resolver to be named, though it reaches none
    {"network_mode": "none", "dns": ["127.0.0.1"]}
)


def reachable(client: APIClient, host: str, port: int) -> Network:
    """A network in which this machine reaches `port` of a container, on loopback alone where the engine has a bridge.

    `host` as DOCKER_HOST has it. Raises ServiceError for an engine on another machine, and for a port that is taken.
    """
    if not _HERE.fullmatch(host):
        raise ServiceError(
            "the engine is on another machine, where nobody can ask for readiness from here",
            where=host,
            next_step="Start a Docker Engine on this machine, or run this where the engine is.",
        )
    if any(network.get("Name") == "bridge" for network in client.networks(names=["bridge"])):
        return Network({"port_bindings": {port: (_LOOPBACK,)}}, port=port, published=True)
    if not _is_free(port):
        raise ServiceError(
            f"port {port} of this machine is taken, and the engine has no bridge network to give it another number",
            where=host or "the Docker Engine",
            next_step="Stop what listens there, or use an engine with a bridge network.",
        )
    return Network({"network_mode": "host"}, hostname=None, port=port)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are over do not take it
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True


class Probe:
    """Asks `GET path` at an address until `deadline`, in seconds of the monotonic clock. `said` is the last answer."""

    def __init__(self, address: tuple[str, int], path: str, deadline: float) -> None:
        self.said = "nothing answered"
        self._address = address
        self._path = path
        self._began = time.monotonic()
        self._deadline = deadline

    def until_ready(self, is_running: Callable[[], bool]) -> int | None:
        """After how many milliseconds it answered 200; None where the program ended first, or time was up."""
        while True:
            status = self._status()
            took = round((time.monotonic() - self._began) * 1000)
            if not is_running():  # asked last: whoever answered may have been somebody else
                return None
            if status == _READY:
                return took
            if time.monotonic() >= self._deadline:
                return None
            time.sleep(_POLL_SECONDS)

    def _status(self) -> int | None:
        connection = http.client.HTTPConnection(*self._address, timeout=_ASK_SECONDS)
        try:
            connection.request("GET", self._path)
            with connection.getresponse() as response:
                status = response.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        self.said = f"HTTP {status}"
        return status
