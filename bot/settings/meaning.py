"""What the tables of gateway-bot.toml mean: checked, and as the core's values."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from bot.core.index import normal
from bot.core.model import (
    Build,
    ConfigEnvironment,
    DockerfileSite,
    DotenvSite,
    GatewayConfig,
    Hold,
    Ignore,
    Image,
    MarkdownSite,
    PatternSite,
    Platform,
    Policy,
    ScanPolicy,
    Signature,
    Site,
    TerraformSite,
)
from bot.core.reference import parse_digest, parse_repository
from bot.core.versions import Ref, parse_version
from bot.errors import UsageError
from bot.settings.grammar import (
    SLUG,
    BuildTable,
    ConfigTable,
    DockerfileTable,
    DotenvTable,
    HoldTable,
    ImageTable,
    MarkdownTable,
    PatternTable,
    PinTable,
    ScanTable,
    SignatureTable,
    TerraformTable,
)

FILE = "gateway-bot.toml"


def image(entry: ImageTable, at: str) -> Image:
    """One table `[[image]]`, at the place `at` in the file. Raises UsageError."""
    try:
        repository = parse_repository(entry.registry)
    except ValueError as error:
        raise invalid(f"{at}.registry: {error}") from None
    if "\n" in entry.name:
        raise invalid(f"{at}.name: a name is one line")
    if entry.github and not re.fullmatch(SLUG, entry.github):
        raise invalid(f"{at}.github: {entry.github[:80]!r} is not OWNER/NAME")
    if entry.policy.cooldown_days and not entry.github:
        raise invalid(f"{at}.policy.cooldown_days: a registry's tags have no dates, so it needs `github`")
    for template in entry.tags:
        if template.count("{ref}") + template.count("{version}") != 1:
            raise invalid(f"{at}.tags: {template[:80]!r} must hold {{ref}} or {{version}}, once")
    sites = tuple(_site(site, f"{at}.pins[{number}]") for number, site in enumerate(entry.pins))
    _truth(sites[0], f"{at}.pins[0]")
    for number, site in enumerate(sites):
        if site in sites[:number]:
            raise invalid(f"{at}.pins[{number}]: the same place as an earlier one")
    return Image(
        name=entry.name,
        repository=repository,
        sites=sites,
        github=entry.github,
        tags=entry.tags,
        policy=_policy(entry, at),
        signature=_signature(entry.signature, f"{at}.signature") if entry.signature else None,
        scan=_scan(entry.scan, f"{at}.scan") if entry.scan else None,
        config=_config(entry.config, f"{at}.config", entry.github) if entry.config else None,
        build=_build(entry.build, f"{at}.build"),
    )


def _signature(entry: SignatureTable, at: str) -> Signature:
    for name, text in (("identity", entry.identity), ("issuer", entry.issuer)):
        if not text or not text.isprintable() or " " in text:
            raise invalid(f"{at}.{name}: {text[:80]!r} is no identity or issuer, which are matched exactly")
    if set(re.findall(r"\{.*?\}", entry.identity)) - {"{tag}"}:
        raise invalid(f"{at}.identity: only {{tag}} is replaced, by the release's git tag")
    if entry.trusted_root:
        plain_path(entry.trusted_root, f"{at}.trusted_root")
    return Signature(entry.issuer, entry.identity, entry.trusted_root)


def _scan(entry: ScanTable, at: str) -> ScanPolicy:
    if entry.database and not re.fullmatch(r"[A-Za-z0-9.:\[\]/_@-]{1,300}", entry.database):
        raise invalid(f"{at}.database: {entry.database[:80]!r} is no HOST/PATH:TAG")
    ignores = tuple(Ignore(i.id, i.reason, i.until, i.package) for i in entry.ignores)
    return ScanPolicy(
        block=None if entry.block == "none" else entry.block,
        override=None if entry.override == "none" else entry.override,
        ignores=ignores,
        database=entry.database,
    )


def _config(entry: ConfigTable, at: str, github: str) -> GatewayConfig:
    for path in (entry.template, *entry.declarations, *(f for e in entry.environments for f in e.var_files)):
        plain_path(path, at)
    if entry.schema:
        plain_path(entry.schema, f"{at}.schema")
        if not github:
            raise invalid(f"{at}.schema: a schema is published in a GitHub repository, so it needs `github`")
    if sum(argument.count("{file}") for argument in entry.arguments) != 1:
        raise invalid(f"{at}.arguments: one of them must hold {{file}}, once: a program that gets none may say yes")
    names = [environment.name for environment in entry.environments]
    if len(set(names)) < len(names):
        raise invalid(f"{at}.environments: two have the same name")
    return GatewayConfig(
        template=entry.template,
        environments=tuple(
            ConfigEnvironment(
                environment.name,
                environment.var_files,
                tuple((name, msgspec.json.encode(value).decode()) for name, value in environment.values.items()),
            )
            for environment in entry.environments
        ),
        declarations=entry.declarations,
        schema=entry.schema,
        arguments=entry.arguments,
        valid=entry.valid,
        invalid=entry.invalid,
        dummies=tuple(entry.dummies.items()),
        without_engine=entry.without_engine,
    )


def _build(entry: BuildTable, at: str) -> Build:
    if sum(argument.count("{file}") for argument in entry.start) != 1:
        raise invalid(f"{at}.start: one of them must hold {{file}}, once: a program that gets no config proves little")
    return Build(entry.start, entry.port, entry.path)


def _truth(site: Site, at: str) -> None:
    """The first pin has to say which release it is and by which digest; Markdown says so only in its file."""
    fields: set[str]
    match site:
        case DotenvSite():
            fields = {field for _, field in site.keys}
        case DockerfileSite():
            fields = {field for _, field in site.args}
        case TerraformSite():
            fields = {site.holds}
        case PatternSite():
            fields = set(re.compile(site.pattern).groupindex)
        case _:
            return
    if "image" not in fields and not {"ref", "digest"} <= fields:
        held = ", ".join(sorted(fields))
        raise invalid(f"{at}: the first pin is the source of truth and holds ref and digest; this one holds {held}")


def _policy(image: ImageTable, at: str) -> Policy:
    entry = image.policy
    if entry.allow:
        _range(entry.allow, f"{at}.policy.allow")
    platforms = []
    for text in entry.platforms:
        system, *rest = text.split("/")
        if len(rest) not in {1, 2} or not all(re.fullmatch(r"[a-z0-9_]+", part) for part in (system, *rest)):
            raise invalid(f"{at}.policy.platforms: {text[:80]!r} is no platform, as in 'linux/arm64'")
        platforms.append(normal(Platform(system, *rest)))
    return Policy(
        entry.allow,
        entry.channel,
        tuple(platforms),
        timedelta(hours=entry.grace_hours),
        timedelta(days=entry.cooldown_days),
        timedelta(hours=entry.evidence_hours),
        tuple(_hold(hold, f"{at}.hold[{number}]") for number, hold in enumerate(image.holds)),
    )


def _hold(entry: HoldTable, at: str) -> Hold:
    if parse_version(entry.version) is None:
        _range(entry.version, f"{at}.version")
    try:
        digest = parse_digest(entry.digest) if entry.digest else None
    except ValueError as error:
        raise invalid(f"{at}.digest: {error}") from None
    try:
        left = parse_digest(entry.rolled_back_from) if entry.rolled_back_from else None
    except ValueError as error:
        raise invalid(f"{at}.rolled_back_from: {error}") from None
    back = entry.rolled_back_to
    if back and parse_version(back) is None:
        raise invalid(f"{at}.rolled_back_to: {back[:80]!r} is no version, as in 'v1.4.0'")
    return Hold(entry.version, entry.reason, entry.until, digest, Ref(back) if back else None, left)


def _range(text: str, at: str) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - only where a range is set

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise invalid(f"{at}: {text[:80]!r} is no version range, as in '>=1.3,<2'") from None


def _site(entry: PinTable, at: str) -> Site:
    plain_path(entry.file, f"{at}.file")
    match entry:
        case DotenvTable():
            for key in (*entry.keys, *entry.other_keys):
                if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
                    raise invalid(f"{at}: {key[:80]!r} is no name of a variable")
            return DotenvSite(entry.file, tuple(entry.keys.items()), entry.other_keys)
        case TerraformTable():
            return TerraformSite(entry.file, entry.variable, entry.holds)
        case DockerfileTable():
            return DockerfileSite(entry.file, tuple(entry.args.items()))
        case MarkdownTable():
            if (
                bool(entry.begin) != bool(entry.end)
                or not (entry.begin or entry.row)
                or (entry.column and not entry.row)
            ):
                raise invalid(f"{at}: name `begin` with `end`, or `row`, or both; `column` needs `row`")
            return MarkdownSite(entry.file, entry.begin, entry.end, entry.row, entry.column)
        case PatternTable():
            return PatternSite(entry.file, _pattern(entry.pattern, at))


def plain_path(text: str, at: str) -> None:
    """Raises UsageError for a path that leads elsewhere than below the repository's root."""
    path = PurePosixPath(text)
    plain = text.isprintable() and not set(text) & set("\\`") and str(path) == text != "."
    if not plain or path.is_absolute() or {".."} & set(path.parts) or any(p.casefold() == ".git" for p in path.parts):
        raise invalid(f"{at}: {text[:80]!r} is no plain path below the repository's root")


def _pattern(pattern: str, at: str) -> str:
    fields: tuple[Literal["ref", "version", "digest", "image"], ...] = ("ref", "version", "digest", "image")
    try:
        groups = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise invalid(f"{at}.pattern: {error}") from None
    if not groups or set(groups) - set(fields):
        raise invalid(f"{at}.pattern: it needs a named group, of {', '.join(fields)}")
    return pattern


def invalid(what: str, line: int | None = None) -> UsageError:
    """What is wrong with the file, and where."""
    next_step = "docs/settings.md shows every table; `gateway-bot config schema` prints the grammar for editors."
    return UsageError(what, where=f"{FILE}:{line}" if line else FILE, next_step=next_step)
