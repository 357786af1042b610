"""The npm GitHub emulator as a place to seed: the same verbs as the embedded GitHub."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx  # noqa: TC002 - one plain import is easier to read
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.embedded.github.records import Level

OWNER_TOKEN = "owner-token"  # noqa: S105 - known to the emulator on loopback only
UPSTREAM_TOKEN = "upstream-token"  # noqa: S105
BOT_TOKEN = "bot-token"  # noqa: S105
BOT = "gateway-bot"
APP_ID, APP_SLUG, INSTALLATION = 12345, "gateway-bot-app", 100
APP_PERMISSIONS: dict[str, Level] = {
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "actions": "read",
}
_TOKENS = {"acme": OWNER_TOKEN, "agentgateway": UPSTREAM_TOKEN, BOT: BOT_TOKEN}

Files = Mapping[str, tuple[str, bytes]]


def write_seed(path: Path) -> None:
    """The users of the emulator, and an App. Unknown tokens become the first user, so that one may nothing."""
    users = [{"login": login} for login in ("nobody", *_TOKENS)]
    tokens = {token: {"login": login, "scopes": ["repo"]} for login, token in _TOKENS.items()}
    installation = {"installation_id": INSTALLATION, "account": "acme", "repository_selection": "all"}
    app = {
        "app_id": APP_ID,
        "slug": APP_SLUG,
        "name": "The bot's App",
        "private_key": app_keys()[0],
        "permissions": {"metadata": "read", **APP_PERMISSIONS},
        "installations": [installation],
    }
    path.write_text(json.dumps({"tokens": tokens, "github": {"users": users, "apps": [app]}}))


@cache
def app_keys() -> tuple[str, str]:
    """The App's private and public key as PEM, made for this test run."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. Repositories belong to `acme` or `agentgateway`; the bot may write to acme's."""

    url: str
    client: httpx.Client
    token: str = BOT_TOKEN
    bot: str = BOT

    def create_repository(
        self, full_name: str, files: Files | None = None, *, default_branch: str = "main", private: bool = False
    ) -> None:
        """A repository with these files on its default branch. One that exists is replaced."""
        owner, _, name = full_name.partition("/")
        self.client.delete(f"/repos/{full_name}", headers=_as(owner))
        self._send(owner, "POST", "/user/repos", {"name": name, "private": private, "auto_init": True})
        if owner == "acme":
            path = f"/repos/{full_name}/collaborators/{self.bot}"
            self._send(owner, "PUT", path, {"permission": "push"})
        if default_branch != "main":
            ref = {"ref": f"refs/heads/{default_branch}", "sha": self.head(full_name, "main")}
            self._send(owner, "POST", f"/repos/{full_name}/git/refs", ref)
            self._send(owner, "PATCH", f"/repos/{full_name}", {"default_branch": default_branch})
        if files:
            self.commit(full_name, default_branch, files, complete=True)

    def commit(
        self, full_name: str, branch: str, files: Files, *, message: str = "A change", complete: bool = False
    ) -> str:
        """Commits files to a branch as its owner; `complete` means that there are no others. Returns the SHA."""
        owner, _, _ = full_name.partition("/")
        git = f"/repos/{full_name}/git"
        parent = self.head(full_name, branch)
        tree: dict[str, object] = {
            "tree": [
                {"path": path, "mode": mode, "type": "blob", "sha": self._blob(full_name, content)}
                for path, (mode, content) in files.items()
            ]
        }
        if not complete:
            tree["base_tree"] = self._send(owner, "GET", f"{git}/commits/{parent}")["tree"]["sha"]
        tree_sha = self._send(owner, "POST", f"{git}/trees", tree)["sha"]
        commit = {"message": message, "tree": tree_sha, "parents": [parent]}
        sha: str = self._send(owner, "POST", f"{git}/commits", commit)["sha"]
        self._send(owner, "PATCH", f"{git}/refs/heads/{branch}", {"sha": sha})
        return sha

    def add_release(
        self,
        full_name: str,
        tag: str,
        *,
        name: str = "",
        body: str = "",
        draft: bool = False,
        prerelease: bool = False,
    ) -> None:
        """A release. The emulator dates it now, and makes no tag."""
        owner, _, _ = full_name.partition("/")
        release = {"tag_name": tag, "name": name or tag, "body": body, "draft": draft, "prerelease": prerelease}
        self._send(owner, "POST", f"/repos/{full_name}/releases", release)

    def tag(self, full_name: str, name: str, sha: str) -> None:
        """A lightweight tag."""
        owner, _, _ = full_name.partition("/")
        self._send(owner, "POST", f"/repos/{full_name}/git/refs", {"ref": f"refs/tags/{name}", "sha": sha})

    def head(self, full_name: str, branch: str) -> str:
        """The SHA of a branch."""
        owner, _, _ = full_name.partition("/")
        sha: str = self._send(owner, "GET", f"/repos/{full_name}/git/ref/heads/{branch}")["object"]["sha"]
        return sha

    def files_at(self, full_name: str, branch: str) -> dict[str, tuple[str, bytes]]:
        """Every file of a branch: path to mode and bytes."""
        owner, _, _ = full_name.partition("/")
        git = f"/repos/{full_name}/git"
        tree = self._send(owner, "GET", f"{git}/trees/{self.head(full_name, branch)}?recursive=1")["tree"]
        files = {}
        for entry in tree:
            if entry["type"] == "blob":
                blob = self._send(owner, "GET", f"{git}/blobs/{entry['sha']}")
                files[entry["path"]] = (entry["mode"], base64.b64decode(blob["content"]))
        return files

    def pulls(self, full_name: str) -> list[dict[str, object]]:
        """Every pull request as the API shows it, newest first."""
        owner, _, _ = full_name.partition("/")
        response = self.client.get(f"/repos/{full_name}/pulls?state=all&per_page=100", headers=_as(owner))
        response.raise_for_status()
        pulls: list[dict[str, object]] = response.json()
        return pulls

    def label(self, full_name: str, number: int, name: str) -> None:
        """Puts a label on a pull request as the owner."""
        owner, _, _ = full_name.partition("/")
        self._send(owner, "POST", f"/repos/{full_name}/issues/{number}/labels", {"labels": [name]})

    def comments(self, full_name: str, number: int) -> list[str]:
        """The comments on a pull request."""
        owner, _, _ = full_name.partition("/")
        response = self.client.get(f"/repos/{full_name}/issues/{number}/comments", headers=_as(owner))
        response.raise_for_status()
        return [comment["body"] for comment in response.json()]

    def has_branch(self, full_name: str, branch: str) -> bool:
        owner, _, _ = full_name.partition("/")
        return self.client.get(f"/repos/{full_name}/branches/{branch}", headers=_as(owner)).status_code == 200

    def close(self, full_name: str, number: int) -> None:
        """Closes a pull request as the owner."""
        owner, _, _ = full_name.partition("/")
        self._send(owner, "PATCH", f"/repos/{full_name}/pulls/{number}", {"state": "closed"})

    def _blob(self, full_name: str, content: bytes) -> str:
        owner, _, _ = full_name.partition("/")
        blob = {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        sha: str = self._send(owner, "POST", f"/repos/{full_name}/git/blobs", blob)["sha"]
        return sha

    # Any: what the emulator answers is judged by the test that asked.
    def _send(self, owner: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = self.client.request(method, path, json=body, headers=_as(owner))
        response.raise_for_status()
        return response.json() if response.content else {}


def _as(login: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {_TOKENS[login]}"}
