"""Put versions on hold, and take them off: gateway-bot.toml in the work tree, edited and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from bot.core.hold_edit import holds_in, with_hold, without_holds
from bot.core.hold_text import HoldDone, UnholdDone, hold_line
from bot.core.holds import covering, hold_on, is_over, left_by, names, names_versions, same_versions, unhold_command
from bot.core.model import Hold, Image, Pin, Release, SourceFile
from bot.core.reference import Digest
from bot.core.tags import ref_of_tag
from bot.core.text import plain
from bot.core.versions import parse_version
from bot.errors import BotError, IntegrityError, UsageError
from bot.flows.observe import Files, Upstream, prove, read_pinned
from bot.flows.upgrade import Worktree

_SHOWN = 300


class HoldWish(msgspec.Struct, frozen=True):
    """What a person wants on hold: a version or a range, why, and through which day (UTC).

    With `digest` only that image of it; with `this_image` the one that it names today.
    """

    version: str
    reason: str
    until: date | None = None
    digest: Digest | None = None
    this_image: bool = False


class HoldDesk(msgspec.Struct, frozen=True):
    """Where the settings are written, and what is known beside them.

    `settings` is the folder's files, in which the settings are at `path`; `pinned` are those of the checkout.
    """

    settings: Worktree
    path: str
    pinned: Files
    allowed_keys: Mapping[str, frozenset[str]]
    upstream: Callable[[Image], Upstream]


def hold_version(image: Image, wish: HoldWish, desk: HoldDesk) -> HoldDone:
    """The hold written down, or that it was there already; what looks odd about it is a warning, never an error.

    Raises UsageError for what is no version, range or reason, and where the file cannot be edited; PinError where it
    cannot be read or written. For `this_image` also what upstream answers, and IntegrityError where it has no such
    release or no image of it.
    """
    version = _versions(wish.version)
    source = _source(desk)
    before = holds_in(source, image.name)
    upstream = desk.upstream(image)
    today = upstream.clock.now().date()
    pin = _pin(image, desk)
    digest = _digest(image, version, pin, upstream) if wish.this_image else wish.digest
    hold = Hold(version, wish.reason.strip(), wish.until, digest)
    data = with_hold(source, image.name, hold)
    after = holds_in(msgspec.structs.replace(source, data=data), image.name)
    now = next(each for each in after if each.digest == digest and same_versions(each.version, version))
    was = next((each for each in before if each.digest == digest and same_versions(each.version, version)), None)
    warnings = [*_of_days(now, was, today), *_of_pin(now, pin, today), *_of_others(now, after, today)]
    if data == source.data:
        return HoldDone(image.name, desk.path, "nothing", now, warnings=tuple(warnings))
    warnings += [*_of_lines(version), *_of_releases(image, version, pin, upstream)]
    desk.settings.write({desk.path: source}, {desk.path: data})
    return HoldDone(image.name, desk.path, "changed" if was else "added", now, was, tuple(warnings))


def unhold_version(image: Image, version: str, digest: Digest | None, desk: HoldDesk) -> UnholdDone:
    """The holds of this version or range taken out: all, or that of one image.

    Raises UsageError where there is none, with those that there are; else as `hold_version`.
    """
    version = _versions(version)
    source = _source(desk)
    version = _of_rollback(version, holds_in(source, image.name))
    data, removed = without_holds(source, image.name, version, digest)
    left = holds_in(msgspec.structs.replace(source, data=data), image.name)
    if not removed:
        raise _not_held(image, version, digest, left, desk.path)
    desk.settings.write({desk.path: source}, {desk.path: data})
    today = desk.upstream(image).clock.now().date()
    exact = parse_version(version)
    still = hold_on(left, exact, digest, today) if exact else None
    warnings = (f"{version} stays on hold all the same: {hold_line(still)}",) if still else ()
    return UnholdDone(image.name, desk.path, removed, left, warnings)


def _of_rollback(text: str, holds: Sequence[Hold]) -> str:
    """The range of the rollback that left this version, where no hold is of that version alone."""
    exact = parse_version(text)
    if exact is None or any(same_versions(hold.version, text) for hold in holds):
        return text
    return next((hold.version for hold in holds if left_by(hold) == exact), text)


def _source(desk: HoldDesk) -> SourceFile:
    return desk.settings.read((desk.path,))[desk.path]


def _versions(text: str) -> str:
    """What a person wrote, if it names versions. Raises UsageError."""
    text = text.strip()
    if not text.isprintable() or not names_versions(text):
        raise UsageError(
            f"{plain(text, 80)!r} is no version and no range",
            where="VERSION",
            next_step="Name a version such as 1.4.0, or a range in quotes, as in '>=1.4,<1.4.3'.",
        )
    return text


def _pin(image: Image, desk: HoldDesk) -> Pin | BotError:
    """What is pinned; the error where nobody knows, which keeps no version from being put on hold."""
    try:
        return read_pinned(image, desk.pinned, desk.allowed_keys).pin
    except BotError as error:
        return error


def _digest(image: Image, text: str, pin: Pin | BotError, upstream: Upstream) -> Digest:
    """The image that a version names today: the pinned one where it is the pin, else what its tag answers with."""
    version = parse_version(text)
    if version is None:
        raise UsageError(
            f"a range has no one digest: {plain(text, 80)}",
            where="--digest",
            next_step="Name one version, or leave --digest out to hold all images of the range.",
        )
    if isinstance(pin, BotError):
        raise pin
    if pin.version == version:
        return pin.digest
    release = next(iter(_releases(image, text, upstream)), None)  # its ref says which tag a plan would look at
    candidate = prove(image, release, upstream.registry) if release is not None else None
    if candidate is None:
        raise IntegrityError(
            f"{f'the registry has no image of {release.ref}' if release else f'there is no release {text}'}, "
            "so there is no digest to hold",
            where=str(image.repository) if release else _published(image),
            next_step="Leave --digest out to hold the version, or name the digest: --digest sha256:...",
        )
    return candidate.pin.digest


def _releases(image: Image, text: str, upstream: Upstream) -> list[Release]:
    """Upstream's releases that a hold of this version or range is of, as far as they were read to find one."""

    def named(releases: Iterable[Release]) -> list[Release]:
        return [release for release in releases if release.version is not None and names(text, release.version)]

    if image.github:
        return named(upstream.releases.list(image.github, lambda page: bool(named(page))))
    return named(Release(*ref_of_tag(image.tags, tag)) for tag in upstream.registry.tags())


