"""One HTML file: the same blocks as in the terminal, readable without a network, a script or a wide screen.

The page is built as a tree of elements, so a text of any origin stays a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.cli.streams import visible
from pipeprof.cli.text.blocks import (
    Alternatives,
    Blank,
    Block,
    Code,
    Command,
    Heading,
    KeyValue,
    Legend,
    Line,
    Prose,
    Table,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_JSON = 2_000_000
"""Characters of the document that a page contains; a longer one is left out."""

_COLORS = frozenset({"red", "green", "yellow", "cyan", "dim"})
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _style() -> str:
    import pkgutil

    sheet = pkgutil.get_data("pipeprof.cli.formats", "page.css")
    assert sheet is not None  # noqa: S101 - for the type checker: a loader of files always has it
    return f"\n{sheet.decode()}"


def html(output: Output) -> str:
    """The page."""
    from xml.etree.ElementTree import Element, SubElement, tostring

    from pipeprof.profiles.document.store import encode

    document = output.document
    title = f"pipeprof {_subject(output)}"
    page = Element("html", lang="en")
    head = SubElement(page, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", name="generator", content=f"pipeprof {visible(document.tool.version)}")
    _add(head, "title", title)
    SubElement(head, "style").text = _style()
    main = SubElement(SubElement(page, "body"), "main")
    _add(main, "h1", title)
    _blocks(main, output.blocks())
    if document.command:
        command = _add(main, "p", "", "note")
        command.text = "Made by "
        _add(command, "code", " ".join(document.command))
    if output.complete is not None:
        _blocks(_details(main, "All numbers"), output.complete())
    text = encode(document).decode()
    if len(text) <= MOST_JSON:
        _add(_details(main, "The same as JSON"), "pre", text)
    return f"<!DOCTYPE html>\n{tostring(page, encoding='unicode', method='html')}\n"


def _subject(output: Output) -> str:
    from pipeprof.profiles.document.profile import Profile

    document = output.document
    if isinstance(document, Profile):
        return document.target.text
    if document.kind == "gaps":
        return f"gaps: {' → '.join(trace.file for trace in document.traces)}"
    return f"{document.kind}: {document.a.text} → {document.b.text}"


def _details(parent: Element, title: str) -> Element:
    from xml.etree.ElementTree import SubElement

    found = SubElement(parent, "details")
    _add(found, "summary", title)
    return found


def _add(parent: Element, tag: str, text: str, style: str = "") -> Element:
    """Add an element with a text of any origin."""
    from xml.etree.ElementTree import SubElement

    found = SubElement(parent, tag, {"class": style} if style else {})
    found.text = "\n".join(visible(line) for line in text.split("\n"))
    return found


def _blocks(parent: Element, blocks: Iterable[Block]) -> None:
    for block in blocks:
        _block(parent, block)


def _block(parent: Element, block: Block) -> None:
    match block:
        case Heading():
            heading = _add(parent, "h2", block.title)
            if block.rest:
                heading.text = f"{heading.text} "
                _add(heading, "small", block.rest)
        case Prose():
            _spans(_add(parent, "p", "", _classes(block.style)), block.text)
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
            _add(parent, "pre", block.text)
        case Table():
            _table(parent, block)
        case Legend():
            _add(parent, "p", " · ".join(note for _, note in block.notes), "note")
        case Alternatives():
            _blocks(parent, block.versions[0])
        case Blank():
            return


def _spans(parent: Element, line: Line) -> None:
    if isinstance(line, str):
        parent.text = visible(line)
        return
    for span in line:
        _add(parent, "strong" if "bold" in span.style else "span", span.text, _classes(span.style))


def _classes(style: str) -> str:
    return " ".join(word for word in style.split() if word in _COLORS)


def _table(parent: Element, table: Table) -> None:
    columns = [column for column in table.columns if any(column.cells)]
    if not columns:
        return
    shown = _add(_add(parent, "div", "", "wide"), "table", "")
    if any(column.title.strip() for column in columns):
        head = _add(shown, "tr", "")
        for column in columns:
            _add(head, "th", column.title, "number" if column.right else "")
    for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        row = _add(shown, "tr", "")
        for column, cell in zip(columns, cells, strict=True):
            style = " ".join(filter(None, ("number" if column.right else "", _classes(column.style))))
            _add(row, "td", cell, style)
        if number in table.below:
            below = _add(_add(shown, "tr", ""), "td", "", "below")
            below.set("colspan", str(len(columns)))
            _blocks(below, table.below[number])


FORMAT = Format(
    "html", (".html",), frozenset({"run", "show", "fix", "compare", "gate", "gaps"}), html, order=5, redacted=True
)
