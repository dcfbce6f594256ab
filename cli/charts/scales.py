"""Scales: from values to pixels, and the round values at which an axis has its marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter


@dataclass(frozen=True)
class Linear:
    """Values `low` to `high` on the pixels `start` to `end`; what is outside of them stays outside.

    Example:
        >>> Linear(0, 10, 100, 200)(5), Linear(3, 3, 0, 10)(3)
        (150.0, 0.0)
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.0)

    def held(self, value: float) -> float:
        """The pixel of a value; of one outside the scale, the nearest end."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int) -> list[float]:
        """Round values on it, at most about so many."""
        return ticks(self.low, self.high, most)


@dataclass(frozen=True)
class Logarithmic:
    """As `Linear`, with equal distances for equal factors; values above 0."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        span = math.log(self.high / self.low) if self.high > self.low else 0.0
        return self.start + (self.end - self.start) * (math.log(value / self.low) / span if span else 0.0)

    def held(self, value: float) -> float:
        """The pixel of a value; of one outside the scale, the nearest end."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int) -> list[float]:
        """Round values on it, at most about so many.

        Example:
            >>> Logarithmic(1, 100, 0, 1).ticks(7), Logarithmic(0.95, 1.2, 0, 1).ticks(4)
            ([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0], [1.0, 1.1, 1.2])
        """
        if self.high / self.low < 3:
            return ticks(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for mantissas in ((1, 2, 5), (1, 3), (1,)):
            found = [round(m * 10.0**e, 12) for e in decades for m in mantissas]
            found = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]


Scale = Linear | Logarithmic


def ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two values, both included where they are such.

    Example:
        >>> ticks(0, 10, 5), ticks(0.2, 1.9, 4), ticks(3, 3, 4)
        ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [0.5, 1.0, 1.5], [3])
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def nice_end(high: float, most: int = 4) -> float:
    """The round value at or above a value, for the end of an axis that begins with 0.

    Example:
        >>> nice_end(52.2), nice_end(9.0), nice_end(0.0)
        (60.0, 10.0, 1.0)
    """
    if not high > 0 or not math.isfinite(high):
        return 1.0
    marks = ticks(0.0, high, most)
    step = marks[1] - marks[0] if len(marks) > 1 else high
    return round(step * math.ceil(high / step - 1e-9), 12)


def short(value: float) -> str:
    """A mark's value: as many decimals as it has, at most three digits after them.

    Example:
        >>> short(50.0), short(0.25), short(1200.0), short(1e6)
        ('50', '0.25', '1,200', '1,000,000')
    """
    text = f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    return "0" if text in {"-0", ""} else text


_level = itemgetter(1)


def thinned(values: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Points of a line, at most so many: of each stretch the lowest and the highest, so that no peak is lost.

    Example:
        >>> thinned([(x, x % 7) for x in range(1000)], 6)[:3]
        [(0, 0), (6, 6), (335, 6)]
    """
    if len(values) <= most:
        return list(values)
    size = math.ceil(2 * len(values) / most)
    kept = []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        ends = {min(part, key=_level), max(part, key=_level)}
        kept += sorted(ends)
    return kept


def largest(values: Iterable[float | None], default: float = 0.0) -> float:
    """The largest known and finite value."""
    return max((value for value in values if value is not None and math.isfinite(value)), default=default)
