"""The identity of a run, from the token that it would sign with: what Sigstore will write into the certificate.

GitHub, "OpenID Connect reference": the claim `job_workflow_ref` is the workflow file of the job, with its ref. The
token is read, not verified: it is our own, and whoever gets it verifies it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping

import msgspec

from bot.adapters.http import Http
from bot.core.decoding import decode
from bot.errors import ServiceError

_MAX_BYTES = 64 * 1024
_OK = 200


class _Given(msgspec.Struct):
    value: str


class _Claims(msgspec.Struct):
    job_workflow_ref: str = ""


def workflow_of_run(http: Callable[[], Http], environ: Mapping[str, str]) -> str:
    """`OWNER/NAME/.github/workflows/FILE@REF` of the job; empty where the token names no workflow, or there is none.

    Raises ServiceError where the runner gives no token.
    """
    token = environ.get("SIGSTORE_ID_TOKEN", "")
    url, request = (environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    if not token and url and request:
        answer = http().get(f"{url}&audience=sigstore", {"Authorization": f"bearer {request}"}, max_bytes=_MAX_BYTES)
        try:
            token = decode(answer.body, _Given).value if answer.status == _OK else ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            token = ""
        if not token:
            raise ServiceError(
                f"the runner gives no identity token (HTTP {answer.status})",
                where="ACTIONS_ID_TOKEN_REQUEST_URL",
                next_step="Nothing was written. Run it again; if it stays so, look at https://www.githubstatus.com.",
            )
    try:
        payload = token.split(".")[1]
        claims = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return decode(claims, _Claims).job_workflow_ref
    except (IndexError, ValueError):
        return ""
