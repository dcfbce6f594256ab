"""Plain tables that fit a width: whole columns are dropped, never wrapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = 2
LUXURY = 2
"""Columns with at most this ``keep`` are dropped before any other is cut."""

SMALLEST = 6
"""What is left of a column that may be cut when nothing else can be dropped."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its head, the unit included.
        cells: One text a row.
        right: Numbers stand to the right.
        keep: Columns with the smallest number are dropped first, 0 to 2 before any column is cut; ``None`` is never
            dropped.
        shrink_to: The column may be cut to this many cells, with an ellipsis, before those above 2 are dropped.
        style: Rich style of its cells.
        gap: Spaces before the column.
    """

    title: str
    cells: Sequence[str | Text]
    right: bool = True
    keep: int | None = None
    shrink_to: int | None = None
    style: str = ""
    gap: int = GAP

    @property
    def width(self) -> int:
        """Cells of the widest entry, the head included."""
        return max([cell_len(self.title), *(_length(cell) for cell in self.cells)])


@dataclass(frozen=True)
class Table:
    """Columns side by side, indented by two.

    Attributes:
        columns: From left to right; all have as many cells.
        indent: Spaces before each line.
    """

    columns: Sequence[Column] = field(default_factory=list)
    indent: int = 2

    def lines(self, width: int, ellipsis: str = "…") -> tuple[list[Text], list[str]]:
        """Lay the table out.

        Args:
            width: No line is wider.
            ellipsis: Ends what was cut.

        Returns:
            The lines, head first and without trailing blanks, and the titles of the columns that are shown: empty
            ones and those that do not fit are left out.
        """
        columns = [column for column in self.columns if any(_length(cell) for cell in column.cells)]
        widths = self._fit(columns, width)
        titles = [column.title for column in columns]
        lines = [self._line([(column, Text(column.title, style="dim")) for column in columns], widths, ellipsis)]
        for row in range(len(columns[0].cells) if columns else 0):
            cells = [(column, _as_text(column.cells[row], column.style)) for column in columns]
            lines.append(self._line(cells, widths, ellipsis))
        return (lines if any(titles) else lines[1:]), titles

    def cuts(self, width: int) -> bool:
        """Whether any text would be cut at this width, whatever columns are dropped before that."""
        columns = [column for column in self.columns if any(_length(cell) for cell in column.cells)]
        kept = [column for column in columns if column.keep is None or column.keep > LUXURY]
        widths = [column.width for column in kept]
        return self.indent + sum(widths) + sum(column.gap for column in kept[1:]) > width

    def _fit(self, columns: list[Column], width: int) -> list[int]:
        """Drop and shrink columns in place until they fit; gives the width of each that is left."""
        while True:
            widths = [column.width for column in columns]
            excess = self.indent + sum(widths) + sum(column.gap for column in columns[1:]) - width
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

    def _line(self, cells: list[tuple[Column, Text]], widths: list[int], ellipsis: str) -> Text:
        line = Text(" " * self.indent)
        for index, (column, text) in enumerate(cells):
            if index:
                line.append(" " * column.gap)
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


def _length(cell: str | Text) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)


def _as_text(cell: str | Text, style: str) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(cell, style=style)


def _cut(text: Text, width: int, ellipsis: str) -> Text:
    kept = max(width - len(ellipsis), 0)
    cut = text.copy()
    plain = set_cell_size(text.plain, kept)
    cut.right_crop(len(text.plain) - len(plain.rstrip()))
    cut.append((ellipsis if plain else "")[:width])
    return cut
