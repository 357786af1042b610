"""The edits in a work tree: all or nothing, and every other byte kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.adapters.worktree import Worktree
from bot.errors import PinError
from tests.flows.conftest import PIN_FILES, PROJECT, UPSTREAM, Town


def test_every_place_changes_together_and_the_second_time_nothing_does(town: Town) -> None:
    first = town.run("apply")
    texts = [town.text(name) for name in PIN_FILES]
    second = town.run("apply", "--json")

    assert (first.code, second.code) == (0, 0)
    assert all(town.digests["v1.4.1"] in text and town.digests["v1.3.1"] not in text for text in texts)
    assert [town.text(name) for name in PIN_FILES] == texts
    assert second.json["outcome"] == "nothing_new"


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["no bom", "bom"])
def test_every_other_byte_is_kept(town: Town, ending: str, bom: str) -> None:
    for name in PIN_FILES:
        text = town.text(name).replace("# ", "# é ", 1).rstrip("\n").replace("\n", ending)
        town.write(name, bom + text)
        (town.root / name).chmod(0o750)
    before = {name: town.text(name) for name in PIN_FILES}

    run = town.run("apply")

    expected = {
        name: text.replace(town.digests["v1.3.1"], town.digests["v1.4.1"]).replace("1.3.1", "1.4.1")
        for name, text in before.items()
    }
    assert run.code == 0
    assert [(town.root / name).stat().st_mode & 0o777 for name in PIN_FILES] == [0o750] * 4
    assert {name: town.text(name) for name in PIN_FILES} == expected


def drifted(town: Town) -> None:
    for name in ("Dockerfile", "infrastructure/variables.tf", "infrastructure/README.md"):
        text = town.text(name)
        town.write(name, text.replace(town.digests["v1.3.1"], f"sha256:{'0' * 64}"))


def test_drift_is_reported_with_file_and_line_and_repaired_only_when_told_to(town: Town) -> None:
    drifted(town)

    seen = town.run("check")
    planned = town.run("plan", "--json")
    applied = town.run("apply")
    fixed = town.run("check", "--fix")
    after = town.run("check", "--json")

    assert "infrastructure/variables.tf:4: holds" in seen.out
    assert "versions.env says" in seen.out
    assert [d["file"] for d in planned.json["drift"]] == [
        "Dockerfile",
        "infrastructure/variables.tf",
        "infrastructure/README.md",
    ]
    assert (seen.code, planned.code, applied.code, fixed.code, after.code) == (3, 3, 3, 0, 0)
    assert after.json["drift"] == []


KILLED_AT_THE_THIRD_FILE = """
import os, signal, sys
from pathlib import Path
real, count = Path.replace, [0]
def replace(self, target):
    count[0] += 1
    if count[0] == 3: os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
