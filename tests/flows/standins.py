"""Programs on the PATH of a town: `cosign`, `trivy` and `terraform`, which answer what a test says, in the words of the
real ones (tests/recorded holds those; tests/real compares them). Shell scripts: a start of each takes 2 ms.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bot.core.gateway_config.verdict import Answer
from tests.fake_engine import Container, FakeEngine

Signed = Literal["bundle", "legacy", "sbom", "wrong", "other-digest", "unsigned", "empty", "hang", "crash"]
Finding = tuple[str, str, str, str]
"""Id, package, severity, version with the fix."""

OTHER = f"sha256:{'0' * 64}"
_BUNDLE_TYPE, _LEGACY_TYPE = "https://sigstore.dev/cosign/sign/v1", "cosign container image signature"
_UNSIGNED = "Error: no signatures found\nerror during command execution: no signatures found\n"
_MISMATCH = (
    "error during command execution: no matching attestations: failed to verify certificate identity: no matching "
    'CertificateIdentity found, last error: expected SAN value "a", got "b"\n'
)

_COSIGN = """#!/bin/sh
here=$(dirname "$0")/answers
for last; do :; done
digest=${last#*@}
echo "$*" >>"$here/cosign.starts"
case "$1" in
  version) echo '{"gitVersion": "v3.1.3"}'; exit 0 ;;
  verify)
    form=bundle
    case "$*" in *--new-bundle-format=false*) form=legacy ;; esac ;;
  download) form=download ;;
  *) exit 0 ;;
esac
answer="$here/$digest.$form"
[ -e "$answer.hang" ] && echo $$ >"$here/cosign.group" && exec sleep 60
cat "$answer.err" >&2 2>/dev/null
cat "$answer.out" 2>/dev/null
exit "$(cat "$answer.code" 2>/dev/null || echo 0)"
"""
_TRIVY = """#!/bin/sh
here=$(dirname "$0")/answers
echo "$*" >>"$here/trivy.starts"
previous=
for word; do
  case "$previous" in --output) output=$word ;; --platform) platform=$word ;; --cache-dir) cache=$word ;; esac
  previous=$word
done
case "$*" in
  version*) echo '{"Version": "0.68.2"}'; exit 0 ;;
  *--download-db-only*)
    if [ -e "$here/database.err" ]; then cat "$here/database.err" >&2; exit 1; fi
    mkdir -p "$cache/db" && cp "$here/metadata.json" "$cache/db/" && : >"$cache/db/trivy.db"; exit 0 ;;
esac
report="$here/${previous#*@}-$(echo "$platform" | tr / -).json"
if [ ! -e "$report" ]; then echo "FATAL	unable to find the specified image" >&2; exit 1; fi
cp "$report" "$output"
"""
_TERRAFORM = """#!/bin/sh
here=$(dirname "$0")/answers
case "$1" in
  plan) cat "$here/plan.jsonl" 2>/dev/null; exit "$(cat "$here/plan.code" 2>/dev/null || echo 0)" ;;
  show) cat "$here/show.json" ;;
