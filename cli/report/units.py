"""Numbers in tables: one unit and one number of decimals for a whole column, and sizes and times in prose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeprof.profiles.wording import significant, size

_BINARY = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))
_TIME = ((1e3, "s"), (1, "ms"), (1e-3, "µs"))


@dataclass(frozen=True)
class Scale:
    """A unit and the decimals that all numbers of a column share; raw numbers are divided by the factor."""

    unit: str
    factor: float
    decimals: int

    def text(self, value: float | None) -> str:
        """The number without its unit; what is not known is empty, and what rounds to 0 without being 0 says so.

        Example:
            >>> Scale("ms", 1, 1).text(12.34), Scale("ms", 1, 1).text(0.01), Scale("ms", 1, 1).text(None)
            ('12.3', '<0.1', '')
        """
        if value is None or not math.isfinite(value):
            return ""
        scaled = value / self.factor
        smallest = 10**-self.decimals
        if 0 < scaled < smallest / 2:
            return f"<{smallest:.{self.decimals}f}"
        text = f"{scaled:,.{self.decimals}f}"
        return text.removeprefix("-") if not text.strip("-0.") else text


def _largest(values: Iterable[float | None]) -> float:
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)


def _scale_for(largest: float, units: Sequence[tuple[float, str]]) -> Scale:
    """The largest unit in which the largest value is at least 1, with decimals that suit that value."""
    factor, unit = next((pair for pair in units if largest >= pair[0]), units[-1])
    scaled = largest / factor
    decimals = 2 if scaled < 10 else 1 if scaled < 1000 else 0
    return Scale(unit, factor, 0 if unit == "B" else decimals)


def byte_scale(values: Iterable[float | None]) -> Scale:
    """One binary unit for a column of sizes in bytes: MiB, below one KiB, from 10 GiB on GiB."""
    largest = _largest(values)
    return _scale_for(largest, _BINARY[1:2] if largest >= 10 * 1024**3 else _BINARY[2:4])


def time_scale(values_ms: Iterable[float | None]) -> Scale:
    """One unit for a column of durations given in milliseconds; seconds only from 10 s on."""
    largest = _largest(values_ms)
    return _scale_for(largest, _TIME if largest >= 10_000 or largest < 1 else _TIME[1:])


_Value = TypeVar("_Value")


def dotted(*parts: tuple[_Value | None, Callable[[_Value], str]]) -> str:
    """The known ones of several values, each as its function writes it, with dots between."""
    return " · ".join(write(value) for value, write in parts if value is not None)


def rate(bytes_per_second: float | None) -> str:
    """Bytes per second in prose, binary as all sizes: ``793 MiB/s``."""
    if bytes_per_second is None or not math.isfinite(bytes_per_second):
        return "n/a"
    factor, unit = next((pair for pair in _BINARY if abs(bytes_per_second) >= pair[0]), _BINARY[-1])
    return f"{significant(bytes_per_second / factor)} {unit}/s"


def seconds(value: float | None) -> str:
    """Seconds in prose: ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``.

    Example:
        >>> seconds(12.34), seconds(125), seconds(3720), seconds(0.042)
        ('12.3 s', '2 min 05 s', '1 h 02 min', '42.0 ms')
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    if value >= 3600:
        return f"{int(value // 3600)} h {int(value % 3600 // 60):02} min"
    if value >= 100:
        return f"{int(value // 60)} min {int(value % 60):02} s"
    if 0 < value < 0.1:
        return f"{significant(value * 1000)} ms"
    return f"{significant(value)} s"


def describe_delta(delta: int) -> str:
    """A change of the peak of memory, with its sign: ``−115 MiB``."""
    return f"{'−' if delta < 0 else '+'}{size(abs(delta))}" if delta else "same memory"


def describe_predicted_delta(delta: int) -> str:
    """A predicted change of the peak: what goes is the most that it can fall by, as it may come at another time."""
    return f"{'up to ' if delta < 0 else ''}{describe_delta(delta)}"