from bot.cli import main; sys.exit(main())
"""


def test_a_kill_between_two_files_leaves_what_a_second_run_completes(town: Town) -> None:
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED_AT_THE_THIRD_FILE,
            "-C",
            str(town.root),
            "apply",
        ],
        cwd=PROJECT,
        env={**os.environ, **town.environ},
        check=False,
    )
    half = town.run("check")
    again = town.run("apply")
    after = town.run("check", "--json")

    left = [path.name for path in town.root.rglob("*.gateway-bot-*")]
    assert killed.returncode == -signal.SIGKILL
    assert (half.code, again.code, after.code) == (3, 0, 0)
    assert left == []
    assert after.json["pin"]["ref"] == "v1.4.1"


def test_a_full_disk_changes_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: town.text(name) for name in PIN_FILES}
    real, count = os.fsync, [0]

    def full(handle: int) -> None:
        count[0] += 1
        if count[0] == 3:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)

    run = town.run("apply")

    assert "No space left on device" in run.out
    assert sorted(path.name for path in town.root.rglob(".*gateway-bot-*")) == []
    assert {name: town.text(name) for name in PIN_FILES} == before
    assert run.code == 3


def test_a_link_is_not_followed(town: Town, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (town.root / "versions.env").rename(outside)
    (town.root / "versions.env").symlink_to(outside)

    run = town.run("apply")

    assert (run.code, outside.is_symlink()) == (3, False)


def test_a_folder_that_is_a_link_is_not_followed(town: Town, tmp_path: Path) -> None:
    (town.root / "infrastructure").rename(tmp_path / "outside")
    (town.root / "infrastructure").symlink_to(tmp_path / "outside")

    run = town.run("check")

    assert run.code == 3


def test_a_read_only_file_stays_and_so_do_the_others(town: Town) -> None:
    (town.root / "versions.env").chmod(0o444)
    before = {name: town.text(name) for name in PIN_FILES}

    run = town.run("apply")

    assert "read-only" in run.out
    assert {name: town.text(name) for name in PIN_FILES} == before
    assert run.code == 3


@pytest.mark.parametrize(
    "line", ["PATH=/tmp", "X=$(id)", "AGENTGATEWAY_REF=v1.4.1", "A<<EOF", "LD_PRELOAD=x.so", "Y='a\nb'", "Z=`id`"]
)
def test_a_versions_env_that_an_export_could_abuse_is_refused(town: Town, line: str) -> None:
    town.write("versions.env", f"{town.text('versions.env')}{line}\n")

    run = town.run("plan", "--json")

    assert run.json["where"].startswith("versions.env:")
    assert (run.code, run.json["outcome"]) == (3, "blocked")


def test_a_pin_only_in_a_comment_is_missing(town: Town) -> None:
    town.write("versions.env", town.text("versions.env").replace("AGENTGATEWAY_REF=", "# AGENTGATEWAY_REF="))

    run = town.run("check")

    assert "versions.env:3: AGENTGATEWAY_REF is missing" in run.out
    assert run.code == 3


def test_a_saved_plan_is_applied_later(town: Town, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    town.run("plan", "--save", str(saved))
    town.release("v1.5.0", days_ago=1)

    run = town.run("apply", "--plan", str(saved), "--json")

    assert run.code == 0
    assert town.run("check", "--json").json["pin"]["ref"] == "v1.4.1"


EDITED = {
    "another digest": lambda plan: plan["candidate"].update(digest=f"sha256:{'1' * 64}"),
    "another edit": lambda plan: plan["edits"][0].update(new="v6.6.6"),
    "another file": lambda plan: plan["edits"][0].update(file="evil.sh"),
    "another base": lambda plan: plan["bases"].update({"versions.env": "0" * 64}),
    "another image": lambda plan: plan.update(image="other"),
    "another repository": lambda plan: plan.update(repository="ghcr.io/evil/evil"),
    "another candidate": lambda plan: plan["candidate"].update(ref="v1.4.0"),
    "no candidate": lambda plan: plan.update(candidate=None),
    "a downgrade": lambda plan: plan["candidate"].update(ref="v1.2.0"),
}


@pytest.mark.parametrize("case", EDITED)
@pytest.mark.parametrize("command", ["apply", "propose"])
def test_an_edited_plan_is_refused(town: Town, tmp_path: Path, case: str, command: str) -> None:
    saved = tmp_path / "plan.json"
    town.run("plan", "--save", str(saved))
    plan = json.loads(saved.read_text())
    EDITED[case](plan)
    saved.write_text(json.dumps(plan))
    before = {name: town.text(name) for name in PIN_FILES}

    run = town.run(command, "--plan", str(saved), "--json")

    if (case, command) == ("another base", "propose"):
        assert run.code == 0  # planned again from the base that there is, to the same end
        return
    assert {name: town.text(name) for name in PIN_FILES} == before
    assert town.github.pulls("acme/ai-gateway") == ()
    assert run.code == 6


def test_a_plan_for_files_that_changed_since_is_refused(town: Town, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    town.run("plan", "--save", str(saved))
    town.write("versions.env", f"# changed\n{town.text('versions.env')}")

    run = town.run("apply", "--plan", str(saved))

    assert run.code == 6


@pytest.mark.parametrize("content", [b"", b"no json", b'{"format": "x"}', b"[" * 100_000, b"\xff"])
def test_a_file_that_is_no_plan_is_wrong_use(town: Town, tmp_path: Path, content: bytes) -> None:
    saved = tmp_path / "plan.json"
    saved.write_bytes(content)

    run = town.run("apply", "--plan", str(saved))

    assert run.code == 2


def test_two_images_share_one_versions_env(town: Town) -> None:
    other = town.registry.push_image("other/image", "v1.0.0")
    town.github.create_repository("other/image")
    town.github.add_release("other/image", "v1.0.0")
    newer = town.registry.push_image("other/image", "v1.1.0")
    town.github.add_release("other/image", "v1.1.0")
    town.write("versions.env", f"{town.text('versions.env')}OTHER_REF=v1.0.0\nOTHER_DIGEST={other}\n")
    town.write(
        "gateway-bot.toml",
        town.text("gateway-bot.toml")
        + f'[[image]]\nname = "other"\nregistry = "{town.registry.host}/other/image"\ngithub = "other/image"\n'
        '[[image.pins]]\ntype = "dotenv"\nfile = "versions.env"\n'
        'keys = { OTHER_REF = "ref", OTHER_DIGEST = "digest" }\n',
    )

    run = town.run("apply")

    assert run.code == 0
    assert f"OTHER_DIGEST={newer}\n" in town.text("versions.env")
    assert f"AGENTGATEWAY_IMAGE_DIGEST={town.digests['v1.4.1']}\n" in town.text("versions.env")


def test_a_file_that_changed_since_it_was_read_is_not_overwritten(town: Town) -> None:
    tree = Worktree(town.root)
    sources = tree.read(["versions.env"])
    town.write("versions.env", "changed meanwhile\n")

    with pytest.raises(PinError, match="changed while the plan was made"):
        tree.write(sources, {"versions.env": b"x"})
    assert town.text("versions.env") == "changed meanwhile\n"


def test_nothing_is_repaired_while_a_gate_refuses(town: Town) -> None:
    drifted(town)
    town.registry.push_image(UPSTREAM, "v1.3.1", variation="re-pushed")
    before = [town.text(name) for name in PIN_FILES]

    run = town.run("check", "--fix", "--online")

    assert "not repaired while a gate refuses" in run.out
    assert [town.text(name) for name in PIN_FILES] == before
    assert run.code == 3


@pytest.mark.parametrize("code", [0, 1, 9, 99])
def test_a_blocked_plan_never_ends_in_success(town: Town, tmp_path: Path, code: int) -> None:
    drifted(town)
    saved = tmp_path / "plan.json"
    town.run("plan", "--save", str(saved))
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {"exit_code": code}))

    run = town.run("apply", "--plan", str(saved))

    assert run.code == 6


def test_a_plan_of_nothing_does_not_take_a_later_release(empty_town: Town, tmp_path: Path) -> None:
    town, saved = empty_town, tmp_path / "plan.json"
    town.release("v1.3.1")
    town.pin("v1.3.1")
    town.run("plan", "--save", str(saved))
    town.release("v1.4.1")

    run = town.run("apply", "--plan", str(saved), "--json")

    assert "is for the next run" in run.json["reason"]
    assert (run.code, run.json["outcome"]) == (0, "nothing_new")


def test_a_saved_plan_takes_no_image(town: Town, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    town.run("plan", "--save", str(saved))

    run = town.run("apply", "--plan", str(saved), "--image", "agentgateway")

    assert run.code == 2
