"""Messy histories, read by the flow in one pass, and by a slow reader that asks git for every commit by itself."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.flows.ledgers import TODAY, digest, ledger, terraform
from tests.repositories import Repo

MOVED = TODAY.replace('file = "versions.env"', 'file = "deploy/pins.env"')
TURNED = TODAY.replace("APP_DIGEST", "APP_SHA")
SETTINGS = (
    TODAY,
    TODAY + '[[image.hold]]\nversion = "1.2.0"\nreason = "slow"\n',
    MOVED,
    TURNED,
    TODAY.replace('name = "app"', 'name = "another"'),
    "[[image]\nbroken",
    "unknown = 1\n" + TODAY,
    None,
)
NAMES = ("Ada", "Ünï *b*", "Zoe\x1b[31m")
ENV_PATHS = ("versions.env", "deploy/pins.env")
PATHS = (*ENV_PATHS, "main.tf", "Dockerfile")
Files = dict[str, tuple[str, str]]
"""Mode and text by path."""


class Story:
    """A history for `git fast-import`, with everything that people do to one."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a draw that can be repeated
        self.marks = 0
        self.trees: dict[int, Files] = {}
        self.tags: dict[str, str] = {}

    def script(self, steps: int) -> Iterator[str]:
        main = yield from self.commit("main", (), self.begin(), "feat: begin")
        line = [main]
        for _ in range(steps):
            kind = self.chance.random()
            if kind < 0.35:
                tree, message = self.changed(self.trees[line[-1]])
                line.append((yield from self.commit("main", (line[-1],), tree, message)))
            elif kind < 0.65:
                line.append((yield from self.merged(line[-1])))
            elif kind < 0.7 and len(line) > 4:  # rewritten: what came after is left to its tags
                del line[-self.chance.randrange(1, 4) :]
                yield f"reset refs/heads/main\nfrom :{line[-1]}\n\n"
            elif kind < 0.75:
                old = self.trees[self.chance.choice(line)]
                line.append((yield from self.commit("main", (line[-1],), old, 'Revert "something (#7)"')))
            else:
                side = f"hotfix{self.marks}"
                where = self.chance.choice(line)
                if self.chance.random() < 0.5:
                    tree, message = self.changed(self.trees[where])
                    where = yield from self.commit(side, (where,), tree, message)
                self.tag(where)
        yield from self.tags.values()
        yield f"reset refs/heads/main\nfrom :{line[-1]}\n\n"

    def begin(self) -> Files:
        return self.changed({})[0]

    def merged(self, onto: int) -> Generator[str, None, int]:
        side, message = onto, ""
        for _ in range(self.chance.randrange(1, 4)):
            tree, message = self.changed(self.trees[side])
            side = yield from self.commit("side", (side,), tree, message)
            if self.chance.random() < 0.2:
                self.tag(side)
        number = self.chance.randrange(1, 900)
        if self.chance.random() < 0.4:  # squashed, and the body is kept or lost
            body = message if self.chance.random() < 0.5 else "feat: squashed"
            subject, _, rest = body.partition("\n")
            done = yield from self.commit("main", (onto,), self.trees[side], f"{subject} (#{number})\n{rest}")
            return done
        subject = f"Merge pull request #{number} from acme/side"
        tree = self.trees[side if self.chance.random() < 0.9 else onto]
        done = yield from self.commit("main", (onto, side), tree, subject)
        return done

    def changed(self, before: Files) -> tuple[Files, str]:
        files, number = dict(before), self.chance.randrange(1, 6)
        message = "chore: something"
        for _ in range(self.chance.randrange(1, 4)):
            match self.chance.randrange(8):
                case 0 | 1 | 2:
                    key = self.chance.choice(["APP_DIGEST", "APP_DIGEST", "APP_SHA"])
                    text = f"APP_REF=v1.{number}.0\n{key}={digest(number)}\nOTHER_{self.marks}=1\n"
                    files[self.chance.choice(ENV_PATHS)] = ("100644", text)
                    gates = f"digest=pass scan{self.marks}=warn"
                    message = f"deps(app): bump\n\n{digest(number)}\n\nGateway-Bot-Gates: {gates}\nX: y"
                case 3:
                    files["main.tf"] = ("100755", terraform(number))
                case 4:
                    image = f"ghcr.io/acme/app:1.{number}.0" + self.chance.choice(["", f"@{digest(number)}"])
                    files["Dockerfile"] = ("100644", f"ARG APP_IMAGE={image}\nFROM ${{APP_IMAGE}}\n")
                case 5:
                    files.pop(self.chance.choice(PATHS), None)
                case 6:
                    files[self.chance.choice(PATHS)] = self.broken(number)
                case 7:
                    settings = self.chance.choice(SETTINGS)
                    files.pop("gateway-bot.toml", None)
                    if settings is not None:
                        files["gateway-bot.toml"] = ("100644", settings)
        files["README"] = ("100644", f"{self.marks}\n")
        return files, message

    def broken(self, number: int) -> tuple[str, str]:
        return self.chance.choice(
            [
                ("120000", "README"),
                ("100644", f"<<<<<<< HEAD\nAPP_REF=v1.{number}.0\n=======\n"),
                ("100644", f"APP_REF=v1.{number}.0\nAPP_REF=v1.9.0\nAPP_DIGEST={digest(number)}\n"),
                ("100644", f"APP_REF=v1.{number}.0\nAPP_DIGEST=sha256:12\n"),
                ("100644", f"APP_REF=latest\nAPP_DIGEST={digest(number)}\n"),
                ("100644", ""),
            ]
        )

    def commit(self, branch: str, parents: tuple[int, ...], tree: Files, message: str) -> Generator[str, None, int]:
        self.marks += 1
        self.trees[self.marks] = tree
        who = f"{self.chance.choice(NAMES)} <a@example.org> {1_600_000_000 + self.chance.randrange(10**6)} +0200\n"
        yield f"commit refs/heads/{branch}\nmark :{self.marks}\nauthor {who}committer {who}{_text(message)}"
        yield "".join(f"{word} :{each}\n" for word, each in zip(("from", "merge"), parents, strict=False))
        yield "deleteall\n"
        for path, (mode, text) in tree.items():
            yield f"M {mode} inline {path}\n{_text(text)}"
        yield "\n"
        return self.marks

    def tag(self, mark: int) -> None:
        name = f"v0.{self.chance.randrange(40)}.0"  # a name that is drawn again has been rewritten
        if self.chance.random() < 0.5:
            self.tags[name] = f"reset refs/tags/{name}\nfrom :{mark}\n\n"
        else:
            tagger = "Tag <t@example.org> 1700000000 +0000"
            self.tags[name] = f"tag {name}\nfrom :{mark}\ntagger {tagger}\n{_text(name)}"


