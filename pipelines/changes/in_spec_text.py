"""A change made in the text of a spec: a stage is a block of lines, which is inserted, moved or deleted as it is.

What a change does not touch stays byte for byte. A value on one line is changed in its place; a list in brackets, and
what has another form than before, is written anew, with the comments around it kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_spec import (
    OPTIONS,
    SOURCE,
    STAGES,
    ChangedData,
    EditError,
    Path,
    apply_to_data,
    changed,
    same,
    value_at,
)
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.set_value import apply_sets
from pipeprof.pipelines.spec.yaml_text import MERGE_KEY, events, flatten, hide, read
from pipeprof.pipelines.spec.yaml_writer import WIDTH, block_lines, flow, quoted, scalar

_BYTE_ORDER_MARK = "\ufeff"
_KINDS = {
    yaml.AliasEvent: "alias", yaml.ScalarEvent: "scalar", yaml.SequenceStartEvent: "sequence",
    yaml.MappingStartEvent: "mapping",
}  # fmt: skip
_AFTER = {STAGES: (SOURCE,), OPTIONS: (STAGES, SOURCE)}
"""What a new key comes after, where one of these is there."""


def apply_to_text(text: str, edits: Sequence[PipelineEdit]) -> str:
    r"""Return a spec's text with changes.

    The comment lines directly before a stage belong to it, and those after it that are indented further.

    Raises:
        EditError: A change does not fit the spec, or the text is written in a way that allows no such change.

    Example:
        >>> from pipeprof.pipelines.changes.edits import InsertStage
        >>> print(apply_to_text("source: {range: {stop: 3}}  # numbers\n", [InsertStage("cache")]), end="")
        source: {range: {stop: 3}}  # numbers
        stages: [{cache: {}}]
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text.removeprefix(mark)
    document = read(body)
    data = document.data
    if document.problems or not isinstance(data, dict):
        raise EditError(document.problems[0].message if document.problems else "the text is not a spec")
    after = changed(data, edits)
    if same(data, after.data):
        return text
    line_end = "\r\n" if "\r\n" in body else "\n"
    ending = "" if body.endswith("\n") else line_end
    result = _Rewriter(body + ending, data, after, line_end).whole().removesuffix(ending)
    again = read(result)
    if again.problems or not same(again.data, after.data):
        why = f" ({again.problems[0].message})" if again.problems else ""
        message = f"the text is written in a way in which this edit cannot be made{why}: write the stages as a block"
        raise EditError(message)
    return mark + result


