"""The files of a repository at one commit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from bot.adapters.git.program import GitProgram
from bot.core.model import SourceFile
from bot.errors import PinError

MAX_BYTES = 1024 * 1024
"""No pinned file is larger; a larger one is something else."""


class FilesAt:
    """The files at one commit, a full hash, by the rules of a checkout's files."""

    def __init__(self, program: GitProgram, commit: str) -> None:
        self._program = program
        self._commit = commit

    def read(self, paths: Iterable[str]) -> dict[str, SourceFile]:
        """Each file's bytes and git mode. Raises PinError for one that is missing, a link, or too large."""
        wanted = tuple(dict.fromkeys(paths))
        objects = self._objects(wanted)
        return {path: self._read(path, objects.get(path)) for path in wanted}

    def _read(self, path: str, entry: tuple[str, str, int] | None) -> SourceFile:
        if entry is None:  # a folder is not listed beside what is in it
            entry = self._objects((path,)).get(path)
        if entry is None:
            above = [str(parent) for parent in PurePosixPath(path).parents][:-1]
            links = [mode for mode, _, _ in self._objects(above).values() if mode == "120000"]
            raise self._unusable(path, "it lies behind a symbolic link" if links else "there is no such file")
        mode, sha, size = entry
        if mode == "120000":
            raise self._unusable(path, "it is a symbolic link")
        if mode not in {"100644", "100755"}:
            raise self._unusable(path, "it is no regular file")
        if size > MAX_BYTES:
            raise self._unusable(path, f"it is larger than {MAX_BYTES:,} bytes")
        return SourceFile(path, self._program.read("cat-file", "blob", sha).out, mode)

    def _unusable(self, path: str, what: str) -> PinError:
        return PinError(
            f"{what} at commit {self._commit[:12]}",
            where=path,
            next_step="See that `file` in gateway-bot.toml named this file at that commit.",
        )

    def _objects(self, paths: Sequence[str]) -> dict[str, tuple[str, str, int]]:
        """Mode, hash and size in bytes of what the commit has at these paths; a folder's size is 0."""
        if not paths:
            return {}
        prefix = self._program.prefix()
        full = [str(PurePosixPath(prefix, path)) for path in paths]
        out = os.fsdecode(self._program.read("ls-tree", "-z", "-l", "--full-tree", self._commit, "--", *full).out)
        found = {}
        for entry in filter(None, out.split("\0")):
            fields, _, path = entry.partition("\t")
            mode, _, sha, size = fields.split()
            found[path] = (mode, sha, int(size) if size.isdigit() else 0)
        return {path: found[name] for path, name in zip(paths, full, strict=True) if name in found}
