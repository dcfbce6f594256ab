"""Plain data as YAML text that the strict reader reads back to the same data."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pipeprof.pipelines.spec.yaml_text import MAX_NUMBER_LENGTH, Scalar, resolve_scalar

WIDTH: Final = 100

_WORD: Final = r"[A-Za-z0-9_/.~+*@%=()-]*"
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_/.~]{_WORD}(?: [A-Za-z0-9_/.~+*@%=(]{_WORD})*\Z")
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
    lines: list[str] = []
    indent = " " * column
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        start = f"{indent}{scalar(key)}:" if isinstance(value, dict) else f"{indent}-"
        # Numbers are read side by side.
        numbers = isinstance(inner, list) and all(isinstance(one, int | float) for one in inner)
        nested = isinstance(inner, dict | list) and inner and not numbers
        if not nested or len(start) + 1 + len(flow(inner)) <= WIDTH:
            # ``batch: {batch_size: 32}`` needs no braces of its own after a dash.
            bare = start.endswith("-") and isinstance(inner, dict) and len(inner) == 1
            lines.append(f"{start} {flow(inner)[1:-1] if bare else flow(inner)}")
        elif isinstance(value, dict):
            lines += [start, *block_lines(inner, column + 2)]
        else:
            first, *rest = block_lines(inner, column + 2)
            lines += [f"{start} {first.lstrip(' ')}", *rest]
    return lines


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
