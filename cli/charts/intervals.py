"""Ratios or differences as dots with their intervals, against a floor or a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeprof.cli.charts.scales import Linear, Logarithmic, Scale
from pipeprof.cli.charts.svg import Sheet, drawing, element, fitted, in_two_lines, line, path, text, titled

_TOP, _BOTTOM = 8, 30
_MOST_DOTS = 200


@dataclass(frozen=True)
class Strip:
    """A quantity with what was measured of it.

    Attributes:
        value: The estimate; None where there is none.
        low: Lower end of its interval; None without one.
        dots: Single measurements.
        words: What stands behind it: the number, and what it is.
        verdict: In capitals behind it, such as FAILED.
        class_: `bad`, `good`, `unclear` or nothing.
        faint: It is no part of the result.
        floor: Changes that are too small to count, where rows differ in that.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    dots: Sequence[float] = ()
    words: str = ""
    verdict: str = ""
    class_: str = ""
    faint: bool = False
    floor: tuple[float, float] | None = None


def draw_intervals(
    sheet: Sheet,
    *,
    rows: Sequence[Strip],
    reference: float,
    floor: tuple[float, float] | None = None,
    logarithmic: bool = True,
    write: Callable[[float], str],
    names: Sequence[str] = ("", ""),
) -> str:
    """One row a quantity.

    Args:
        reference: Value of no change, drawn as a line.
        floor: Changes that are too small to count.
        write: A value of the axis.
        names: Words below the axis at its left and its right end, such as `faster` and `slower`.
    """
    wide, width = sheet.is_wide, sheet.width
    left, behind = (0.26 * width, 0.3 * width) if wide else (4.0, 4.0)
    high = 38 if wide else 62
    x = _scale(rows, reference, floor, logarithmic=logarithmic, start=left, end=width - behind - 10)
    bottom = _TOP + high * len(rows)
    parts: list[str] = []
    marks = x.ticks(6 if wide else 4)
    # On a telephone names stand above their rows: there lines are short, so that none crosses a text.
    whole = [(_TOP, bottom)] if wide else [(_TOP + high * row + 32, _TOP + high * row + 56) for row in range(len(rows))]
    for top, end in whole:
        if floor is not None:
            at = x.held(floor[0])
            parts.append(element("rect", x=at, y=top, width=x.held(floor[1]) - at, height=end - top, class_="floor"))
        parts += [line(x(value), top, x(value), end, "grid") for value in marks]
        parts.append(line(x.held(reference), top, x.held(reference), end, "reference"))
    parts += [text(x(value), bottom + 14, write(value), "middle", "axis") for value in marks]
    if any(names):
        parts.append(text(x.start, bottom + 27, f"← {names[0]}", class_="axis"))
        parts.append(text(x.end, bottom + 27, f"{names[1]} →", "end", "axis"))
    for index, row in enumerate(rows):
        parts.append(_row(row, x, _TOP + index * high, width, wide=wide))
    return drawing(sheet, bottom + _BOTTOM, parts)


def _scale(
    rows: Sequence[Strip],
    reference: float,
    floor: tuple[float, float] | None,
    *,
    logarithmic: bool,
    start: float,
    end: float,
) -> Scale:
    ends = [reference, *(floor or ())]
    for row in rows:
        ends += [value for value in (row.value, row.low, row.high, *row.dots, *(row.floor or ())) if value is not None]
    known = [value for value in ends if math.isfinite(value) and (value > 0 or not logarithmic)]
    low, high = min(known, default=1.0), max(known, default=1.0)
    if logarithmic:
        space = max((high / low) ** 0.06, 1.01)
        return Logarithmic(max(low, high / 1e6) / space, high * space, start, end)
    margin = 0.06 * (high - low) or 1.0
    return Linear(low - margin, high + margin, start, end)


def _row(row: Strip, x: Scale, top: float, width: int, *, wide: bool) -> str:
    middle = top + (20 if wide else 44)
    parts = []
    words = f"{row.verdict}  {row.words}".strip()
    if wide:
        lines = in_two_lines(row.name, x.start - 16)
        first = middle + 4 - 7 * (len(lines) - 1)
        parts += [text(x.start - 12, first + 14 * at, one, "end", "label") for at, one in enumerate(lines)]
        room = width - x.end - 20
        shown = fitted(words, room)
        parts.append(text(x.end + 18, middle + 4, shown, class_=f"words {row.class_}".strip()))
    else:
        parts.append(text(0, top + 14, fitted(row.name, width), class_="label"))
        parts.append(text(0, top + 29, fitted(words, width), class_=f"words {row.class_}".strip()))
    if row.floor is not None:
        at, high = x.held(row.floor[0]), 22
        wide_band = max(x.held(row.floor[1]) - at, 1.0)
        parts.append(element("rect", x=at, y=middle - high / 2, width=wide_band, height=high, class_="floor"))
    marks = []
    for value in row.dots[:: math.ceil(len(row.dots) / _MOST_DOTS) or 1]:
        if math.isfinite(value) and (value > 0 or isinstance(x, Linear)):
            marks.append(element("circle", cx=x.held(value), cy=middle, r=3, class_="dot"))
    if row.low is not None and row.high is not None:
        ends = x.held(row.low), x.held(row.high)
        marks.append(line(ends[0], middle, ends[1], middle, "interval"))
        marks += [line(one, middle - 6, one, middle + 6, "interval") for one in ends]
    if row.value is not None and math.isfinite(row.value) and (row.value > 0 or isinstance(x, Linear)):
        at = x.held(row.value)
        corners = [(at, middle - 6), (at + 6, middle), (at, middle + 6), (at - 6, middle)]
        marks.append(path(corners, "estimate", closed=True))
    mark = titled("".join(marks), f"{row.name}: {words}") if marks else ""
    classes = " ".join(filter(None, ("row", row.class_, "faint" if row.faint else "")))
    return element("g", "".join(parts) + mark, class_=classes)
