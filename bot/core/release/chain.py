"""The links between a release and upstream's own build, each with its answer. Pure."""

from __future__ import annotations

import msgspec

from bot.core.gates import Gate, Unanswered, first_refusal
from bot.core.text import plain
from bot.core.wire import GateJson, gates_json
from bot.errors import BotError

_WRONG = "Do not use this release: ask its maintainers what happened."
_ABSENT = "It is not published, or not wholly: look at the run of its tag on GitHub, and ask its maintainers."
_INTEGRITY = 5


class ChainJson(msgspec.Struct, frozen=True):
    """`release verify --json`: one object. `digest` is what the release is, empty where that is not known.

    `own_roots` are the repository's files on whose word alone signatures are believed.
    """

    repository: str
    tag: str
    ok: bool
    exit_code: int
    digest: str
    own_roots: list[str]
    links: list[GateJson]


class Links:
    """The links as they are found, one after another."""

    def __init__(self) -> None:
        self.found: list[Gate] = []

    def has(self, name: str) -> bool:
        return any(link.name == name for link in self.found)

    def passes(self, name: str, said: str, repeat: str) -> None:
        self.found.append(Gate(name, "pass", said, repeat))

    def warns(self, name: str, said: str, repeat: str, next_step: str = "") -> None:
        self.found.append(Gate(name, "warn", said, repeat, next_step=next_step))

    def fails(self, name: str, said: str, repeat: str, exit_code: int = 5) -> None:
        self.found.append(Gate(name, "fail", said, repeat, exit_code, _WRONG if exit_code == _INTEGRITY else _ABSENT))

    def unknown(self, name: str, error: BotError, repeat: str) -> None:
        """What an error leaves of it: a failure, where something came that is not what it claims to be."""
        self.found.append(Unanswered.by(error).gate(name, repeat))


class Chain(msgspec.Struct, frozen=True):
    """Every link from the tag to upstream; one that refuses does not keep the others from being asked."""

    repository: str
    tag: str
    digest: str
    links: tuple[Gate, ...]
    own_roots: tuple[str, ...] = ()
    """Files of the repository itself on whose word signatures are believed: whoever wrote them can be any signer."""

    @property
    def exit_code(self) -> int:
        """That of the first link that fails, else of one that is not known: 5 not what it claims to be, 8 not there, 4.

        0 where some only warn, by `own_roots` too: who must have signed is the repository's word in any case.
        """
        failures = [link for link in self.links if link.verdict == "fail"]
        refusal = first_refusal(failures) or first_refusal(self.links)
        return refusal.exit_code if refusal else 0

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is ChainJson's."""
        return msgspec.json.encode(
            ChainJson(
                self.repository,
                self.tag,
                self.exit_code == 0,
                self.exit_code,
                self.digest,
                [plain(root, 300) for root in self.own_roots],
                gates_json(self.links),
            )
        )

    def text(self) -> str:
        """For a person: each link, what was found, and the command that asks again."""
        lines: list[str] = []
        for link in self.links:
            lines.append(f"{link.verdict}: {link.name}: {plain(link.evidence, 600)}")
            lines += [f"  $ {line}" for line in link.repeat.splitlines()]
            lines += [f"  next: {link.next_step}"] if link.refuses else []
        verdicts = [link.verdict for link in self.links]
        failed, unknown, count = verdicts.count("fail"), verdicts.count("unknown"), f"{len(verdicts)} links"
        parts = [f"{failed} of {count} do not hold"] if failed else []
        parts += [f"{unknown} of {count} could not be asked"] if unknown else []
        said = ", ".join(parts) or f"all {count} hold"
        if self.own_roots:
            files = plain(" and ".join(self.own_roots), 300)
            said += (
                f", but who signed is not proven: only {files} of {self.repository} itself vouches for it. Verify "
                "with --trusted-root FILE, a trusted root that you have from your Sigstore"
            )
        return "\n".join([*lines, f"{self.repository} {self.tag}: {said}"])
