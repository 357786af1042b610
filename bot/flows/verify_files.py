"""Verify the files of a release from outside: it is published, and its files are what was attested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.core.gates import Unanswered
from bot.core.reference import digest_of
from bot.core.release.chain import Links
from bot.core.release.github_release import Asset
from bot.core.release.ours import OurTag
from bot.core.text import plain
from bot.errors import BotError
from bot.flows.outside import Outside

Attested = Mapping[str, Sequence[bytes]]
"""What was attested, by the name of the release's file; there may be several documents, of which each is right."""


def verify_files(tag: OurTag, repository: str, outside: Outside, attested: Attested, links: Links) -> None:
    """Adds the link of the GitHub Release, and one of each file that is not what was attested under its name."""
    name = "GitHub Release"
    repeat = f'd=$(mktemp -d) && gh release download {tag.name} --repo {repository} -D "$d" && sha256sum "$d"/*'
    try:
        shown = next((each for each in outside.releases() if each.tag == tag.name and not each.draft), None)
    except BotError as error:
        links.unknown(name, error, repeat)
        return
    if shown is None:
        links.fails(name, "it is not published", repeat, exit_code=8)
        return
    for file, contents in attested.items():
        _file(file, shown.asset(file), contents, links, repeat)
    for asset in shown.assets:
        if asset.name not in attested:
            links.warns(plain(asset.name, 100), "it is among the files, and nobody attested it", repeat)
    if not any(links.has(file) for file in attested):
        locked = ", immutable" if shown.immutable else ""
        links.passes(name, f"published{locked}, its {len(attested)} files are what was attested", repeat)


def _file(file: str, asset: Asset | None, contents: Sequence[bytes], links: Links, repeat: str) -> None:
    """One file of the release: nothing is said where it is what was attested."""
    if asset is None:
        links.fails(file, "it is not among the files of the GitHub Release", repeat)
    elif asset.digest is None:
        links.warns(file, "GitHub does not say its digest, so it was not compared", repeat)
    elif not contents and any(link.verdict == "unknown" for link in links.found):
        said = "it was compared with nothing: what was attested of it is not known"
        links.found.append(Unanswered(said, "See the link of what was attested.").gate(file, repeat))
    elif asset.digest not in {digest_of(content) for content in contents}:
        links.fails(file, f"it is {asset.digest}, which is not what was attested", repeat)
