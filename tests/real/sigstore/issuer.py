"""GitHub's OIDC issuer, as Fulcio sees it: discovery, keys, and a token for any workflow at any ref."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

_KEY_ID = "only"
_VALID_SECONDS = 600


def token(keys: Path, issuer: str, workflow_ref: str, *, seconds_ago: int = 0) -> str:
    """The token of a run of `OWNER/REPO/.github/workflows/FILE@REF`, made that long ago."""
    now = int(time.time()) - seconds_ago
    repository = "/".join(workflow_ref.split("/")[:2])
    ref = workflow_ref.partition("@")[2]
    claims = {
        "iss": issuer,
        "aud": "sigstore",
        "sub": f"repo:{repository}:ref:{ref}",
        "iat": now,
        "nbf": now - 60,
        "exp": now + _VALID_SECONDS,
        "job_workflow_ref": workflow_ref,
        "repository": repository,
        "ref": ref,
    }
    return jwt.encode(claims, _key(keys), algorithm="ES256", headers={"kid": _KEY_ID})


@contextmanager
def issuing(keys: Path) -> Iterator[None]:
    """Every host of `tls.pem` answers as an issuer, at port 443 of 127.0.0.1."""
    jwk = {**ECAlgorithm.to_jwk(_key(keys).public_key(), as_dict=True), "kid": _KEY_ID, "use": "sig", "alg": "ES256"}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = f"https://{self.headers['Host']}"
            documents = {
                "/.well-known/openid-configuration": {
                    "issuer": issuer,
                    "jwks_uri": f"{issuer}/keys",
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                },
                "/keys": {"keys": [jwk]},
            }
            body = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Silent: what went wrong is in Fulcio's log."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "tls.pem", keys / "tls.key")
    with ThreadingHTTPServer(("127.0.0.1", 443), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def _key(keys: Path) -> EllipticCurvePrivateKey:
    key = load_pem_private_key((keys / "issuer.key").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key
