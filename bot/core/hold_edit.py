"""gateway-bot.toml with a hold more or less, every other byte kept: tomllib is the judge of each edit. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence

import msgspec

from bot.core.decoding import convert
from bot.core.holds import same_versions
from bot.core.model import Hold, SourceFile
from bot.core.reference import Digest
from bot.core.toml_text import (
    Change,
    Part,
    added,
    changed,
    elements,
    into_array,
    line_start,
    out_of_array,
    parts,
    read,
    removed,
    spelled,
)
from bot.errors import UsageError

MAX_REASON = 500
"""Characters, as gateway-bot.toml allows."""

MAX_VERSION = 200
"""Characters of a version or range, as gateway-bot.toml allows."""

_Entry = Mapping[str, object]
"""One hold as the file has it."""

_HEADER = ("image", "hold")
_BOM = codecs.BOM_UTF8


def with_hold(source: SourceFile, image: str, hold: Hold) -> bytes:
    """The file with this hold at the end of the image's holds; the same bytes where it says just that already.

    A hold of the same version and digest is changed in place: it keeps its spelling of the version and, where the new
    one has none, the release that a rollback went to. Raises UsageError with the lines to write by hand where no place
    is proven.
    """
    _require_fit(hold)
    file = _read(source, image)
    lines = ("[[image.hold]]", *(f"{key} = {value}" for key, value in _spelled(hold).items()))
    by_hand = (
        f"Write it by hand, below the [[image]] of {image} and above the next one; a hold of the same version there "
        "goes:\n" + "\n".join(lines)
    )
    at = next((number for number, old in enumerate(file.holds) if _is_same(old, hold)), None)
    if at is None:
        return file.proven(file.appended(hold), (*file.entries, _entry(hold)), by_hand)
    old = file.holds[at]
    now = msgspec.structs.replace(
        hold,
        version=old.version,
        rolled_back_to=hold.rolled_back_to or old.rolled_back_to,
        rolled_back_from=hold.rolled_back_from or old.rolled_back_from,
    )
    if now == old:
        return source.data
    entries = [*file.entries]
    entries[at] = _entry(now)
    return file.proven(file.rewritten(at, now), entries, by_hand)


def without_holds(
    source: SourceFile, image: str, version: str, digest: Digest | None, *, exactly: bool = False
) -> tuple[bytes, tuple[Hold, ...]]:
    """The file without the image's holds of this version or range, and what they were; the same bytes where none was.

    With `digest` only the hold of that image goes, else all of the version, whatever digest they name; `exactly`: only
    one that names none. Comments within
    a hold's table go with it, those around it stay. Raises UsageError where no edit is proven.
    """
    file = _read(source, image)
    gone = [
        number
        for number, hold in enumerate(file.holds)
        if same_versions(hold.version, version) and digest in ({hold.digest} if exactly else {None, hold.digest})
    ]
    if not gone:
        return source.data, ()
    kept = [entry for number, entry in enumerate(file.entries) if number not in gone]
    by_hand = f"Take the hold of {version} out by hand, below the [[image]] of {image}."
    return file.proven(file.cleared(gone), kept, by_hand), tuple(file.holds[number] for number in gone)


def holds_in(source: SourceFile, image: str) -> tuple[Hold, ...]:
    """The holds of an image, in the file's order. Raises UsageError where it cannot be read."""
    return _read(source, image).holds


class _Image(msgspec.Struct, frozen=True):
    name: str
    hold: tuple[dict[str, object], ...] = ()


class _Table(msgspec.Struct, frozen=True):
    image: tuple[_Image, ...]


class _File(msgspec.Struct, frozen=True):
    """A file of settings, and one image in it with its holds."""

    path: str
    bom: bytes
    text: str
    number: int
    """Of the image, among those in the file."""
    entries: tuple[_Entry, ...]
    holds: tuple[Hold, ...]

    def appended(self, hold: Hold) -> list[Change] | None:
        """What adds a hold at the end of the image's; None where there is no place for it."""
        own = self._own()
        array = _array(own)
        if array is not None:
            return into_array(self.text, array, _inline(hold))
        if not own:
            return None
        tables = _tables(own)
        if self.entries and not tables:
            return None
        last = tables[-1] if tables else own[-1]
        like = tables[-1] if tables else [part for part in own if len(part.header.header) <= len(_HEADER)][-1]
        lines = [f"{like.indent}{key} = {value}" for key, value in _spelled(hold).items()]
        return [added(self.text, _behind(self.text, last.end), ["", f"{like.header.indent}[[image.hold]]", *lines])]

    def rewritten(self, at: int, hold: Hold) -> list[Change] | None:
        """What makes the hold with this number another; None where it does not stand alone."""
        own = self._own()
        array = _array(own)
        if array is not None:
            element = elements(self.text, array)[0][at]
            return [(element.start, element.end, _inline(hold))]
        tables = _tables(own)
        return _in_table(self.text, tables[at], hold) if len(tables) == len(self.entries) else None

    def cleared(self, gone: Sequence[int]) -> list[Change] | None:
        """What takes the holds with these numbers out."""
        own = self._own()
        array = _array(own)
        if array is not None:
            return out_of_array(self.text, array, gone)
        tables = _tables(own)
        if len(tables) != len(self.entries):
            return None
        spans: list[tuple[int, int]] = []
        for start, end in (
            (_with_blank(self.text, tables[number].header.start), tables[number].end) for number in gone
        ):
            if spans and start <= spans[-1][1]:
                start, _ = spans.pop()  # noqa: PLW2901 - two that follow each other go as one
            spans.append((start, end))
        return [removed(self.text, start, end) for start, end in spans]

    def proven(self, changes: Sequence[Change] | None, entries: Sequence[_Entry], by_hand: str) -> bytes:
        """The bytes after these changes, if the image's holds are then these and all else is as it was."""
        text = changed(self.text, changes or ())
        after = read(text)
        if after is None or _holding(after, self.number, None) != _holding(self._before(), self.number, entries):
            raise UsageError(
                "its holds stand where no edit is proven to be right, so nothing was written",
                where=self.path,
                next_step=by_hand,
            )
        return self.bom + text.encode()

    def _before(self) -> dict[str, object]:
        return read(self.text) or {}

    def _own(self) -> list[Part]:
        """The image's header, and those of its tables; none where the images are no tables of their own."""
        number, own = -1, []
        for part in parts(self.text):
            if part.header.header == ("image",) and part.header.begins_entry:
                number += 1
            if number == self.number and part.header.header[:1] == ("image",):
                own.append(part)
        return own


