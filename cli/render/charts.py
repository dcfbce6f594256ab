"""Charts as SVG. Places across are percentages and texts have the page's size: one drawing fits every width."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from pipeprof.cli.report.blocks import Bar, Chart, Interval
from pipeprof.cli.report.units import byte_scale, time_scale
from pipeprof.cli.streams import visible

_LETTER = 7.0
"""Pixels of a usual letter of a chart's text, a little more than most have."""
_NARROW, _WIDE = 300, 430
"""Pixels of a chart on a telephone, and of one of two side by side."""
_PLOT_TOP, _PLOT, _BELOW = 24, 150, 22
_OVER = 1.15
"""Times a level to which the axis reaches at least: its name stands above it."""
_ACROSS = 1000
"""Units of a plot over time, which is stretched to its width."""
_ROW, _BAR_TOP, _BAR = 42, 21, 13
_STRIP = 20
_MOST_DOTS = 100
_MOST_MARKS = 5
_ABSURD = 1e15


def draw(chart: Chart, ident: str) -> Markup:
    """The chart, named and described by the elements ``ident-title`` and ``ident-text``; empty where it has no data."""
    svg = Element("svg", {"role": "img", "aria-labelledby": f"{ident}-title {ident}-text", "width": "100%"})
    if chart.kind == "time":
        height = _draw_time(svg, chart)
    elif chart.kind == "bars":
        height = _draw_bars(svg, [row for row in chart.rows if isinstance(row, Bar)])
    else:
        height = _draw_intervals(svg, chart, [row for row in chart.rows if isinstance(row, Interval)])
    svg.set("height", str(height))
    return Markup(tostring(svg, encoding="unicode")) if height else Markup()  # noqa: S704 - a tree escapes its texts


def legend_of(chart: Chart) -> list[tuple[str, str, str]]:
    """Tone, name and text of each colour that has a name: of a stack from the top."""
    layers = [(layer.tone, layer.name, layer.text) for layer in reversed(chart.layers) if any(layer.values)]
    parts = [(tone, name, "") for row in chart.rows if isinstance(row, Bar) for name, _, tone in row.parts if name]
    return list(dict.fromkeys([*layers, *parts]))


def _draw_time(svg: Element, chart: Chart) -> int:
    """Layers on each other, each a path with a step for every stretch."""
    edges = chart.edges
    if len(edges) < 2 or not chart.layers or not edges[-1] > edges[0]:
        return 0
    tops = list(accumulate((layer.values for layer in chart.layers), _on_top, initial=[0.0] * (len(edges) - 1)))
    scale = (byte_scale if chart.unit == "bytes" else time_scale)([max(tops[-1])])
    values = _marks_up_to(max([*tops[-1], *(_OVER * value for value, _ in chart.levels)]) / scale.factor)

    def across(second: float) -> float:
        return min(max((second - edges[0]) / (edges[-1] - edges[0]), 0.0), 1.0)

    def down(value: float) -> float:
        return _PLOT * (1 - min(value / scale.factor / values[-1], 1.0))

    _text(svg, -8, 12, scale.unit, "end")
    for value in values:
        y = _PLOT_TOP + down(value * scale.factor)
        _line(svg, (0, y), (1, y), "grid")
        _text(svg, -8, y + 4, f"{value:,g}", "end")
    plot = _add(svg, "svg", y=_PLOT_TOP, width="100%", height=_PLOT, viewBox=f"0 0 {_ACROSS} {_PLOT}")
    plot.set("preserveAspectRatio", "none")
    xs = [_ACROSS * across(edge) for edge in edges]
    for layer, lower, upper in zip(chart.layers, tops, tops[1:], strict=False):
        if upper != lower:
            _add(plot, "path", d=_outline(xs, [*map(down, lower)], [*map(down, upper)]), class_=layer.tone)
    ends = [across(second) for second, _ in chart.marks[1:]] + [1.0]
    for (second, name), end in zip(chart.marks, ends, strict=False):
        start = across(second)
        _line(svg, (start, 8), (start, _PLOT_TOP + _PLOT), "mark")
        _fitted(svg, start + 0.01, 14, name, end - start - 0.02)
    for value, name in chart.levels:
        y = _PLOT_TOP + down(value)
        _line(svg, (0, y), (1, y), "level")
        _text(svg, 1.0, y - 5, _cut(name, _NARROW), "end")
    for second in _marks_between(edges[0], edges[-1], _MOST_MARKS):
        _axis_text(svg, across(second), _PLOT_TOP + _PLOT + 16, f"{second:,g} s")
    return _PLOT_TOP + _PLOT + _BELOW


