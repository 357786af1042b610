"""The program cosign: which one it is, how it is told whom to trust, and what it is asked with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from bot.adapters.programs import MAX_BYTES, Finished, Programs
from bot.core.gates import Unanswered
from bot.core.model import Signature
from bot.core.reference import Digest, Repository
from bot.core.signature import Format, NotSigned, identity_of, judge_unsigned
from bot.core.text import plain
from bot.core.versions import Ref, parse_version
from bot.errors import ServiceError, UsageError

Flags = Mapping[Format, tuple[tuple[str, ...], ...]]
# By cosign's major version, each way to ask in turn. cosign 2 takes a bundle's time from a timestamp authority alone,
# or from the log alone, as it is told.
_FLAGS: Mapping[int, Flags] = {
    3: {"bundle": ((),), "legacy": (("--new-bundle-format=false",),)},
    2: {
        "bundle": (("--new-bundle-format", "--use-signed-timestamps"), ("--new-bundle-format",)),
        "legacy": (("--new-bundle-format=false",),),
    },
}
_OLDEST = (2, 6)


class CosignProgram:
    """The cosign that the PATH finds. `seconds` bounds each start; `root` is the checkout, where its files stand."""

    def __init__(self, programs: Programs, root: Path, seconds: Callable[[], float]) -> None:
        self._programs = programs
        self._root = root
        self._seconds = seconds

    @cached_property
    def flags(self) -> Flags:
        """The ways to ask this cosign. Raises ServiceError for one that is not known here."""
        parsed = parse_version(self.version)
        if parsed is None or parsed.release[0] not in _FLAGS or parsed.release[:2] < _OLDEST:
            raise ServiceError(
                f"cosign {plain(self.version, 40)} is none that is known here: 2.6 or newer, or 3",
                where="cosign",
                next_step="Install cosign 3: docs/tools.md says how.",
            )
        return _FLAGS[parsed.release[0]]

    @cached_property
    def version(self) -> str:
        """Without a leading `v`; whatever the program says."""
        done = self.run(["version", "--json"])
        try:
            return str(json.loads(done.out)["gitVersion"]).removeprefix("v")
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ServiceError(
                "cosign does not say its version",
                where="cosign",
                next_step="See that `cosign version --json` works: docs/tools.md says which one is needed.",
            ) from None

    def run(
        self,
        arguments: Sequence[str],
        repository: Repository | None = None,
        *,
        variables: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Finished:
        """Run it to its end; `repository` is the one whose registry's credentials it may read."""
        registry = repository.host if repository else ""
        # Sigstore's trust root is fetched into a home that is gone afterwards: a store that is kept is locked by one
        # cosign at a time, and could be written by others
        return self._programs.run(
            "cosign",
            arguments,
            seconds=self._seconds(),
            registry=registry,
            variables=variables,
            max_bytes=max_bytes,
        )

    def doubted(self, repository: Repository, digest: Digest) -> NotSigned | Unanswered:
        """Whether it is unsigned indeed: cosign 3 takes a registry that fails for one that holds no bundle."""
        done = self.run(["tree", "--experimental-oci11", f"{repository}@{digest}"], repository)
        return judge_unsigned(done.code, done.err)

    def trusted(self, signature: Signature) -> list[str]:
        """The flags for a private trusted root; none for Sigstore's own. Raises UsageError where it is not there."""
        if not signature.trusted_root:
            return []
        path = self.file(signature.trusted_root, "trusted root", "trusted-root")
        return ["--trusted-root", str(path)]

    def file(self, name: str, what: str, command: str) -> Path:
        """A file of the checkout with JSON that a private Sigstore says of itself. Raises UsageError."""
        path = (self._root / name).resolve()
        if not path.is_file() or not path.is_relative_to(self._root.resolve()):
            raise UsageError(
                f"the {what} is no file of the checkout",
                where=name,
                next_step=f"Put the {what} of your Sigstore there, or name it right in gateway-bot.toml.",
            )
        try:
            json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            raise UsageError(
                f"the {what} is no JSON",
                where=name,
                next_step=f"Make it anew with `cosign {command} create`, from what your Sigstore says of itself.",
            ) from None
        return path


def who_signed(signature: Signature, ref: Ref) -> list[str]:
    """The flags that say who must have signed, exactly."""
    return [
        "--certificate-oidc-issuer",
        signature.issuer,
        "--certificate-identity",
        identity_of(signature, ref),
    ]
