"""`release sbom`, `publish` and `verify` from the command line, with a `cosign` and a `syft` on the PATH."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import TOKEN, Run, run_command
from tests.flows.release_programs import Programs, on_the_path
from tests.flows.release_standins import OURS, PROVENANCE, REPOSITORY, SIGN, TAG, proven, sboms_of
from tests.flows.releases import PASSWORD, Releasing, place, world

__all__ = ["place", "world"]

IDENTITY = "eyJ-the-identity-token"


@pytest.fixture
def programs(world: Releasing, tmp_path: Path) -> Iterator[Programs]:
    with on_the_path(tmp_path / "bin", world) as programs:
        world.environ |= {"PATH": programs.path, "SIGSTORE_ID_TOKEN": IDENTITY}
        yield programs


def publish(world: Releasing, *more: str, **environ: str) -> Run:
    return world.run("release", "publish", TAG, *more, **environ)


@pytest.fixture
def made(world: Releasing, tmp_path: Path) -> dict[str, bytes]:
    """SBOMs in the folder `sboms`, as `release sbom` makes them."""
    (tmp_path / "sboms").mkdir()
    return world.write_sboms(tmp_path / "sboms")


def verify(world: Releasing, folder: Path, *more: str) -> Run:
    """From an empty folder, without a token."""
    folder.mkdir()
    args = ["-C", str(folder), "--repository", REPOSITORY, "release", "verify", TAG, *more]
    nobody = {"GITHUB_TOKEN": "", "SIGSTORE_ID_TOKEN": "", "GITHUB_REPOSITORY": ""}
    return run_command(args, {**world.environ, **nobody}, world.clock)


def test_a_release_is_published_and_anybody_can_verify_it(
    world: Releasing, programs: Programs, made: dict[str, bytes], tmp_path: Path
) -> None:
    summary, output = tmp_path / "summary", tmp_path / "output"
    done = publish(
        world, "--sbom", str(tmp_path / "sboms"), GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(output)
    )
    checked = verify(world, tmp_path / "empty")
    files = {asset.name: asset.content for asset in world.on_github.releases[0].assets}
    told = f"{done.out}{done.err}{checked.out}{checked.err}{summary.read_text()}{output.read_text()}"
    arguments = "\n".join(" ".join(start) for start in programs.starts)

    assert (done.code, checked.code) == (0, 0), done.err + checked.out
    assert done.out.splitlines()[-2] == f"{TAG} is published as {world.digest}"
    assert checked.out.splitlines()[-1] == f"{REPOSITORY} {TAG}: all 16 links hold"
    assert {name: files[name] for name in made} == made
    assert [proven(store, world.digest, OURS) for store in world.stores] == [{SIGN, PROVENANCE}] * 2
    assert f"### `{TAG} is published as {world.digest}`" in summary.read_text()
    assert world.digest in output.read_text()
    assert programs.tokens == {"", IDENTITY}
    for secret in (IDENTITY, TOKEN, PASSWORD, *world.place.tokens_given):
        assert secret not in told
        assert secret not in arguments


def test_what_publish_and_verify_say_can_be_read_by_a_program(
    world: Releasing, programs: Programs, made: dict[str, bytes], tmp_path: Path
) -> None:
    done = publish(world, "--sbom", str(tmp_path / "sboms"), "--json")
    checked = verify(world, tmp_path / "empty", "--json")

    assert len(made) == 4
    assert programs.starts
    assert (done.json["ok"], done.json["digest"], done.json["tag"]) == (True, world.digest, TAG)
    assert (checked.json["ok"], checked.json["digest"], len(checked.json["links"])) == (True, world.digest, 16)


@pytest.mark.parametrize("environ", [{"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": TAG}, {}])
def test_the_tag_is_the_run_s_or_that_of_what_is_checked_out(
    world: Releasing, programs: Programs, environ: dict[str, str]
) -> None:
    done = world.run("release", "publish", "--dry-run", "--json", **environ)

    assert (done.code, done.json["tag"], bool(programs.starts)) == (0, TAG, True)


def test_what_is_checked_out_and_no_release_needs_a_name(world: Releasing, tmp_path: Path) -> None:
    repo = world.copy(tmp_path)
    repo.commit("feat: more")
    world.root = repo.root
    done = world.run("release", "publish", "--dry-run")

    assert (done.code, "no tag was named, and of what is checked out it is no release" in done.err) == (2, True)


def test_who_may_not_sign_is_told_before_anything_is_written(world: Releasing, programs: Programs) -> None:
    done = publish(world, SIGSTORE_ID_TOKEN="")

    assert (done.code, world.writes()) == (2, [])
    assert "id-token: write" in done.err
    assert {start[1] for start in programs.starts} <= {"version"}


def test_who_may_not_sign_can_still_look(world: Releasing, programs: Programs) -> None:
    done = publish(world, "--dry-run", SIGSTORE_ID_TOKEN="")

    assert (done.code, world.writes(), bool(programs.starts)) == (0, [], True)
    assert "warning: it could not be published from here: ACTIONS_ID_TOKEN_REQUEST_TOKEN: there is no" in done.out


def test_without_cosign_nothing_is_begun(world: Releasing, programs: Programs) -> None:
    (programs.folder / "cosign").unlink()
    done = publish(world, PATH=f"{programs.folder}")

    assert (done.code, world.writes()) == (4, [])
    assert "cosign is not installed" in done.err


def test_sigstore_down_is_said_with_where_it_stopped(
    world: Releasing, programs: Programs, made: dict[str, bytes], tmp_path: Path
) -> None:
    world.stamp.down = {"sign"}
    done = publish(world, "--sbom", str(tmp_path / "sboms"))
    world.stamp.down = set()
    again = publish(world, "--sbom", str(tmp_path / "sboms"))
    stopped = f"{TAG} is not published by this run; the last that it did: upstream's signatures and attestations in"

    assert (done.code, again.code, len(made), bool(programs.starts)) == (4, 0, 4, True)
    assert f"{stopped} {world.names[1]}" in done.err
    assert "Nothing is published unsigned. Run it again: it goes on from here." in done.err


# --- SBOMs


def lose(folder: Path, name: str) -> None:
    (folder / name).unlink()


def damage(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b'{"bomFormat": "CycloneDX"')


def exchange(folder: Path, name: str) -> None:
    (folder / name).write_bytes(sboms_of(f"sha256:{'9' * 64}").cyclonedx)


def twice(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b'{"a": 1, "a": 2}')


@pytest.mark.parametrize(
    ("bend", "code", "said"),
    [
        (lose, 2, "it cannot be read: No such file or directory"),
        (damage, 2, "it is no valid JSON"),
        (twice, 2, "a key appears twice"),
        (exchange, 5, f"it is about container sha256:{'9' * 64}, not about"),
    ],
)
def test_sboms_that_are_not_this_image_s_are_not_attested(
    world: Releasing,
    programs: Programs,
    made: dict[str, bytes],
    tmp_path: Path,
    bend: Callable[[Path, str], None],
    code: int,
    said: str,
) -> None:
    name = f"gateway-{TAG}-linux-amd64.cdx.json"
    bend(tmp_path / "sboms", name)
    done = publish(world, "--sbom", str(tmp_path / "sboms"))
    tags = [tag for store in world.stores for tag in store.tags if not tag.startswith("sha256-")]

    assert (name in made, bool(programs.starts)) == (True, True)
    assert (done.code, tags, world.on_github.releases) == (code, [], [])
    assert said in done.err


def test_a_folder_of_sboms_that_is_not_there_is_said_first(
    world: Releasing, programs: Programs, tmp_path: Path
) -> None:
    done = publish(world, "--sbom", str(tmp_path / "nowhere"))

    assert (done.code, world.writes(), bool(programs.starts)) == (2, [], True)
    assert "there is no such folder" in done.err


def test_sboms_are_made_for_another_job_without_any_right(world: Releasing, programs: Programs, tmp_path: Path) -> None:
    output = tmp_path / "made" / "here"
    done = world.run("release", "sbom", TAG, "--output", str(output), SIGSTORE_ID_TOKEN="", GITHUB_TOKEN="")
    names = sorted(path.name for path in output.iterdir())

    assert done.code == 0, done.err
    assert [line.partition(": ")[2] for line in done.out.splitlines()] == [
        f"linux/{platform}, 1 packages" for platform in ("amd64", "amd64", "arm64", "arm64")
    ]
    assert names == [
        f"gateway-{TAG}-linux-{platform}.{kind}.json" for platform in ("amd64", "arm64") for kind in ("cdx", "spdx")
    ]
    assert [start[0] for start in programs.starts] == ["syft", "syft"]
