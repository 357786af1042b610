"""The life of a proposal on a GitHub that nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.demo import without_gates
from bot.embedded.registry import EmbeddedRegistry
from tests.emulator import Emulator
from tests.flows.conftest import CURRENT_DIGEST, DOWNSTREAM, PIN_FILES, PROJECT, UPSTREAM, Run, TestClock, run_command

pytestmark = pytest.mark.real

BRANCH = "gateway-bot/upgrade/agentgateway"


class Life:
    """A checkout pinned to v1.3.1, images in the embedded registry, both repositories in the emulator."""

    def __init__(self, root: Path, registry: EmbeddedRegistry, emulator: Emulator) -> None:
        self.root, self.registry, self.emulator = root, registry, emulator
        self.digests = {ref: registry.push_image(UPSTREAM, ref, attestations=True) for ref in ("v1.3.1", "v1.4.1")}
        emulator.create_repository(UPSTREAM)
        for ref in self.digests:
            emulator.add_release(UPSTREAM, ref)
        for name in (*PIN_FILES, "gateway-bot.toml"):
            text = without_gates((PROJECT / name).read_text())
            text = text.replace("ghcr.io/agentgateway/agentgateway", f"{registry.host}/{UPSTREAM}")
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.replace(CURRENT_DIGEST, self.digests["v1.3.1"]))
        emulator.create_repository(DOWNSTREAM, self.checkout())

    def checkout(self) -> dict[str, tuple[str, bytes]]:
        return {name: ("100644", (self.root / name).read_bytes()) for name in (*PIN_FILES, "gateway-bot.toml")}

    def release(self, ref: str) -> None:
        self.digests[ref] = self.registry.push_image(UPSTREAM, ref, attestations=True)
        self.emulator.add_release(UPSTREAM, ref)

    def run(self, *args: str) -> Run:
        environ = {
            "GITHUB_API_URL": self.emulator.url,
            "GITHUB_REPOSITORY": DOWNSTREAM,
            "GITHUB_TOKEN": self.emulator.token,
            "HOME": str(self.root.parent),
        }
        return run_command(["-C", str(self.root), *args], environ, TestClock())

    def pulls(self) -> list[tuple[str, str]]:
        """Newest first: state and title."""
        return [(str(pull["state"]), str(pull["title"])) for pull in self.emulator.pulls(DOWNSTREAM)]


@pytest.fixture
def life(tmp_path: Path, emulator: Emulator) -> Iterator[Life]:
    with EmbeddedRegistry() as registry:
        yield Life(tmp_path / "checkout", registry, emulator)


def test_one_pull_request_moves_is_declined_and_is_asked_again_for_another_release(life: Life) -> None:
    opened = life.run("propose")
    life.release("v1.5.0")
    moved = life.run("propose")
    life.emulator.close(DOWNSTREAM, 1)
    declined = life.run("propose")
    life.release("v1.6.0")
    again = life.run("propose")
    unchanged = life.run("propose")

    files = life.emulator.files_at(DOWNSTREAM, BRANCH)
    assert [run.code for run in (opened, moved, declined, again, unchanged)] == [0] * 5
    assert "now proposes v1.5.0" in moved.out
    assert "v1.5.0 was declined in #1" in declined.out
    assert "nothing to do" in unchanged.out
    assert life.pulls() == [
        ("open", "deps(agentgateway): bump v1.3.1 to v1.6.0"),
        ("closed", "deps(agentgateway): bump v1.3.1 to v1.5.0"),
    ]
    assert all(life.digests["v1.6.0"].encode() in files[name][1] for name in PIN_FILES)


def test_a_persons_commit_is_left_commented_once_and_built_on_when_asked(life: Life) -> None:
    life.run("propose")
    life.emulator.commit(DOWNSTREAM, BRANCH, {"fix.txt": ("100644", b"mine")})
    codes = [life.run("propose").code for _ in range(2)]
    comments = life.emulator.comments(DOWNSTREAM, 1)
    life.emulator.label(DOWNSTREAM, 1, "rebase")
    life.release("v1.5.0")

    run = life.run("propose")

    files = life.emulator.files_at(DOWNSTREAM, BRANCH)
    assert codes == [7, 7]
    assert len(comments) == 1
    assert run.code == 0
    assert files["fix.txt"][1] == b"mine"
    assert all(life.digests["v1.5.0"].encode() in files[name][1] for name in PIN_FILES)


def test_what_the_base_has_already_is_withdrawn_and_its_branch_goes(life: Life) -> None:
    life.run("propose")
    life.run("apply")
    life.emulator.commit(DOWNSTREAM, "main", life.checkout())

    run = life.run("propose")
    quiet = life.run("propose")

    assert "#1 withdrawn: the pin is at v1.4.1 already" in run.out
    assert (run.code, quiet.code) == (0, 0)
    assert [state for state, _ in life.pulls()] == ["closed"]
    assert not life.emulator.has_branch(DOWNSTREAM, BRANCH)
