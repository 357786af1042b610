"""The libraries of CycloneDX and SPDX, which say whether an SBOM is one. They are in the extra `release`."""

from __future__ import annotations

import importlib.util
import json

from bot.core.index import NotProven
from bot.core.release.sbom import Kind, spec_version
from bot.core.text import plain
from bot.errors import UsageError

_LIBRARIES = ("cyclonedx", "jsonschema", "spdx_tools")
_MAX_SAID = 3


def see_installed() -> None:
    """Raises UsageError where a library is missing, without importing them."""
    for name in _LIBRARIES:
        if importlib.util.find_spec(name) is None:
            raise missing(name)


def missing(name: str) -> UsageError:
    """What to do where something of the extra is not there."""
    return UsageError(
        f"{name} is not installed, without which no SBOM can be made",
        where=name,
        next_step="Install the bot with its extra `release`: docs/release.md says how.",
    )


def validate(kind: Kind, document: bytes) -> None:
    """Raises NotProven unless the document is valid by the specification that it names, and UsageError without them."""
    see_installed()
    try:
        said = _cyclonedx(document) if kind == "cyclonedx" else _spdx(document)
    except Exception as error:  # noqa: BLE001 - the libraries fail in their own ways on what is no SBOM at all
        raise NotProven(f"it is no SBOM of the kind {kind}: {type(error).__name__}: {plain(str(error), 200)}") from None
    if said:
        shown = "; ".join(plain(each, 200) for each in said[:_MAX_SAID])
        raise NotProven(f"it is no valid SBOM of the kind {kind}: {shown}")


def _cyclonedx(document: bytes) -> list[str]:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - a second of work, for a release only
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415 - as above

    version = SchemaVersion.from_version(spec_version(document))
    error = JsonStrictValidator(version).validate_str(document.decode("utf-8"))
    return [str(error)] if error is not None else []


def _spdx(document: bytes) -> list[str]:
    from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import (  # noqa: PLC0415 - as above
        JsonLikeDictParser,
    )
    from spdx_tools.spdx.validation.document_validator import (  # noqa: PLC0415 - as above
        validate_full_spdx_document,
    )

    parser = JsonLikeDictParser()  # type: ignore[no-untyped-call]  # its constructor has no annotations
    parsed = parser.parse(json.loads(document))
    return [message.validation_message for message in validate_full_spdx_document(parsed)]