def apply_to_spec(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> str:
    """Return the text of a spec's own file with changes.

    Raises:
        EditError: As `apply_to_text`; or flags give the new text another meaning than the changed spec has.
    """
    text = apply_to_text(loaded.text, edits)
    if loaded.overrides:
        known = loaded.variables
        environment = {name: value for name, value in known.items() if value is not None} if known is not None else None
        root = read(text, environment).root
        wanted = apply_to_data(loaded.data, edits)
        if root is None or apply_sets(root, loaded.overrides, environment, {}) or not same(flatten(root)[0], wanted):
            raise EditError(f"--set changes the same: write what it changes into {loaded.path} first")
    return text


def spec_diff(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> str | None:
    """Return the diff that makes the changes in a spec's file; None where they need code, or flags prevent it."""
    try:
        return unified(loaded.text, apply_to_spec(loaded, edits), str(loaded.path)) or None
    except EditError:
        return None


@dataclass(eq=False)
class _Node:
    """A value or a key in a text."""

    kind: str
    start: int
    """Offset of its first token, after an anchor."""
    end: int
    """Offset after its last token; comments and blank lines after it do not count."""
    anchor: str | None = None
    in_brackets: bool = False
    keys: list[_Node] = field(default_factory=list)
    """Of a mapping, one for each of `children`; of a list none."""
    children: list[_Node] = field(default_factory=list)


@dataclass(frozen=True)
class _Block:
    """The lines of an entry or an item, with those before it that belong to no other."""

    begin: int
    start: int
    """Offset of its key or its dash."""
    end: int
    node: _Node


class _Rewriter:
    def __init__(self, text: str, before: Any, after: ChangedData, line_end: str) -> None:
        self._text = text
        self._before = before
        self._after = after
        self._line_end = line_end
        self._aliases: Counter[str | None] = Counter()

    def whole(self) -> str:
        """The text with the new data."""
        inside = (
            event for event in events(hide(self._text)) if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent)
        )
        root, new = self._node(next(inside), inside), self._after.data
        found = self._value(root, (), new, 0, len(self._text))
        return self._text[: root.start] + flow(new) + self._text[root.end :] if found is None else found

    def _node(self, event: Any, events: Iterator[Any]) -> _Node:
        start, end = event.start_mark.index, event.end_mark.index
        is_alias = isinstance(event, yaml.AliasEvent)
        self._aliases[event.anchor] += is_alias
        if event.anchor is not None and not is_alias:
            start += 1 + len(event.anchor)
            start = max(start, end - len(self._text[start:end].lstrip()))
        kind = next(kind for event_type, kind in _KINDS.items() if isinstance(event, event_type))
        node = _Node(kind, start, start + len(self._text[start:end].rstrip()), event.anchor)
        if kind in {"sequence", "mapping"}:
            node.in_brackets = self._text[start : start + 1] in {"[", "{"}
            for inner in events:
                if isinstance(inner, yaml.CollectionEndEvent):
                    mark: Any = inner.end_mark
                    node.end = mark.index if node.in_brackets else node.end
                    break
                if kind == "mapping":
                    node.keys.append(self._node(inner, events))
                node.children.append(self._node(next(events) if kind == "mapping" else inner, events))
                node.end = max(one.end for one in (*node.keys[-1:], node.children[-1]))
        return node

    def _value(self, node: _Node, path: Path, new: Any, begin: int, stop: int) -> str | None:
        """A stretch of the text that holds a value, with another one; None where it has to be written anew."""
        text = self._text
        self._refuse_shared(node, path)
        if node.kind == "scalar" or node.in_brackets:
            was, now = text[node.start : node.end], self._inline(node, path, new)
            if node.kind == "scalar" and (isinstance(new, dict | list) or not was or "\n" in was):
                return None
            if self._is_wide(node, now) and not self._is_wide(node, was) and isinstance(new, dict | list):
                return None
            return text[begin : node.start] + now + text[node.end : stop]
        if not new or not isinstance(new, list if node.kind == "sequence" else dict):
            return None
        blocks = self._blocks(node, begin, stop)
        parts = self._items(blocks, path, new) if isinstance(new, list) else self._entries(node, blocks, path, new)
        return None if parts is None else "".join(parts) + text[blocks[-1].end : stop]

    def _refuse_shared(self, node: _Node, path: Path) -> None:
        where = ".".join(map(str, path)) or "the spec"
        line = self._text.count("\n", 0, node.start) + 1
        if node.kind == "alias":
            raise EditError(f"{where} is the alias *{node.anchor} (line {line}): write it out there to change it")
        if node.anchor is not None and self._aliases[node.anchor]:
            raise EditError(
                f"{where} has the anchor &{node.anchor} (line {line}), and an alias uses it too: the edit would change "
                "both; write one of them out"
            )

    def _is_wide(self, node: _Node, words: str) -> bool:
        return "\n" not in words and self._column(node.start) + len(words) > WIDTH

    def _inline(self, node: _Node, path: Path, new: Any) -> str:
        """A value in brackets, or on one line: what is inside of it stays as it is where only other parts differ."""
        text = self._text
        was, old = text[node.start : node.end], value_at(self._before, path)
        if same(old, new):
            return was
        self._refuse_shared(node, path)
        names: Iterable[Any] = ()
        added = ""
        if node.kind == "mapping" and isinstance(new, dict) and len(old) == len(node.keys) and old.keys() <= new.keys():
            names = old
            added = "".join(f", {scalar(key)}: {flow(value)}" for key, value in new.items() if key not in old)
        elif node.kind == "sequence" and isinstance(new, list) and len(old) == len(new):
            names = range(len(old))
        if node.kind == "scalar" or not node.children or not names or (added and not node.in_brackets):
            return _like(new, was)
        found, at = "", node.start
        for name, child in zip(names, node.children, strict=True):
            found += text[at : child.start] + self._inline(child, (*path, name), new[name])
            at = child.end
        return found + added + text[at : node.end]

    def _blocks(self, node: _Node, begin: int, stop: int) -> list[_Block]:
        text, found = self._text, list[_Block]()
        starts = [key.start for key in node.keys] or [self._dash(node, child) for child in node.children]
        deeper = re.compile(rf" {{{self._column(starts[0]) + 1},}}#")
        for start, child in zip(starts, node.children, strict=True):
            end = min(self._next_line(max(start, child.end - 1)), stop)
            while end < stop and deeper.match(text, end):
                end = self._next_line(end)
            found.append(_Block(begin, start, end, child))
            begin = end
        return found

    def _dash(self, node: _Node, child: _Node) -> int:
        """The dash of an item, which may stand in a line before what follows it."""
        column, line = self._column(node.start), self._line(child.start)
        while line > node.start and self._text[line : line + column + 1].strip() != "-":
            line = self._line(line - 1)
        return max(line + column, node.start)

    def _entries(self, node: _Node, blocks: list[_Block], path: Path, new: Any) -> list[str] | None:
        """The entries of a mapping as they are to stand; those that `<<` merges are not written."""
        old, found = value_at(self._before, path), list[tuple[Any, str]]()
        names = iter(old)
        for key, block in zip(node.keys, blocks, strict=True):
            name = None if self._text[key.start : key.end] == MERGE_KEY else next(names)
            if name is None:
                found.append((None, self._text[block.begin : block.end]))
            elif name in new:
                found.append((name, self._block(block, (*path, name), {name: new[name]}, new[name])))
            elif self._shares_line(block):
                return None
        known = {name for name, _ in found}
        for name, value in new.items():
            if name in known or (name in old and same(old[name], value)):
                continue
            after = next((one for one in _AFTER.get(name, ()) if one in known), None)
            place = [one for one, _ in found].index(after) + 1 if after is not None else len(found)
            found.insert(place, (name, self._new({name: value}, blocks[0].start)))
            known.add(name)
        return [text for _, text in found]

    def _items(self, blocks: list[_Block], path: Path, new: Any) -> list[str] | None:
        """The items of a list as they are to stand: the stages that there were by what they were."""
        if path[-1:] == (STAGES,) and not self._shares_line(blocks[0]):
            origins = [self._after.origin(value) for value in new]
            places = [origin[-1] if origin is not None and origin[:-1] == path else None for origin in origins]
        elif len(blocks) == len(new):
            places = list(range(len(new)))
        else:
            return None
        return [
            self._block(blocks[place], (*path, place), [value], value)
            if isinstance(place, int)
            else self._new([value], blocks[0].start)
            for place, value in zip(places, new, strict=True)
        ]

    def _block(self, block: _Block, path: Path, entry: Any, new: Any) -> str:
        text, node = self._text, block.node
        if same(value_at(self._before, path), new):
            return text[block.begin : block.end]
        below = self._next_line(block.start)
        begin = below if node.start >= below else node.start
        found = self._value(node, path, new, begin, block.end)
        if found is not None:
            return text[block.begin : begin] + found
        line_end = self._next_line(max(block.start, node.end - 1)) - len(self._line_end)
        if begin == below and isinstance(entry, dict) and isinstance(new, dict | list) and new:
            # The line of the key stays, with its comment.
            lines = self._new(new, node.start).removesuffix(self._line_end)
            return text[block.begin : begin] + lines + text[line_end : block.end]
        first, *more = block_lines(entry, self._column(block.start))
        words = first.lstrip(" ") + text[node.end : line_end] + "".join(self._line_end + line for line in more)
        return text[block.begin : block.start] + words + text[line_end : block.end]

    def _new(self, value: Any, beside: int) -> str:
        """A new value in lines of its own that begin where another one does."""
        return "".join(line + self._line_end for line in block_lines(value, self._column(beside)))

    def _shares_line(self, block: _Block) -> bool:
        return bool(self._text[self._line(block.start) : block.start].strip())

    def _line(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _next_line(self, at: int) -> int:
        return self._text.index("\n", at) + 1

    def _column(self, at: int) -> int:
        return at - self._line(at)


def _like(value: Any, before: str) -> str:
    """A value on one line; a text in the quotes that stood there before."""
    if isinstance(value, str) and before[:1] == '"':
        return quoted(value)
    if isinstance(value, str) and before[:1] == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return flow(value)
