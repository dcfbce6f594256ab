"""Blocks as text: headings, prose and tables for one width, as one string."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from pipeprof.cli.streams import visible
from pipeprof.cli.text.blocks import (
    Alternatives,
    Blank,
    Block,
    Code,
    Column,
    Command,
    Heading,
    Items,
    KeyValue,
    Legend,
    Line,
    Prose,
    Table,
)
from pipeprof.cli.text.style import Style, in_ascii

if TYPE_CHECKING:
    from rich.console import Console


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


KEY_WIDTH = 12
LABEL_WIDTH = 10
_NOTE_GAP = "     "
_LEAST_TEXT = 24
"""Characters a line that a hanging paragraph needs; else it hangs by two."""

_GLUE = "\ue000"
_TAB = 8
"""Columns, as a console of rich has them."""
_NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|[mµu]?s|min|h|[kKMGT]?i?B(?:/s)?|batches/s|elements/s|cores?|steps?|gaps?)(?![\w/]))"
)

# "8 batches · 16 other": a number that begins an item of a list stays with its word.
_ITEM = re.compile(r"((?:^|· )[\d.,]+) (?=\w)")


def paint(blocks: Iterable[Block], style: Style, *, goes_on: bool = False) -> str:
    """Blocks as text.

    Args:
        blocks: Their texts may be of any origin: control characters are spelled out.
        goes_on: Whether a text comes before them, from which a heading stands apart.

    Returns:
        Lines that end with a newline, without an ESC byte unless ``style.color``.
    """
    painter = _Painter(style, goes_on=goes_on)
    painter.add(blocks)
    return painter.text()


class _Painter:
    def __init__(self, style: Style, *, goes_on: bool) -> None:
        self._style = style
        self._goes_on = goes_on
        self._lines: list[Text] = []
        self._titles: list[str] = []

    def add(self, blocks: Iterable[Block]) -> None:
        """Lay out blocks, one after the other."""
        for block in blocks:
            self._add(block)

    def text(self) -> str:
        """Everything so far as one string; every line ends with a newline."""
        if self._style.color:
            return _coloured(self._lines, self._style.width)
        for line in self._lines:
            line.expand_tabs(_TAB)
        return "".join(f"{line.plain}\n" for line in self._lines)

    def _add(self, block: Block) -> None:
        match block:
            case Heading():
                self._heading(block)
            case Prose():
                line = self._painted(block.text, block.style)
                room = self._style.width - block.indent - block.hang
                hang = block.hang if room >= _LEAST_TEXT else min(block.hang, 2)
                self._wrapped(line, " " * block.indent, " " * (block.indent + hang))
            case Items():
                self.add(Prose(text, indent=block.indent, hang=2) for text in block.texts)
            case KeyValue():
                self._key_value(block)
            case Code():
                self._code(block)
            case Command():
                self._command(block)
            case Blank():
                self._blank()
            case Table():
                self._table(block)
            case Legend():
                self._legend(block)
            case Alternatives():
                self.add(next((version for version in block.versions if self._fits(version)), block.versions[-1]))

    def _clean(self, text: str) -> str:
        """Text of any origin as it may be shown: no control characters, and only those that the receiver knows."""
        return visible(text) if self._style.unicode else in_ascii(visible(text))

    def _painted(self, line: Line, style: str = "") -> Text:
        if isinstance(line, str):
            return Text(self._clean(line), style=style)
        text = Text()
        for span in line:
            text.append(self._clean(span.text), style=span.style or None)
        return text

    def _blank(self) -> None:
        if self._lines[-1].plain if self._lines else self._goes_on:
            self._lines.append(Text())

    def _heading(self, block: Heading) -> None:
        self._blank()
        line = Text().append(self._clean(block.title), style="bold")
        if block.rest:
            line.append(f"  {self._clean(block.rest)}")
        self._wrapped(line, "", " " * 2)

    def _key_value(self, block: KeyValue) -> None:
        width = block.width or KEY_WIDTH
        start = self._clean(block.key).ljust(width)
        line = Text().append(start, style="dim").append(self._clean(block.value))
        first = " " * block.indent
        hang = width if self._style.width > 4 * width else 2
        self._wrapped(line, first, first + " " * hang)

    def _command(self, block: Command) -> None:
        width = block.width or KEY_WIDTH
        start = " " * block.indent + self._clean(block.key).ljust(width)
        line = Text().append(start, style="dim").append(self._clean(block.value), style="bold")
        self._lines.append(line)
        note = self._clean(block.note)
        if note and line.cell_len + len(_NOTE_GAP) + cell_len(note) <= self._style.width:
            line.append(f"{_NOTE_GAP}{note}", style="dim")
        elif note:
            self._add(Prose(block.note, indent=min(block.indent + width, self._style.width // 4), style="dim"))

    def _code(self, block: Code) -> None:
        label = block.label.ljust(LABEL_WIDTH) if block.label else ""
        for number, raw in enumerate(block.text.splitlines()):
            start = label if number == 0 else " " * len(label)
            line = Text(" " * block.indent).append(start, style="dim").append(self._clean(raw) if raw.strip() else "")
            if block.cut:
                line.truncate(self._style.width, overflow="ellipsis" if self._style.unicode else "crop")
            self._lines.append(line)

    def _safe(self, table: Table) -> Table:
        columns = [
            replace(column, title=self._clean(column.title), cells=[self._clean(cell) for cell in column.cells])
            for column in table.columns
        ]
        return replace(table, columns=columns)

    def _fits(self, blocks: Sequence[Block]) -> bool:
        tables = (block for block in blocks if isinstance(block, Table))
        return not any(is_cut(self._safe(table), self._style.width) for table in tables)

    def _table(self, block: Table) -> None:
        """A table; columns that do not fit are dropped, those with the smallest ``keep`` first."""
        laid_out = lay_out(self._safe(block), self._style.width, "…" if self._style.unicode else "..")
        self._titles = laid_out.titles
        first = 1 if laid_out.has_head else 0
        for number, line in enumerate(laid_out.lines):
            self._lines.append(line)
            self.add(block.below.get(number - first, ()))

    def _legend(self, block: Legend) -> None:
        notes = [
            note
            for title, note in block.notes
            if not title or any(shown.startswith(self._clean(title)) for shown in self._titles)
        ]
        if notes:
            self._add(Prose(" · ".join(notes), style="dim"))

    def _wrapped(self, text: Text, first: str, later: str) -> None:
        """Break a text into lines at words, not between a number and its unit; a word wider than a line is folded."""
        text = text.copy()
        text.plain = _ITEM.sub(rf"\1{_GLUE}", _NUMBER_AND_UNIT.sub(_GLUE, text.plain))
        width = max(self._style.width - len(later), 10)
        lines = _broken(text, width)
        if first != later and len(first) < len(later):
            lines = self._first_wider(text, len(first), width)
        for number, line in enumerate(lines):
            line.rstrip()
            line.plain = line.plain.replace(_GLUE, " ")
            self._lines.append(Text(first if number == 0 else later).append_text(line))

    def _first_wider(self, text: Text, first: int, width: int) -> list[Text]:
        """Wrap with a first line that is wider than the rest."""
        head = _broken(text, max(self._style.width - first, 10))[0]
        rest = text[len(head.plain) :]
        start = len(rest.plain) - len(rest.plain.lstrip())
        if not rest.plain.strip():
            return [head]
        return [head, *_broken(rest[start:], width)]


def _broken(text: Text, width: int) -> list[Text]:
    # A console is read only for texts with a full line.
    return list(text.wrap(cast("Console", None), width, tab_size=4))


def _coloured(lines: Iterable[Text], width: int) -> str:
    """Lines with the escapes of their styles; a console costs as much as all else here, so a file does without."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    return out.getvalue()
