"""A repository that git made, as others see it: on the embedded GitHub, and as files that git reads over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bot.embedded.github import EmbeddedGitHub
from bot.embedded.gitobjects import Commit, Entry, Ident
from tests.repositories import Repo


def bring(repo: Repo, github: EmbeddedGitHub, name: str) -> None:
    """Its branch and its tags, with all commits under the names that git gave them."""
    if name not in github.repositories:
        github.create_repository(name)
    there = github.repositories[name]
    for sha in repo.run("rev-list", "--reverse", "--all").split():
        files = {}
        for line in repo.run("ls-tree", "-r", sha).splitlines():
            about, _, path = line.partition("\t")
            mode, _, blob = about.split()
            body = subprocess.run(
                ["git", "cat-file", "blob", blob], cwd=repo.root, env=repo.environ, capture_output=True, check=True
            )
            assert there.objects.add_blob(body.stdout) == blob
            files[path] = Entry(mode, blob)
        assert there.objects.add_commit(_commit(repo, sha, there.objects.add_files(files))) == sha
    there.refs["refs/heads/main"] = repo.run("rev-parse", "main")
    for tag in repo.run("tag").split():
        there.refs[f"refs/tags/{tag}"] = repo.run("rev-parse", f"{tag}^{{commit}}")


def _commit(repo: Repo, sha: str, tree: str) -> Commit:
    head, _, message = (
        subprocess.run(
            ["git", "cat-file", "commit", sha], cwd=repo.root, env=repo.environ, capture_output=True, check=True
        )
        .stdout.decode()
        .partition("\n\n")
    )
    lines = [line.partition(" ")[::2] for line in head.splitlines()]
    people = {name: _ident(value) for name, value in lines if name in {"author", "committer"}}
    parents = tuple(value for name, value in lines if name == "parent")
    return Commit(tree, parents, people["author"], people["committer"], message)


def _ident(line: str) -> Ident:
    who, seconds, _ = line.rsplit(" ", 2)
    name, _, email = who.partition(" <")
    return Ident(name, email.removesuffix(">"), datetime.fromtimestamp(int(seconds), UTC))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Silent."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The folder's files at `http://127.0.0.1:PORT`: git reads a repository from them."""
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
