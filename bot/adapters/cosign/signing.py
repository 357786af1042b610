"""cosign, run as a program: signatures and attestations of an image by digest, keyless, with the run's own identity.

What cosign is told, and why:
- its identity token comes by a variable, so that it stands in no argument list;
- `--fulcio-auth-flow token`: without it a token endpoint that refuses makes cosign wait for a person with a browser;
- it signs anew what is signed already, so whoever calls asks first what is there.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from bot.adapters.cosign.program import CosignProgram, who_signed
from bot.adapters.programs import Programs
from bot.core.gates import Unanswered
from bot.core.model import ReleasePolicy, Signature
from bot.core.reference import Digest, Repository
from bot.core.release.attestation import MAX_PREDICATE, Statement, judge_unattested, statements_in
from bot.core.signature import UNSIGNED, NotSigned, best_failure, said_last
from bot.core.text import plain
from bot.core.versions import Ref, parse_version
from bot.errors import ServiceError, UsageError

SECONDS = 180.0
"""For one start of cosign: a token, a certificate, a timestamp and an entry in a log, 30 s each, and the registry."""

TOKEN = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name of a variable
REQUEST = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
"""What GitHub's runner gives a job that may ask for an identity token."""

_MOST_STATEMENTS = 4 * MAX_PREDICATE
_OF_THE_TOKEN = ("id token", "identity token", "ambient oidc", "authenticating caller")
_REFUSED = re.compile(r"\b4(?:00|01|03|22)\b")
_MAJOR = 3


class Signer:
    """Signs with the cosign that the PATH finds, which must be cosign 3. May be used from several threads at once.

    `root` is the checkout, where a private Sigstore's files stand; `environ` is where the identity comes from.
    """

    def __init__(self, programs: Programs, root: Path, environ: Mapping[str, str]) -> None:
        self._cosign = CosignProgram(programs, root, lambda: SECONDS)
        self._environ = environ
        self._lock = Lock()
        self._alone: defaultdict[tuple[Repository, Digest], Lock] = defaultdict(Lock)

    def ready(self, policy: ReleasePolicy) -> None:
        """Raises what would hinder a signature, as far as that can be known before anything is written.

        UsageError: no identity, another cosign than 3, or a file of a private Sigstore that is not there.
        ServiceError: no cosign at all.
        """
        can_sign(self._environ)
        version = parse_version(self._cosign.version)
        if version is None or version.release[0] != _MAJOR:
            raise UsageError(
                f"cosign {plain(self._cosign.version, 40)} verifies, but releases are signed with cosign 3",
                where="cosign",
                next_step="Install cosign 3: docs/tools.md says how.",
            )
        self._services(policy)

    def sign(self, repository: Repository, digest: Digest, policy: ReleasePolicy) -> None:
        """Sign the image at `digest`, once more where it is signed already.

        Raises ServiceError where no signature was made, or the registry did not take it, and what `ready` raises.
        """
        self._make(["sign"], repository, digest, policy)

    def attest(
        self, repository: Repository, digest: Digest, predicate_type: str, predicate: bytes, policy: ReleasePolicy
    ) -> None:
        """Say `predicate`, which is JSON, of the image at `digest`, once more where it was said already.

        It comes back by `attestations` as `canonical` writes it. Raises as `sign` does.
        """
        with tempfile.TemporaryDirectory(prefix="gateway-bot-") as folder:
            path = Path(folder) / "predicate.json"
            path.write_bytes(predicate)
            self._make(["attest", "--type", predicate_type, "--predicate", str(path)], repository, digest, policy)

    def attestations(
        self, repository: Repository, digest: Digest, predicate_type: str, signature: Signature
    ) -> tuple[Statement, ...] | NotSigned | Unanswered:
        """What exactly this identity says of the image at `digest`, verified, or why nothing is proven.

        `signature` is whole, as `our_identity` makes it. NotSigned("unsigned") where there is nothing of this type.
        Raises UsageError for a trusted root that is not there. cosign 2.6 can be asked as well.
        """
        who = [*self._cosign.trusted(signature), *who_signed(signature, Ref(""))]
        ask = ["verify-attestation", "--type", predicate_type, *who]
        failures: list[NotSigned | Unanswered] = []
        try:
            for flags in self._cosign.flags["bundle"]:
                done = self._cosign.run(
                    [*ask, *flags, f"{repository}@{digest}"], repository, max_bytes=_MOST_STATEMENTS
                )
                if done.code:
                    answer = judge_unattested(done.code, done.err)
                else:
                    found = statements_in(done.out, digest, predicate_type)
                    if isinstance(found, tuple):
                        return found
                    answer = found
                failures.append(answer)
            failure = best_failure(failures)
            return self._cosign.doubted(repository, digest) if failure == NotSigned(UNSIGNED) else failure
        except ServiceError as error:
            return Unanswered.by(error)

    def _make(self, command: Sequence[str], repository: Repository, digest: Digest, policy: ReleasePolicy) -> None:
        self.ready(policy)
        # by its own timeout cosign ends a little earlier than it is stopped, and says what it waited for
        flags = ["--yes", "--fulcio-auth-flow", "token", "--timeout", f"{0.9 * SECONDS:.1f}s"]
        arguments = [*command, *flags, *self._services(policy), f"{repository}@{digest}"]
        with self._lock:
            alone = self._alone[repository, digest]
        with alone:  # where a registry has no referrers API, they are listed in one tag that each cosign rewrites
            done = self._cosign.run(arguments, repository, variables=_identity(self._environ))
        if done.code:
            raise _failed(command[0], f"{repository}@{digest}", repository, said_last(done.err))

    def _services(self, policy: ReleasePolicy) -> list[str]:
        trusted = self._cosign.trusted(policy.signature)
        if not policy.signing_config:
            return trusted
        config = self._cosign.file(policy.signing_config, "signing config", "signing-config")
        return [*trusted, "--signing-config", str(config)]


def can_sign(environ: Mapping[str, str]) -> None:
    """Raises UsageError where there is no identity to sign with: neither a token, nor somebody to ask for one."""
    if _identity(environ):
        return
    raise UsageError(
        "there is no identity to sign with: this run may not ask GitHub for an identity token",
        where=REQUEST[1],
        next_step=(
            "Add this line to the permissions of the job that publishes, in its workflow:\n"
            "    permissions:\n"
            "      id-token: write\n"
            f"Elsewhere than on GitHub, put an identity token into {TOKEN}. Nothing was written."
        ),
    )


def _identity(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which cosign gets its identity; a token that is there comes before one to ask for."""
    for names in ((TOKEN,), REQUEST):
        if all(environ.get(name) for name in names):
            return {name: environ[name] for name in names}
    return {}


def _failed(command: str, image: str, repository: Repository, said: str) -> ServiceError:
    what = "signed" if command == "sign" else "attested"
    if f"{repository.host}/v2/" in said:
        advice = f"The registry did not take it: see that it answers, and that your login may push to {repository}."
    elif any(text in said.casefold() for text in _OF_THE_TOKEN):
        advice = f"The identity token was not given, or not accepted: one in {TOKEN} is good for some minutes only."
    elif _REFUSED.search(said):
        advice = "Sigstore refused it: see that the issuer of the identity token is one that it knows."
    else:
        advice = "A part of Sigstore did not answer: https://status.sigstore.dev says whether the public one is well."
    return ServiceError(
        f"it is not {what}: {said}",
        where=image,
        next_step=f"{advice} Nothing is published unsigned. Run it again: it goes on from here.",
    )
