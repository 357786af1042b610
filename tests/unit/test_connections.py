"""What goes through a proxy and what does not, what is sent as a stream, and how a failure reads."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from urllib3.exceptions import HTTPError

from bot.adapters.connections import Connections, why
from bot.embedded.server import Fault, LoopbackServer, Request, Response
from bot.errors import UsageError

PASSWORD = "of-the-proxy"  # noqa: S105 - of no secret


class Proxy(LoopbackServer):
    """Answers in the place of whoever is asked."""

    def answer(self, request: Request) -> Response:
        return Response(200, request.body or b"0123456789", (("X-By", "proxy"),))


@pytest.fixture
def server() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


def ask(connections: Connections, url: str, body: Iterator[bytes] | None = None, **headers: str) -> bytes:
    answer = connections.send("PUT" if body else "GET", url, headers, body, seconds=5)
    try:
        return answer.read()
    finally:
        answer.close()


def test_plain_http_goes_through_the_proxy_with_its_own_password(server: Proxy) -> None:
    environ = {"http_proxy": f"http://bot:{PASSWORD}@{server.host}"}
    with Connections(environ) as connections:
        ask(connections, "http://registry.example/v2/")
    (exchange,) = server.exchanges

    assert exchange.path == "http://registry.example/v2/"
    assert exchange.headers["proxy-authorization"] == "Basic " + b64encode(f"bot:{PASSWORD}".encode()).decode()
    assert "authorization" not in exchange.headers


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_may_be_named_in_any_usual_way_and_without_a_scheme(server: Proxy, name: str) -> None:
    with Connections({name: server.host}) as connections:
        ask(connections, "http://registry.example/v2/")

    assert len(server.exchanges) == 1


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_whom_no_proxy_names_is_asked_directly(server: Proxy, name: str) -> None:
    with Connections({"http_proxy": f"http://{server.host}", name: "other.example,.invalid"}) as connections:
        with pytest.raises(HTTPError) as raised:
            ask(connections, "http://registry.invalid/")
        ask(connections, "http://registry.example/")

    assert [each.path for each in server.exchanges] == ["http://registry.example/"]
    assert why(raised.value).startswith("its name is not known")


def test_loopback_is_asked_directly_whatever_the_proxy(server: Proxy) -> None:
    with Connections({"all_proxy": "http://127.0.0.1:1"}) as connections:
        assert ask(connections, f"{server.url}/x") == b"0123456789"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://[", "ftp://x"])
def test_a_proxy_that_is_none_is_refused_without_being_shown(proxy: str) -> None:
    with pytest.raises(UsageError) as raised:
        Connections({"https_proxy": proxy.replace("//", f"//bot:{PASSWORD}@")})

    assert PASSWORD not in f"{raised.value}{raised.value.next_step}"
    assert raised.value.exit_code == 2


def test_a_stream_of_a_known_length_is_sent_as_one(server: Proxy) -> None:
    with Connections({}) as connections:
        sent = ask(connections, server.url, iter([b"one ", b"two"]), **{"Content-Length": "7"})
    (exchange,) = server.exchanges

    assert (sent, exchange.headers["content-length"]) == (b"one two", "7")
    assert "transfer-encoding" not in exchange.headers


def test_an_error_of_the_stream_s_own_comes_out_and_leaves_no_half_connection(server: Proxy) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one "
        raise LookupError("of its own")

    with Connections({}) as connections:
        with pytest.raises(LookupError):
            ask(connections, server.url, broken(), **{"Content-Length": "7"})

        assert ask(connections, f"{server.url}/next") == b"0123456789"


def test_a_redirect_is_an_answer_and_nothing_is_followed(server: Proxy) -> None:
    server.intercept = lambda _method, _path: Fault(answer=Response(307, b"", (("Location", "/elsewhere"),)))
    with Connections({}) as connections:
        answer = connections.send("GET", server.url, {}, None, seconds=5)
        status = answer.status
        answer.close()

    assert (status, len(server.exchanges)) == (307, 1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Fault(drop=True), "the connection broke off"), (Fault(cut=3), "the connection broke off")],
)
def test_what_broke_is_said_in_plain_words(server: Proxy, fault: Fault, said: str) -> None:
    server.intercept = lambda _method, _path: fault
    with Connections({}) as connections, pytest.raises(HTTPError) as raised:
        ask(connections, server.url)

    assert why(raised.value).startswith(said)


def test_nobody_at_a_port_is_no_connection() -> None:
    with Connections({}) as connections, pytest.raises(HTTPError) as raised:
        ask(connections, "http://127.0.0.1:1/")

    assert why(raised.value) == "no connection (Connection refused)"


NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and the certificate of 127.0.0.1 that it signed itself, in one file."""
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    asked = x509.CertificateBuilder(NAME, NAME, key.public_key(), x509.random_serial_number())
    asked = asked.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = asked.add_extension(here, critical=False).sign(key, SHA256())
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return file


