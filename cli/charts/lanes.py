"""Lanes over one axis of time: stretches that are marked, and levels that go up and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeprof.cli.charts.scales import Linear, largest, short, thinned
from pipeprof.cli.charts.svg import Sheet, drawing, element, fitted, line, path, text, titled

_BOTTOM = 24
MOST_POINTS = 240
"""Of a lane that goes up and down."""


@dataclass(frozen=True)
class Lane:
    """A row.

    Attributes:
        spans: Start, length and text of each stretch, in seconds.
        points: Times and levels of a line; the level holds until the next time.
        note: Stands with the name.
        top: Text of its highest level.
    """

    name: str
    note: str = ""
    spans: Sequence[tuple[float, float, str]] = ()
    points: Sequence[tuple[float, float]] = ()
    top: str = ""
    class_: str = "c-wait"


def draw_lanes(sheet: Sheet, *, lanes: Sequence[Lane], start: float, end: float) -> str:
    """All lanes over the same seconds."""
    wide, width = sheet.is_wide, sheet.width
    left, high = (220.0, 40) if wide else (0.0, 58)
    x = Linear(start, end if end > start else start + 1.0, left, width - 8)
    bottom = high * len(lanes)
    parts = []
    for value in x.ticks(max(2, int((width - left) / 90))):
        parts.append(line(x(value), 0, x(value), bottom, "grid"))
        anchor = "start" if x(value) < left + 8 else "end" if x(value) > width - 20 else "middle"
        parts.append(text(x(value), bottom + 16, f"{short(value)} s", anchor, "axis"))
    for index, lane in enumerate(lanes):
        top = index * high
        parts += _names(lane, top, left, width, wide=wide)
        body = Linear(0.0, 1.0, top + high - 6, top + (8 if wide else 28))
        parts.append(line(left, body.start, width - 8, body.start, "edge"))
        for begin, length, words in lane.spans:
            at = x.held(begin)
            shown = element(
                "rect",
                x=at,
                y=body.end,
                width=max(x.held(begin + length) - at, 2.0),
                height=body.start - body.end,
                class_=lane.class_,
            )
            parts.append(titled(shown, words))
        if lane.points:
            parts.append(_level(lane, x, body))
    return drawing(sheet, bottom + _BOTTOM, parts)


def _names(lane: Lane, top: float, left: float, width: int, *, wide: bool) -> list[str]:
    if wide:
        return [
            text(0, top + 17, fitted(lane.name, left - 12), class_="label"),
            text(0, top + 32, fitted(lane.note, left - 12, 11), class_="axis"),
        ]
    name = fitted(lane.name, 0.5 * width)
    return [
        text(0, top + 17, name, class_="label"),
        text(width, top + 17, fitted(lane.note, 0.48 * width, 11), "end", "axis"),
    ]


def _level(lane: Lane, x: Linear, body: Linear) -> str:
    highest = largest(value for _, value in lane.points) or 1.0
    points = thinned(lane.points, MOST_POINTS)
    corners: list[tuple[float, float]] = []
    for seconds, value in points:
        level = body(max(value, 0.0) / highest)
        if corners:
            corners.append((x.held(seconds), corners[-1][1]))
        corners.append((x.held(seconds), level))
    corners.append((x.end, corners[-1][1]))
    shown = path(corners, "trace")
    return titled(shown, f"{lane.name}: at most {lane.top}") if lane.top else shown
