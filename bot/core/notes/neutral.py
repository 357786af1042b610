"""Words that act on GitHub -> the same words, readable and without effect.

Visible look-alikes take the place of single characters. Zero-width characters would read better, but a reader
could not see what was changed, and our own rule removes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.core.notes.url import REDIRECT, is_github
from bot.core.text import visible

_AT = "\N{FULLWIDTH COMMERCIAL AT}"
_NUMBER = "\N{FULLWIDTH NUMBER SIGN}"
_LESS = "\N{FULLWIDTH LESS-THAN SIGN}"
_COLON = "\N{FULLWIDTH COLON}"
_DOT = "\N{FULLWIDTH FULL STOP}"
_LEFT, _RIGHT = "\N{FULLWIDTH LEFT SQUARE BRACKET}", "\N{FULLWIDTH RIGHT SQUARE BRACKET}"
_HYPHEN = "\N{NON-BREAKING HYPHEN}"
_BOXES = {" ": "\N{BALLOT BOX}", "": "\N{BALLOT BOX}"}
_CHECKED = "\N{BALLOT BOX WITH CHECK}"

_Replacement = str | Callable[[re.Match[str]], str]


def _authority(match: re.Match[str]) -> str:
    return f"https://{REDIRECT}" if is_github(match[1]) else match[0]


_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    # Kept is only what stands inside an address or `name@1.2.3`; `repo@a1b2c3d` refers to a commit.
    (re.compile(r"(?<![A-Za-z0-9])@|@(?![A-Za-z0-9])|@(?=[0-9A-Fa-f]{7})"), _AT),
    (re.compile(r"#(?=[0-9])"), _NUMBER),
    (re.compile(r"(?<![A-Za-z0-9])(GH)-(?=[0-9])", re.IGNORECASE), rf"\1{_HYPHEN}"),
    # In code it is text, and yet nothing there should look like the end of the fold that holds the notes
    (re.compile(r"<(?=!--|/?(?:details|summary)\b)", re.IGNORECASE), _LESS),
    (re.compile(r"https?://((?:(?!https?:)[^\s/\\?#\"'<>`()\[\]{}|,])*)", re.IGNORECASE), _authority),
    (re.compile(r"(?<![A-Za-z0-9])www\.github\.com(?![\w-])", re.IGNORECASE), REDIRECT),
    (
        re.compile(
            r"(?<![A-Za-z0-9.%-])github\.com\.?(?::\d{1,5})?/"
            r"(?=[^\s/]{1,100}/[^\s/]{1,100}/(?:issues?|pulls?|discussions|commits?)/)",
            re.IGNORECASE,
        ),
        f"{REDIRECT}/",
    ),
    # What a squash merge would hand on in the commit message: no workflow runs, a version is forced, ...
    (
        re.compile(r"\[(skip[ -]ci|ci[ -]skip|no[ -]ci|skip[ -]actions|actions[ -]skip)\]", re.IGNORECASE),
        rf"{_LEFT}\1{_RIGHT}",
    ),
    (
        re.compile(
            r"^([ >*+-]*(?:co-authored-by|signed-off-by|skip-checks|release-as|breaking[ -]change)):",
            re.IGNORECASE | re.MULTILINE,
        ),
        rf"\1{_COLON}",
    ),
    (re.compile(r"\b(BEGIN|END)_(?=(?:COMMIT_OVERRIDE|NESTED_COMMIT)\b)"), rf"\1{_HYPHEN}"),
    # A check box in a pull request is a button, and bots take its click for a command.
    (
        re.compile(r"^([-*+> 0-9.)]{0,64})\[([ xX]?)\](?!\S)", re.MULTILINE),
        lambda match: match[1] + _BOXES.get(match[2], _CHECKED),
    ),
    (re.compile(r"^([ >]*)\[!([A-Za-z]+)\]", re.MULTILINE), r"\1\2:"),
)

_UNLINKED: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile(r":(?=//)"), _COLON),
    (re.compile(r"(?<![A-Za-z0-9])(www)\.(?=\S)", re.IGNORECASE), rf"\1{_DOT}"),
    (re.compile(r"(?<![A-Za-z0-9])(mailto|xmpp):", re.IGNORECASE), rf"\1{_COLON}"),
)


def neutral(text: str) -> str:
    """`text`, visible characters only, in which no mention, reference, closing word or check box acts.

    This holds for the raw text, so it is right for code too; it is not escaped for Markdown. Any beginning of
    the result is neutral as well, so that it can be cut anywhere.
    """
    return _replaced(visible(text), _RULES)


def unlinked(text: str) -> str:
    """`neutral(text)` in which GitHub finds no bare link either: `http://x` and `www.x` stay words."""
    return _replaced(neutral(text), _UNLINKED)


def _replaced(text: str, rules: tuple[tuple[re.Pattern[str], _Replacement], ...]) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text
