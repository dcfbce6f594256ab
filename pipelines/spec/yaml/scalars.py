"""Plain YAML scalars, read as the YAML 1.2 core schema does and as users expect.

Unlike YAML 1.1: ``no``, ``on`` and ``12:30`` are strings, ``1e-3`` is a number, ``017`` is seventeen and ``0o17`` is
fifteen. ``1_000`` is a thousand.
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

MAX_NUMBER_LENGTH: Final = 300
"""Longest number, in characters; a longer one is surely not meant as a number (and costs time to convert)."""

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"[-+]?{_DIGITS}\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(rf"[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_WORDS: Final[dict[str, Scalar]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False, ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip


class ScalarError(ValueError):
    """A plain scalar that reads as a number, but not as one that can be kept; the message says why."""


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ScalarError: a number of more than 300 characters, or beyond a double's range.

    Example:
        >>> [resolve_scalar(text) for text in ("1_000", "1e-3", "no", "12:30", "~")]
        [1000, 0.001, 'no', '12:30', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    infinity = _INFINITY.match(text)
    if infinity:
        return -math.inf if infinity[1] == "-" else math.inf
    return _number(text)


def _number(text: str) -> Scalar:
    pattern = next((pattern for pattern in (_INT, _FLOAT, _OCTAL, _HEX) if pattern.match(text)), None)
    if pattern is None:
        return text
    if len(text) > MAX_NUMBER_LENGTH:
        raise ScalarError(f"number of {len(text)} digits: expected at most {MAX_NUMBER_LENGTH}")
    if pattern is _INT:
        return int(text.replace("_", ""))
    if pattern is _OCTAL or pattern is _HEX:
        return int(text[2:], 8 if pattern is _OCTAL else 16)
    value = float(text.replace("_", ""))
    if math.isinf(value):
        raise ScalarError(f"{text} is too large: expected a number below 1.8e308, or .inf")
    return value
