"""What Terraform is asked so that it renders a template and nothing else. Pure.

It gets the template, the variable blocks of the declarations, each where it stood, the values, and one output; no
resource and no provider, so it reaches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bot.core.decoding import decode
from bot.core.gateway_config.diagnostics import TEMPLATE, VALUES_PLACE
from bot.core.gateway_config.file_calls import refuse_reading
from bot.core.model import SourceFile
from bot.core.pins.syntax import parse_without_error
from bot.errors import PinError, PolicyError

if TYPE_CHECKING:
    from tree_sitter import Node

_VALUES = "values.tfvars.json"


class Declared(msgspec.Struct, frozen=True):
    """One variable block: its place in the file in bytes, and what matters of it here."""

    name: str
    start: int
    end: int
    has_default: bool
    is_sensitive: bool


class Question(msgspec.Struct, frozen=True):
    """A folder of files for Terraform, and the arguments that name those with values.

    `paths` are those of the checkout by the names in the folder, `unset` the declared variables that have no value;
    `is_secret` says that a variable is declared sensitive.
    """

    files: Mapping[str, bytes]
    arguments: Sequence[str]
    paths: Mapping[str, str]
    unset: Collection[str]
    is_secret: bool


def question(
    template: SourceFile,
    declarations: Sequence[SourceFile],
    var_files: Sequence[SourceFile],
    values: Mapping[str, bytes],
) -> Question:
    """What to ask Terraform; `values` are JSON texts, and override what the files say.

    A variable without a value is left out: it does not matter where the template does not use it. Raises PolicyError
    for a file that cannot be read, or that calls functions which read files.
    """
    refuse_reading(template.path, text_of(template), is_template=True)
    given = values.keys() | {name for file in var_files for name in assigned(file)}
    files = {TEMPLATE: template.data}
    paths = {TEMPLATE: template.path, _VALUES: VALUES_PLACE}
    arguments, kept, unset = [], [], set()
    for number, source in enumerate(declarations):
        blocks = declared(source)
        used = [block for block in blocks if block.has_default or block.name in given]
        kept += used
        unset |= {block.name for block in blocks if block not in used}
        name = f"declared-{number}.tf"
        paths[name], files[name] = source.path, only(source, used)
        refuse_reading(source.path, files[name].decode(), is_template=False)
    for number, file in enumerate(var_files):
        name = f"values-{number}.tfvars" + (".json" if file.path.endswith(".json") else "")
        paths[name], files[name] = file.path, file.data
        arguments.append(f"-var-file={name}")
    if values:
        files[_VALUES] = b"{%b}" % b", ".join(b'"%b": %b' % (name.encode(), text) for name, text in values.items())
        arguments.append(f"-var-file={_VALUES}")
    names = {block.name for block in kept}
    files["module.tf"] = module(names | values.keys(), values.keys() - names).encode()
    return Question(files, arguments, paths, unset, any(block.is_sensitive for block in kept))


def declared(source: SourceFile) -> tuple[Declared, ...]:
    """The variable blocks of a Terraform file. Raises PolicyError for a file that cannot be read as HCL."""
    found = []
    for block in _children(_parse(source), "block"):
        labels = [_text(source, child).strip('"') for child in block.children if child.type != "body"]
        if labels[0] != "variable" or len(labels) < 2:  # noqa: PLR2004 - the word and the name
            continue
        attributes = {_text(source, each.children[0]): each for each in _children(block, "attribute")}
        sensitive = attributes.get("sensitive")
        found.append(
            Declared(
                labels[1],
                block.start_byte,
                block.end_byte,
                "default" in attributes,
                sensitive is not None and not _text(source, sensitive).rstrip().endswith("false"),
            )
        )
    return tuple(found)


def assigned(source: SourceFile) -> frozenset[str]:
    """The names that a file of values sets: HCL, or JSON by its name. Raises PolicyError for one that is neither."""
    if source.path.endswith(".json"):
        try:
            return frozenset(decode(source.data, dict[str, msgspec.Raw]))
        except (msgspec.MsgspecError, RecursionError):
            raise _unreadable(source.path, "it is no JSON object") from None
    return frozenset(_text(source, attribute.children[0]) for attribute in _children(_parse(source), "attribute"))


def only(source: SourceFile, kept: Iterable[Declared]) -> bytes:
    """The file with nothing but these blocks, each on the lines where it stood."""
    text = bytearray(re.sub(rb"[^\r\n]", b" ", source.data))
    for block in kept:
        text[block.start : block.end] = source.data[block.start : block.end]
    return bytes(text)


def module(names: Collection[str], undeclared: Collection[str]) -> str:
    """A Terraform file whose one output is the template, rendered with these variables."""
    blocks = "".join(f'variable "{name}" {{}}\n' for name in sorted(undeclared))
    values = ", ".join(f"{name} = var.{name}" for name in sorted(names))
    return (
        f'{blocks}locals {{\n  rendered = templatefile("{TEMPLATE}", {{ {values} }})\n}}\n'
        'output "rendered" {\n  value = try(nonsensitive(local.rendered), local.rendered)\n}\n'
    )


def text_of(source: SourceFile) -> str:
    """The text of a file. Raises PolicyError where it is none."""
    try:
        return source.data.decode()
    except UnicodeDecodeError:
        raise _unreadable(source.path, "it is no UTF-8") from None


def _parse(source: SourceFile) -> Node:
    from tree_sitter_hcl import language  # noqa: PLC0415 - loaded only where a config is rendered

    try:
        return parse_without_error(source, language, "HCL")
    except PinError as error:
        raise _unreadable(error.where, error.what) from None


def _unreadable(where: str, what: str) -> PolicyError:
    return PolicyError(what, where=where, next_step="Correct it: `terraform fmt` says more.")


def _children(node: Node, kind: str) -> list[Node]:
    """The blocks or attributes directly in a file or block."""
    return [child for body in node.children if body.type == "body" for child in body.children if child.type == kind]


def _text(source: SourceFile, node: Node) -> str:
    return source.data[node.start_byte : node.end_byte].decode()
