"""Layout of tables in text: whole columns are dropped where they do not fit, never wrapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from pipeprof.cli.text.blocks import Column, Table

GAP = 2
LUXURY = 2
"""Columns with at most this ``keep`` are dropped before any other is cut."""

SMALLEST = 6
"""Smallest width of a column that is cut when nothing else can be dropped."""


@dataclass(frozen=True)
class TableLayout:
    """Lines of a table for one width.

    Attributes:
        lines: Without trailing blanks; the head, if there is one, first.
        titles: Titles of the columns that are shown: empty columns and those that do not fit are left out.
        has_head: Whether the first line is the head.
    """

    lines: list[Text]
    titles: list[str]
    has_head: bool


def lay_out(table: Table, width: int, ellipsis: str = "…") -> TableLayout:
    """Choose the columns that fit and put their cells side by side.

    Args:
        table: Its cells must be harmless already.
        width: No line is wider.
    """
    columns = _filled(table)
    widths = _fit(columns, table.indent, width)
    titles = [column.title for column in columns]
    shown = [
        [(column, Text(column.cells[row], style=column.style)) for column in columns]
        for row in range(len(columns[0].cells) if columns else 0)
    ]
    if any(titles):
        shown.insert(0, [(column, Text(column.title, style="dim")) for column in columns])
    lines = [_line(cells, widths, table.indent, ellipsis) for cells in shown]
    return TableLayout(lines, titles, has_head=any(titles))


def is_cut(table: Table, width: int) -> bool:
    """Whether any text would be cut at this width, whatever columns are dropped before that."""
    kept = [column for column in _filled(table) if column.keep is None or column.keep > LUXURY]
    return _total(kept, [_width(column) for column in kept], table.indent) > width


def _filled(table: Table) -> list[Column]:
    return [column for column in table.columns if any(column.cells)]


def _width(column: Column) -> int:
    """Terminal cells of the widest entry, the head included."""
    return max([cell_len(column.title), *(cell_len(cell) for cell in column.cells)])


def _gap(column: Column) -> int:
    return GAP if column.gap is None else column.gap


def _total(columns: Sequence[Column], widths: Sequence[int], indent: int) -> int:
    return indent + sum(widths) + sum(_gap(column) for column in columns[1:])


def _fit(columns: list[Column], indent: int, width: int) -> list[int]:
    """Drop and shrink columns in place until they fit.

    Returns:
        The width of each column that is left.
    """
    while True:
        widths = [_width(column) for column in columns]
        excess = _total(columns, widths, indent) - width
        droppable = [column for column in columns if column.keep is not None]
        if excess > 0 and any(column.keep <= LUXURY for column in droppable if column.keep is not None):
            columns.remove(min(droppable, key=lambda column: column.keep or 0))
            continue
        excess = _shrink(columns, widths, excess, lambda column: column.shrink_to)
        if excess > 0 and not droppable:
            _shrink(columns, widths, excess, lambda column: None if column.shrink_to is None else SMALLEST)
        if excess <= 0 or not droppable:
            return widths
        columns.remove(min(droppable, key=lambda column: column.keep or 0))


def _line(cells: Sequence[tuple[Column, Text]], widths: Sequence[int], indent: int, ellipsis: str) -> Text:
    line = Text(" " * indent)
    for index, (column, text) in enumerate(cells):
        if index:
            line.append(" " * _gap(column))
        shown = text if text.cell_len <= widths[index] else _cut(text, widths[index], ellipsis)
        blank = " " * (widths[index] - shown.cell_len)
        if column.right:
            line.append(blank).append_text(shown)
        else:
            line.append_text(shown).append(blank)
    line.rstrip()
    return line


def _shrink(columns: list[Column], widths: list[int], excess: int, smallest: Callable[[Column], int | None]) -> int:
    """Take `excess` cells from the columns that may be cut, in place; gives what is still too much."""
    for index, column in enumerate(columns):
        least = smallest(column)
        if excess > 0 and least is not None:
            cut = min(excess, max(widths[index] - least, 0))
            widths[index] -= cut
            excess -= cut
    return excess


def _cut(text: Text, width: int, ellipsis: str) -> Text:
    kept = max(width - len(ellipsis), 0)
    cut = text.copy()
    plain = set_cell_size(text.plain, kept)
    cut.right_crop(len(text.plain) - len(plain.rstrip()))
    cut.append((ellipsis if plain else "")[:width])
    return cut