def _published(image: Image) -> str:
    return image.github or str(image.repository)


def _of_days(hold: Hold, was: Hold | None, today: date) -> list[str]:
    found = []
    if was is not None and is_over(was, today):
        found.append(f"the hold that it replaces expired on {was.until}")
    if is_over(hold, today):
        found.append(f"{hold.until} has passed (today is {today}, UTC): it holds nothing")
    return found


def _of_pin(hold: Hold, pin: Pin | BotError, today: date) -> list[str]:
    if isinstance(pin, BotError):
        return [f"what is pinned is not known: {pin}"]
    if hold_on((hold,), pin.version, pin.digest, today) is None:
        return []
    return [f"{pin.ref} is what is pinned now: held and current at once. To go back: gateway-bot rollback"]


def _of_lines(text: str) -> list[str]:
    """That `1.4` is one version, for who means a line."""
    version = parse_version(text)
    if version is None or text.count(".") > 1:
        return []
    major, minor, _ = version.release
    return [f"{text} is the one version {version.base}; the whole line is '>={major}.{minor},<{major}.{minor + 1}'"]


def _of_others(hold: Hold, holds: Sequence[Hold], today: date) -> list[str]:
    other = covering(holds, hold, today)
    return [f"it holds nothing more than another does: {hold_line(other)}"] if other else []


def _of_releases(image: Image, text: str, pin: Pin | BotError, upstream: Upstream) -> list[str]:
    """That upstream has no such version, or that nobody knows."""
    if not isinstance(pin, BotError) and names(text, pin.version):
        return []

    try:
        found = _releases(image, text, upstream)
    except BotError as error:
        return [f"whether upstream has {text} is not known: {error}"]
    return [] if found else [f"{_published(image)} has no release that is {text}: is it spelled right?"]


def _not_held(image: Image, text: str, digest: Digest | None, holds: Sequence[Hold], path: str) -> UsageError:
    exact = parse_version(text)
    within = [hold for hold in holds if exact is not None and names(hold.version, exact)]
    if within:
        ways = f"It is held by another hold. To take that off: {unhold_command(image.name, within[0])}"
    elif holds:
        ways = f"On hold there is: {plain('; '.join(map(hold_line, holds)), 4 * _SHOWN)}."
    else:
        ways = "Nothing of this image is on hold."
    only = f" with {digest}" if digest else ""
    return UsageError(f"{image.name} has no hold of {plain(text, 80)}{only}", where=path, next_step=ways)
