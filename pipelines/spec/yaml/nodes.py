"""YAML text composed into a small tree that keeps the place of every key and value.

The parser's events are counted before anything is built from them, so that no text, however large or deep, takes more
than a bounded time and memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeGuard

from pipeprof.pipelines.spec.yaml.references import REFERENCE_START, References, hide, show
from pipeprof.pipelines.spec.yaml.scalars import Scalar, ScalarError, resolve_scalar
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem
from pipeprof.pipelines.spec.yaml.syntax import LINE_ENDS, Event, YamlSyntaxError, iter_events
from pipeprof.pipelines.suggest import suggest

MAX_DEPTH: Final = 64
"""Deepest nesting of lists and mappings."""

MAX_VALUES: Final = 100_000
"""Most keys and values in one text, aliases expanded."""

MERGE_KEY: Final = "<<"

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_TAG = re.compile(r"!\S*")
_BAD_CHARACTER = "[\0\ud800-\udfff]"


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A string, number, boolean or nothing.

    ``merge``: an unquoted ``<<``. ``empty``: there is no token, so that the place is better shown at the key.
    """

    value: Scalar
    span: Span
    merge: bool = False
    empty: bool = False


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    span: Span
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping, with what its ``<<`` key merges into it: for each key its place and value."""

    span: Span
    entries: dict[str | int, tuple[Span, Node]] = field(default_factory=dict)


class _KeyNode(ScalarNode):
    """A scalar that can be a key."""

    value: str | int


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


class TextIndex:
    """Lines of a text, and the place of an offset in it."""

    def __init__(self, text: str) -> None:
        """Find the line starts."""
        self.text = text
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    @property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        ends = [*self._starts[1:], len(self.text)]
        return [self.text[start:end].rstrip(LINE_ENDS) for start, end in zip(self._starts, ends, strict=True)]

    def offset(self, span: Span) -> int:
        """Return the 0-based offset of a place in the text."""
        return self._starts[span.line - 1] + span.column - 1

    def span(self, start: int, end: int) -> Span:
        """Return the place of ``text[start:end]``, cut at the end of its first line."""
        line = bisect_right(self._starts, start) - 1
        limit = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        shown = self.text[start : min(end, limit)].rstrip(" \t" + LINE_ENDS)
        return Span(line + 1, start - self._starts[line] + 1, max(1, len(shown)))


class _StopReadingError(Exception):
    """Reading cannot go on; the problem is already noted."""


def compose(text: str, index: TextIndex, references: References | None = None) -> tuple[Node | None, list[SpecProblem]]:
    """Read one YAML document.

    Args:
        references: what to do with ``${VAR}`` in values; they are left as they are without it.

    Returns:
        The root node, ``None`` if the text is empty or could not be read to its end; and everything wrong with it.
    """
    composer = _Composer(text, index, references or References())
    try:
        return composer.document(), composer.problems
    except YamlSyntaxError as error:
        start, end, code, message = error.problem
        # The end of the text is behind its last line, which the file may not have any more.
        start = min(start, max(0, len(text.rstrip(" \t" + LINE_ENDS)) - 1))
        composer.note(index.span(start, end), code, composer.shown(message))
    except _StopReadingError:
        pass
    return None, composer.problems


class _Composer:
    def __init__(self, text: str, index: TextIndex, references: References) -> None:
        self.problems: list[SpecProblem] = []
        self._references = references
        self._text = text
        self._index = index
        hidden = hide(text)
        self._events = iter_events(hidden)
        self._shown: Callable[[str], str] = show if hidden != text else str
        self._count = 0
        self._depth = 0
        self._anchors: dict[str, Node | None] = {}

    def shown(self, text: str) -> str:
        """The node's value as written."""
        return self._shown(text)

    def note(self, span: Span, code: str, message: str, suggestion: str | None = None) -> None:
        self.problems.append(SpecProblem(span, code, message, suggestion))

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if event.kind == "document":
                documents += 1
                if documents > 1:
                    self.note(self._span(event), "several-documents", "second YAML document: expected a single one")
                    return root
                directive = re.search(r"^%(?!YAML\b)", self._text[event.start : event.end], re.MULTILINE)
                if directive:
                    start = event.start + directive.start()
                    span = self._index.span(start, start + 1)
                    self.note(span, "directive", "YAML directives ('%' lines) are not supported")
                root = self._node(next(self._events))
        return root

    def _span(self, event: Event) -> Span:
        return self._index.span(event.start, event.end)

    def _node(self, event: Event, *, key: bool = False) -> Node:
        self._count += 1
        if self._count > MAX_VALUES:
            self.note(self._span(event), "too-large", f"more than {MAX_VALUES} values")
            raise _StopReadingError
        if event.kind == "alias":
            return self._alias(event)
        self._check_tag(event)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._scalar(event, key=key) if event.kind == "scalar" else self._content(event)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _content(self, event: Event) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels of nesting"
            self.note(self._index.span(event.start, event.start + 1), "too-deep", message)
            raise _StopReadingError
        node = self._sequence(event) if event.kind == "sequence" else self._mapping(event)
        self._depth -= 1
        return node

    def _check_tag(self, event: Event) -> None:
        if event.tag is None:
            return
        start = event.start
        tag = _TAG.search(self._text, start)
        span = self._index.span(tag.start(), tag.end()) if tag else self._span(event)
        shown = tag[0] if tag else event.tag
        self.note(span, "tag", f"tag '{shown}': YAML tags are not supported")

    def _alias(self, event: Event) -> Node:
        span = self._span(event)
        name = event.anchor or ""
        node = self._anchors.get(name)
        if node is None:
            if name in self._anchors:
                message = f"alias '*{name}' inside its own anchor: use it after the anchored value"
                self.note(span, "recursive-alias", message)
            else:
                message = f"alias '*{name}' without an anchor: define '&{name}' in an earlier line"
                self.note(span, "unknown-alias", message, suggest(f"*{name}", [f"*{a}" for a in self._anchors]))
            return ScalarNode(None, span)
        # The value belongs to the line of the alias, its parts to where they are written.
        if isinstance(node, ScalarNode):
            self._references.repeat(node.span, span)
            return ScalarNode(node.value, span)
        if isinstance(node, SequenceNode):
            return SequenceNode(span, node.items)
        return MappingNode(span, node.entries)

    def _scalar(self, event: Event, *, key: bool = False) -> ScalarNode:
        start = self._skip_properties(event)
        span = self._index.span(start, max(start, event.end))
        text = self._shown(event.value)
        if ("\0" in text or not text.isascii()) and re.search(_BAD_CHARACTER, text):
            self.note(span, "control-character", "escape for NUL or for half a character: expected text")
            return ScalarNode("", span)
        if not key and REFERENCE_START in text:
            value, problems = self._references.fill(text, span, plain=event.plain)
            self.problems += problems
            return ScalarNode(value, span)
        if not event.plain:
            return ScalarNode(text, span)
        try:
            return ScalarNode(resolve_scalar(text), span, merge=text == MERGE_KEY, empty=not text)
        except ScalarError as error:
            self.note(span, "number", str(error))
            return ScalarNode(0, span)

    def _skip_properties(self, event: Event) -> int:
        """Return where the value itself begins, after its anchor and tag."""
        start: int = event.start
        if event.anchor is None and event.tag is None:
            return start
        properties = _PROPERTIES.match(self._text, start, event.end)
        return properties.end() if properties else start

    def _sequence(self, event: Event) -> SequenceNode:
        node = SequenceNode(self._collection_span(event))
        for inner in self._events:
            if inner.kind == "end":
                break
            node.items.append(self._node(inner))
        return node

    def _mapping(self, event: Event) -> MappingNode:
        node = MappingNode(self._collection_span(event))
        seen: dict[str, Span] = {}
        merges: list[MappingNode] = []
        for inner in self._events:
            if inner.kind == "end":
                break
            key = self._node(inner, key=True)
            value = self._node(next(self._events))
            if isinstance(value, ScalarNode) and value.empty:
                value = ScalarNode(None, key.span)
            if not self._is_new_key(key, seen):
                continue
            if key.merge:
                merges.extend(self._merged(value))
            else:
                node.entries[key.value] = (key.span, value)
        for merge in merges:
            self._count += len(merge.entries)
            if self._count > MAX_VALUES:
                self.note(node.span, "alias-bomb", f"more than {MAX_VALUES} merged values")
                raise _StopReadingError
            for name, entry in merge.entries.items():
                node.entries.setdefault(name, entry)
        return node

    def _is_new_key(self, key: Node, seen: dict[str, Span]) -> TypeGuard[_KeyNode]:
        if not isinstance(key, ScalarNode) or isinstance(key.value, bool) or not isinstance(key.value, str | int):
            message = f"{_describe_key(key)} is not a valid key: expected a name or a whole number"
            self.note(key.span, "bad-key", message)
            return False
        name = str(key.value)
        if name in seen:
            self.note(key.span, "duplicate-key", f"duplicate key `{name}` (first at line {seen[name].line})")
            return False
        seen[name] = key.span
        return True

    def _merged(self, value: Node) -> list[MappingNode]:
        values = value.items if isinstance(value, SequenceNode) else [value]
        if not all(isinstance(item, MappingNode) for item in values):
            self.note(value.span, "merge", "'<<' merges mappings only: use '<<: *anchor' with the anchor of a mapping")
        return [item for item in values if isinstance(item, MappingNode)]

    def _collection_span(self, event: Event) -> Span:
        """Return the first line of a list or mapping, from its first token on."""
        start = self._skip_properties(event)
        end = self._text.find("\n", start)
        return self._index.span(start, len(self._text) if end < 0 else end)


def _describe_key(key: Node) -> str:
    if isinstance(key, SequenceNode):
        return "a list"
    if isinstance(key, MappingNode):
        return "a mapping in braces (templates such as {{ name }} are not expanded)"
    if key.value is None:
        return "null"
    return f"{str(key.value).lower()} ({'a boolean' if isinstance(key.value, bool) else 'a number'})"
