"""cosign, run as a program: keyless verification of an image by digest, exact identity and exact issuer."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bot.adapters.cosign.program import CosignProgram, who_signed
from bot.adapters.programs import Programs
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
)
from bot.core.versions import Ref
from bot.errors import ServiceError

SECONDS = 90.0
"""For one start of cosign: it asks a registry, and now and then Sigstore's own trust root."""

_MAX_BUNDLES = 5


class Cosign:
    """Verifies with the cosign that the PATH finds. `root` is the checkout, where a private trusted root stands."""

    def __init__(self, programs: Programs, root: Path) -> None:
        self._programs = programs
        self._cosign = CosignProgram(programs, root, lambda: SECONDS)

    def verify(self, repository: Repository, digest: Digest, ref: Ref, signature: Signature) -> Answer:
        """Who signed the image at `digest`, or why that is not proven. Both signature formats are tried.

        A legacy signature can be hidden from cosign 3 by a stranger's bundle: so the one format's failure
        says nothing of the other. Raises UsageError for a trusted root that is not there.
        """
        who = [*self._cosign.trusted(signature), *who_signed(signature, ref)]
        try:
            self._cosign.flags  # noqa: B018 - the version is asked for once, before there are threads
            asked = [beside(partial(self._ask, repository, digest, who, form)) for form in FORMATS]
            answers = [each.result() for each in asked]
            failures = [answer for answer in answers if isinstance(answer, NotSigned | Unanswered)]
            if len(failures) == len(FORMATS):
                failure = best_failure(failures)
                return self._cosign.doubted(repository, digest) if failure == NotSigned(UNSIGNED) else failure
            form, log = next(
                (form, answer)
                for form, answer in zip(FORMATS, answers, strict=True)
                if not isinstance(answer, NotSigned | Unanswered)
            )
            at, index = self._logged(repository, digest, who) if form == "bundle" else log
            tool = f"cosign {self._cosign.version}"
            return Signed(digest, identity_of(signature, ref), signature.issuer, form, tool, at, index)
        except ServiceError as error:
            return Unanswered.by(error)

    def _ask(
        self, repository: Repository, digest: Digest, who: Sequence[str], form: Format
    ) -> Logged | NotSigned | Unanswered:
        failures: list[NotSigned] = []
        for flags in self._cosign.flags[form]:
            ask = ["verify", "--output", "json", *who, *flags, f"{repository}@{digest}"]
            try:
                done = self._cosign.run(ask, repository)
            except ServiceError as error:
                return Unanswered.by(error)  # of this format: the other one may still be there
            answer = judge_failure(done.code, done.err) if done.code else judge_claims(done.out, digest, form)
            if not isinstance(answer, NotSigned):
                return answer
            failures.append(answer)
        return best_failure(failures)

    def _logged(self, repository: Repository, digest: Digest, who: Sequence[str]) -> Logged:
        """When and where the bundle that verifies was logged: each is verified alone, so no other one's words count.

        Nothing hangs on it: who signed is proven by now.
        """
        kind = SIGNATURE_TYPES["bundle"]
        download = ["download", "attestation", "--predicate-type", kind, f"{repository}@{digest}"]
        about = ["--type", kind, "--digest", digest.partition(":")[2], "--digestAlg", "sha256"]
        with contextlib.suppress(ServiceError):
            for bundle in bundles_in(self._cosign.run(download, repository).out)[:_MAX_BUNDLES]:
                with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
                    path = Path(folder) / "bundle.json"
                    path.write_bytes(bundle)
                    ask = ["verify-blob-attestation", *who, *about, "--bundle", str(path)]
                    if any(self._cosign.run([*ask, *flags]).code == 0 for flags in self._cosign.flags["bundle"]):
                        return bundle_log(bundle)
        return None, None
