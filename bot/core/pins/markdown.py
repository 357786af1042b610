"""A place in a Markdown file: between two markers, in a table's row, in a column."""

from __future__ import annotations

from bot.core.model import MarkdownSite, SourceFile
from bot.core.pins.held import Held
from bot.core.pins.tables import Cell, Row, Table, tables
from bot.core.pins.text import fault, missing, text_of, twice
from bot.core.pins.tokens import tokens
from bot.errors import PinError


def locate(source: SourceFile, site: MarkdownSite) -> tuple[Held, ...]:
    """All parts of the pin in this place; `bot.core.pins.tokens` says what counts as one.

    Raises PinError where the place is missing, not the only one, or does not hold one pin.
    """
    scope = _between_markers(source, site)
    if not site.row:
        text_of(source)
        return tokens(source, site, [scope])
    table, row = _row(source, site, scope)
    # The cell that names the row is no place for the pin: the row would not be found again.
    cells = [cell for cell in row.cells if cell.text != site.row]
    if site.column:
        cells = [_cell(source, site, table, row)]
    return tokens(source, site, [(cell.start, cell.end) for cell in cells] or [(row.end, row.end)])


def _between_markers(source: SourceFile, site: MarkdownSite) -> tuple[int, int]:
    """The byte offsets after the first marker and before the second; those of the file without markers."""
    start, end = 0, len(source.data)
    if site.begin:
        start = _marker(source, site.begin) + len(site.begin.encode())
    if site.end:
        end = _marker(source, site.end)
    if end < start:
        raise fault(source, end, "the `end` marker stands before `begin`", "put the markers in their order")
    return start, end


def _marker(source: SourceFile, marker: str) -> int:
    text = marker.encode()
    first = source.data.find(text)
    if first < 0:
        raise missing(source, f"the marker {marker[:200]!r}", r"(?!)", "add it around the pin, or correct the pin site")
    second = source.data.find(text, first + 1)
    if second >= 0:
        raise twice(source, f"the marker {marker[:200]!r}", (first, second), "keep one of them")
    return first


def _row(source: SourceFile, site: MarkdownSite, scope: tuple[int, int]) -> tuple[Table, Row]:
    found = [
        (table, row)
        for table in tables(source)
        for row in table.rows
        if scope[0] <= row.start and row.end <= scope[1] and any(cell.text == site.row for cell in row.cells)
    ]
    what = f"a table row with the cell {site.row[:200]!r}"
    if not found:
        raise fault(source, scope[0], f"{what} is missing", "add the row, or correct `row` of this pin site")
    if len(found) > 1:
        raise twice(
            source,
            what,
            tuple(row.start for _, row in found),
            "narrow this pin site with `begin` and `end` markers around one table",
        )
    table, row = found[0]
    if table.error is not None:
        raise fault(source, table.error, "the table does not read as Markdown here", "put a space into empty cells")
    return table, row


def _cell(source: SourceFile, site: MarkdownSite, table: Table, row: Row) -> Cell:
    places = [place for place, cell in enumerate(table.header.cells) if cell.text == site.column]
    if len(places) != 1:
        raise _column_fault(source, table.header, site.column, len(places))
    if places[0] >= len(row.cells):
        raise fault(source, row.start, f"the row has no cell in the column {site.column[:200]!r}", "add the cell")
    return row.cells[places[0]]


def _column_fault(source: SourceFile, header: Row, column: str, count: int) -> PinError:
    there = ", ".join(repr(cell.text[:80]) for cell in header.cells[:20])
    return fault(
        source,
        header.start,
        f"the table has {count or 'no'} columns {column[:200]!r}; its columns are {there}",
        "correct `column` of this pin site in the settings",
    )
