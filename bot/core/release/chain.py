"""The links between a release and upstream's own build, each with its answer. Pure."""

from __future__ import annotations

import msgspec

from bot.core.gates import Gate, first_refusal
from bot.core.text import plain
from bot.core.wire import GateJson, gates_json


class ChainJson(msgspec.Struct, frozen=True):
    """`release verify --json`: one object. `digest` is what the release is, empty where that is not known."""

    repository: str
    tag: str
    ok: bool
    exit_code: int
    digest: str
    links: list[GateJson]


class Chain(msgspec.Struct, frozen=True):
    """Every link from the tag to upstream; one that refuses does not keep the others from being asked."""

    repository: str
    tag: str
    digest: str
    links: tuple[Gate, ...]

    @property
    def exit_code(self) -> int:
        """That of the first link that refuses: 4 unknown, 5 not what it claims to be, 8 no such release."""
        refusal = first_refusal(self.links)
        return refusal.exit_code if refusal else 0

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is ChainJson's."""
        return msgspec.json.encode(
            ChainJson(
                self.repository, self.tag, self.exit_code == 0, self.exit_code, self.digest, gates_json(self.links)
            )
        )

    def text(self) -> str:
        """For a person: each link, what was found, and the command that asks again."""
        lines: list[str] = []
        for link in self.links:
            lines.append(f"{link.verdict}: {link.name}: {plain(link.evidence, 600)}")
            lines += [f"  $ {line}" for line in link.repeat.splitlines()]
            lines += [f"  next: {link.next_step}"] if link.refuses else []
        refused = sum(link.refuses for link in self.links)
        count = f"{len(self.links)} links"
        said = f"{refused} of {count} do not hold" if refused else f"all {count} hold"
        return "\n".join([*lines, f"{self.repository} {self.tag}: {said}"])
