"""Items in brackets or braces taken out, put in and moved, with their commas."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.pipelines.spec.edits.items import Final, runs, staying
from pipeprof.pipelines.spec.edits.layout import Layout
from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.edits.splices import Splices
from pipeprof.pipelines.spec.edits.tree import WrittenNode
from pipeprof.pipelines.spec.yaml.writer import flow, scalar


def patch_flow(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    """Bring items in brackets in their new order; what is inside of them has been changed before.

    Raises:
        EditError: A comment stands between an item that goes and another one.
    """
    if _has_own_lines(layout, node):
        _by_lines(splices, layout, node, finals)
    else:
        _inline(splices, layout, node, finals)


def _text(splices: Splices, node: WrittenNode, final: Final) -> str:
    if final.origin is not None:
        return splices.render(*node.extent(final.origin))
    return f"{scalar(final.key)}: {flow(final.value)}" if final.key is not None else flow(final.value)


def _inline(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    stay = staying(finals)
    extents = [node.extent(index) for index in range(len(node.children))]
    placed: list[tuple[int, str]] = []
    for run in runs(finals):
        texts = [_text(splices, node, final) for final in run.items]
        if run.after is not None:
            placed.append((extents[run.after][1], "".join(f", {text}" for text in texts)))
        elif run.before is not None:
            placed.append((extents[run.before][0], "".join(f"{text}, " for text in texts)))
        else:
            placed.append((extents[0][0], ", ".join(texts)))
    for index, extent in enumerate(extents):
        if index in stay:
            continue
        start, end = extent
        if index and (not stay or min(stay) < index):
            start = extents[index - 1][1]
        elif stay:
            end = extents[index + 1][0]
        if not finals and (comma := _comma(layout, node, index)) is not None:
            end = max(end, comma + 1)
        _check_no_comment(layout, start, end)
        splices.replace(start, end, "")
    for at, text in placed:
        splices.insert(at, text)


def _check_no_comment(layout: Layout, start: int, end: int) -> None:
    lines = layout.text[start:end].splitlines()
    if len(lines) > 1 and any(line.lstrip(", ").startswith("#") for line in lines):
        message = f"line {layout.number(start)}: a comment stands between the items in brackets; write them as a block"
        raise EditError(message)


def _has_own_lines(layout: Layout, node: WrittenNode) -> bool:
    """Whether each item, and the closing bracket, begins a line."""
    starts = [node.extent(index)[0] for index in range(len(node.children))]
    return all(layout.begins_line(at) for at in (*starts, node.end - 1))


def _comma(layout: Layout, node: WrittenNode, index: int) -> int | None:
    """The offset of the comma after an item, in the item's own last line."""
    end = node.extent(index)[1]
    rest = layout.text[end : layout.line_stop(end)]
    return end + rest.index(",") if rest.lstrip().startswith(",") else None


def _by_lines(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    count = len(node.children)
    commas = [_comma(layout, node, index) for index in range(count)]
    if any(comma is None for comma in commas[:-1]):
        message = f"line {layout.number(node.start)}: a comma of this list begins a line; write the list as a block"
        raise EditError(message)
    ends_with_comma = commas[-1] is not None
    stay = staying(finals)
    last = finals[-1] if finals else None
    for final in finals:
        wanted = final is not last or ends_with_comma
        if final.origin is None:
            continue
        comma, end = commas[final.origin], node.extent(final.origin)[1]
        if wanted and comma is None:
            splices.insert(end, ",")
        elif not wanted and comma is not None:
            splices.replace(comma, comma + 1, "")
    lines = [_own_lines(layout, node, index) for index in range(count)]
    indent = " " * layout.column(node.extent(0)[0])

    def text_of(final: Final) -> str:
        if final.origin is not None:
            return splices.render(*lines[final.origin]).rstrip("\r\n")
        comma = "," if final is not last or ends_with_comma else ""
        return f"{indent}{_text(splices, node, final)}{comma}"

    placed: list[tuple[int, str]] = []
    for run in runs(finals):
        text = "".join(text_of(final) + layout.line_end for final in run.items)
        if run.after is not None:
            placed.append((lines[run.after][1], text))
        else:
            placed.append((lines[run.before if run.before is not None else 0][0], text))
    for index in range(count):
        if index not in stay:
            splices.replace(*lines[index], "")
    for at, text in placed:
        splices.insert(at, text)


def _own_lines(layout: Layout, node: WrittenNode, index: int) -> tuple[int, int]:
    """The lines of an item with the comments directly before it, and where the line after them begins."""
    at, end = node.extent(index)
    start = layout.line_start(at)
    floor = node.extent(index - 1)[1] if index else node.start
    while layout.line_start(start - 1) > floor and layout.is_comment(start - 1):
        start = layout.line_start(start - 1)
    return start, layout.next_line(end)
