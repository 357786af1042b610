"""The files of a checkout: read without following links, written all or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bot.core.model import SourceFile
from bot.errors import PinError

MAX_BYTES = 1024 * 1024
"""No pinned file is larger; a larger one is something else."""

_TEMPORARY = ".gateway-bot-"


class Worktree:
    """The files below one folder, by their paths in the repository."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        """Each file's bytes and git mode. Raises PinError for one that is missing, a link, or too large."""
        return {path: self._read(path) for path in dict.fromkeys(paths)}

    def tracked(self) -> list[str]:
        """The plain files that git tracks, by path; none where this is no checkout."""
        import subprocess  # noqa: PLC0415 - reading and writing files needs no git

        try:
            listed = subprocess.run(
                ["git", "ls-files", "-z"], cwd=self._root, capture_output=True, check=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError):
            return []
        names = os.fsdecode(listed.stdout).split("\0")
        return [
            name for name in names if name and (self._root / name).is_file() and not (self._root / name).is_symlink()
        ]

    def write(self, before: Mapping[str, SourceFile], contents: Mapping[str, bytes]) -> None:
        """Replace files in the order given, if they still hold what `before` says.

        All new bytes are on disk before the first file is replaced, and each is replaced in one step, so
        that a full disk changes nothing and no file is ever half written. Raises PinError.
        """
        with self._locked():
            ready: dict[Path, Path] = {}
            try:
                for path, data in contents.items():
                    if self._read(path).data != before[path].data:
                        raise PinError(
                            "it was changed while the plan was made",
                            where=path,
                            next_step="Nothing was written. Run it again.",
                        )
                    target = self._root / path
                    ready[target] = _prepare(target, path, data)
                for target, temporary in ready.items():
                    temporary.replace(target)
            except OSError as error:
                raise PinError(
                    f"cannot be written: {error.strerror or error}",
                    where=", ".join(contents),
                    next_step="Make room, or make the files writable, and run it again: it continues where it stopped.",
                ) from None
            finally:
                for temporary in ready.values():
                    temporary.unlink(missing_ok=True)

    def _read(self, path: str) -> SourceFile:
        target = self._root / path
        try:
            for place in (target, *list(target.parents)[: len(Path(path).parts) - 1]):
                if place.is_symlink():
                    raise _unusable(path, "it is a symbolic link, or lies behind one", "Name the file itself.")
            status = target.stat()
            if not stat.S_ISREG(status.st_mode):
                raise _unusable(path, "it is no regular file", "Name a file in gateway-bot.toml.")
            if status.st_size > MAX_BYTES:
                raise _unusable(path, f"it is larger than {MAX_BYTES:,} bytes", "No pinned file is that large.")
            data = target.read_bytes()
        except FileNotFoundError:
            raise _unusable(path, "there is no such file", "Mend `file` in gateway-bot.toml, or restore it.") from None
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror or error}", "Make it readable.") from None
        return SourceFile(path, data, "100755" if status.st_mode & stat.S_IXUSR else "100644")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the system lets go of the lock when the process ends, however it ends."""
        folder = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _prepare(target: Path, path: str, data: bytes) -> Path:
    """A file beside `target`, on disk, with its mode and owner, ready to take its place."""
    status = target.stat()
    if not status.st_mode & stat.S_IWUSR:
        raise _unusable(path, "it is read-only", "Make it writable if the bot may change it.")
    import tempfile  # noqa: PLC0415 - reading needs none

    prefix = f".{target.name}{_TEMPORARY}"
    for left in target.parent.glob(f"{glob.escape(prefix)}*"):
        left.unlink(missing_ok=True)  # of a run that was killed; nobody else writes while the lock is held
    handle, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(status.st_mode))
        with contextlib.suppress(PermissionError):
            os.chown(temporary, status.st_uid, status.st_gid)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _unusable(path: str, what: str, next_step: str) -> PinError:
    return PinError(what, where=path, next_step=next_step)
