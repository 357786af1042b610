"""The answer of `check` for one image, and its two forms. Pure."""

from __future__ import annotations

import msgspec

from bot.core.gates import Gate, first_refusal
from bot.core.model import DotenvSite, Image, Pin
from bot.core.pins.held import Held
from bot.core.pins.sites import Drift
from bot.core.report import short
from bot.core.text import plain
from bot.core.wire import CheckJson, HeldJson, drift_json, gates_json, pin_json


class Checked(msgspec.Struct, frozen=True):
    """What the files say of an image; `fixed` are the places that disagreed and no longer do."""

    image: Image
    pin: Pin
    held: tuple[Held, ...]
    drift: tuple[Drift, ...]
    fixed: tuple[Drift, ...]
    gates: tuple[Gate, ...]

    @property
    def exit_code(self) -> int:
        """3 for drift that stays, otherwise that of the gate that refuses."""
        if self.drift:
            return 3
        refusal = first_refusal(self.gates)
        return refusal.exit_code if refusal else 0

    def exported(self) -> dict[str, str]:
        """The dotenv keys that hold the pin, with their values as they were read."""
        sites = [site for site in self.image.sites if isinstance(site, DotenvSite)]
        values = ((site, [held.text for held in self.held if held.site == site]) for site in sites)
        return {key: text for site, texts in values for (key, _), text in zip(site.keys, texts, strict=True)}

    def json(self) -> bytes:
        """One line of JSON, without its end; the shape is CheckJson's."""
        return msgspec.json.encode(
            CheckJson(
                image=self.image.name,
                ok=self.exit_code == 0,
                exit_code=self.exit_code,
                pin=pin_json(self.pin, ()),
                sites=[HeldJson(held.file, held.line, held.field, held.text) for held in self.held],
                drift=drift_json(self.drift),
                fixed=drift_json(self.fixed),
                gates=gates_json(self.gates),
            )
        )

    def text(self) -> str:
        """For a person: what disagrees, where, and how to repair it."""
        truth = self.image.sites[0].file
        lines = [f"{d.where}: holds {plain(d.holds, 300)}, {truth} says {d.expected}" for d in self.drift]
        lines += [f"{d.where}: repaired: held {plain(d.holds, 300)}, now {d.expected}" for d in self.fixed]
        lines += [f"{gate.verdict}: {gate.name}: {short(plain(gate.evidence, 1000))}" for gate in self.gates]
        lines += [f"  next: {gate.next_step}" for gate in self.gates if gate.refuses]
        files = len({held.file for held in self.held})
        count = f"{len(self.held)} value{'s' * (len(self.held) != 1)} in {files} file{'s' * (files != 1)}"
        if self.drift and first_refusal(self.gates) is not None:
            lines.append(f"{self.image.name}: {len(self.drift)} of {count} disagree; not repaired while a gate refuses")
        elif self.drift:
            lines.append(f"{self.image.name}: {len(self.drift)} of {count} disagree; repair: gateway-bot check --fix")
        else:
            lines.append(f"{self.image.name}: {count} agree on {self.pin.ref} {self.pin.digest}")
        return "\n".join(lines)


class Unchecked(msgspec.Struct, frozen=True):
    """An image whose pin could not be read, or upstream not asked: why, where, and what to do next."""

    image: str
    reason: str
    where: str
    next_step: str
    exit_code: int

    def exported(self) -> dict[str, str]:
        """Nothing: it is not known what is right."""
        return {}

    def json(self) -> bytes:
        """As `Checked.json`."""
        return msgspec.json.encode(
            CheckJson(
                image=self.image,
                ok=False,
                exit_code=self.exit_code,
                reason=self.reason,
                where=self.where,
                next_step=self.next_step,
            )
        )

    def text(self) -> str:
        """As `Checked.text`."""
        return f"{self.image}: {plain(self.where, 1000)}: {plain(self.reason, 1000)}\n  next: {self.next_step}"
