"""The keys and certificates of one private Sigstore, as files of a folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = "of no secret"  # noqa: S105 - Fulcio reads no CA key without one
_YEARS = timedelta(days=3650)


def make_keys(folder: Path, hosts: tuple[str, ...]) -> None:
    """What each service of a Sigstore signs with; `tls.pem` is the certificate of these hosts, by `tls-ca.pem`."""
    folder.mkdir(parents=True)
    fulcio = generate_private_key(SECP256R1())
    _write(folder / "fulcio.pem", _authority("fulcio", fulcio))
    _write_key(folder / "fulcio.key", fulcio, BestAvailableEncryption(PASSWORD.encode()))
    for name in ("ctlog", "rekor1", "issuer"):
        _write_pair(folder, name, generate_private_key(SECP256R1()))
    _write_pair(folder, "rekor2", Ed25519PrivateKey.generate())
    stamps = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    _write_issued(folder, "tsa", "timestamps", (stamps, True))
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    _write_issued(folder, "tls", "issuer", (names, False))


def _write_issued(folder: Path, file: str, name: str, extension: tuple[x509.ExtensionType, bool]) -> None:
    """A key, its certificate with the one of its authority below it, and the authority's alone."""
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    authority = _authority(f"{name} authority", ca_key)
    certificate = (
        _certificate(name, key, authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(extension[0], critical=extension[1])
        .sign(ca_key, SHA256())
    )
    _write(folder / f"{file}.pem", certificate, authority)
    _write(folder / f"{file}-ca.pem", authority)
    _write_key(folder / f"{file}.key", key, NoEncryption())


def _authority(name: str, key: EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _certificate(name, key, _name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _certificate(name: str, key: EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    begins = datetime.now(UTC) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + _YEARS)
    )


def _name(name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sigstore.test")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, *certificates: x509.Certificate) -> None:
    path.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))


def _write_pair(folder: Path, name: str, key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> None:
    _write_key(folder / f"{name}.key", key, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)


def _write_key(
    path: Path, key: EllipticCurvePrivateKey | Ed25519PrivateKey, encryption: KeySerializationEncryption
) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
