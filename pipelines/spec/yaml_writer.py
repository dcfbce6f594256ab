"""Plain data as YAML text that the strict reader reads back to the same data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.log_commands import has_command
from pipeprof.pipelines.spec.yaml_text import MAX_NUMBER_LENGTH, Scalar, resolve_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeprof.pipelines.spec.yaml_text import Address

    Fits = Callable[[str, Any, Address], bool]

WIDTH: Final = 100
_TEXT_WIDTH: Final = 80
"""Longer texts are folded: a comment is to have room behind the line."""
_LONGEST_KEY: Final = 120
"""A key of more than 1024 characters must stand behind a question mark."""

_WORD: Final = r"[A-Za-z0-9_/.~+*@%=()-]*"
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_/.~]{_WORD}(?: [A-Za-z0-9_/.~+*@%=(]{_WORD})*\Z")
_FOLDABLE: Final = re.compile(r"[^\s#&*!|>'\"%@`,\[\]{}?:-]\S*(?: \S+)*\Z")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(value: Scalar) -> str:
    """A scalar on one line, the same inside brackets and outside.

    Example:
        >>> [scalar(value) for value in ("a-*.jpg", "32", 32, None, True, "a: b")]
        ['a-*.jpg', '"32"', '32', 'null', 'true', '"a: b"']
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Only a hexadecimal number can have more digits than a decimal one may.
        return str(value) if value.bit_length() < MAX_NUMBER_LENGTH * 3 else hex(value)
    if isinstance(value, float):
        if math.isnan(value):
            return ".nan"
        return repr(value) if math.isfinite(value) else ".inf" if value > 0 else "-.inf"
    return value if _is_plain(value) else quoted(value)


def quoted(text: str) -> str:
    """Write a text in double quotes, with what cannot be printed spelled out."""
    return '"' + "".join(map(_escaped, text)) + '"'


def flow(data: Any) -> str:
    """Data on one line.

    Example:
        >>> flow({"size": [480, 360], "format": "jpeg"})
        '{size: [480, 360], format: jpeg}'
    """
    if isinstance(data, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(flow, data)) + "]"
    return scalar(data)


def block_lines(value: dict[Any, Any] | list[Any], column: int) -> list[str]:
    """A mapping or list that is not empty, in lines of its own; what fits stands on the line of its key or dash."""

    def fits(start: str, inner: Any, _: Address) -> bool:
        # Numbers are read side by side.
        numbers = isinstance(inner, list) and all(isinstance(one, int | float) for one in inner)
        return numbers or len(start) + 1 + len(flow(inner)) <= WIDTH

    return [line.text for line in BlockWriter(fits).block(value, (), column)]


def folded(text: str, width: int) -> list[str] | None:
    """The lines of a text below ``>-``, at most ``width`` wide if its words are; ``None`` if it has to be quoted."""
    if not _FOLDABLE.match(text) or not text.isprintable():
        return None
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return None if any(has_command(line) for line in lines) else lines


@dataclass(frozen=True)
class Line:
    """One line of a block, with the address of the value that begins on it; ``None`` inside of a folded text."""

    text: str
    address: Address | None


class BlockWriter:
    """Plain data as YAML blocks.

    Args:
        fits: whether a mapping or list goes on the line of its key or dash, from the text before it, the value and
            its address; empty ones always do.
    """

    def __init__(self, fits: Fits) -> None:
        self._fits = fits

    def entries(self, data: dict[Any, Any], address: Address, indent: int) -> Iterator[Line]:
        """Write the entries of a mapping, each from a line of its own."""
        for key, value in data.items():
            at = (*address, key)
            name = scalar(key)
            if len(name) > _LONGEST_KEY:
                yield Line(f"{' ' * indent}? {name}", at)
                yield from self._value(f"{' ' * indent}:", value, at, indent)
            else:
                yield from self._value(f"{' ' * indent}{name}:", value, at, indent)

    def block(self, value: Any, address: Address, indent: int) -> Iterator[Line]:
        """Write a mapping or a list below its key or dash."""
        if isinstance(value, dict):
            yield from self.entries(value, address, indent)
            return
        for index, item in enumerate(value):
            here = (*address, index)
            dash = f"{' ' * indent}-"
            if not isinstance(item, dict | list):
                yield from self._scalar(dash, item, here, indent)
            elif self._on_one_line(dash, item, here):
                yield Line(f"{dash} {_flow_item(item)}", here)
            else:
                first, *rest = self.block(item, here, indent + 2)
                yield Line(f"{dash} {first.text[indent + 2 :]}", first.address)
                yield from rest

    def _value(self, start: str, value: Any, at: Address, indent: int) -> Iterator[Line]:
        if not isinstance(value, dict | list):
            yield from self._scalar(start, value, at, indent)
        elif self._on_one_line(start, value, at):
            yield Line(f"{start} {flow(value)}", at)
        else:
            yield Line(start, at)
            yield from self.block(value, at, indent + 2)

    def _on_one_line(self, start: str, value: Any, at: Address) -> bool:
        return not value or self._fits(start, value, at)

    def _scalar(self, start: str, value: Any, at: Address, indent: int) -> Iterator[Line]:
        text = f"{start} {scalar(value)}"
        is_long = isinstance(value, str) and len(text) > _TEXT_WIDTH
        lines = folded(value, _TEXT_WIDTH - indent) if is_long else None
        if lines is None or len(lines) == 1:
            yield Line(text, at)
            return
        yield Line(f"{start} >-", at)
        for line in lines:
            yield Line(f"{' ' * (indent + 2)}{line}", None)


def _flow_item(item: Any) -> str:
    """``batch: {batch_size: 32}`` needs no braces of its own after a dash."""
    if isinstance(item, dict) and len(item) == 1:
        key, value = next(iter(item.items()))
        if len(scalar(key)) <= _LONGEST_KEY:
            return f"{scalar(key)}: {flow(value)}"
    return flow(item)


def _is_plain(text: str) -> bool:
    if not _PLAIN.match(text):
        return False
    try:
        return resolve_scalar(text) == text
    except ValueError:
        return False


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