def name_in_folder() -> str:
    """The file in which OpenSSL looks for this name: a hash of its parts, which are in lower case here."""
    parts = NAME.public_bytes()[2:]
    return f"{int.from_bytes(sha1(parts, usedforsecurity=False).digest()[:4], 'little'):08x}.0"


@pytest.fixture
def secure(certificate: Path) -> Iterator[Proxy]:
    """The same over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    running = Proxy()
    running.start()
    assert running._server is not None
    running._server.socket = context.wrap_socket(running._server.socket, server_side=True)
    yield running
    running.stop()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("first", [True, False])
def test_https_trusts_whom_the_environment_names_whatever_was_asked_before(
    server: Proxy, secure: Proxy, certificate: Path, tmp_path: Path, name: str, *, first: bool
) -> None:
    environ = {name: str(certificate)}
    if name == "SSL_CERT_DIR":
        (tmp_path / name_in_folder()).write_bytes(certificate.read_bytes())
        environ = {name: str(tmp_path)}
    with Connections(environ) as connections:
        if first:
            ask(connections, server.url)

        assert ask(connections, f"https://{secure.host}/") == b"0123456789"


def test_https_trusts_nobody_whom_the_environment_does_not_name(server: Proxy, secure: Proxy) -> None:
    with Connections({}) as connections:
        ask(connections, server.url)
        with pytest.raises(HTTPError) as raised:
            ask(connections, f"https://{secure.host}/")

    assert why(raised.value).startswith("its certificate is not accepted")
    assert secure.exchanges == []


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_a_proxy_for_https_is_for_https_only(server: Proxy, name: str) -> None:
    with Connections({name: f"http://{server.host}"}) as connections:
        with pytest.raises(HTTPError) as plain:
            ask(connections, "http://registry.invalid/")
        with pytest.raises(HTTPError) as secured:
            ask(connections, "https://registry.invalid/")

    assert why(plain.value).startswith("its name is not known")
    assert why(secured.value).startswith("the proxy does not let it through")  # it knows no CONNECT
    assert server.exchanges == []


def test_a_proxy_for_http_is_for_http_only(server: Proxy) -> None:
    with Connections({"http_proxy": f"http://{server.host}"}) as connections, pytest.raises(HTTPError) as raised:
        ask(connections, "https://registry.invalid/")

    assert why(raised.value).startswith("its name is not known")


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_the_name_in_lower_case_wins(server: Proxy, name: str) -> None:
    with Connections({name.upper(): "http://127.0.0.1:1", name: f"http://{server.host}"}) as connections:
        ask(connections, "http://registry.example/")

    assert len(server.exchanges) == 1


def test_the_proxy_of_a_scheme_goes_before_the_one_for_all(server: Proxy) -> None:
    with Connections({"all_proxy": "http://127.0.0.1:1", "HTTP_PROXY": f"http://{server.host}"}) as connections:
        ask(connections, "http://registry.example/")

    assert len(server.exchanges) == 1


def test_whom_no_proxy_names_in_lower_case_counts(server: Proxy) -> None:
    environ = {"http_proxy": f"http://{server.host}", "no_proxy": "other.invalid", "NO_PROXY": "registry.invalid"}
    with Connections(environ) as connections:
        ask(connections, "http://registry.invalid/")

    assert len(server.exchanges) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_uses_a_proxy_is_in_a_header_and_not_in_its_address(scheme: str) -> None:
    environ = {f"{scheme}_proxy": f"http://bot:{PASSWORD}@proxy.example:3128"}
    with Connections(environ) as connections:
        way = connections._way(f"{scheme}://registry.example/")

    assert isinstance(way, urllib3.ProxyManager)
    assert way.proxy is not None
    assert (way.proxy.url, way.proxy.auth) == ("http://proxy.example:3128", None)
    assert way.proxy_headers == {"proxy-authorization": "Basic " + b64encode(f"bot:{PASSWORD}".encode()).decode()}
