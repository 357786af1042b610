"""Images in an engine: exactly the one that was asked for, pulled where it is not there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from bot.beside import waited
from bot.core.distribution import Login
from bot.core.text import plain
from bot.errors import ServiceError

if TYPE_CHECKING:
    from docker import APIClient

_PULL_SECONDS = 600


def provide(
    client: APIClient,
    image: str,
    login: Callable[[str], Login | None],
    log: Callable[[str], None],
    platform: str = "",
) -> list[str]:
    """Get the image, prove that it is the one, and tell the names of the variables that it sets, PATH aside.

    `platform`, as `linux/arm64`, where it is not the engine's own.
    """
    from docker.errors import ImageNotFound  # noqa: PLC0415 - loaded with the client

    digest = image.rpartition("@")[2]
    inspect = cast("Callable[[str], dict[str, Any]]", client.inspect_image)
    try:
        found = inspect(image)
    except ImageNotFound:
        log(f"pulling {image}")
        _pull(client, image, login, platform)
        found = inspect(image)
    if not any(str(each).endswith(f"@{digest}") for each in found.get("RepoDigests") or ()):
        raise ServiceError(
            "the engine has another image under this digest",
            where=image,
            next_step="Remove the image from the engine (docker image rm), and run it again.",
        )
    names = {str(entry).partition("=")[0] for entry in (found.get("Config") or {}).get("Env") or ()}
    return sorted(names - {"PATH"})


def _pull(client: APIClient, image: str, login: Callable[[str], Login | None], platform: str) -> None:
    repository, _, digest = image.rpartition("@")
    host = repository.partition("/")[0]
    found = login(host)
    auth: dict[str, str] = {}
    if found is not None and found.identity_token:
        auth = {"identitytoken": found.identity_token, "serveraddress": host}
    elif found is not None:
        auth = {"username": found.username, "password": found.password, "serveraddress": host}
    failed: list[str] = []
    errors: list[Exception] = []
    ended = threading.Event()

    def pull() -> None:
        try:
            steps = client.pull(
                repository, tag=digest, stream=True, decode=True, auth_config=auth, platform=platform or None
            )
            failed.extend(str(step["error"]) for step in steps if "error" in step)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)
        ended.set()

    # The library sets no limit to a pull: it gets a thread of its own, which a deadline can leave behind.
    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    waited(ended.wait, _PULL_SECONDS)  # not for the thread: a wait for that hears no signal
    if errors:
        raise errors[0]
    if failed or not ended.is_set():
        why = plain(failed[0], 200) if failed else f"it takes longer than {_PULL_SECONDS} s"
        raise ServiceError(
            f"the engine cannot pull the image: {why}",
            where=image,
            next_step="See that the engine reaches the registry and that the image has its platform.",
        )
