"""Quantities over time, stacked on each other: steps by what the device did, memory by owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeprof.cli.charts.scales import Linear, nice_end, short
from pipeprof.cli.charts.svg import Sheet, clean, drawing, element, fitted, line, number, text, titled, width_of

_LEFT, _TOP, _BOTTOM = 46, 22, 34
_LABELS = 160
"""Pixels at the right for the names of the layers, in a wide chart."""
_LINE = 15


@dataclass(frozen=True)
class Layer:
    """One quantity.

    Attributes:
        values: One for each stretch between two edges; what is not known is 0.
        class_: Class of the style sheet that gives its colour.
    """

    name: str
    values: Sequence[float]
    class_: str


@dataclass(frozen=True)
class Band:
    """A stretch of time with a name, such as a phase."""

    start: float
    end: float
    name: str


@dataclass(frozen=True)
class Level:
    """A value with a name, drawn across."""

    value: float
    name: str


@dataclass(frozen=True)
class Stack:
    """Layers over time, the first one at the bottom.

    Attributes:
        edges: Times, one more than each layer has values.
        unit: Unit of the values, written above the axis.
        write: A value with its unit, for the texts under the pointer.
        low: Where the axis begins; what is below is cut off.
    """

    edges: Sequence[float]
    layers: Sequence[Layer]
    unit: str
    write: Callable[[float], str]
    bands: Sequence[Band] = ()
    levels: Sequence[Level] = ()
    low: float = 0.0
    height: int = 230

    def totals(self) -> list[float]:
        """The height of the whole stack in each stretch."""
        return [sum(values) for values in zip(*(layer.values for layer in self.layers), strict=True)]

    def draw(self, sheet: Sheet) -> str:
        """The chart."""
        width = sheet.width
        labelled = sheet.is_wide and len(self.layers) > 1
        right = width - (_LABELS if labelled else 10)
        highest = max([*self.totals(), *(level.value for level in self.levels), 0.0])
        y = Linear(self.low, self._end(highest), self.height - _BOTTOM, _TOP)
        x = Linear(self.edges[0], self.edges[-1], _LEFT, right)
        parts = [self._axes(x, y), self._bands(x, y), *self._areas(x, y), *self._levels(x, y, right)]
        if labelled:
            parts += self._names(y, right)
        parts.append(self._pointed(x, y))
        return drawing(sheet, self.height, parts)

    def _end(self, highest: float) -> float:
        return self.low + nice_end(highest - self.low)

    def _axes(self, x: Linear, y: Linear) -> str:
        marks = [text(_LEFT, 12, self.unit, "end", "axis")]
        for value in y.ticks(4):
            marks.append(line(x.start, y(value), x.end, y(value), "grid"))
            marks.append(text(_LEFT - 6, y(value) + 4, short(value), "end", "axis"))
        for value in x.ticks(max(2, int((x.end - x.start) / 90))):
            marks.append(text(x(value), y.start + 16, f"{short(value)} s", "middle", "axis"))
        return "".join(marks)

    def _bands(self, x: Linear, y: Linear) -> str:
        parts = []
        for band in self.bands:
            start, end = x.held(band.start), x.held(band.end)
            if end - start < 1:
                continue
            if start > x.start + 1:
                parts.append(line(start, y.end - 6, start, y.start, "edge"))
            name = fitted(band.name, end - start - 4, 11)
            if len(name) > 2:
                parts.append(text(start + 4, y.end - 8, name, class_="band"))
        return "".join(parts)

    def _areas(self, x: Linear, y: Linear) -> list[str]:
        below = [0.0] * (len(self.edges) - 1)
        parts = []
        for layer in self.layers:
            above = [one + value for one, value in zip(below, layer.values, strict=True)]
            if any(value > 0 for value in layer.values):
                parts.append(element("path", d=_outline(x, y, self.edges, below, above), class_=f"area {layer.class_}"))
            below = above
        return parts

    def _levels(self, x: Linear, y: Linear, right: float) -> list[str]:
        parts = []
        for level in self.levels:
            parts.append(line(x.start, y.held(level.value), x.end, y.held(level.value), "level"))
            room = right - x.start - 8
            parts.append(text(right - 4, y.held(level.value) - 5, fitted(level.name, room), "end", "strong"))
        return parts

    def _names(self, y: Linear, right: float) -> list[str]:
        """The names of the layers at the right, each at its height and none over another one."""
        below, places = 0.0, []
        for layer in self.layers:
            value = layer.values[-1]
            if value > 0:
                places.append((y.held(max(self.low, below) + (below + value - max(self.low, below)) / 2), layer))
            below += value
        parts, last = [], y.start + _LINE
        for place, layer in places:
            at = min(place + 4, last - _LINE)
            last = at
            words = fitted(layer.name, _LABELS - 22)
            parts.append(element("rect", x=right + 6, y=at - 9, width=9, height=9, class_=layer.class_))
            parts.append(text(right + 20, at, words, class_="label"))
        return parts

    def _pointed(self, x: Linear, y: Linear) -> str:
        """Invisible columns with the numbers of their stretch."""
        parts = []
        for index, (start, end) in enumerate(pairwise(self.edges)):
            values = [f"{layer.name} {self.write(layer.values[index])}" for layer in self.layers]
            words = f"{short(round(start, 2))} to {short(round(end, 2))} s\n" + "\n".join(reversed(values))
            column = element(
                "rect", x=x(start), y=y.end, width=max(x(end) - x(start), 0.5), height=y.start - y.end, class_="hit"
            )
            parts.append(element("g", f"<title>{_lines(words)}</title>{column}"))
        return "".join(parts)


def _lines(words: str) -> str:
    return "\n".join(clean(one) for one in words.split("\n"))


def _outline(x: Linear, y: Linear, edges: Sequence[float], below: Sequence[float], above: Sequence[float]) -> str:
    """The outline of a layer as the commands of a path: along its upper side, and back along its lower one."""
    steps = [f"M{number(x(edges[0]))} {number(y.held(above[0]))}"]
    for edge, value in zip(edges[1:], [*above[1:], above[-1]], strict=True):
        steps.append(f"H{number(x(edge))}V{number(y.held(value))}")
    steps.append(f"V{number(y.held(below[-1]))}")
    backward = [*reversed(below[:-1]), below[0]]
    for edge, value in zip(reversed(edges[:-1]), backward, strict=True):
        steps.append(f"H{number(x(edge))}V{number(y.held(value))}")
    return "".join(steps) + "Z"


@dataclass(frozen=True)
class Bar:
    """A row of segments side by side.

    Attributes:
        parts: Name, value and class of each segment.
        words: What stands at its end.
        low: End of the interval of the whole bar; None without one.
    """

    name: str
    parts: Sequence[tuple[str, float, str]]
    words: str
    low: float | None = None
    high: float | None = None


def bars(sheet: Sheet, *, rows: Sequence[Bar], write: Callable[[float], str], end: float | None = None) -> str:
    """Rows of stacked segments from 0, each with its name before it and its number behind.

    Args:
        end: Value at the right end; the largest one where not given.
    """
    wide, width = sheet.is_wide, sheet.width
    left = min(max((width_of(row.name) for row in rows), default=0.0) + 12, 0.34 * width) if wide else 0.0
    behind = min(max((width_of(row.words) for row in rows), default=0.0) + 14, 0.4 * width) if wide else 0.0
    highest = end or max((max(sum(value for _, value, _ in row.parts), row.high or 0.0) for row in rows), default=0.0)
    x = Linear(0.0, highest or 1.0, left, width - behind - (0 if wide else 4))
    height, thick = (30, 18) if wide else (46, 16)
    parts = []
    for index, row in enumerate(rows):
        top = index * height + (6 if wide else 22)
        if wide:
            parts.append(text(left - 10, top + 13, fitted(row.name, left - 10), "end", "label"))
        else:
            room = width - width_of(row.words) - 10
            parts.append(text(0, top - 6, fitted(row.name, room), class_="label"))
            parts.append(text(width, top - 6, fitted(row.words, width / 2 + 60), "end", "label"))
        at, begin = 0.0, x(0.0)
        for name, value, class_ in row.parts:
            at += max(value, 0.0)
            shown = element("rect", x=begin, y=top, width=max(x.held(at) - begin, 0.0), height=thick, class_=class_)
            parts.append(titled(shown, f"{row.name}: {name} {write(value)}"))
            begin = x.held(at)
        stop = begin
        if row.low is not None and row.high is not None:
            middle, ends = top + thick / 2, (x.held(row.low), x.held(row.high))
            parts += [line(ends[0], middle, ends[1], middle, "whisker")]
            parts += [line(one, middle - 5, one, middle + 5, "whisker") for one in ends]
            stop = max(stop, ends[1])
        if wide:
            parts.append(text(stop + 8, top + 13, fitted(row.words, width - stop - 8), class_="label"))
    return drawing(sheet, max(len(rows) * height + 4, 10), parts)
