"""A local repository, by git itself: what is in it, and the commit and the tag of a release."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bot.adapters.git.files import MAX_BYTES, FilesAt
from bot.adapters.git.objects import date_of
from bot.adapters.git.program import GitProgram
from bot.adapters.git.pushing import push_error
from bot.core.release.history import Branch, Commit, GitTag, Status
from bot.core.text import plain
from bot.errors import BotError, ReleaseError, UsageError

__all__ = ["MAX_BYTES", "FilesAt", "Git"]

_SUBJECT = 1000
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PLAIN_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,200}")


class Git:
    """The repository that the folder `root` lies in. Paths are seen from `root`.

    Raises UsageError where it is no checkout, ServiceError where git is missing or gives no answer.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._program = GitProgram(root, environ)

    def is_checkout(self) -> bool:
        """Whether `root` lies in the work tree of a repository that git is willing to read."""
        try:
            self._program.prefix()
        except UsageError:
            return False
        return True

    def is_shallow(self) -> bool:
        """Whether history ends somewhere because it was not fetched."""
        return self._line("rev-parse", "--is-shallow-repository") == "true"

    def require_history(self) -> None:
        """Raises ReleaseError where history was not fetched whole: no answer about it could be believed."""
        if self.is_shallow():
            raise ReleaseError(
                "the clone is shallow: which tags and commits there are cannot be told",
                where=".git/shallow",
                next_step="Run `git fetch --unshallow --tags` (in GitHub Actions: `fetch-depth: 0` of the checkout).",
            )

    def status(self) -> Status:
        """What is not committed. Submodules count by their commit only."""
        out = self._program.read("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal",
                         "--ignore-submodules=dirty").out  # fmt: skip
        staged, changed, untracked = [], [], []
        for entry in os.fsdecode(out).split("\0"):
            state, path = entry[:2], entry[3:]
            if not path:
                continue
            path = self._from_root(path)
            if state == "??":
                untracked.append(path)
                continue
            if state[0] != " ":
                staged.append(path)
            if state[1] != " ":
                changed.append(path)
        return Status(tuple(staged), tuple(changed), tuple(untracked))

    def resolve(self, rev: str) -> str | None:
        """The full hash of the commit that `rev` names, or None. Never an option, whatever it looks like."""
        if not rev or "\n" in rev or "\0" in rev:
            return None
        answer = self._program.read("cat-file", "--batch-check", stdin=f"{rev}^{{commit}}\n".encode()).out.decode(
            errors="replace"
        )
        sha, _, rest = answer.partition(" ")
        return sha if _SHA.fullmatch(sha) and rest.startswith("commit ") else None

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self.resolve("HEAD")

    def branch(self) -> str | None:
        """The branch that is checked out; None where HEAD is detached."""
        return self._symbolic("HEAD", "refs/heads/")

    def base(self, name: str = "") -> Branch | None:
        """The branch that releases are made of: `name`, else the remote's default, else `main`, else `master`.

        As the remote has it, else as it is here; None where it is in neither place.
        """
        known = name or self._symbolic("refs/remotes/origin/HEAD", "refs/remotes/origin/")
        for each in (known,) if known else ("main", "master"):
            for place in ("refs/remotes/origin", "refs/heads"):
                commit = self.resolve(f"{place}/{each}")
                if commit is not None:
                    return Branch(each, commit)
        return None

    def remote(self, branch: str) -> str:
        """The name of the remote that this branch is pushed to; `origin` where nothing says otherwise."""
        names = os.fsdecode(self._program.read("remote").out).split("\n")
        wanted = self._line("for-each-ref", "--format=%(push:remotename)", f"refs/heads/{branch}")
        sole = [name for name in names if name]
        if wanted in sole and _PLAIN_REF.fullmatch(wanted):
            return wanted
        return sole[0] if len(sole) == 1 and _PLAIN_REF.fullmatch(sole[0]) else "origin"

    def tags(self, reached_by: str | None = None) -> tuple[GitTag, ...]:
        """All tags by name, or those that a commit reaches. Raises ReleaseError where that is none."""
        form = "%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)%00"
        only = [f"--merged={self._required(reached_by)}"] if reached_by is not None else []
        fields = os.fsdecode(self._program.read("for-each-ref", f"--format={form}", *only, "refs/tags").out).split("\0")
        found = []
        for name, kind, sha, peeled_kind, peeled in zip(*(fields[start::5] for start in range(5)), strict=False):
            short = name.lstrip("\n").removeprefix("refs/tags/")
            commit = sha if kind == "commit" else peeled if peeled_kind == "commit" else None
            if peeled_kind == "tag":  # a tag of a tag
                commit = self.resolve(sha)
            found.append(GitTag(short, commit, kind == "tag"))
        return tuple(found)

    def commits(self, since: str | None, until: str = "HEAD") -> tuple[Commit, ...]:
        """The commits that `until` reaches and `since` does not, newest first; all of them without `since`.

        Raises ReleaseError where one of the two is no commit.
        """
        ends = [self._required(until)]
        if since is not None:
            ends.append(f"^{self._required(since)}")
        return self._log(ends)

    def commit_of(self, rev: str) -> Commit:
        """The commit that `rev` names, with its date. Raises ReleaseError where there is none."""
        return self._log(["--max-count=1", self._required(rev)])[0]

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether `of` reaches `commit`; a commit reaches itself. Raises ReleaseError where one of them is none."""
        ends = [self._required(commit), self._required(of)]
        return self._program.read("merge-base", "--is-ancestor", *ends, codes=(0, 1)).code == 0

    def changed_by(self, commit: str) -> tuple[str, ...]:
        """The paths that a commit changes of its first parent."""
        out = self._program.read(
            "diff-tree", "-z", "-r", "--root", "--no-commit-id", "--name-only", "--no-renames", "--no-ext-diff",
            "--diff-merges=first-parent", "--ignore-submodules=dirty", self._required(commit), "--",
        ).out  # fmt: skip
        return tuple(self._from_root(path) for path in os.fsdecode(out).split("\0") if path)

    def staged(self, path: str) -> bytes | None:
        """What the index has at a path; None where it has nothing there."""
        name = f":{self._program.prefix()}{path}"
        done = self._program.read("cat-file", "blob", name, codes=(0, 128))
        return done.out if done.code == 0 else None

    def at(self, commit: str) -> FilesAt:
        """The files as they are at a commit. Raises ReleaseError where there is no such commit."""
        return FilesAt(self._program, self._required(commit))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No second one of these blocks in this repository, in any process. Raises ReleaseError where there is one.

        The system ends it with the process, however that ends.
        """
        place = self._line("rev-parse", "--absolute-git-dir")
        folder = os.open(place, os.O_RDONLY)
        try:
            _lock(folder, place)
            yield
        finally:
            os.close(folder)

    def commit(self, paths: Sequence[str], message: str) -> str:
        """One commit of exactly these files as they are now; its hash.

        Raises ReleaseError where git, a hook or the signing refuses: then the index is as it was.
        """
        before = self.head()
        names = ["--", *paths]
        try:
            self._program.write("add", *names)
            self._program.write("commit", "--only", "--cleanup=whitespace", f"--message={message}", *names)
        except BaseException as refused:
            if self.head() != before:  # it was made, and something after it failed
                raise
            with contextlib.suppress(BotError):
                self._program.write("reset", "--quiet", *names)
            raise refused from None
        return self._required("HEAD")

    def tag(self, name: str, commit: str, message: str) -> None:
        """An annotated tag. Raises ReleaseError where it exists, or git or the signing refuses."""
        if not _PLAIN_REF.fullmatch(name):
            raise ReleaseError(
                f"{plain(name, 80)!r} is no name for a tag", where="git tag", next_step="Name it as in v1.2.3."
            )
        self._program.write(
            "tag", "--annotate", "--cleanup=whitespace", f"--message={message}", name, self._required(commit)
        )

    def push(self, remote: str, branch: str, tag: str) -> bool:
        """Both to the remote, or neither, never by force; whether one of them was not there yet. Identity and way are
        the user's own.

        Raises ForgeError where the remote or a hook refuses it, or lets this user not in; UsageError where there is no
        such remote; ServiceError where it cannot be reached: then it is not known what is there.
        """
        refs = [f"refs/heads/{branch}:refs/heads/{branch}", f"refs/tags/{tag}:refs/tags/{tag}"]
        code, said = self._program.send("push", "--atomic", "--porcelain", "--no-follow-tags", remote, *refs)
        if code != 0:
            raise push_error(code, said, remote, branch, tag)
        return any(line.startswith((" \t", "*\t")) for line in said.split("\n"))

    def _from_root(self, path: str) -> str:
        prefix = self._program.prefix()
        return os.path.relpath(path, prefix) if prefix else path

    def _required(self, rev: str) -> str:
        sha = self.resolve(rev)
        if sha is None:
            raise ReleaseError(
                f"{plain(rev, 100)!r} names no commit here",
                where="git",
                next_step="Run `git fetch --tags` if it is on the remote, and see that it is written as there.",
            )
        return sha

    def _symbolic(self, ref: str, below: str) -> str | None:
        done = self._program.read("symbolic-ref", "--quiet", ref, codes=(0, 1, 128))
        target = os.fsdecode(done.out).removesuffix("\n")
        return target.removeprefix(below) if done.code == 0 and target.startswith(below) else None

    def _log(self, ends: Sequence[str]) -> tuple[Commit, ...]:
        form = "--format=tformat:%H%x00%ct%x00%s"
        done = self._program.read("log", "-z", form, "--no-patch", "--no-color", "--no-notes", "--no-mailmap",
                          "--encoding=UTF-8", *ends, "--")  # fmt: skip
        fields = done.out.decode(errors="replace").split("\0")
        return tuple(
            Commit(sha, subject[:_SUBJECT], date_of(seconds))
            for sha, seconds, subject in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
        )

    def _line(self, *arguments: str) -> str:
        return os.fsdecode(self._program.read(*arguments).out).removesuffix("\n")


def _lock(folder: int, place: str) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ReleaseError(
            "another run is making a release here",
            where=place,
            next_step="Wait until it has ended, and run it again: it goes on from there.",
        ) from None
