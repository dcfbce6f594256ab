"""A YAML text as nodes that keep how they are written: where each begins and ends, its style, its anchor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.yaml.nodes import MERGE_KEY
from pipeprof.pipelines.spec.yaml.references import hide
from pipeprof.pipelines.spec.yaml.scalars import ScalarError, resolve_scalar
from pipeprof.pipelines.spec.yaml.syntax import Event, YamlSyntaxError, iter_events


@dataclass(eq=False)
class WrittenNode:
    """A value in a text.

    Attributes:
        start: 0-based offset of its first token, after an anchor.
        end: Offset after its last token; comments and blank lines after it do not count.
        is_flow: Whether it is in brackets or braces; a scalar: whether it is quoted or folded.
        keys: The keys of a mapping, one for each of ``children``; empty for a list.
    """

    kind: Literal["scalar", "alias", "sequence", "mapping"]
    start: int
    end: int
    is_flow: bool = False
    anchor: str | None = None
    value: str = ""
    keys: list[WrittenNode] = field(default_factory=list)
    children: list[WrittenNode] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written there."""
        return self.kind == "scalar" and self.start == self.end

    def key_of(self, index: int) -> str | int | None:
        """The key of an entry as plain data; ``None`` for one that merges another mapping."""
        key = self.keys[index]
        if key.is_flow:
            return key.value
        if key.value == MERGE_KEY:
            return None
        try:
            found = resolve_scalar(key.value)
        except ScalarError:
            return key.value
        return found if isinstance(found, str | int) else key.value

    def find(self, key: str | int) -> int | None:
        """The index of an entry that is written here; one that a merge brings has none."""
        return next((index for index in range(len(self.keys)) if self.key_of(index) == key), None)

    def extent(self, index: int) -> tuple[int, int]:
        """Return the start of a child, with its key, and its end."""
        child = self.children[index]
        if not self.keys:
            return child.start, child.end
        key = self.keys[index]
        return key.start, max(key.end, child.end)


def parse(text: str) -> tuple[WrittenNode | None, dict[str, int]]:
    """Read a text that the strict reader has accepted.

    Returns:
        The root, ``None`` for an empty text; and how many aliases each anchor has.
    """
    builder = _Builder(text)
    try:
        return builder.document(), builder.aliases
    except YamlSyntaxError as error:
        raise EditError(error.problem.message) from None


class _Builder:
    def __init__(self, text: str) -> None:
        self.aliases: dict[str, int] = {}
        self._text = text
        self._events: Iterator[Event] = iter_events(hide(text))

    def document(self) -> WrittenNode | None:
        for event in self._events:
            if event.kind != "document":
                return self._node(event)
        return None

    def _node(self, event: Event) -> WrittenNode:
        if event.kind == "alias":
            name = event.anchor or ""
            self.aliases[name] = self.aliases.get(name, 0) + 1
            return WrittenNode("alias", event.start, event.end, anchor=event.anchor)
        if event.kind == "scalar":
            start = self._after_anchor(event)
            # A text in several lines ends with its last one, whatever blank lines and comments follow.
            end = start + len(self._text[start : event.end].rstrip()) if event.end > start else start
            return WrittenNode("scalar", start, end, not event.plain, event.anchor, event.value)
        kind: Literal["sequence", "mapping"] = "sequence" if event.kind == "sequence" else "mapping"
        start = self._after_anchor(event)
        node = WrittenNode(kind, start, start, self._text[start : start + 1] in ("[", "{"), event.anchor)
        for inner in self._events:
            if inner.kind == "end":
                if node.is_flow:
                    node.end = inner.end
                return node
            if kind == "mapping":
                node.keys.append(self._node(inner))
            node.children.append(self._node(next(self._events) if kind == "mapping" else inner))
            node.end = node.extent(len(node.children) - 1)[1]
        return node

    def _after_anchor(self, event: Event) -> int:
        if event.anchor is None:
            return event.start
        start = event.start + 1 + len(event.anchor)
        while start < event.end and self._text[start].isspace():
            start += 1
        return start
