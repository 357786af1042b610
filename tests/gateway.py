"""A gateway's image that all gates can look at: signed, of packages that Trivy knows, with a program that judges."""

from __future__ import annotations

from collections.abc import Mapping

from bot.embedded.images import MultiPlatformImage
from tests.engine import standin_image
from tests.trivy import wolfi

OLD = {"openssl": "3.5.0-r1", "zlib": "1.2-r0", "glibc": "2.40-r0"}
NEW = {"openssl": "3.5.0-r1", "zlib": "1.3-r1", "glibc": "2.40-r0"}
VULNERABLE = {**NEW, "openssl": "3.5.0-r0"}


def gateway_image(version: str, amd64: Mapping[str, str], arm64: Mapping[str, str] | None = None) -> MultiPlatformImage:
    """The stand-in's program of a version with these packages on each platform."""
    packages = {"linux/amd64": amd64, "linux/arm64": arm64 or amd64}
    return standin_image(version, files={platform: wolfi(found) for platform, found in packages.items()})