esac
"""


@dataclass
class Programs:
    """What a town's programs answer; `path` is their PATH."""

    folder: Path
    image: str
    current: str
    """The digest that is pinned."""
    path: str = ""
    answers: Path = field(init=False)

    def __post_init__(self) -> None:
        self.answers = self.folder / "answers"
        self.answers.mkdir(parents=True)
        self.path = f"{self.folder}:/usr/bin:/bin"
        for name, script in (("cosign", _COSIGN), ("trivy", _TRIVY), ("terraform", _TERRAFORM)):
            file = self.folder / name
            file.write_text(script)
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        self.database("2026-08-20T06:00:00Z")
        self.renders("binds: []\n")

    def signature(self, digest: str, kind: Signed) -> None:
        """What cosign says of an image, in the format that the kind has."""
        self._cosign(digest, "legacy", err=_UNSIGNED, code=10)
        match kind:
            case "bundle":
                self._cosign(digest, "bundle", out=_claims(self.image, digest, _BUNDLE_TYPE))
                self._cosign(digest, "download", out=_bundle())
            case "legacy":
                self._cosign(digest, "bundle", err=_MISMATCH, code=1)
                self._cosign(digest, "legacy", out=_claims(self.image, digest, _LEGACY_TYPE))
            case "sbom":
                self._cosign(digest, "bundle", out=_claims(self.image, digest, "https://cyclonedx.org/bom"))
            case "other-digest":
                self._cosign(digest, "bundle", out=_claims(self.image, OTHER, _BUNDLE_TYPE))
            case "wrong":
                self._cosign(digest, "bundle", err=_MISMATCH, code=1)
            case "unsigned":
                self._cosign(digest, "bundle", err=_UNSIGNED, code=10)
            case "empty":
                self._cosign(digest, "bundle")
            case "crash":
                self._cosign(digest, "bundle", err="panic: dial tcp: connection refused\n", code=2)
            case "hang":
                (self.answers / f"{digest}.bundle.hang").touch()

    def findings(
        self,
        digest: str,
        found: Sequence[Finding],
        platforms: Sequence[str] = ("amd64", "arm64"),
        family: str = "wolfi",
    ) -> None:
        """What Trivy finds in an image, on these platforms; nothing on the other one."""
        for architecture in ("amd64", "arm64"):
            listed = found if architecture in platforms else ()
            report = _report(self.image, digest, architecture, listed, family)
            (self.answers / f"{digest}-linux-{architecture}.json").write_text(json.dumps(report))

    def database(self, updated: str, failure: str = "") -> None:
        """Trivy's database, or why it cannot be had."""
        metadata = {"Version": 2, "UpdatedAt": updated, "NextUpdate": "2026-08-21T06:00:00Z"}
        (self.answers / "metadata.json").write_text(json.dumps(metadata))
        if failure:
            (self.answers / "database.err").write_text(failure)

    def renders(self, text: str) -> None:
        """What Terraform makes of the template, in every environment."""
        plan = {"planned_values": {"outputs": {"rendered": {"value": text}}}}
        (self.answers / "show.json").write_text(json.dumps(plan))

    def starts(self, program: Literal["cosign", "trivy"]) -> list[str]:
        """The arguments of every start, in their order."""
        file = self.answers / f"{program}.starts"
        return file.read_text().splitlines() if file.exists() else []

    def remove(self, program: str) -> None:
        (self.folder / program).unlink()

    def _cosign(self, digest: str, form: str, *, out: str = "", err: str = "", code: int = 0) -> None:
        for suffix, text in (("out", out), ("err", err), ("code", str(code))):
            (self.answers / f"{digest}.{form}.{suffix}").write_text(text)


@dataclass(slots=True)
class Gateway(FakeEngine):
    """An engine whose images' program answers the same to every config, by the image's digest."""

    says: dict[str, Answer] = field(default_factory=dict)

    def answer_of(self, container: Container) -> Answer | None:
        return self.says.get(container.body["Image"].partition("@")[2], VALID)


VALID = Answer(0, "Configuration is valid!\n", "")


def _claims(image: str, digest: str, kind: str) -> str:
    log = {"Payload": {"logIndex": 91, "integratedTime": 1787000000}} if kind == _LEGACY_TYPE else None
    claim = {
        "critical": {
            "identity": {"docker-reference": image},
            "image": {"docker-manifest-digest": digest},
            "type": kind,
        },
        "optional": {"Bundle": log} if log else {},
    }
    return f"\n{json.dumps([claim])}\n"


def _bundle() -> str:
    promise = {"inclusionPromise": {"signedEntryTimestamp": "MEQ="}}
    entry = {"logIndex": "77", "integratedTime": "1787000000", "kindVersion": {"version": "0.0.1"}, **promise}
    return f"{json.dumps({'verificationMaterial': {'tlogEntries': [entry]}})}\n"


def _report(image: str, digest: str, architecture: str, found: Sequence[Finding], family: str) -> Mapping[str, object]:
    name = f"{image}@{digest}"
    vulnerabilities = [
        {
            "VulnerabilityID": identity,
            "PkgName": package,
            "InstalledVersion": "1.0-r0",
            "FixedVersion": fixed,
            "Severity": severity,
            "Title": f"a title of {identity}",
            "PrimaryURL": f"https://example.com/{identity.lower()}",
        }
        for identity, package, severity, fixed in found
    ]
    return {
        "SchemaVersion": 2,
        "ArtifactName": name,
        "ArtifactType": "container_image",
        "Metadata": {
            "OS": {"Family": family, "Name": "20230201"},
            "RepoDigests": [name],
            "ImageConfig": {"architecture": architecture, "os": "linux"},
        },
        "Results": [
            {
                "Target": f"{name} ({family} 20230201)",
                "Class": "os-pkgs",
                "Type": family,
                "Packages": [{"Name": "openssl", "Version": "1.0-r0"}],
                "Vulnerabilities": vulnerabilities,
            }
        ],
    }