def _read(source: SourceFile, image: str) -> _File:
    bom = _BOM if source.data.startswith(_BOM) else b""
    try:
        text = source.data[len(bom) :].decode()
        images = convert(read(text), _Table).image
        number, found = next((number, each) for number, each in enumerate(images) if each.name == image)
        holds = tuple(
            convert({key: value for key, value in entry.items() if value != ""}, Hold) for entry in found.hold
        )
    except StopIteration:
        raise UsageError(
            f"it has no image {image!r}", where=source.path, next_step="Name one of its images with --image."
        ) from None
    except (UnicodeDecodeError, msgspec.ValidationError):
        raise UsageError(
            "its images and holds cannot be read", where=source.path, next_step="Run `gateway-bot config validate`."
        ) from None
    return _File(source.path, bom, text, number, found.hold, holds)


def _holding(table: Mapping[str, object], number: int, entries: Sequence[_Entry] | None) -> Mapping[str, object]:
    """The settings, with these holds for one image where some are given; an empty list of holds is none."""
    images = table.get("image")
    if not isinstance(images, list) or number >= len(images):
        return {}
    image = dict(images[number])
    if entries is not None:
        image["hold"] = [dict(entry) for entry in entries]
    if not image.get("hold"):
        image.pop("hold", None)
    return {**table, "image": [*images[:number], image, *images[number + 1 :]]}


def _is_same(old: Hold, new: Hold) -> bool:
    return old.digest == new.digest and same_versions(old.version, new.version)


def _require_fit(hold: Hold) -> None:
    """Raises UsageError for what gateway-bot.toml would not take."""
    try:
        (hold.reason + hold.version).encode()
    except UnicodeEncodeError:
        raise UsageError("it is no UTF-8", where="--reason", next_step="Write the reason as plain text.") from None
    if not 0 < len(hold.reason) <= MAX_REASON:
        raise UsageError(
            f"a reason has 1 to {MAX_REASON} characters, this one {len(hold.reason)}",
            where="--reason",
            next_step="Say why in a sentence or two; link to the rest.",
        )
    if not 0 < len(hold.version) <= MAX_VERSION:
        raise UsageError(
            f"a version or range has 1 to {MAX_VERSION} characters, this one {len(hold.version)}",
            where="VERSION",
            next_step="Name a version such as 1.4.0, or a range such as '>=1.4,<1.4.3'.",
        )


def _entry(hold: Hold) -> dict[str, object]:
    """A hold as the file has it: `version`, `reason`, and what else is said of it."""
    values = {
        "version": hold.version,
        "reason": hold.reason,
        "until": hold.until,
        "digest": hold.digest,
        "rolled_back_to": hold.rolled_back_to,
        "rolled_back_from": hold.rolled_back_from,
    }
    return {key: value for key, value in values.items() if value is not None}


def _spelled(hold: Hold) -> dict[str, str]:
    return {key: spelled(value) for key, value in _entry(hold).items()}


def _inline(hold: Hold) -> str:
    return f"{{ {', '.join(f'{key} = {value}' for key, value in _spelled(hold).items())} }}"


def _tables(own: Sequence[Part]) -> list[Part]:
    """The tables `[[image.hold]]`, one a hold."""
    return [part for part in own if part.header.header == _HEADER and part.header.begins_entry]


def _array(own: Sequence[Part]) -> int | None:
    """Where the array begins that `hold` is in the image's own table; None where it is none."""
    keys = own[0].keys if own else ()
    return next((key.value[0] for key in keys if isinstance(key.table.get("hold"), list)), None)


def _behind(text: str, at: int) -> int:
    """Behind the comments that belong to the lines above: those that no other line follows at once."""
    end = at
    while end < len(text):
        line_end = text.find("\n", end) + 1 or len(text)
        line = text[end:line_end].strip()
        if not line:
            return end
        if not line.startswith("#"):
            return at
        end = line_end
    return end


def _with_blank(text: str, start: int) -> int:
    """Where the lines begin that go with a table: one blank line above it is part of it."""
    above = line_start(text, start - 1) if start else 0
    return start if text[above:start].strip() else above


def _in_table(text: str, table: Part, hold: Hold) -> list[Change]:
    """What makes a table `[[image.hold]]` say this, key by key."""
    values, changes, seen = _entry(hold), [], set[str]()
    for statement in table.keys:
        ((key, value),) = statement.table.items()
        seen.add(key)
        if key not in values:
            changes.append(removed(text, statement.start, statement.end))
        elif values[key] != value:
            changes.append((*statement.value, spelled(values[key])))
    lines = [f"{table.indent}{key} = {spelled(value)}" for key, value in values.items() if key not in seen]
    return [*changes, added(text, table.end, lines)] if lines else changes
