"""A value put into another one, with its own text as it was written: comments in it stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.spec.edits.layout import Layout
from pipeprof.pipelines.spec.edits.places import same
from pipeprof.pipelines.spec.edits.tree import WrittenNode
from pipeprof.pipelines.spec.yaml.writer import scalar


@dataclass(frozen=True)
class Wrapped:
    """A stretch of the text, and what stands there afterwards."""

    start: int
    end: int
    text: str


def wrap(layout: Layout, node: WrittenNode, before: list[Any], after: Any) -> Wrapped | None:
    """Put a written list into the lists and mappings of one entry each that the new value has around it.

    Args:
        layout: Of the text.

    Returns:
        None where the new value is another one, where the list is on one line, which is better written anew, or where
        it shares its first line.
    """
    keys = _keys_to(before, after)
    if not keys or not node.children:
        return None
    if node.is_flow:
        text = layout.text[node.start : node.end]
        opening = "".join("[" if key is None else f"{{{scalar(key)}: " for key in keys)
        closing = "".join("]" if key is None else "}" for key in reversed(keys))
        return Wrapped(node.start, node.end, opening + text + closing) if "\n" in text else None
    at = layout.item_start(node, 0)
    if not layout.begins_line(at) or keys[-1] is None:
        return None
    return _wrap_block(layout, node, keys, layout.column(at))


def _keys_to(before: list[Any], after: Any) -> list[str | None]:
    """The keys around a value, None for a list; empty where it is not the only value inside of the other one."""
    keys: list[str | None] = []
    while not same(before, after):
        if not isinstance(after, list | dict) or len(after) != 1:
            return []
        key = next(iter(after)) if isinstance(after, dict) else None
        keys.append(key)
        after = after[0 if key is None else key]
    return keys


def _wrap_block(layout: Layout, node: WrittenNode, keys: list[str | None], column: int) -> Wrapped:
    own = layout.own_lines(node, 0)
    end = layout.after(node, len(node.children) - 1, column)
    lines, start, inner = [], " " * column, column
    for key in keys:
        inner += 2
        if key is None:
            start += "- "
        else:
            lines.append(f"{start}{scalar(key)}:")
            start = " " * inner
    shift = " " * (inner - column)
    old = layout.text[own.start : end].splitlines()
    lines += [shift + line if line.strip() else line for line in old]
    return Wrapped(own.start, end, "".join(line + layout.line_end for line in lines))
