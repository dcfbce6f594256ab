"""What the sections of a report consist of; `cli.render` writes them for a terminal, as Markdown and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias


class Span(NamedTuple):
    """A part of a line with one look.

    Attributes:
        text: It may come from anywhere, as from a spec: whoever shows it makes it harmless.
        style: ``bold``, ``dim``, a colour, or several of them with spaces between.
    """

    text: str
    style: str = ""


Line: TypeAlias = str | tuple[Span, ...]


@dataclass(frozen=True)
class Heading:
    """A section's title, and its summary on the same line."""

    title: str
    rest: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph, wrapped at words and indented by cells of a terminal; spans have looks of their own."""

    text: Line
    indent: int = 2
    style: str = ""


@dataclass(frozen=True)
class Pairs:
    """Labels with their texts, which stand in one column right of the labels."""

    rows: Sequence[tuple[str, str]]
    indent: int = 2


@dataclass(frozen=True)
class Code:
    """Lines as they are, to be copied: never wrapped.

    Attributes:
        label: Stands before the first line.
        note: What a command is for; follows the line where it fits, else stands below it.
        cut: Long lines are cut: they are output, to be looked at.
    """

    text: str
    label: str = ""
    note: str = ""
    indent: int = 2
    cut: bool = False


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its head, the unit included.
        keep: Where there is no room, columns with the smallest number go first; ``None`` is never dropped.
        wrap: Its cells may be broken into lines before others are dropped.
    """

    title: str
    cells: Sequence[str]
    right: bool = True
    keep: int | None = None
    wrap: bool = False
    style: str = ""


@dataclass(frozen=True)
class Table:
    """Columns of equal length side by side."""

    columns: Sequence[Column]

    @property
    def filled(self) -> list[Column]:
        """Those that are shown: with anything in them."""
        return [column for column in self.columns if any(column.cells)]


@dataclass(frozen=True)
class Card:
    """A change with its gain and the status of its finding, or something that is wrong; and the blocks on it."""

    title: str
    gain: str = ""
    blocks: Sequence[Block] = ()
    number: int | None = None
    status: str = ""


class Layer(NamedTuple):
    """One part of a stack over time, with a value for each stretch between two edges.

    Attributes:
        tone: Name of a colour of the page: ``main``, ``wait``, ``third``, ``rest`` or ``soft``.
        text: Stands behind its name in the legend.
    """

    name: str
    values: Sequence[float]
    tone: str = "main"
    text: str = ""


class Bar(NamedTuple):
    """One row of bars: name, length and tone of each part, and a text at its end."""

    name: str
    parts: Sequence[tuple[str, float, str]]
    text: str


class Interval(NamedTuple):
    """An estimate with its interval and the single values behind it."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    dots: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """A picture on a page; a terminal and Markdown have none, so all that it shows is said elsewhere too.

    Attributes:
        kind: ``time`` is a stack of `layers` over `edges` in seconds; ``bars`` and ``intervals`` have a row for each of
            their `rows`. Intervals are ratios, on a logarithmic scale.
        text: What it shows in words; stands below it, and is what a screen reader reads.
        unit: What the values of layers are given in.
        marks: Moments on the time axis, in seconds, each with the name of what begins there.
        levels: Values at which a line crosses a chart over time, each with the name of the line.
        floor: The band around 1 in which a change does not count.
        ends: Labels of the two sides of 1, such as slower and faster.
    """

    kind: Literal["time", "bars", "intervals"]
    title: str
    text: str
    unit: Literal["ms", "bytes"] = "ms"
    edges: Sequence[float] = ()
    layers: Sequence[Layer] = ()
    rows: Sequence[Bar] | Sequence[Interval] = ()
    marks: Sequence[tuple[float, str]] = ()
    levels: Sequence[tuple[float, str]] = ()
    floor: tuple[float, float] | None = None
    ends: tuple[str, str] = ("", "")


Block: TypeAlias = Heading | Text | Pairs | Code | Table | Card | Chart
