from __future__ import annotations

import json
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.model import DockerfileSite, DotenvSite, MarkdownSite, PatternSite, Platform, TerraformSite
from bot.errors import UsageError
from bot.settings import FILE, Settings, json_schema, read_settings

PROJECT = Path(__file__).parents[2]
PIN = 'type = "terraform"\nfile = "a.tf"\nvariable = "x"\n'
IMAGE = '[[image]]\nname = "app"\nregistry = "ghcr.io/acme/app"\n'


def read(tmp_path: Path, text: str | bytes) -> Settings:
    (tmp_path / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(tmp_path)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, text)
    assert raised.value.exit_code == 2
    assert raised.value.next_step
    return str(raised.value)


def image(extra: str = "", pin: str = PIN, head: str = IMAGE) -> str:
    return f"{head}{extra}\n[[image.pins]]\n{pin}"


def test_the_least_that_is_needed_has_careful_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path, image())
    (only,) = settings.images

    assert (only.name, str(only.repository), only.github, settings.base) == ("app", "ghcr.io/acme/app", "", "")
    assert only.tags == ("{ref}", "{version}")
    assert only.policy.platforms == (Platform("linux", "amd64"), Platform("linux", "arm64"))
    assert (only.policy.channel, only.policy.allow, only.policy.grace) == ("stable", "", timedelta(hours=24))


def test_every_kind_of_site_is_read(tmp_path: Path) -> None:
    pins = [
        PIN,
        'type = "dotenv"\nfile = "v.env"\nkeys = { A = "ref", B = "digest" }\nother_keys = ["C"]\n',
        'type = "dockerfile"\nfile = "d/Dockerfile"\nargs = { A = "image" }\n',
        'type = "markdown"\nfile = "README.md"\nbegin = "<!-- b -->"\nend = "<!-- e -->"\n',
        'type = "pattern"\nfile = "x.yaml"\npattern = "tag: (?P<ref>\\\\S+)"\n',
    ]
    expected = (
        TerraformSite("a.tf", "x"),
        DotenvSite("v.env", (("A", "ref"), ("B", "digest")), ("C",)),
        DockerfileSite("d/Dockerfile", (("A", "image"),)),
        MarkdownSite("README.md", "<!-- b -->", "<!-- e -->"),
        PatternSite("x.yaml", r"tag: (?P<ref>\S+)"),
    )

    actual = read(tmp_path, IMAGE + "".join(f"[[image.pins]]\n{pin}" for pin in pins)).images[0].sites

    assert expected == actual


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_platforms_are_parsed(tmp_path: Path, text: str, platform: Platform) -> None:
    actual = read(tmp_path, image(f'policy.platforms = ["{text}"]')).images[0].policy.platforms

    assert (platform,) == actual


def dotenv(keys: str) -> str:
    return f'type = "dotenv"\nfile = "a"\n{keys}\n'


def markdown(rest: str) -> str:
    return f'type = "markdown"\nfile = "a"\n{rest}\n'


