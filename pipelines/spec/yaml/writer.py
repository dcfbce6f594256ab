"""Plain data as YAML text that the strict reader reads back to the same data."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pipeprof.pipelines.spec.yaml.scalars import MAX_NUMBER_LENGTH, Scalar, ScalarError, resolve_scalar

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
        return _number(value)
    return value if _is_plain(value) else '"' + "".join(map(_escaped, value)) + '"'


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
    return lines


def _number(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    return repr(value) if math.isfinite(value) else ".inf" if value > 0 else "-.inf"


def _is_plain(text: str) -> bool:
    if not _PLAIN.match(text):
        return False
    try:
        return resolve_scalar(text) == text
    except ScalarError:
        return False


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
