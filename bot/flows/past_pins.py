"""The pins of many trees of the past: each file's contents are read once, however many commits had them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from bot.core.model import Image, Pin, Site, SourceFile
from bot.core.past import Change, FileThen, Tree
from bot.core.past_pin import may_name_tag, pin_then, tag_then
from bot.core.tags import image_tags
from bot.core.text import plain
from bot.errors import PinError, UsageError

Images = Callable[[str], Sequence[Image]]
"""What a text of the settings names. Raises UsageError for one that cannot be read."""

_MAX_SETTINGS = 256 * 1024
"""Bytes, as of today's settings."""

_MOST_SITES, _MOST_PATHS = 100, 500
"""Of settings of the past; what they name beyond is not read."""

_PLAIN_FILES = {"100644", "100755"}
_ODD_FILES = {"120000": "it was a symbolic link", "160000": "it was a submodule"}


class Contents(Protocol):
    """The repository, as far as files go."""

    def changes(self, commit: str, paths: Iterable[str]) -> tuple[Change, ...]: ...

    def trees(self, trees: Iterable[str], paths: Iterable[str]) -> dict[str, Tree]: ...

    def blobs(self, shas: Iterable[str]) -> Iterator[tuple[str, bytes | None]]: ...


class Seen(msgspec.Struct, frozen=True):
    """The pin of one tree and the file that said so; or why there is none. `fetched`: whether the files are here."""

    pin: Pin | None = None
    file: str = ""
    why: str = ""
    fetched: bool = True
    named: bool = False
    """Whether that file names the image tag too."""


class Read(msgspec.Struct, frozen=True):
    """What the base's line had after each commit that changed one of the files, newest first; and what each tree has.

    `existed` is whether the oldest of them had any file that may hold the pin.
    """

    line: tuple[tuple[str, Seen], ...]
    trees: dict[str, Seen]
    existed: bool = False


class _Place(msgspec.Struct, frozen=True):
    """One pin site of the image, as the settings of some commit describe both."""

    image: Image
    site: Site


