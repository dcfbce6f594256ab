"""Strict YAML reading: bytes to plain data, with the place of every key and value.

Stricter than YAML: one document, no tags, no duplicate keys, keys are names or whole numbers, bounded size, depth and
number of values. Anchors, aliases and ``<<`` merges are allowed. Scalars: :mod:`pipeprof.pipelines.spec.yaml.scalars`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.spec.yaml.nodes import MAX_DEPTH, MAX_VALUES, Node, ScalarNode, SequenceNode, TextIndex, compose
from pipeprof.pipelines.spec.yaml.references import References
from pipeprof.pipelines.spec.yaml.spans import START, Span, SpecProblem, TextPlace

MAX_BYTES: Final = 1 << 20
"""Largest spec, in bytes."""

Address: TypeAlias = tuple[str | int, ...]

_BYTE_ORDER_MARK = "\ufeff"
_UNREADABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_UNREADABLE_ASCII = "[^\t\n\r\x20-\x7e]"
"""The same of ASCII text; compiling the other takes longer than reading most specs."""
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class YamlDocument:
    """The data of a YAML text with the places of all keys and values.

    Attributes:
        data: mappings, lists and scalars; every alias is a copy of its own. ``None`` if nothing could be read.
        places: address of every value (keys and list indices from the root) to its place.
    """

    data: Any = None
    places: dict[Address, TextPlace] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    references: References = field(default_factory=References)
    complete: bool = False


def decode(content: bytes) -> tuple[str, SpecProblem | None]:
    """Return the text of a spec's bytes, without byte order mark; and what is wrong with it, if anything is."""
    if len(content) > MAX_BYTES:
        message = f"larger than {MAX_BYTES >> 20} MiB, the limit for a spec"
        return "", SpecProblem(START, "too-large", message)
    if content.startswith(_UTF_16_MARKS):
        return "", SpecProblem(START, "encoding", "file is encoded in UTF-16: expected UTF-8")
    try:
        return content.decode().removeprefix(_BYTE_ORDER_MARK), None
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().removeprefix(_BYTE_ORDER_MARK)
        fault = f"byte 0x{content[error.start]:02x} is not valid UTF-8"
    kind = "a binary file" if b"\0" in content else "text in another encoding"
    text = content.decode(errors="replace").removeprefix(_BYTE_ORDER_MARK)
    span = TextIndex(text).span(len(before), len(before) + 1)
    return text, SpecProblem(span, "encoding", f"{fault} ({kind}?)")


def byte_order_mark(path: Path) -> str:
    """Return the mark with which some editors begin a file, which is no part of its text; empty without one."""
    mark = _BYTE_ORDER_MARK.encode()
    with contextlib.suppress(OSError), path.open("rb") as file:
        return _BYTE_ORDER_MARK if file.read(len(mark)) == mark else ""
    return ""


def read(content: bytes | str, *, environment: Mapping[str, str] | None = None) -> YamlDocument:
    """Read a YAML text strictly.

    Args:
        environment: fills in ``${VAR}`` and ``${VAR:-default}`` in values; ``None`` leaves them as they are.

    Returns:
        The data with the place of everything in it; look at ``problems`` first. Never raises for any content.
    """
    text, problem = decode(content) if isinstance(content, bytes) else (content, None)
    index = TextIndex(text)
    document = YamlDocument(lines=index.lines, references=References(environment))
    if problem is None:
        problem = _unreadable(text, index)
    if problem is not None:
        document.problems.append(problem)
        return document
    root, document.problems = compose(text, index, document.references)
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        if not document.problems:
            document.problems.append(SpecProblem(START, "empty", "empty file: expected a spec"))
        return document
    expander = _Expander(document)
    document.data = expander.expand(root, (), None)
    document.complete = not expander.stopped
    return document


def _unreadable(text: str, index: TextIndex) -> SpecProblem | None:
    if len(text) > MAX_BYTES:
        message = f"more than {MAX_BYTES >> 20} Mi characters, the limit for a spec"
        return SpecProblem(START, "too-large", message)
    found = re.search(_UNREADABLE_ASCII if text.isascii() else _UNREADABLE, text)
    if found is None:
        return None
    name = "NUL byte (a binary file?)" if found[0] == "\0" else f"control character U+{ord(found[0]):04X}"
    span = index.span(found.start(), found.end())
    return SpecProblem(span, "control-character", f"{name}: not allowed in a spec")


class _Expander:
    """Turns the tree into plain data, aliases and merges expanded, within bounds."""

    def __init__(self, document: YamlDocument) -> None:
        self.stopped = False
        self._document = document
        self._count = 0

    def expand(self, node: Node, address: Address, key: Span | None) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            message = f"more than {MAX_VALUES} values after aliases are expanded"
            self._stop(self._alias_above(address, node), "alias-bomb", message)
        elif len(address) > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels of nesting after aliases are expanded"
            self._stop(node.span, "too-deep", message)
        if self.stopped:
            return None
        self._document.places[address] = TextPlace(node.span, key)
        if isinstance(node, ScalarNode):
            return node.value
        if isinstance(node, SequenceNode):
            return [self.expand(item, (*address, number), None) for number, item in self._until_stopped(node)]
        data = {}
        for name, (span, value) in node.entries.items():
            if self.stopped:
                break
            data[name] = self.expand(value, (*address, name), span)
        return data

    def _alias_above(self, address: Address, node: Node) -> Span:
        """The first alias on the way to a value: what it stands for is written further up."""
        spans = [self._document.places[address[:length]].value for length in range(1, len(address))]
        pairs = itertools.pairwise([*spans, node.span])
        return next((one for one, inner in pairs if (inner.line, inner.column) < (one.line, one.column)), node.span)

    def _until_stopped(self, node: SequenceNode) -> Iterator[tuple[int, Node]]:
        for number, item in enumerate(node.items):
            if self.stopped:
                return
            yield number, item

    def _stop(self, span: Span, code: str, message: str) -> None:
        if not self.stopped:
            self._document.problems.append(SpecProblem(span, code, message))
        self.stopped = True
