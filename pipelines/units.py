"""Durations and sizes as people write them: ``12ms``, ``1.5s``, ``8GiB``."""

from __future__ import annotations

import re
from typing import Any

from pipeprof.pipelines.errors import shown

_QUANTITY = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[A-Za-zµμ]+)\s*")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_BYTES: dict[str, int] = {"B": 1} | {
    unit: base**power
    for suffix, base in (("B", 1000), ("iB", 1024))
    for power, unit in enumerate((f"{letter}{suffix}" for letter in "kMGT"), start=1)
}
_BYTES |= {"KB": 1000, "KiB": 1024}
LONGEST_SECONDS = 1000 * 86400
LARGEST_SIZE = 2**63 - 1


def parse_duration(value: Any) -> float:
    """Seconds of a duration with its unit (ns, us, ms, s, min, h).

    Raises:
        ValueError: No number with a unit (``0`` needs none).

    Example:
        >>> parse_duration("12ms")
        0.012
    """
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match and match["unit"] in _SECONDS:
        seconds = float(match["number"]) * _SECONDS[match["unit"]]
        if seconds > LONGEST_SECONDS:
            raise ValueError(f"got {shown(value)}, expected a duration of at most {LONGEST_SECONDS // 86400} days")
        return seconds
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError(f"got {shown(value)}, expected a duration with its unit, such as 12ms, 400us or 1.5s")


_LEAST_BYTES = 1 << 20
"""A size below it, without a unit, means another unit than bytes."""
_MOST_GIB = 256
"""A number up to it means GiB."""


def meant_size(value: Any) -> str | None:
    """What a small number of bytes without a unit means; None for a size that may be meant as it is.

    Example:
        >>> meant_size(8), meant_size("500"), meant_size("8GiB"), meant_size(1 << 30)
        ('8GiB', '500MiB', None, None)
    """
    text = str(value).strip()
    if not text.isdecimal() or not 0 < int(text) < _LEAST_BYTES:
        return None
    return f"{text}{'GiB' if int(text) <= _MOST_GIB else 'MiB'}"


def parse_size(value: Any) -> int:
    """Bytes of a size: a whole number, or a number with a unit (kB, MB, GB, TB; KiB, MiB, GiB, TiB).

    Example:
        >>> parse_size("8GiB")
        8589934592
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SIZE:
        return int(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match and match["unit"] in _BYTES:
        size = float(match["number"]) * _BYTES[match["unit"]]
        if size <= LARGEST_SIZE:
            return round(size)
        raise ValueError(f"got {shown(value)}, expected a size of at most 8 EiB")
    raise ValueError(f"got {shown(value)}, expected a size such as 8GiB, 500MB or a number of bytes")


DURATION_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^\s*(\d+(\.\d+)?|\.\d+)\s*(ns|us|µs|ms|s|min|h)\s*$"}, {"const": 0}]
}
