"""Blocks of a report in text as markup: a tree of elements, so that a text of any origin stays a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeprof.cli.streams import visible
from pipeprof.cli.report.blocks import (
    Alternatives,
    Block,
    Code,
    Command,
    Heading,
    Items,
    KeyValue,
    Legend,
    Line,
    Prose,
    Table,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from markupsafe import Markup

    from pipeprof.cli.html.parts import Idents

MOST_ROWS = 200
"""Of a table: the saved document has the others."""
_COLORS = frozenset({"red", "green", "yellow", "cyan", "dim"})


def markup_of(blocks: Iterable[Block], idents: Idents) -> Markup:
    """Blocks as markup, each heading with a name of its own."""
    from xml.etree.ElementTree import Element, tostring

    from markupsafe import Markup

    whole = Element("div", {"class": "blocks"})
    _Writer(idents).blocks(whole, blocks)
    return Markup(tostring(whole, encoding="unicode", method="html"))  # noqa: S704 - a tree escapes what is in it


def _add(parent: Element, tag: str, text: str, style: str = "") -> Element:
    """Add an element with a text of any origin."""
    from xml.etree.ElementTree import SubElement

    found = SubElement(parent, tag, {"class": style} if style else {})
    found.text = "\n".join(visible(line) for line in text.split("\n"))
    return found


def _spans(parent: Element, line: Line) -> None:
    if isinstance(line, str):
        parent.text = visible(line)
        return
    for span in line:
        _add(parent, "strong" if "bold" in span.style else "span", span.text, _classes(span.style))


def _items(parent: Element, texts: Iterable[str]) -> None:
    listed = _add(parent, "ul", "")
    for text in texts:
        _add(listed, "li", text)


def _classes(style: str) -> str:
    return " ".join(word for word in style.split() if word in _COLORS)


class _Writer:
    """Writes blocks below the headings that they belong to."""

    def __init__(self, idents: Idents) -> None:
        self._idents = idents
        self._title = "Numbers"

    def blocks(self, parent: Element, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._block(parent, block)

    def _block(self, parent: Element, block: Block) -> None:
        match block:
            case Heading():
                self._title = block.title
                heading = _add(parent, "h3", block.title)
                heading.set("id", self._idents.of(block.title))
                if block.rest:
                    heading.text = f"{heading.text} "
                    _add(heading, "small", block.rest)
            case Prose():
                _spans(_add(parent, "p", "", _classes(block.style)), block.text)
            case Items():
                _items(parent, block.texts)
            case KeyValue():
                row = _add(parent, "p", "")
                _add(row, "span", block.key, "key").tail = visible(block.value)
            case Command():
                row = _add(parent, "p", "")
                _add(row, "span", block.key, "key")
                _add(row, "code", block.value).tail = " "
                if block.note:
                    _add(row, "span", block.note, "note")
            case Code():
                if block.label:
                    _add(parent, "p", block.label, "note")
                _add(parent, "pre", block.text).set("tabindex", "0")
            case Table():
                self._table(parent, block)
            case Legend():
                _add(parent, "p", " · ".join(note for _, note in block.notes), "note")
            case Alternatives():
                self.blocks(parent, block.versions[0])

    def _table(self, parent: Element, table: Table) -> None:
        columns = [column for column in table.columns if any(column.cells)]
        if not columns:
            return
        around = _add(parent, "div", "", "scroll")
        for name, value in (("role", "group"), ("aria-label", visible(self._title)), ("tabindex", "0")):
            around.set(name, value)
        shown = _add(around, "table", "")
        if any(column.title.strip() for column in columns):
            head = _add(shown, "tr", "")
            for column in columns:
                _add(head, "th" if column.title.strip() else "td", column.title, "number" if column.right else "")
        rows = list(zip(*(column.cells for column in columns), strict=True))
        for number, cells in enumerate(rows[:MOST_ROWS]):
            row = _add(shown, "tr", "")
            for column, cell in zip(columns, cells, strict=True):
                style = " ".join(filter(None, ("number" if column.right else "", _classes(column.style))))
                _add(row, "td", cell, style)
            if number in table.below:
                below = _add(_add(shown, "tr", ""), "td", "", "below")
                below.set("colspan", str(len(columns)))
                self.blocks(below, table.below[number])
        if rows[MOST_ROWS:]:
            _add(parent, "p", f"{len(rows) - MOST_ROWS:,} more rows are in the saved document.", "note")