class PinsThen:
    """Reads by the settings of each commit, its image of the same name; where these give no pin, by today's.

    What the base does not reach is read by settings that the base has or had: a tag may bring patterns that never end.
    The first site that holds a whole pin says it. What was not fetched is not replaced by another site's word.
    """

    def __init__(self, image: Image, git: Contents, images: Images, settings: str) -> None:
        self._image, self._git, self._images, self._settings = image, git, images, settings
        self._own: dict[str, Image | None] = {}
        self._places: list[_Place] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        self._order: dict[str, tuple[int, ...]] = {}
        self._seen: dict[tuple[int, str], Seen] = {}
        self._unfetched: set[str] = set()

    def read(self, commit: str, trees: Sequence[str], strange: Sequence[str] = ()) -> Read:
        """The pins on the first-parent line that ends with `commit`, empty for none, and of these trees.

        Those that are `strange` are not the base's.
        """
        paths: set[str] = set()
        wanted = {self._settings, *(site.file for site in self._image.sites)}
        changes: tuple[Change, ...] = ()
        found: dict[str, Tree] = {}
        while not wanted <= paths:  # settings of the past may name other files
            paths |= wanted
            changes = self._git.changes(commit, sorted(paths)) if commit else ()
            found = self._git.trees([*trees, *strange], sorted(paths))
            states = [change.files for change in changes] + [found[tree] for tree in trees if tree in found]
            self._read_settings(file.sha for files in states if (file := files.get(self._settings)) is not None)
            named = {site.file for image in self._own.values() if image is not None for site in image.sites}
            wanted |= set(sorted(named - wanted)[: max(_MOST_PATHS - len(wanted), 0)])
        line = _states(changes)
        views = [*(tree for _, tree in line), *found.values()]
        seen = self._pins(views)
        return Read(
            line=tuple((sha, each) for (sha, _), each in zip(line, seen, strict=False)),
            trees=dict(zip(found, seen[len(line) :], strict=True)),
            existed=bool(line) and bool(set(line[-1][1]) - {self._settings}),
        )

    def _read_settings(self, shas: Iterable[str]) -> None:
        new = [sha for sha in dict.fromkeys(shas) if sha not in self._own]
        self._unfetched |= set(new)
        for sha, data in self._git.blobs(new) if new else ():
            self._unfetched.discard(sha)
            self._own[sha] = self._image_in(data)

    def _image_in(self, data: bytes | None) -> Image | None:
        if data is None or len(data) > _MAX_SETTINGS:
            return None
        try:
            images = self._images(data.decode("utf-8-sig"))
        except (UsageError, UnicodeDecodeError):
            return None
        own = next((image for image in images if image.name == self._image.name), None)
        return own if own is not None and len(own.sites) <= _MOST_SITES else None

    def _pins(self, views: Sequence[Tree]) -> list[Seen]:
        """Site by site, so that only what is needed is read."""
        orders = [self._places_of(tree) for tree in views]
        found: dict[int, Seen] = {}
        first: dict[int, Seen] = {}
        open_views = list(range(len(views)))
        turn = 0
        while open_views:
            self._read_sites((orders[n][turn], views[n]) for n in open_views)
            left = []
            for number in open_views:
                seen = self._said(orders[number][turn], views[number])
                first.setdefault(number, seen)
                if seen.pin is not None or not seen.fetched:
                    found[number] = seen
                elif turn + 1 < len(orders[number]):
                    left.append(number)
                else:
                    found[number] = first[number]
            open_views, turn = left, turn + 1
        return self._tagged(views, orders, [found[number] for number in range(len(views))])

    def _places_of(self, tree: Tree) -> tuple[int, ...]:
        settings = tree.get(self._settings)
        sha = settings.sha if settings is not None and settings.mode in _PLAIN_FILES else ""
        if sha in self._unfetched:
            return (-1,)
        if sha not in self._order:
            own = self._own.get(sha)
            images = (own, self._image) if own is not None else (self._image,)
            numbers = (self._number(image, site) for image in images for site in image.sites)
            self._order[sha] = tuple(dict.fromkeys(numbers))
        return self._order[sha]

    def _number(self, image: Image, site: Site) -> int:
        """One for each place: of an image, only how its refs map to tags makes a difference."""
        number = self._numbers.setdefault((image.tags, site), len(self._places))
        if number == len(self._places):
            self._places.append(_Place(image, site))
        return number

    def _read_sites(self, wanted: Iterable[tuple[int, Tree]]) -> None:
        numbers: dict[str, set[int]] = {}
        for number, tree in wanted:
            file = tree.get(self._places[number].site.file) if number >= 0 else None
            if file is not None and file.mode in _PLAIN_FILES and (number, file.sha) not in self._seen:
                numbers.setdefault(file.sha, set()).add(number)
                self._seen[number, file.sha] = Seen(why="its files were not fetched", fetched=False)
        for sha, data in self._git.blobs(numbers) if numbers else ():
            for number in numbers[sha]:
                self._seen[number, sha] = _pin_in(self._places[number], data)

    def _said(self, number: int, tree: Tree) -> Seen:
        if number < 0:
            return Seen(why="its settings were not fetched", fetched=False)
        path = self._places[number].site.file
        file = tree.get(path)
        if file is None:
            return Seen(why=f"{path}: there was no such file")
        if file.mode not in _PLAIN_FILES:
            return Seen(why=f"{path}: {_ODD_FILES.get(file.mode, 'it was no regular file')}")
        return self._seen[number, file.sha]

    def _tagged(self, views: Sequence[Tree], orders: Sequence[Sequence[int]], seen: Sequence[Seen]) -> list[Seen]:
        """The same pins, with the image tag that another site names where the one that says the pin names none."""
        open_tags: dict[int, list[tuple[int, str]]] = {}
        pins: dict[str, set[tuple[int, Pin]]] = {}
        for number, each in enumerate(seen):
            if each.pin is None or each.named or len(image_tags(self._image.tags, each.pin.ref, each.pin.version)) == 1:
                continue
            for place in orders[number]:
                site = self._places[place].site
                file = views[number].get(site.file)
                if file is not None and file.mode in _PLAIN_FILES and may_name_tag(site):
                    open_tags.setdefault(number, []).append((place, file.sha))
                    pins.setdefault(file.sha, set()).add((place, each.pin))
        named: dict[tuple[int, str, Pin], Pin] = {}
        for sha, data in self._git.blobs(pins) if pins else ():
            for place, pin in pins[sha] if data is not None else ():
                image, site = self._places[place].image, self._places[place].site
                tag = tag_then(image, pin, site, SourceFile(site.file, data or b""))
                if tag is not None:
                    named[place, sha, pin] = msgspec.structs.replace(pin, tag=tag)
        tagged = list(seen)
        for number, files in open_tags.items() if named else ():
            said = seen[number].pin
            if said is not None:
                found = (named.get((place, sha, said)) for place, sha in files)
                tagged[number] = msgspec.structs.replace(seen[number], pin=next(filter(None, found), said))
        return tagged


def _states(changes: Sequence[Change]) -> list[tuple[str, Tree]]:
    """What there was after each change, newest first."""
    tree: dict[str, FileThen] = {}
    states: list[tuple[str, Tree]] = []
    for change in reversed(changes):
        tree = {path: file for path, file in {**tree, **change.files}.items() if file is not None}
        states.append((change.commit, tree))
    return states[::-1]


def _pin_in(place: _Place, data: bytes | None) -> Seen:
    file = place.site.file
    if data is None:
        return Seen(why=f"{file}: it was larger than 1 MiB")
    try:
        pin, named = pin_then(place.image, place.site, SourceFile(file, data))
    except PinError as error:
        return Seen(why=plain(f"{error.where}: {error.what}", 300))
    return Seen(pin, file, named=named)