class Slow:
    """Every commit by itself, by other means than the flow's."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        tagged = [commit for tag in repo.run("tag").split() if self.reaches(commit := self.commit_of(tag))]
        line = repo.run("rev-list", "--first-parent", "main").split()
        self.believed = {self.file(commit, "gateway-bot.toml") for commit in (*line, *tagged)}

    def commit_of(self, tag: str) -> str:
        return self.repo.run("rev-parse", f"{tag}^{{commit}}")

    def reaches(self, commit: str) -> bool:
        return "main" in self.repo.run("branch", "--contains", commit, "--format=%(refname:short)").split()

    def file(self, commit: str, path: str) -> str | None:
        listed = self.repo.run("ls-tree", commit, "--", path)
        if not listed.startswith(("100644 blob", "100755 blob")):
            return None
        return self.repo.run("show", f"{commit}:{path}") + "\n"

    def pin(self, commit: str) -> tuple[str, str, str] | None:
        """Ref, digest and file; by the commit's own settings first, where the base ever had those."""
        places: list[dict[str, object]] = []
        own = self.file(commit, "gateway-bot.toml")
        for text in (own if own in self.believed else None, TODAY):
            try:
                document = tomllib.loads(text or "")
            except tomllib.TOMLDecodeError:
                continue
            if "unknown" in document or not document or document["image"][0]["name"] != "app":
                continue
            places += document["image"][0]["pins"]
        for place in places:
            text = self.file(commit, str(place["file"]))
            found = self.read(place, text) if text is not None else None
            if found is not None:
                return *found, str(place["file"])
        return None

    @staticmethod
    def read(place: dict[str, object], text: str) -> tuple[str, str] | None:
        image = r"ghcr\.io/acme/app:(v?1\.\d\.0)@(sha256:[0-9a-f]{64})"
        match place["type"]:
            case "dotenv":
                keys = {field: key for key, field in dict(place["keys"]).items()}  # type: ignore[call-overload] # parsed TOML
                lines = [line.split("=") for line in text.split("\n") if line]
                values = dict(line for line in lines if len(line) == 2)
                if len(values) < len(lines):
                    return None
                ref, sha = values.get(keys["ref"], ""), values.get(keys["digest"], "")
                whole = re.fullmatch(r"v1\.\d\.0", ref) and re.fullmatch(r"sha256:[0-9a-f]{64}", sha)
                return (ref, sha) if whole else None
            case "terraform":
                match = re.search(f'default = "{image}"', text)
            case _:
                match = re.search(f"ARG APP_IMAGE={image}\n", text)
        return (match[1], match[2]) if match else None

    def gates(self, commit: str, sha: str) -> tuple[tuple[str, str], ...]:
        brought = [commit]
        if len(self.repo.run("rev-list", "--parents", "-n1", commit).split()) > 2:
            brought += self.repo.run("rev-list", "--topo-order", commit, f"^{commit}^1").split()
        for each in brought:
            message = self.repo.run("show", "-s", "--format=%B", each)
            trailer = re.search(r"^Gateway-Bot-Gates: (.*)$", message, re.MULTILINE)
            if trailer and sha in message:
                return tuple((name, verdict) for name, _, verdict in (w.partition("=") for w in trailer[1].split()))
        return ()

    def entries(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for commit in self.repo.run("rev-list", "--first-parent", "--reverse", "main").split():
            pin = self.pin(commit)
            if pin is None:
                continue
            if found and (found[-1]["digest"], found[-1]["ref"]) == (pin[1], pin[0].removeprefix("v")):
                continue
            name, date, subject = self.repo.run("show", "-s", "--format=%an%n%ct%n%s", commit).split("\n")
            pull = re.search(r"\(#(\d+)\)$|^Merge pull request #(\d+) ", subject)
            found.append(
                {
                    "ref": pin[0].removeprefix("v"),
                    "digest": pin[1],
                    "file": pin[2],
                    "commit": commit,
                    "by": name,
                    "date": int(date),
                    "pull": int(pull[1] or pull[2]) if pull else None,
                    "gates": self.gates(commit, pin[1]),
                }
            )
        return found[::-1]

    def tags(self) -> dict[str, tuple[str, bool, tuple[str, str] | None]]:
        found = {}
        for tag in self.repo.run("tag").split():
            commit = self.commit_of(tag)
            reached = self.reaches(commit)
            pin = self.pin(commit)
            found[tag] = (commit, reached, (pin[0].removeprefix("v"), pin[1]) if pin else None)
        return found


def _text(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


LONG = pytest.mark.real  # by its length


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=LONG) for seed in range(2, 8))])
def test_a_messy_history_is_read_as_one_who_looks_at_every_commit_reads_it(tmp_path: Path, seed: int) -> None:
    repo = Repo(tmp_path)
    repo.run("fast-import", "--quiet", "--force", stdin="".join(Story(seed).script(60)).encode())
    slow = Slow(repo)
    entries, tags = slow.entries(), slow.tags()
    last = slow.pin("main")

    found = ledger(repo)

    assert entries == [
        {
            "ref": str(entry.pin.version),
            "digest": entry.pin.digest,
            "file": entry.file,
            "commit": entry.commit,
            "by": entry.by,
            "date": int(entry.date.timestamp()),
            "pull": entry.pull_request,
            "gates": entry.gates,
        }
        for entry in found.entries
    ]
    assert bool(found.unreadable) == (last is None)
    released = {release.tag: release for entry in found.entries for release in entry.releases}
    shown = {**released, **{release.tag: release for release in found.elsewhere}}
    assert tags == {
        tag: (each.commit, each.on_base, (str(each.pin.version), each.pin.digest) if each.pin else None)
        for tag, each in shown.items()
    }
    pinned = {(entry["ref"], entry["digest"]) for entry in entries}
    assert {tag for tag, (_, reached, pin) in tags.items() if reached and pin in pinned} == set(released)
