from __future__ import annotations

import shlex

from msgspec.structs import replace

from bot.core.model import Signature
from bot.core.reference import Repository, Tag
from bot.core.release.notes import Released, release_notes, verify_commands
from bot.core.release.ours import Place, our_tag
from tests.unit.values import IMAGE, NEW, OLD, OTHER, PLATFORMS, pin

OURS = Signature("https://token.example", "https://github.com/acme/gw/.github/workflows/release.yml@refs/tags/v1.2.3")
THEIRS = Signature("https://token.example", "https://github.com/up/app/.github/workflows/r.yml@refs/tags/{tag}")
RELEASED = Released(
    tag=our_tag("v1.2.3"),
    repository="acme/gw",
    git="https://github.com/acme/gw",
    image=replace(IMAGE, signature=THEIRS),
    pin=pin("v1.4.1", NEW),
    digest=NEW,
    platforms=((PLATFORMS[0], OLD), (PLATFORMS[1], OTHER)),
    places=(
        Place(Repository("ghcr.io", "acme/gw"), (Tag("v1.2.3"), Tag("1.2.3")), (Tag("latest"),)),
        Place(Repository("ecr.example", "gw"), (Tag("v1.2.3"),)),
    ),
    ours=OURS,
)


def test_the_notes_say_what_changed_which_image_it_is_and_where_it_is() -> None:
    page = "https://github.com/acme/app/releases/tag/v1.4.1"

    assert release_notes(RELEASED, "\n### Fixed\n\n- one\n").splitlines()[:17] == [
        "### Fixed",
        "",
        "- one",
        "",
        "## Image",
        "",
        f"| digest | `{NEW}` |",
        "|---|---|",
        "| ghcr.io/acme/gw | `v1.2.3`, `1.2.3` |",
        "| ecr.example/gw | `v1.2.3` |",
        f"| linux/amd64 | `{OLD}` |",
        f"| linux/arm64 | `{OTHER}` |",
        f"| upstream | [v1.4.1]({page}), `ghcr.io/acme/app@{NEW}`: the same image, byte for byte |",
        "",
        "```bash",
        f"docker pull ghcr.io/acme/gw@{NEW}",
        "```",
    ]


def test_an_image_with_labels_of_our_own_is_called_so() -> None:
    notes = release_notes(replace(RELEASED, digest=OTHER, image=replace(IMAGE, github="")), "x")

    assert f"| upstream | `v1.4.1`, `ghcr.io/acme/app@{NEW}`: the same layers, with labels of our own |" in notes


def test_each_command_proves_one_thing_of_one_digest() -> None:
    commands = [shlex.split(command) for command in verify_commands(RELEASED)]

    assert [(command[1], command[-1]) for command in commands] == [
        ("verify", f"ghcr.io/acme/gw@{NEW}"),
        ("verify-attestation", f"ghcr.io/acme/gw@{OLD}"),
        ("verify-attestation", f"ghcr.io/acme/gw@{OLD}"),
        ("verify", f"ghcr.io/acme/app@{NEW}"),
    ]
    assert [command[command.index("--certificate-identity") + 1] for command in commands] == [
        *[OURS.identity] * 3,
        THEIRS.identity.replace("{tag}", "v1.4.1"),
    ]
    assert [command[3] for command in commands[1:3]] == ["https://cyclonedx.org/bom", "https://spdx.dev/Document"]


def test_the_commands_stand_in_the_notes_as_they_are_pasted() -> None:
    notes = release_notes(RELEASED, "x")

    assert "\n```bash\ngateway-bot --repository acme/gw release verify v1.2.3\n```\n" in notes
    assert "\n".join(["```bash", *verify_commands(RELEASED), "```"]) in notes


def test_a_legacy_signature_of_upstream_is_asked_for_as_one() -> None:
    assert "--new-bundle-format=false" in verify_commands(replace(RELEASED, form="legacy"))[-1]


def test_without_a_signature_of_upstream_there_is_none_to_verify() -> None:
    assert len(verify_commands(replace(RELEASED, image=IMAGE))) == 3


def test_the_trusted_root_of_a_private_sigstore_is_fetched_before_it_is_used() -> None:
    first, *rest = verify_commands(replace(RELEASED, ours=replace(OURS, trusted_root="sigstore/root.json")))

    assert first == 'cd "$(mktemp -d)" && git clone --quiet --depth 1 --branch v1.2.3 https://github.com/acme/gw .'
    assert "--trusted-root sigstore/root.json" in rest[0]
    assert len(rest) == len(verify_commands(RELEASED))
