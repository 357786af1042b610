"""A git repository whose GitHub is the emulator: what is pushed is there commit by commit, and a merge is pulled.

The emulator keeps git's objects and serves no git: `origin` is a bare repository beside it with the very same commits.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.emulator import OWNER_TOKEN, Emulator
from tests.repositories import Repo

_AS_OWNER = {"Authorization": f"Bearer {OWNER_TOKEN}"}


class Hosted(Repo):
    """A clone of `origin`, below a home of its own; both are made here, of `source` or empty."""

    def __init__(self, folder: Path, emulator: Emulator, name: str, source: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        for moment in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            del self.environ[moment]  # what GitHub commits is dated now, and git dates the next one after it
        self.origin = folder / "origin.git"
        self.emulator, self.name = emulator, name
        self._sent: set[str] = set()
        self.run("init", "-q", "--bare", "-b", "main", str(self.origin))
        self.run("remote", "add", "origin", str(self.origin))
        emulator.create_repository(name)
        if source is not None:
            self.run("pull", "-q", "--tags", str(source), "main")
            self.push()

    def push(self) -> None:
        """The branch and the tags, to `origin` and to GitHub."""
        self.run("push", "-q", "-u", "origin", "main", "--tags")
        for sha in self.run("rev-list", "--topo-order", "--reverse", "main").split():
            if sha not in self._sent:
                assert self._send("POST", "git/commits", self._commit(sha))["sha"] == sha
                self._sent.add(sha)
        self._send("PATCH", "git/refs/heads/main", {"sha": self.run("rev-parse", "main"), "force": True})
        for tag in self.run("tag").split():
            if tag not in self._sent:
                sha = self.run("rev-parse", f"{tag}^{{commit}}")
                self._send("POST", "git/refs", {"ref": f"refs/tags/{tag}", "sha": sha})
                self._sent.add(tag)

    def merge(self, number: int) -> None:
        """A person merges a pull request on GitHub, its branch goes, and the clone pulls."""
        branch = self._send("GET", f"pulls/{number}")["head"]["ref"]
        head = self._send("PUT", f"pulls/{number}/merge", {"merge_method": "merge"})["sha"]
        self._send("DELETE", f"git/refs/heads/{branch}")
        self._fetch(head)
        self._git("update-ref", "refs/heads/main", head)
        self.run("pull", "-q", "--ff-only")

    def _fetch(self, sha: str) -> None:
        """A commit of GitHub's and all that it needs, byte for byte as git names them."""
        if sha in self._sent:
            return
        shown = self._send("GET", f"git/commits/{sha}")
        for parent in shown["parents"]:
            self._fetch(parent["sha"])
        tree = self._send("GET", f"git/trees/{shown['tree']['sha']}?recursive=1")["tree"]
        for entry in tree:
            if entry["type"] == "blob" and entry["sha"] not in self._sent:
                blob = self._send("GET", f"git/blobs/{entry['sha']}")
                self._put("blob", base64.b64decode(blob["content"]), entry["sha"])
        listed = "".join(f"{each['mode']} {each['sha']}\t{each['path']}\n" for each in tree if each["type"] == "blob")
        self._git("update-index", "--add", "--index-info", stdin=listed.encode(), index=sha)
        assert self._git("write-tree", index=sha) == shown["tree"]["sha"]
        self._put("commit", _as_git_writes(shown), sha)

    def _put(self, kind: str, data: bytes, sha: str) -> None:
        assert self._git("hash-object", "-w", "-t", kind, "--stdin", stdin=data) == sha
        self._sent.add(sha)

    def _commit(self, sha: str) -> dict[str, object]:
        """A commit as the API takes it, with its tree; its files are sent first."""
        tree = []
        for line in self.run("ls-tree", "-r", sha).splitlines():
            about, _, path = line.partition("\t")
            mode, kind, blob = about.split()
            if blob not in self._sent:
                body = base64.b64encode(self._read("blob", blob)).decode()
                self._send("POST", "git/blobs", {"content": body, "encoding": "base64"})
                self._sent.add(blob)
            tree.append({"path": path, "mode": mode, "type": kind, "sha": blob})
        fields = ("%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%P")
        a_name, a_email, a_date, name, email, date, parents = self.run(
            "log", "-1", f"--format={'%x00'.join(fields)}", sha
        ).split("\0")
        return {
            "message": self._read("commit", sha).decode().partition("\n\n")[2],
            "tree": self._send("POST", "git/trees", {"tree": tree})["sha"],
            "parents": parents.split(),
            "author": {"name": a_name, "email": a_email, "date": a_date},
            "committer": {"name": name, "email": email, "date": date},
        }

    def _read(self, kind: str, sha: str) -> bytes:
        command = ["git", "cat-file", kind, sha]
        return subprocess.run(command, cwd=self.root, env=self.environ, capture_output=True, check=True).stdout

    def _git(self, *arguments: str, stdin: bytes = b"", index: str = "index") -> str:
        command, environ = ["git", *arguments], self.environ | {"GIT_INDEX_FILE": str(self.origin / index)}
        done = subprocess.run(command, cwd=self.origin, env=environ, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    # Any: what the emulator answers is judged by the names that git gives it.
    def _send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self.emulator.client.request(method, f"/repos/{self.name}/{path}", json=body, headers=_AS_OWNER)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else {}


def _as_git_writes(shown: dict[str, Any]) -> bytes:
    """The object of a commit that the API shows."""

    def lines() -> Iterator[str]:
        yield f"tree {shown['tree']['sha']}"
        yield from (f"parent {parent['sha']}" for parent in shown["parents"])
        for role in ("author", "committer"):
            who = shown[role]
            seconds = int(datetime.fromisoformat(who["date"]).timestamp())
            yield f"{role} {who['name']} <{who['email']}> {seconds} +0000"

    message = shown["message"]
    return ("\n".join(lines()) + f"\n\n{message}" + ("" if message.endswith("\n") else "\n")).encode()
