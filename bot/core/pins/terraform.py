"""The default of a Terraform variable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.core.model import SourceFile, TerraformSite
from bot.core.pins.held import Held
from bot.core.pins.syntax import parse_without_error
from bot.core.pins.text import fault, missing, twice, value_at

if TYPE_CHECKING:
    from tree_sitter import Node


def locate(source: SourceFile, site: TerraformSite) -> tuple[Held, ...]:
    """The text of the variable's `default`.

    Raises PinError for a file that is no HCL, for a variable or default that is missing or there twice, and
    for a default that is more than a quoted text.
    """
    name = f'variable "{site.variable}"'
    blocks = _variables(source).get(site.variable, ())
    if not blocks:
        raise missing(
            source,
            name,
            rf'variable[ \t]+"?{re.escape(site.variable)}(?![A-Za-z0-9_-])',
            f"add the block {name}, or correct `variable` of this pin site in the settings",
        )
    if len(blocks) > 1:
        raise twice(source, name, tuple(block.start_byte for block in blocks), "keep one of the blocks")
    defaults = _defaults(source, blocks[0])
    if not defaults:
        raise fault(
            source,
            blocks[0].start_byte,
            f"{name} has no default",
            'add default = "..." to the block: it is what this pin site holds',
        )
    if len(defaults) > 1:
        raise twice(
            source,
            f"the default of {name}",
            tuple(default.start_byte for default in defaults),
            "keep one of them",
        )
    string = _plain_string(defaults[0])
    if string is None:
        raise fault(
            source,
            defaults[0].start_byte,
            f"the default of {name} is no plain quoted string",
            'write it as default = "...", without expressions, templates or a heredoc',
        )
    return (value_at(source, site, string, site.holds, f"the default of {name}"),)


@lru_cache(maxsize=4)  # one file may hold the pins of many images
def _variables(source: SourceFile) -> Mapping[str, Sequence[Node]]:
    """All `variable` blocks at the top level, by name."""
    from tree_sitter_hcl import language  # noqa: PLC0415 - loaded only where Terraform holds a pin

    root = parse_without_error(source, language, "HCL")
    found: dict[str, list[Node]] = {}
    for body in root.children:
        for block in body.children if body.type == "body" else ():
            labels = [child for child in block.children if child.type in {"identifier", "string_lit"}]
            words = [source.data[child.start_byte : child.end_byte].decode().strip('"') for child in labels]
            if block.type == "block" and words[0] == "variable" and len(words) > 1:
                found.setdefault(words[1], []).append(block)
    return found


def _defaults(source: SourceFile, block: Node) -> list[Node]:
    """The attributes named `default` directly in the block, not in blocks within it."""
    attributes = [
        child for body in block.children if body.type == "body" for child in body.children if child.type == "attribute"
    ]
    names = [attribute.children[0] for attribute in attributes]
    return [
        attribute
        for attribute, name in zip(attributes, names, strict=True)
        if source.data[name.start_byte : name.end_byte] == b"default"
    ]


def _plain_string(attribute: Node) -> tuple[int, int] | None:
    """The byte offsets between the quotes of the attribute's value, if a quoted string is all it is."""
    node = attribute.children[-1]
    for kind in ("expression", "literal_value"):
        if node.type != kind or node.child_count != 1:
            return None
        node = node.children[0]
    return (node.children[0].end_byte, node.children[-1].start_byte) if node.type == "string_lit" else None
