"""Release notes, which strangers write -> Markdown that does nothing but read well in a pull request. Pure.

The text is parsed into a Markdown tree and written anew from it; nothing of the original passes as it was. What it
says holds for the rendered page and for the raw text alike, because a squash merge copies the pull request's body
into a commit message, where code spans do not protect and closing words act.
"""

from __future__ import annotations

from bot.core.notes.blocks import inert
from bot.core.notes.releases import release_notes
from bot.core.notes.signs import breaking_signs

__all__ = ["breaking_signs", "inert", "release_notes"]
