"""Versions are put on hold and taken off in the checkout's own settings, and plans keep to that."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from bot.core.hold_text import HoldDone, UnholdDone
from bot.core.model import Hold, Image
from bot.core.reference import Digest
from bot.core.versions import Ref
from bot.errors import BotError, IntegrityError, PinError, ServiceError, UsageError
from bot.flows.hold import HoldDesk, HoldWish, hold_version, unhold_version
from bot.flows.observe import Upstream, observe, read_pinned, reselect
from bot.settings import FILE
from bot.world import World
from tests.flows.conftest import NOW, UPSTREAM, Run, Town

TODAY = NOW.date()
YESTERDAY = TODAY - timedelta(days=1)
OTHER = Digest(f"sha256:{'0' * 64}")


def hold(
    town: Town,
    version: str,
    reason: str = "drops streams",
    until: date | None = None,
    digest: Digest | None = None,
    *,
    this_image: bool = False,
) -> HoldDone:
    """The command's flow, on the town's checkout, registry and GitHub."""
    world = World(town.root, town.environ, town.clock)
    try:
        wish = HoldWish(version, reason, until, digest, this_image)
        return hold_version(world.images(None)[0], wish, desk(world))
    finally:
        world.close()


def unhold(town: Town, version: str, digest: Digest | None = None) -> UnholdDone:
    world = World(town.root, town.environ, town.clock)
    try:
        return unhold_version(world.images(None)[0], version, digest, desk(world))
    finally:
        world.close()


def desk(world: World) -> HoldDesk:
    return HoldDesk(world.files, FILE, world.files, world.allowed_keys, world.upstream)


def holds(town: Town) -> tuple[Hold, ...]:
    return World(town.root, town.environ, town.clock).settings.images[0].policy.holds


def reasons(run: Run) -> dict[str, str]:
    return {entry["ref"]: entry["reason"] for entry in run.json["selection"]}


def test_a_version_on_hold_is_passed_over_until_it_is_taken_off(town: Town) -> None:
    before = town.text(FILE)

    done = hold(town, "1.4.1")

    assert done == HoldDone("agentgateway", FILE, "added", Hold("1.4.1", "drops streams"))
    run = town.run("plan", "--json")
    assert (run.json["candidate"]["ref"], reasons(run)["v1.4.1"]) == ("v1.4.0", "on hold: drops streams")
    assert unhold(town, "v1.4.1").removed == (Hold("1.4.1", "drops streams"),)
    assert town.run("plan", "--json").json["candidate"]["ref"] == "v1.4.1"
    assert town.text(FILE) == before


def test_holding_twice_says_so_and_leaves_the_file_alone(town: Town) -> None:
    hold(town, "1.4.1")
    path = town.root / FILE
    before = path.stat()

    done = hold(town, "v1.4.1", " drops streams ")

    assert (done.did, done.hold) == ("nothing", Hold("1.4.1", "drops streams"))
    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)


def test_another_reason_or_date_changes_the_hold(town: Town) -> None:
    hold(town, "1.4.1", "x", until=YESTERDAY)

    done = hold(town, "1.4.1", "y", until=TODAY)

    assert (done.did, done.was) == ("changed", Hold("1.4.1", "x", YESTERDAY))
    assert done.warnings == ("the hold that it replaces expired on 2026-08-19",)
    assert holds(town) == (Hold("1.4.1", "y", TODAY),)


def test_a_date_that_has_passed_holds_nothing_and_the_answer_says_so(town: Town) -> None:
    done = hold(town, "1.4.1", until=YESTERDAY)

    assert done.warnings == ("2026-08-19 has passed (today is 2026-08-20, UTC): it holds nothing",)
    assert town.run("plan", "--json").json["candidate"]["ref"] == "v1.4.1"


def test_a_range_is_held_and_what_is_in_it_needs_no_hold_of_its_own(town: Town) -> None:
    assert hold(town, ">=1.4,<1.5", "the whole line").warnings == ()

    done = hold(town, "1.4.1")

    assert done.warnings == ("it holds nothing more than another does: >=1.4,<1.5 on hold: the whole line",)
    assert town.run("plan", "--json").json["outcome"] == "nothing_new"
    stays = unhold(town, "1.4.1")
    assert stays.warnings == ("1.4.1 stays on hold all the same: >=1.4,<1.5 on hold: the whole line",)
    assert unhold(town, "<1.5, >=1.4").left == ()


@pytest.mark.parametrize("version", ["1.3.1", "<1.4"])
def test_what_is_held_and_pinned_at_once_is_told_with_the_way_back(town: Town, version: str) -> None:
    (warning,) = hold(town, version).warnings

    assert warning == "v1.3.1 is what is pinned now: held and current at once. To go back: gateway-bot rollback"


@pytest.mark.parametrize("version", ["1.4.7", ">=9"])
def test_a_version_that_never_existed_is_held_with_a_warning(town: Town, version: str) -> None:
    done = hold(town, version)

    assert done.warnings == (f"{UPSTREAM} has no release that is {version}: is it spelled right?",)
    assert [each.version for each in holds(town)] == [version]


def test_an_old_version_is_found_however_long_ago_it_was_released(town: Town) -> None:
    for number in range(150):
        town.github.add_release(UPSTREAM, f"v1.2.{number}", published=NOW - timedelta(days=200 - number))
    town.github.add_release(UPSTREAM, "v0.1.0", published=NOW - timedelta(days=900))

    assert hold(town, "0.1.0").warnings == ()


def test_upstream_that_does_not_answer_keeps_no_version_from_being_held(town: Town) -> None:
    town.environ |= {"GITHUB_API_URL": "http://127.0.0.1:1"}

    (warning,) = hold(town, "1.4.1").warnings

    assert warning.startswith("whether upstream has 1.4.1 is not known: ")
    assert holds(town) == (Hold("1.4.1", "drops streams"),)


def test_a_registry_without_releases_is_asked_for_its_tags(town: Town) -> None:
    town.settings(f'github = "{UPSTREAM}"\n', "")

    assert hold(town, "1.4.1").warnings == ()
    assert hold(town, "1.4.7").warnings == (f"{town.image} has no release that is 1.4.7: is it spelled right?",)


def test_pins_that_cannot_be_read_keep_no_version_from_being_held(town: Town) -> None:
    (town.root / "versions.env").unlink()

    (warning,) = hold(town, "1.4.1").warnings

    assert warning == "what is pinned is not known: versions.env: there is no such file"
    with pytest.raises(PinError):
        hold(town, "1.4.0", this_image=True)


@pytest.mark.parametrize("version", ["1.4.1", "v1.4.1", "1.3.1"])
def test_only_the_image_of_today_is_held_where_that_is_asked_for(town: Town, version: str) -> None:
    done = hold(town, version, this_image=True)

    assert done.hold.digest == town.digests[f"v{version.removeprefix('v')}"]


def test_the_pinned_digest_is_what_the_pin_says_though_its_tag_was_moved(town: Town) -> None:
    pinned = town.digests["v1.3.1"]
    town.registry.push_image(UPSTREAM, "v1.3.1", labels={"made": "again"})

    done = hold(town, "1.3.1", this_image=True)

    assert pinned == done.hold.digest


@pytest.mark.parametrize(
    ("version", "kind"), [("1.4.7", IntegrityError), (">=1.4", UsageError)], ids=["no such tag", "a range"]
)
def test_without_one_image_there_is_no_digest_to_hold(town: Town, version: str, kind: type[BotError]) -> None:
    before = town.text(FILE)

    with pytest.raises(kind):
        hold(town, version, this_image=True)

    assert town.text(FILE) == before


def test_a_registry_that_does_not_answer_names_no_digest(town: Town) -> None:
    town.settings(town.image, f"127.0.0.1:1/{UPSTREAM}")
    for name in ("Dockerfile", "infrastructure/variables.tf", "infrastructure/README.md"):
        town.write(name, town.text(name).replace(town.image, f"127.0.0.1:1/{UPSTREAM}"))

    with pytest.raises(ServiceError):
        hold(town, "1.4.1", this_image=True)


@pytest.mark.parametrize("version", ["", "newest", "1.4.1 or so", ">=1.4,\n<2", "\x1b[31m"])
def test_what_is_no_version_and_no_range_is_wrong_use(town: Town, version: str) -> None:
    for ask in (hold, unhold):
        with pytest.raises(UsageError) as caught:
            ask(town, version)

        assert caught.value.where == "VERSION"
        assert caught.value.what.isprintable()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_hold_has_a_reason_of_a_sentence_or_two(town: Town, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        hold(town, "1.4.1", reason)

    assert caught.value.where == "--reason"


def test_taking_off_what_is_not_held_lists_what_is(town: Town) -> None:
    steps = []
    for before in (None, ">=1.4,<1.5", "1.6.0"):
        if before:
            hold(town, before, "x")
        for version in ("1.5.0", "1.4.1"):
            with pytest.raises(UsageError) as caught:
                unhold(town, version)
            steps.append(caught.value.next_step)

    nothing = "Nothing of this image is on hold."
    another = "It is held by another hold. To take that off: gateway-bot unhold '>=1.4,<1.5' --image agentgateway"
    assert steps == [
        nothing,
        nothing,
        "On hold there is: >=1.4,<1.5 on hold: x.",
        another,
        "On hold there is: >=1.4,<1.5 on hold: x; 1.6.0 on hold: x.",
        another,
    ]


def test_one_image_of_a_version_is_taken_off_by_its_digest(town: Town) -> None:
    for digest in (None, OTHER):
        hold(town, "1.4.1", digest=digest)

    done = unhold(town, "1.4.1", OTHER)

    assert [each.digest for each in done.left] == [None]
    assert holds(town) == done.left


def test_settings_that_cannot_be_written_stay_as_they_are(town: Town) -> None:
    path = town.root / FILE
    before = path.read_bytes()
    path.chmod(0o444)

    with pytest.raises(PinError):
        hold(town, "1.4.1")

    assert path.read_bytes() == before


def test_a_release_whose_very_image_is_on_hold_makes_way_for_the_next(town: Town) -> None:
    hold(town, "1.4.1", "it leaks", this_image=True)

    run = town.run("plan", "--json", "--explain")

    assert (run.code, run.json["candidate"]["ref"]) == (0, "v1.4.0")
    assert reasons(run)["v1.4.1"] == "on hold: it leaks"
    assert "v1.4.1  on hold: it leaks" in town.run("plan", "--explain").out


def test_a_release_that_was_pushed_again_is_another_image_and_is_proposed(town: Town) -> None:
    hold(town, "1.4.1", "it leaks", this_image=True)
    again = town.registry.push_image(UPSTREAM, "v1.4.1", labels={"made": "again"})

    run = town.run("plan", "--json")

    assert run.json["candidate"]["digest"] == again


def test_with_every_image_on_hold_there_is_nothing_new_and_each_reason_is_given(town: Town) -> None:
    for version in ("1.4.0", "1.4.1"):
        hold(town, version, f"{version} leaks", this_image=True)

    run = town.run("plan", "--json")

    assert (run.code, run.json["outcome"]) == (0, "nothing_new")
    assert run.json["reason"].endswith("v1.4.1 (on hold: 1.4.1 leaks), v1.4.0 (on hold: 1.4.0 leaks)")


@pytest.mark.parametrize("this_image", [False, True])
def test_what_is_on_hold_is_refused_by_name(town: Town, *, this_image: bool) -> None:
    hold(town, "1.4.1", "it leaks", this_image=this_image)

    run = town.run("plan", "--to", "1.4.1", "--json")

    assert (run.code, run.json["reason"]) == (6, "1.4.1 was asked for: on hold: it leaks")


def test_a_hold_that_is_over_holds_nothing_and_the_plan_warns(town: Town) -> None:
    hold(town, "1.4.1", until=date(2026, 8, 1))

    run = town.run("plan", "--json")

    verdicts = {gate["name"]: gate["verdict"] for gate in run.json["gates"]}
    assert (run.code, run.json["candidate"]["ref"], verdicts["hold"]) == (0, "v1.4.1", "warn")


def test_a_pin_on_hold_is_a_warning_of_a_run_that_finds_nothing_new(town: Town) -> None:
    for version in ("1.3.1", ">=1.4"):
        hold(town, version)

    run = town.run("plan", "--json")

    verdicts = {gate["name"]: gate["verdict"] for gate in run.json["gates"]}
    assert (run.code, run.json["outcome"], verdicts["pin-on-hold"]) == (0, "nothing_new", "warn")


def test_settings_that_somebody_changes_meanwhile_are_not_overwritten(town: Town) -> None:
    world = World(town.root, town.environ, town.clock)
    image = world.images(None)[0]

    def upstream(image: Image) -> Upstream:
        town.write(FILE, f"{text}# mine\n")
        return world.upstream(image)

    text = town.text(FILE)
    with pytest.raises(PinError):
        hold_version(image, HoldWish("1.4.1", "x"), replace(desk(world), upstream=upstream))
    world.close()

    assert town.text(FILE) == f"{text}# mine\n"


def test_a_release_in_haste_whose_very_image_is_on_hold_is_passed_over_too(town: Town) -> None:
    town.settings('channel = "stable"', 'channel = "stable"\ncooldown_days = 15')
    hold(town, "1.4.1", "it leaks", this_image=True)
    world = World(town.root, town.environ, town.clock)
    image = world.images(None)[0]
    upstream = world.upstream(image)
    seen = observe(image, read_pinned(image, world.files, world.allowed_keys), upstream, None)

    again = reselect(seen, upstream, {Ref("v1.4.1"): "it fixes what is bad enough"})
    world.close()

    assert seen.selection.cools("v1.4.1")
    assert next((each.ref, each.reason) for each in again.selection.considered) == ("v1.4.1", "on hold: it leaks")
    assert again.candidate is not None
    assert again.candidate.pin.ref == "v1.4.0"


def test_another_image_of_the_pinned_version_is_not_what_is_pinned(town: Town) -> None:
    assert hold(town, "1.3.1", digest=OTHER).warnings == ()