def pattern(text: str) -> str:
    return f"type = 'pattern'\nfile = 'a'\npattern = '{text}'\n"


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "no toml": ("[[image", "it is no TOML"),
    "not utf-8": (b"\xff", "cannot be read"),
    "empty": ("", "the setting `image` is missing"),
    "no images": ("image = []", "image: Expected `array` of length >= 1"),
    "an image that is no table": ('image = ["x"]', "image[0]: Expected `object`"),
    "an unknown table": (f"{image()}\n[other]\n", "there is no setting 'other'"),
    "an unknown key": (image("x = 1"), "image[0]: there is no setting 'x'"),
    "an unknown policy": (image("policy.x = 1"), "image[0].policy: there is no setting 'x'"),
    "no name": (image(head=IMAGE.replace('name = "app"\n', "")), "image[0]: the setting `name` is missing"),
    "a name with a slash": (image(head=IMAGE.replace('"app"', '"a/b"')), "image[0].name: "),
    "a name in capitals": (image(head=IMAGE.replace('"app"', '"App"')), "image[0].name: "),
    "a name of 41 letters": (image(head=IMAGE.replace('"app"', f'"{"a" * 41}"')), "image[0].name: "),
    "a name with a newline": (image(head=IMAGE.replace('"app"', '"app\\n"')), "image[0].name: "),
    "two of one name": (image() + image(), "two images have the name 'app'"),
    "a registry without host": (image(head=IMAGE.replace("ghcr.io/", "")), "image[0].registry: 'acme/app' is no repo"),
    "a registry with a tag": (image(head=IMAGE.replace("acme/app", "acme/app:v1")), "image[0].registry: "),
    "a repository that is a URL": (image('github = "https://github.com/a/b"'), "image[0].github: "),
    "a repository that climbs": (image('github = "a/../b"'), "image[0].github: "),
    "no pins": (IMAGE, "image[0]: the setting `pins` is missing"),
    "empty pins": (f"{IMAGE}pins = []", "image[0].pins: Expected `array` of length >= 1"),
    "empty tags": (image("tags = []"), "image[0].tags: Expected `array`"),
    "a tag without placeholder": (image('tags = ["latest"]'), "image[0].tags: 'latest' must hold"),
    "a tag with two": (image('tags = ["{ref}-{version}"]'), "image[0].tags: '{ref}-{version}' must hold"),
    "a range that is none": (image('policy.allow = "newest"'), "image[0].policy.allow: 'newest' is no version range"),
    "a channel that is none": (image('policy.channel = "edge"'), "image[0].policy.channel: 'edge' is"),
    "no platforms": (image("policy.platforms = []"), "image[0].policy.platforms: Expected `array`"),
    "a platform without architecture": (image('policy.platforms = ["linux"]'), "image[0].policy.platforms: 'linux' is"),
    "a platform in capitals": (image('policy.platforms = ["Linux/amd64"]'), "image[0].policy.platforms: 'Linux/amd64'"),
    "a platform of four parts": (image('policy.platforms = ["a/b/c/d"]'), "image[0].policy.platforms: 'a/b/c/d'"),
    "a grace below zero": (image("policy.grace_hours = -1"), "image[0].policy.grace_hours: Expected `int` >= 0"),
    "a grace of months": (image("policy.grace_hours = 721"), "image[0].policy.grace_hours: Expected `int` <= 720"),
    "a grace in words": (image('policy.grace_hours = "1d"'), "image[0].policy.grace_hours: Expected `int`, got `str`"),
    "an unknown kind of pin": (image(pin='type = "helm"\nfile = "a"\n'), "image[0].pins[0].type: 'helm' is not"),
    "a pin without kind": (image(pin='file = "a"\n'), "image[0].pins[0]: the setting `type` is missing"),
    "an unknown key of a pin": (image(pin=f"{PIN}x = 1\n"), "image[0].pins[0]: there is no setting 'x'"),
    "an unknown field": (image(pin=dotenv('keys = { A = "tag" }')), "image[0].pins[0].keys[...]: 'tag' is"),
    "a first pin without digest": (image(pin=dotenv('keys = { A = "ref" }')), "image[0].pins[0]: the first pin is"),
    "a first pin of versions": (image(pin=pattern("(?P<version>x)")), "image[0].pins[0]: the first pin is the source"),
    "one place twice": (f"{image()}[[image.pins]]\n{PIN}", "image[0].pins[1]: the same place as an earlier one"),
    "one table for images": (image().replace("[[image]]", "[image]"), "so the table is written [[image]]"),
    "a slip of the pen": (image("polcy.x = 1"), "there is no setting 'polcy'; did you mean 'policy'?"),
    "no keys": (image(pin=dotenv("keys = {}")), "image[0].pins[0].keys: Expected `object` of length >= 1"),
    "a key that is no name": (image(pin=dotenv('keys = { "A-B" = "ref" }')), "image[0].pins[0]: 'A-B' is no name"),
    "another key that is none": (
        image(pin=dotenv('keys = { A = "ref" }\nother_keys = ["$(id)"]')),
        "image[0].pins[0]: '$(id)' is no name",
    ),
    "a markdown site of nothing": (image(pin=markdown("")), "image[0].pins[0]: name `begin` with `end`"),
    "a beginning without end": (image(pin=markdown('begin = "x"')), "image[0].pins[0]: name `begin` with `end`"),
    "a column without row": (
        image(pin=markdown('begin = "x"\nend = "y"\ncolumn = "z"')),
        "image[0].pins[0]: name `begin` with `end`",
    ),
    "a pattern that is none": (image(pin=pattern("(")), "image[0].pins[0].pattern: missing )"),
    "a pattern without group": (image(pin=pattern("tag: (.+)")), "image[0].pins[0].pattern: it needs a named group"),
    "a pattern of another group": (image(pin=pattern("(?P<tag>.+)")), "image[0].pins[0].pattern: it needs a named"),
    "a pattern beyond all numbers": (image(pin=pattern("a{99999999999999999999}")), "image[0].pins[0].pattern: "),
    "a pattern too deep": (image(pin=pattern("(" * 5000)), "image[0].pins[0].pattern: "),
    "a base that is an option": (f'base = "-f"\n{image()}', "`base` is no branch name"),
    "the second image's second pin": (
        image() + image(head=IMAGE.replace('"app"', '"b"')) + "[[image.pins]]\ntype = 'terraform'\nfile = 'a'\n",
        "image[1].pins[1]: the setting `variable` is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_names_its_place(tmp_path: Path, case: str) -> None:
    text, words = REFUSED[case]

    message = refusal(tmp_path, text)

    assert re.match(rf"{re.escape(FILE)}(:\d+)?: ", message)
    assert words in message


@pytest.mark.parametrize(
    "file",
    ["/etc/passwd", "../x", "a/../../x", "./a", "a//b", "a/", ".", "..", ".git/config", "a\\\\b", "a/./b"],
)
def test_a_file_is_a_plain_path_below_the_root(tmp_path: Path, file: str) -> None:
    message = refusal(tmp_path, image(pin=PIN.replace("a.tf", file)))

    assert "image[0].pins[0].file: " in message


def test_an_empty_file_name_is_refused(tmp_path: Path) -> None:
    assert "image[0].pins[0].file: Expected `str`" in refusal(tmp_path, image(pin=PIN.replace("a.tf", "")))


def test_without_a_file_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no settings") as raised:
        read_settings(tmp_path)

    assert raised.value.where == str(tmp_path / FILE)


def test_a_folder_in_the_files_place_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(UsageError, match="no plain file"):
        read_settings(tmp_path)


def test_the_projects_own_settings_are_valid_and_fit_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = tomllib.loads((PROJECT / FILE).read_text())
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())

    errors = [error.message for error in validator.iter_errors(document)]
    wrong = [list(validator.iter_errors(tomllib.loads(text))) for text in (image("x = 1"), image("tags = []"), IMAGE)]

    assert read_settings(PROJECT).images[0].name == "agentgateway"
    assert all(wrong)
    assert errors == []


def test_the_schema_is_json_that_names_its_dialect() -> None:
    schema = json.loads(json.dumps(json_schema()))

    assert (schema["$schema"], schema["title"]) == ("https://json-schema.org/draft/2020-12/schema", FILE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('[watch]\nworkflow = ".github/workflows/upgrade.yml"', "watch.workflow: it has to be the name of a file"),
        ('[pull_request]\nreviewers = ["a b"]', "it has to be a person's login"),
        ('[pull_request]\nlabels = ["a,b"]', "it has to be a label of at most 50 characters"),
        ('[pull_request]\nauto_merge = ["tiny"]', "'tiny' is not one of patch, minor, major or prerelease"),
    ],
)
def test_a_value_of_the_wrong_shape_is_told_what_it_has_to_be(tmp_path: Path, line: str, words: str) -> None:
    text = (PROJECT / "gateway-bot.toml").read_text()
    (tmp_path / "gateway-bot.toml").write_text(f"{text}\n{line}\n")

    with pytest.raises(UsageError, match=words):
        read_settings(tmp_path)
