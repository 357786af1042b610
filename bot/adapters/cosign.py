"""cosign, run as a program: keyless verification of an image by digest, exact identity and exact issuer."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from bot.adapters.programs import Finished, Programs
from bot.beside import beside
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.signature import (
    FORMATS,
    SIGNATURE_TYPES,
    UNSIGNED,
    Answer,
    Format,
    Logged,
    NotSigned,
    Signed,
    best_failure,
    bundle_log,
    bundles_in,
    identity_of,
    judge_claims,
    judge_failure,
    judge_unsigned,
)
from bot.core.text import plain
from bot.core.versions import Ref, parse_version
from bot.errors import ServiceError, UsageError

SECONDS = 90.0
"""For one start of cosign: it asks a registry, and now and then Sigstore's own trust root."""

_MAX_BUNDLES = 5
# By cosign's major version, each way to ask in turn. cosign 2 takes a bundle's time from a timestamp authority alone,
# or from the log alone, as it is told.
_FLAGS: Mapping[int, Mapping[Format, tuple[tuple[str, ...], ...]]] = {
    3: {"bundle": ((),), "legacy": (("--new-bundle-format=false",),)},
    2: {
        "bundle": (("--new-bundle-format", "--use-signed-timestamps"), ("--new-bundle-format",)),
        "legacy": (("--new-bundle-format=false",),),
    },
}
_OLDEST = (2, 6)


class Cosign:
    """Verifies with the cosign that the PATH finds. `root` is the checkout, where a private trusted root stands."""

    def __init__(self, programs: Programs, root: Path) -> None:
        self._programs = programs
        self._root = root

    def verify(self, repository: Repository, digest: Digest, ref: Ref, signature: Signature) -> Answer:
        """Who signed the image at `digest`, or why that is not proven. Both signature formats are tried.

        A legacy signature can be hidden from cosign 3 by a stranger's bundle: so the one format's failure
        says nothing of the other. Raises UsageError for a trusted root that is not there.
        """
        who = [*self._trusted(signature), *_who(signature, ref)]
        try:
            self._flags  # noqa: B018 - the version is asked for once, before there are threads
            asked = [beside(partial(self._ask, repository, digest, who, form)) for form in FORMATS]
            answers = [each.result() for each in asked]
            failures = [answer for answer in answers if isinstance(answer, NotSigned | Unanswered)]
            if len(failures) == len(FORMATS):
                failure = best_failure(failures)
                return self._doubted(repository, digest) if failure == NotSigned(UNSIGNED) else failure
            form, log = next(
                (form, answer)
                for form, answer in zip(FORMATS, answers, strict=True)
                if not isinstance(answer, NotSigned | Unanswered)
            )
            at, index = self._logged(repository, digest, who) if form == "bundle" else log
            tool = f"cosign {self._version}"
            return Signed(digest, identity_of(signature, ref), signature.issuer, form, tool, at, index)
        except ServiceError as error:
            return Unanswered.by(error)

    def _ask(
        self, repository: Repository, digest: Digest, who: Sequence[str], form: Format
    ) -> Logged | NotSigned | Unanswered:
        failures: list[NotSigned] = []
        for flags in self._flags[form]:
            try:
                done = self._run(["verify", "--output", "json", *who, *flags, f"{repository}@{digest}"], repository)
            except ServiceError as error:
                return Unanswered.by(error)  # of this format: the other one may still be there
            answer = judge_failure(done.code, done.err) if done.code else judge_claims(done.out, digest, form)
            if not isinstance(answer, NotSigned):
                return answer
            failures.append(answer)
        return best_failure(failures)

    def _doubted(self, repository: Repository, digest: Digest) -> NotSigned | Unanswered:
        """Whether it is unsigned indeed: cosign 3 takes a registry that fails for one that holds no bundle."""
        done = self._run(["tree", "--experimental-oci11", f"{repository}@{digest}"], repository)
        return judge_unsigned(done.code, done.err)

    def _logged(self, repository: Repository, digest: Digest, who: Sequence[str]) -> Logged:
        """When and where the bundle that verifies was logged: each is verified alone, so no other one's words count.

        Nothing hangs on it: who signed is proven by now.
        """
        kind = SIGNATURE_TYPES["bundle"]
        download = ["download", "attestation", "--predicate-type", kind, f"{repository}@{digest}"]
        about = ["--type", kind, "--digest", digest.partition(":")[2], "--digestAlg", "sha256"]
        with contextlib.suppress(ServiceError):
            for bundle in bundles_in(self._run(download, repository).out)[:_MAX_BUNDLES]:
                with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
                    path = Path(folder) / "bundle.json"
                    path.write_bytes(bundle)
                    ask = ["verify-blob-attestation", *who, *about, "--bundle", str(path)]
                    if any(self._run([*ask, *flags]).code == 0 for flags in self._flags["bundle"]):
                        return bundle_log(bundle)
        return None, None

    @cached_property
    def _flags(self) -> Mapping[Format, tuple[tuple[str, ...], ...]]:
        parsed = parse_version(self._version)
        if parsed is None or parsed.release[0] not in _FLAGS or parsed.release[:2] < _OLDEST:
            raise ServiceError(
                f"cosign {plain(self._version, 40)} is none that is known here: 2.6 or newer, or 3",
                where="cosign",
                next_step="Install cosign 3: docs/tools.md says how.",
            )
        return _FLAGS[parsed.release[0]]

    @cached_property
    def _version(self) -> str:
        done = self._run(["version", "--json"])
        try:
            return str(json.loads(done.out)["gitVersion"]).removeprefix("v")
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ServiceError(
                "cosign does not say its version",
                where="cosign",
                next_step="See that `cosign version --json` works: docs/tools.md says which one is needed.",
            ) from None

    def _run(self, arguments: Sequence[str], repository: Repository | None = None) -> Finished:
        registry = repository.host if repository else ""
        # Sigstore's trust root is fetched into a home that is gone afterwards: a store that is kept is locked by one
        # cosign at a time, and could be written by others
        return self._programs.run("cosign", arguments, seconds=SECONDS, registry=registry)

    def _trusted(self, signature: Signature) -> list[str]:
        if not signature.trusted_root:
            return []
        path = (self._root / signature.trusted_root).resolve()
        if not path.is_file() or not path.is_relative_to(self._root.resolve()):
            raise UsageError(
                "the trusted root is no file of the checkout",
                where=signature.trusted_root,
                next_step="Put the trusted root of your Sigstore there, or name it right in gateway-bot.toml.",
            )
        try:
            json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            raise UsageError(
                "the trusted root is no JSON",
                where=signature.trusted_root,
                next_step="Make it anew with `cosign trusted-root create`, from what your Sigstore says of itself.",
            ) from None
        return ["--trusted-root", str(path)]


def _who(signature: Signature, ref: Ref) -> list[str]:
    return [
        "--certificate-oidc-issuer",
        signature.issuer,
        "--certificate-identity",
        identity_of(signature, ref),
    ]
