"""A histogram of durations on a logarithmic axis, with marks for quantiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeprof.cli.charts.scales import Linear, Logarithmic, nice_end, short
from pipeprof.cli.charts.svg import Sheet, drawing, element, line, text, titled, width_of

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 38, 34
_HEIGHT = 210
_COARSE = (1.0, 2.0, 5.0)
_FINE = 10 ** (1 / 20)


@dataclass(frozen=True)
class Bin:
    """So many values between two bounds."""

    low: float
    high: float
    count: int


def bins_of(pairs: Sequence[tuple[float, int]]) -> list[Bin]:
    """The bins of a histogram whose empty ones are left out, from their upper bounds.

    Bounds are 1, 2 and 5 times powers of ten, or twenty to a factor of ten; the last one may be any.

    Example:
        >>> bins_of([(50.0, 9), (200.0, 1)])
        [Bin(low=20.0, high=50.0, count=9), Bin(low=100.0, high=200.0, count=1)]
    """
    known = [(bound, count) for bound, count in pairs if bound > 0 and count > 0]
    coarse = all(_is_coarse(bound) for bound, _ in known[:-1] or known)
    found: list[Bin] = []
    for bound, count in known:
        below = bound / (_factor_below(bound) if coarse else _FINE)
        low = max(below, found[-1].high) if found and below < found[-1].high * 1.01 else below
        found.append(Bin(round(min(low, bound), 9), bound, count))
    return found


def _is_coarse(bound: float) -> bool:
    digits = f"{bound:.6e}"
    return float(digits.partition("e")[0]) in _COARSE


def _factor_below(bound: float) -> float:
    return 2.5 if f"{bound:.6e}".startswith("5") else 2.0


def draw_histogram(
    sheet: Sheet, *, bins: Sequence[Bin], marks: Sequence[tuple[str, float]], write: Callable[[float], str]
) -> str:
    """Bars of the bins, and a line with its name at each mark.

    Args:
        bins: At least one, in milliseconds.
        marks: Name and value, such as the median.
    """
    width = sheet.width
    values = [value for _, value in marks if value > 0]
    low = min(bins[0].low, *values) if values else bins[0].low
    high = max(bins[-1].high, *values) if values else bins[-1].high
    if high / low < 1.5:
        low, high = low / 1.25, high * 1.25
    x = Logarithmic(low, high, _LEFT, width - _RIGHT)
    y = Linear(0.0, nice_end(max(one.count for one in bins)), _HEIGHT - _BOTTOM, _TOP)
    parts = [text(_LEFT - 6, _TOP - 8, "steps", "end", "axis")]
    for value in y.ticks(4):
        if float(value).is_integer():
            parts.append(line(x.start, y(value), x.end, y(value), "grid"))
            parts.append(text(_LEFT - 6, y(value) + 4, short(value), "end", "axis"))
    for value in x.ticks(max(3, width // 80)):
        anchor = "end" if x(value) > width - 24 else "middle"
        parts.append(text(x(value), y.start + 16, f"{short(value)} ms", anchor, "axis"))
    for one in bins:
        shown = element(
            "rect",
            x=x(one.low) + 0.5,
            y=y(one.count),
            width=max(x(one.high) - x(one.low) - 1, 1.5),
            height=y.start - y(one.count),
            class_="c-main",
        )
        parts.append(
            titled(shown, f"{write(one.low)} to {write(one.high)}: {one.count:,} step{'' if one.count == 1 else 's'}")
        )
    taken: list[tuple[float, float]] = []
    for name, value in sorted(marks, key=lambda mark: mark[1]):
        if value <= 0:
            continue
        words = f"{name} {write(value)}"
        at, wide = x.held(value), width_of(words)
        side = (at - 4, "end") if at + wide + 6 > width else (at + 4, "start")
        begin = side[0] - wide if side[1] == "end" else side[0]
        low = any(begin < end + 8 and other < begin + wide + 8 for other, end in taken)
        taken.append((begin, begin + wide))
        parts.append(line(at, _TOP - 18 + 14 * low, at, y.start, "level"))
        parts.append(text(side[0], 22 + 14 * low, words, side[1], "strong"))
    return drawing(sheet, _HEIGHT, parts)
