"""The table [release] of gateway-bot.toml."""

from __future__ import annotations

import pytest

from bot.core.model import ReleasePolicy, Signature, Target
from bot.errors import UsageError
from bot.settings import settings_in

IMAGE = """\
[[image]]
name = "{name}"
registry = "ghcr.io/up/{name}"
[[image.pins]]
type = "dotenv"
file = "versions.env"
keys = {{ REF = "ref", DIGEST = "digest" }}
"""
APP = IMAGE.format(name="app")
IDENTITY = "https://github.com/{repository}/.github/workflows/release.yml@refs/tags/{tag}"
SIGNED = f'[release.signature]\nidentity = "{IDENTITY}"\n'
ISSUER = "https://token.actions.githubusercontent.com"


def table(target: str = 'repository = "ghcr.io/{repository}"', more: str = "", signed: str = SIGNED) -> str:
    return f"[release]\n{more}\n[[release.target]]\n{target}\n{signed}"


def policy(text: str, images: str = APP) -> ReleasePolicy:
    found = settings_in(images + text).release
    assert found is not None
    return found


def refusal(text: str, images: str = APP) -> str:
    with pytest.raises(UsageError) as raised:
        settings_in(images + text)
    assert (raised.value.exit_code, raised.value.where.startswith("gateway-bot.toml")) == (2, True)
    return raised.value.what


def test_without_the_table_there_is_no_release() -> None:
    assert settings_in(APP).release is None


def test_the_least_that_is_needed_has_careful_defaults() -> None:
    assert policy(table()) == ReleasePolicy(
        "app", (Target("ghcr.io/{repository}", ("{tag}",), ()),), Signature(ISSUER, IDENTITY), "", "retag"
    )


def test_everything_can_be_said() -> None:
    signed = f'{SIGNED}issuer = "https://i.example"\ntrusted_root = "a/root.json"\nsigning_config = "a/config.json"\n'
    target = 'repository = "a.example:5000/x"\ntags = ["{tag}", "{version}"]\nmoving = ["latest", "stable"]'
    found = policy(table(target, 'image = "other"\nmode = "build"', signed), APP + IMAGE.format(name="other"))

    assert found == ReleasePolicy(
        "other",
        (Target("a.example:5000/x", ("{tag}", "{version}"), ("latest", "stable")),),
        Signature("https://i.example", IDENTITY, "a/root.json"),
        "a/config.json",
        "build",
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('repository = "nowhere"', "'nowhere' is no HOST/PATH"),
        ('repository = "ghcr.io/Upper"', "is no HOST/PATH"),
        ('repository = "{repository}/x"', "is no HOST/PATH"),
        ('repository = "{repository}.example.com/x"', "is no HOST/PATH"),
        ('repository = "ghcr.io/up/app"', "it is the repository that the image comes from"),
        ('repository = "ghcr.io/a/b"\ntags = []', "length >= 1"),
        ('repository = "ghcr.io/a/b"\ntags = ["latest"]', "it belongs to `moving`"),
        ('repository = "ghcr.io/a/b"\nmoving = ["{tag}"]', "it belongs to `tags`"),
        ('repository = "ghcr.io/a/b"\ntags = ["{tag}", "{tag}"]', "a tag is there twice"),
        ('repository = "ghcr.io/a/b"\nmoving = ["-x"]', "'-x' is no tag"),
        ('repository = "ghcr.io/a/b"\ntags = ["{ref}"]', "matching regex"),
        ('repository = "ghcr.io/a/b"\ntags = ["{tag}/x"]', "matching regex"),
        ('repository = "ghcr.io/a/b"\nmoving = ["latest\\n"]', "matching regex"),
        ('repository = "ghcr.io/a/b"\nother = 1', "there is no setting 'other'"),
        ('repository = "ghcr.io/a/b"\n[[release.target]]\nrepository = "ghcr.io/a/b"', "ghcr.io/a/b is there already"),
    ],
)
def test_a_target_that_is_none_is_refused(target: str, said: str) -> None:
    assert said in refusal(table(target))


@pytest.mark.parametrize(
    ("signed", "said"),
    [
        ("", "signature"),
        ('[release.signature]\nidentity = ""\n', "is no identity"),
        ('[release.signature]\nidentity = "a b"\n', "is no identity"),
        ('[release.signature]\nidentity = "https://x/{ref}"\n', "only {tag} (our git tag) and {repository}"),
        ('[release.signature]\nidentity = "x"\nissuer = ""\n', "is no identity or issuer"),
        (f'{SIGNED}trusted_root = "root.json"\n', "a private Sigstore needs both"),
        (f'{SIGNED}signing_config = "config.json"\n', "a private Sigstore needs both"),
        (f'{SIGNED}trusted_root = "../root.json"\nsigning_config = "c.json"\n', "release.signature.trusted_root"),
        (f'{SIGNED}trusted_root = "root.json"\nsigning_config = "/c.json"\n', "release.signature.signing_config"),
    ],
)
def test_a_signature_that_says_not_who_signs_is_refused(signed: str, said: str) -> None:
    assert said in refusal(table(signed=signed))


def test_of_several_images_one_is_named() -> None:
    both = APP + IMAGE.format(name="other")

    assert "name one of app, other" in refusal(table(), both)
    assert "there is no image 'x'; there are app, other" in refusal(table(more='image = "x"'), both)
    assert policy(table(more='image = "other"'), both).image == "other"


def test_a_mode_that_nobody_knows_is_refused() -> None:
    assert "mode" in refusal(table(more='mode = "copy"'))


def test_no_target_is_no_release() -> None:
    assert "target" in refusal(f"[release]\n{SIGNED}")
