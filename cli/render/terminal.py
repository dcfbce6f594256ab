"""Blocks as text for a terminal, a log or a file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text as Painted

from pipeprof.cli.render.style import Style, in_ascii
from pipeprof.cli.report.blocks import Block, Card, Chart, Code, Column, Heading, Line, Pairs, Table, Text
from pipeprof.cli.streams import visible

GAP = 2
_LEAST, _MOST = 16, 30
"""Cells that a column keeps whose cells are broken into lines, and those of a word that is not broken."""
_WORD = re.compile(r"^\s*\S+|\S+")
_CARD = 3
"""Indent of what belongs to a card, below its title."""
_GLUE = "\ue000"
_NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|[mµu]?s|min|h|[kKMGT]?i?B(?:/s)?|batches/s|elements/s|cores?|steps?|gaps?)(?![\w/]))"
)
"""A space at which no line is broken."""
_TRAILING = re.compile(r"[ \t]+((?:\x1b\[[\d;]*m)*)$", re.MULTILINE)
_Part: TypeAlias = tuple[RenderableType, bool]
"""What is printed, and whether its lines stay as long as they are."""


def paint(blocks: Iterable[Block], style: Style) -> str:
    """Write blocks as lines of text, without an ESC byte unless ``style.color``; control characters are spelled out."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=style.width,
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    painter, indented = _Painter(style), False
    for block in blocks:
        # What stands at the margin is apart from what is indented before it, and from lines to be copied.
        at_margin = not getattr(block, "indent", 2)
        if (isinstance(block, Heading) and out.tell()) or (at_margin and indented):
            console.print()
        is_code = isinstance(block, Code) and not block.label
        indented = (is_code or not at_margin) and not isinstance(block, Chart)
        for part, is_long in painter.parts(block):
            console.print(part, soft_wrap=is_long)
    return _TRAILING.sub(r"\1", out.getvalue()).replace(_GLUE, " ")


class _Painter:
    def __init__(self, style: Style) -> None:
        self._style = style

    def parts(self, block: Block, indent: int = 0) -> Iterator[_Part]:
        """What a block consists of, `indent` cells further right."""
        match block:
            case Heading():
                line = Painted(self._clean(block.title), style="bold")
                yield line.append(f"  {self._clean(block.rest)}" if block.rest else "", style="not bold"), False
            case Text():
                yield Padding(self._line(block.text, block.style), (0, 0, 0, indent + block.indent)), False
            case Pairs():
                grid = Grid.grid(padding=(0, GAP, 0, 0))
                grid.add_column(style="dim", no_wrap=True)
                grid.add_column(overflow="fold")
                for label, text in block.rows:
                    grid.add_row(self._line(label), self._line(text))
                yield Padding(grid, (0, 0, 0, indent + block.indent), expand=False), False
            case Code():
                yield from self._code(block, indent + block.indent)
            case Table():
                if (table := self._table(block, indent)) is not None:
                    yield Padding(table, (0, 0, 0, indent + 2), expand=False), False
            case Card():
                yield from self._card(block, indent)
            case Chart():
                return

    def _clean(self, text: str) -> str:
        """Text of any origin as it may be shown: no control characters, and only those that the receiver knows."""
        shown = visible(text) if self._style.unicode else in_ascii(visible(text))
        return _NUMBER_AND_UNIT.sub(_GLUE, shown)

    def _line(self, line: Line, style: str = "") -> Painted:
        spans = ((line, style),) if isinstance(line, str) else line
        painted = Painted()
        for text, look in spans:
            painted.append(self._clean(text), style=look or None)
        return painted

    def _code(self, block: Code, indent: int) -> Iterator[_Part]:
        start = f"{self._clean(block.label)}  " if block.label else ""
        for number, raw in enumerate(block.text.splitlines()):
            line = Painted(" " * indent).append(start if not number else " " * cell_len(start), style="dim")
            line.append(self._clean(raw.expandtabs(4)) if raw.strip() else "", style="bold" if start else None)
            if block.cut:
                line.truncate(self._style.width, overflow="ellipsis" if self._style.unicode else "crop")
            note = self._clean(block.note)
            if note and line.cell_len + cell_len(note) + 2 * GAP > self._style.width:
                yield line, True
                yield Padding(Painted(note, style="dim"), (0, 0, 0, min(indent + cell_len(start), 12))), False
            else:
                yield line.append(f"{' ' * 2 * GAP}{note}" if note else "", style="dim"), True

    def _card(self, card: Card, indent: int) -> Iterator[_Part]:
        title = Painted(self._clean(card.title), style="bold")
        if card.gain:
            title.append(": ", style="not bold").append_text(self._line(card.gain, "not bold"))
        grid = Grid.grid(padding=(0, GAP, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(str(card.number) if card.number is not None else "-", title)
        yield Padding(grid, (0, 0, 0, indent + 2), expand=False), False
        for block in card.blocks:
            yield from self.parts(block, indent + _CARD)

    def _table(self, table: Table, indent: int) -> Grid | None:
        """The columns that fit: those with the smallest `keep` are dropped first."""
        columns = [
            replace(column, title=self._clean(column.title), cells=[*map(self._clean, column.cells)])
            for column in table.filled
        ]
        room = self._style.width - indent - 2
        while _least(columns) > room and (going := [one for one in columns if one.keep is not None]):
            columns.remove(min(going, key=lambda one: one.keep or 0))
        if not columns:
            return None
        has_title, widths = any(column.title for column in columns), _widths(columns, room)
        grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=has_title, header_style="dim")
        for column, width in zip(columns, widths, strict=True):
            grid.add_column(
                Painted(column.title),
                justify="right" if column.right else "left",
                style=column.style,
                width=width,
                overflow="fold",
            )
        for cells in zip(*(column.cells for column in columns), strict=True):
            grid.add_row(*map(Painted, cells))
        return grid


def _least(columns: Sequence[Column]) -> int:
    """Cells that columns need side by side, where those that wrap are as narrow as they may be."""
    return sum(map(_narrowest, columns)) + GAP * (len(columns) - 1)


def _widths(columns: Sequence[Column], room: int) -> list[int | None]:
    """Cells of each column, those that need few more than the least first; None where rich has to break all of them."""
    widths, spare = [*map(_narrowest, columns)], room - _least(columns)
    if spare < 0:
        return [None] * len(columns)
    needs = {place: _widest(column) - widths[place] for place, column in enumerate(columns)}
    for number, place in enumerate(sorted(needs, key=needs.__getitem__)):
        more = min(needs[place], spare // (len(columns) - number))
        widths[place], spare = widths[place] + more, spare - more
    return [*widths]


def _widest(column: Column) -> int:
    return max(map(cell_len, (column.title, *column.cells)))


def _narrowest(column: Column) -> int:
    """Cells that a column needs; one that wraps breaks no word that is not very long."""
    if not column.wrap:
        return _widest(column)
    words = (word for text in (column.title, *column.cells) for word in _WORD.findall(text))
    longest = max(map(cell_len, words), default=0)
    return min(_widest(column), max(_LEAST, min(longest, _MOST)))