def _on_top(below: Sequence[float], values: Sequence[float]) -> list[float]:
    return [low + _known(value) for low, value in zip(below, values, strict=True)]


def _known(value: float) -> float:
    """A value that can be drawn: what is not known, or absurd, is 0."""
    return value if 0 <= value < _ABSURD else 0.0


def _outline(xs: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> str:
    """Along the upper side to the right, and back along the lower one."""
    ahead = "".join(f"V{_number(y)}H{_number(x)}" for y, x in zip(upper, xs[1:], strict=True))
    back = "".join(f"V{_number(y)}H{_number(x)}" for y, x in zip(reversed(lower), reversed(xs[:-1]), strict=True))
    return f"M{_number(xs[0])} {_number(lower[0])}{ahead}{back}Z"


def _draw_bars(svg: Element, rows: Sequence[Bar]) -> int:
    """A row of segments under a line with its name and its text."""
    longest = max((sum(_known(value) for _, value, _ in row.parts) for row in rows), default=0.0) or 1.0
    for index, row in enumerate(rows):
        group, top = _named(svg, index, row.name, row.text), index * _ROW + _BAR_TOP
        at = 0.0
        for _, value, tone in row.parts:
            share = _known(value) / longest
            _add(group, "rect", x=_percent(at), y=top, width=_percent(share), height=_BAR, class_=tone)
            at += share
    return len(rows) * _ROW


def _draw_intervals(svg: Element, chart: Chart, rows: Sequence[Interval]) -> int:
    """A strip for each row: its estimate on its interval, and the single values as dots below."""
    values = [value for row in rows for value in (row.value, row.low, row.high, *row.dots)]
    ends = [1.0, *(chart.floor or ()), *_drawn(values)]
    place, marks = _scale(min(ends), max(ends))
    for index, row in enumerate(rows):
        group, top = _named(svg, index, row.name, row.text), index * _ROW + _BAR_TOP
        if chart.floor is not None:
            low, high = map(place, chart.floor)
            _add(group, "rect", x=_percent(low), y=top, width=_percent(high - low), height=_STRIP, class_="floor")
        for mark in marks:
            _line(group, (place(mark), top), (place(mark), top + _STRIP), "grid")
        _line(group, (place(1.0), top), (place(1.0), top + _STRIP), "level")
        for dot in _drawn(row.dots[:: len(row.dots) // _MOST_DOTS + 1]):
            _add(group, "circle", cx=_percent(place(dot)), cy=top + 15, r=3, class_="dot")
        match _drawn((row.low, row.high)):
            case [low, high]:
                _line(group, (place(low), top + 6), (place(high), top + 6), "interval")
                for end in (low, high):
                    _line(group, (place(end), top + 2), (place(end), top + 10), "interval")
        for value in _drawn((row.value,)):
            _add(group, "circle", cx=_percent(place(value)), cy=top + 6, r=4.5, class_="estimate")
    if not rows:
        return 0
    bottom = len(rows) * _ROW
    for mark in marks:
        _axis_text(svg, place(mark), bottom + 14, f"{mark:g}×")
    for x, anchor, words in ((0.0, "start", f"← {chart.ends[0]}"), (1.0, "end", f"{chart.ends[1]} →")):
        if any(chart.ends):
            _text(svg, x, bottom + 30, _cut(words, _NARROW / 2), anchor)
    return bottom + (36 if any(chart.ends) else 20)


def _drawn(values: Iterable[float | None]) -> list[float]:
    """Those that have a place on the scale."""
    return [value for value in values if value is not None and 1 / _ABSURD < value < _ABSURD]


def _scale(low: float, high: float) -> tuple[Callable[[float], float], list[float]]:
    """Where a ratio lies, from 0 to 1, with some space at both ends, and the values that the axis names."""
    span = math.log(high / low) or 1.0

    def place(value: float) -> float:
        return 0.04 + 0.92 * min(max(math.log(value / low) / span, 0.0), 1.0)

    if high < 6 * low:
        return place, _marks_between(low, high, _MOST_MARKS)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    marks = [mark for mark in marks if low <= mark <= high]
    return place, marks[:: len(marks) // (_MOST_MARKS + 1) + 1]


def _step(raw: float) -> float:
    """The round number at or above one: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)


def _marks_between(low: float, high: float, most: int) -> list[float]:
    """Round values between two, about so many."""
    if not high > low:
        return [low]
    step = _step((high - low) / most)
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(number * step, 12) for number in numbers]


def _marks_up_to(high: float) -> list[float]:
    """Round values from 0 to the first one at or above `high`: 0, 20, 40 and 60 for 52.2."""
    step = _step(high / 4) if high > 0 else 1.0
    return [round(number * step, 12) for number in range(max(math.ceil(high / step - 1e-9), 1) + 1)]


def _named(svg: Element, index: int, name: str, text: str) -> Element:
    """A row with its name at the left and its text at the right."""
    group, y = _add(svg, "g"), index * _ROW + 14
    _add(group, "title", f"{name}: {text}")
    text = _cut(text, 0.7 * _NARROW)
    _fitted(group, 0.0, y, name, 1.0, taken=_LETTER * (len(text) + 2))
    _text(group, 1.0, y, text, "end")
    return group


def _fitted(parent: Element, x: float, y: float, words: str, room: float, *, taken: float = 0.0) -> None:
    """A text in a part of the width, cut where that is too short for it; on a telephone it is cut earlier."""
    narrow, wide = (_cut(words, room * pixels - taken) for pixels in (_NARROW, _WIDE))
    if narrow == wide:
        _text(parent, x, y, wide)
    else:
        _text(parent, x, y, narrow, class_="narrow")
        _text(parent, x, y, wide, class_="wide")


def _cut(words: str, pixels: float) -> str:
    most = int(pixels / _LETTER)
    if len(words) <= most:
        return words
    return f"{words[: most - 1]}…" if most > 5 else ""


def _axis_text(parent: Element, x: float, y: float, words: str) -> None:
    _text(parent, x, y, words, "start" if x < 0.04 else "end" if x > 0.96 else "middle")


def _text(parent: Element, x: float, y: float, words: str, anchor: str = "start", *, class_: str = "") -> None:
    """A text at a part of the width, or at so many pixels left of it."""
    if words:
        at = _percent(x) if x >= 0 else x
        given = {"class_": class_} if class_ else {}
        _add(parent, "text", words, x=at, y=y, **({"text_anchor": anchor} if anchor != "start" else {}), **given)


def _line(parent: Element, start: tuple[float, float], end: tuple[float, float], class_: str) -> None:
    """A line between two points, each a part of the width and pixels from the top."""
    (x1, y1), (x2, y2) = start, end
    _add(parent, "line", x1=_percent(x1), y1=y1, x2=_percent(x2), y2=y2, class_=class_)


def _add(parent: Element, tag: str, words: str = "", **attributes: float | str) -> Element:
    """Add an element; `class_` stands for `class`, an underscore for a hyphen."""
    given = {
        name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else _number(value)
        for name, value in attributes.items()
    }
    child = SubElement(parent, tag, given)
    child.text = visible(words) or None
    return child


def _percent(share: float) -> str:
    return f"{_number(100 * share, 2)}%"


def _number(value: float, decimals: int = 1) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
