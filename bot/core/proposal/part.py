"""The bot's part of a pull request's body: between two markers, so that a person's words beside it stay.

A marker is a link definition that nothing uses: GitHub shows nothing of it.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

ROOM = 65_000
"""Characters of a whole body; GitHub refuses more than 65,536."""

_LONGEST = 65_536
_CUT = "\n\n(cut here: too long)"
_BEGIN = "[//]: # (gateway-bot:begin)"
_END = re.compile(
    r"^\[//\]: # \(gateway-bot:end (\S+) (\S+) (sha256:[0-9a-f]{64}) text:([0-9a-f]{16})( withdrawn)?\)$", re.MULTILINE
)
_KEPT = (
    "<details>\n<summary>What stood here before, with the changes that somebody made to it</summary>\n\n",
    "\n\n</details>",
)


class Part(msgspec.Struct, frozen=True):
    """The bot's text, what it proposes, and what stands before and after it."""

    image: str
    ref: str
    digest: str
    text: str
    before: str
    after: str
    was: str
    """The mark of the text as the bot wrote it."""
    withdrawn: bool = False

    @property
    def edited(self) -> bool:
        """Whether a person changed the bot's own text."""
        return _mark(self.text) != self.was


def marked(text: str, image: str, ref: str, digest: str, *, withdrawn: bool = False) -> str:
    """The bot's part, to be written. No text in it can end it early, though it quotes strangers."""
    text = text.replace("(gateway-bot:", "(gateway-bot\N{MODIFIER LETTER COLON}").strip()
    state = " withdrawn" if withdrawn else ""
    return f"{_BEGIN}\n\n{text}\n\n[//]: # (gateway-bot:end {image} {ref} {digest} text:{_mark(text)}{state})"


def part_of(body: str) -> Part | None:
    """The bot's part of a body; None where there is none."""
    body = body.replace("\r\n", "\n")
    before, begin, rest = body.partition(_BEGIN)
    end = _END.search(rest) if begin else None
    if end is None:
        return None
    image, ref, digest, was, withdrawn = end.groups()
    return Part(
        image, ref, digest, rest[: end.start()].strip(), before.strip(), rest[end.end() :].strip(), was, bool(withdrawn)
    )


def updated(body: str, wanted: str, *, moved: bool) -> str:
    """The body with the bot's part as it should be; all that a person wrote stays.

    `moved`: the branch says something else than before. Where the bot's part was taken out, it comes back only
    then; where it was edited, it is replaced only when there is something new to say, and kept below.
    """
    there, new = part_of(body), part_of(wanted)
    if there is None or new is None:
        return _joined(wanted, body.strip()) if moved else body
    if (there.was, there.digest, there.withdrawn) == (new.was, new.digest, new.withdrawn):
        return body
    kept = "".join((_KEPT[0], _closed(there.text), _KEPT[1])) if there.edited else ""
    return _joined(there.before, wanted, kept, there.after)


def _joined(*parts: str) -> str:
    """All of it; where that is longer than GitHub takes, the bot's part is cut, since the rest is not the bot's."""
    text = "\n\n".join(filter(None, parts))
    part, over = part_of(text), len(text) - ROOM
    if over <= 0 or part is None:
        return text[:_LONGEST]
    short = _closed(part.text[: max(0, len(part.text) - over - len(_CUT) - 100)].rpartition("\n")[0]) + _CUT
    shorter = marked(short, part.image, part.ref, part.digest, withdrawn=part.withdrawn)
    return "\n\n".join(filter(None, (part.before, shorter, part.after)))[:_LONGEST]


def _closed(text: str) -> str:
    """What a person may have left open inside would swallow what stands below it."""
    return text + "\n</details>" * max(0, text.count("<details") - text.count("</details>"))


def _mark(text: str) -> str:
    """GitHub may store CRLF and cut white space at the end."""
    return hashlib.sha256(text.replace("\r\n", "\n").strip().encode()).hexdigest()[:16]
