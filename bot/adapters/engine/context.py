"""What a build is given: the Dockerfile, and the repository's files only where it copies some."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

from bot.core.model import SourceFile
from bot.core.text import plain
from bot.errors import UsageError

MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 20_000

_COPIES = re.compile(rb"^[ \t]*(?:ONBUILD[ \t]+)?(?:COPY|ADD)\b", re.IGNORECASE | re.MULTILINE)
_NEVER = (".git", "**/.git")


def packed(root: Path, dockerfile: SourceFile) -> bytes:
    """The build's context as a tar archive: what .dockerignore leaves of the root, never `.git`.

    A Dockerfile that copies nothing gets itself alone: a checkout holds much that no build needs. Raises UsageError
    for a context that is too large, OSError.
    """
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as archive:
        if _COPIES.search(dockerfile.data):
            _add_files(archive, root, dockerfile.path)
        entry = tarfile.TarInfo(dockerfile.path)
        entry.size = len(dockerfile.data)
        archive.addfile(entry, io.BytesIO(dockerfile.data))
    return archived.getvalue()


def _add_files(archive: tarfile.TarFile, root: Path, dockerfile: str) -> None:
    from docker.utils import exclude_paths  # noqa: PLC0415 - loaded with the client

    # the last pattern that matches decides: .git stays out whatever the file says
    paths = exclude_paths(str(root), [*_ignored(root), *_NEVER], dockerfile=dockerfile)
    if len(paths) > MAX_FILES:
        raise _too_large(f"more than {MAX_FILES:,} files")
    size = 0
    for path in sorted(set(paths) - {dockerfile}):
        target = root / path
        entry = archive.gettarinfo(target, arcname=path)
        if entry is None:  # a socket
            continue
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        size += entry.size
        if size > MAX_BYTES:
            raise _too_large(f"more than {MAX_BYTES // 1024**2} MiB")
        if entry.isreg():
            with target.open("rb") as file:
                archive.addfile(entry, file)
        else:
            archive.addfile(entry)


def _ignored(root: Path) -> list[str]:
    """The patterns of .dockerignore, one a line; `#` begins a comment."""
    try:
        lines = (root / ".dockerignore").read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise UsageError(
            f"it is no text in UTF-8: {plain(error.reason, 80)}", where=".dockerignore", next_step="Mend it."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _too_large(what: str) -> UsageError:
    return UsageError(
        f"the build's context holds {what}",
        where=".dockerignore",
        next_step="Name there what the Dockerfile does not need. One that copies nothing is given no files at all.",
    )
