"""Parts of a page: what a report consists of, without how it looks; each has a template of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from pipeprof.cli.charts.svg import Sheet

if TYPE_CHECKING:
    from markupsafe import Markup

WIDE, HALF, NARROW = 1192, 582, 340
"""Pixels of a chart on a wide screen, of one in a column of it, and on a telephone."""


@dataclass(frozen=True)
class Rows:
    """A small table of texts.

    Attributes:
        heads: One for each column.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A chart with its words.

    Attributes:
        ident: Unique on the page, and a fragment of its address.
        description: Text alternative, read by a screen reader.
        caption: What has to be known to read it.
        legend: Class, name and value of each colour.
        table: Its numbers; None where they stand elsewhere on the page.
        half: It has half of the width, or stands in a column.
    """

    ident: str
    title: str
    draw: Callable[[Sheet], str]
    description: str
    caption: str = ""
    legend: Sequence[tuple[str, str, str]] = ()
    table: Rows | None = None
    half: bool = False
    template: ClassVar[str] = "figure.html"

    @property
    def drawings(self) -> list[tuple[str, Markup]]:
        """The chart for a wide screen and for a narrow one, each with its class."""
        from markupsafe import Markup

        widths = (("wide", HALF if self.half else WIDE), ("narrow", NARROW))
        return [
            (class_, Markup(self.draw(Sheet(width, f"{self.ident}-{class_}", self.title, self.description))))  # noqa: S704
            for class_, width in widths
        ]


@dataclass(frozen=True)
class Snippet:
    """Lines to be read, copied or saved.

    Attributes:
        file: Name under which it is saved; empty where it is to be copied alone.
        folded: Only its label is shown at first.
        is_diff: Its lines begin with what is done to them.
        copied: It is what a person pastes; else it is only read.
    """

    ident: str
    label: str
    text: str
    file: str = ""
    folded: bool = False
    is_diff: bool = False
    copied: bool = True
    template: ClassVar[str] = "snippet.html"

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Each line with its class: of a diff, what it does."""
        lines = self.text.rstrip("\n").split("\n")
        if not self.is_diff:
            return [("", line) for line in lines]
        return [(_kind_of(line), line) for line in lines]

    @property
    def address(self) -> str:
        """The text as an address that a browser saves without a network."""
        from base64 import b64encode

        text = self.text if self.text.endswith("\n") else f"{self.text}\n"
        return f"data:text/plain;base64,{b64encode(text.encode()).decode()}"


def _kind_of(line: str) -> str:
    if line.startswith(("--- ", "+++ ", "@@")):
        return "hunk"
    return {"+": "added", "-": "removed"}.get(line[:1], "")


@dataclass(frozen=True)
class Facts:
    """Labels with their texts."""

    pairs: Sequence[tuple[str, str]]
    template: ClassVar[str] = "facts.html"


@dataclass(frozen=True)
class Note:
    """A paragraph.

    Attributes:
        tone: `bad`, `good`, `unclear` or nothing.
    """

    text: str
    tone: str = ""
    template: ClassVar[str] = "note.html"


@dataclass(frozen=True)
class Shown:
    """Markup that is ready: blocks of a report in text."""

    markup: Markup
    template: ClassVar[str] = "shown.html"


@dataclass(frozen=True)
class Group:
    """Parts side by side where there is room."""

    parts: Sequence[Part]
    template: ClassVar[str] = "group.html"


@dataclass(frozen=True)
class Fold:
    """Parts that are shown on demand."""

    ident: str
    title: str
    parts: Sequence[Part]
    rest: str = ""
    printed: bool = True
    template: ClassVar[str] = "fold.html"


@dataclass(frozen=True)
class Card:
    """A change that is proposed.

    Attributes:
        gain: Speed-up with its interval, and change of memory.
        status: How that is known.
        effect: Whether the elements stay the same.
        folded: Only its title, gain and place are shown at first.
    """

    ident: str
    number: int
    title: str
    place: str
    gain: str
    status: str
    effect: str
    parts: Sequence[Part]
    tone: str = ""
    folded: bool = False
    template: ClassVar[str] = "card.html"


@dataclass(frozen=True)
class StageRow:
    """A stage of the graph.

    Attributes:
        runs: What TensorFlow runs in its place; empty where it runs as written, or is not written.
        share: Part of the CPU work of all stages, 0 to 1; None if unknown.
        inside: What is in it, in one line.
        is_main: It is on the critical path.
        is_bottleneck: The verdict names it.
    """

    ident: str
    number: str
    name: str
    op: str
    place: str
    runs: str
    time: str
    share: float | None
    share_text: str
    calls: str
    holds: str
    inputs: str
    inside: str
    depth: int
    is_main: bool
    is_bottleneck: bool
    is_added: bool


@dataclass(frozen=True)
class StageGraph:
    """The stages from the source to the step."""

    rows: Sequence[StageRow]
    step: str
    unit: str
    caption: str
    branched: bool
    template: ClassVar[str] = "stages.html"

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Title and attribute of each column that has a number for some stage."""
        known = (("calls", "calls"), ("holds", "holds"), ("in:out", "inputs"))
        return [(title, name) for title, name in known if any(getattr(row, name) for row in self.rows)]

    @property
    def is_timed(self) -> bool:
        """Whether the time or the share of any stage is known: not of a run that failed before its measurement."""
        return any(row.time or row.share is not None for row in self.rows)

    @property
    def width(self) -> int:
        """Cells of a row behind the one of the rail."""
        return 1 + 2 * self.is_timed + len(self.columns)


Part = Figure | Snippet | Facts | Note | Shown | Group | Fold | Card | StageGraph


@dataclass(frozen=True)
class Section:
    """A part of the page with a title.

    Attributes:
        rest: Stands with the title.
    """

    ident: str
    title: str
    parts: Sequence[Part]
    rest: str = ""


@dataclass(frozen=True)
class Headline:
    """The result: what a reader sees first.

    Attributes:
        tone: `bad`, `good`, `unclear` or nothing.
        label: Its first words.
        rest: The rest of the sentence.
        factor: The one number that matters, such as a factor; empty without one.
        interval: Its interval, and how it is known.
    """

    tone: str
    label: str
    rest: str
    factor: str = ""
    interval: str = ""
    details: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        subject: What the report is about.
        facts: Where, when and with what it was measured, in short.
        command: The command that made it.
        first: Sections before all others.
        columns: Sections side by side on a wide screen, then.
    """

    kind: str
    subject: str
    version: str
    headline: Headline
    sections: Sequence[Section]
    facts: Sequence[str] = ()
    command: str = ""
    first: Sequence[Section] = ()
    columns: Sequence[Sequence[Section]] = ()

    @property
    def all_sections(self) -> list[Section]:
        """The sections in their order."""
        return [*self.first, *chain.from_iterable(self.columns), *self.sections]

    def figures(self) -> Iterator[Figure]:
        """Every chart of the page."""
        for section in self.all_sections:
            yield from figures_of(section.parts)


def figures_of(parts: Sequence[Part]) -> Iterator[Figure]:
    """Every chart among parts, and inside of them."""
    for part in parts:
        if isinstance(part, Figure):
            yield part
        elif isinstance(part, Group | Fold | Card):
            yield from figures_of(part.parts)


@dataclass
class Idents:
    """Names for the parts of a page, none twice."""

    _taken: set[str] = field(default_factory=set)

    def of(self, title: str) -> str:
        """A name that is made of a title.

        Example:
            >>> idents = Idents()
            >>> idents.of("Longest gaps"), idents.of("Longest gaps"), idents.of("…")
            ('longest-gaps', 'longest-gaps-2', 'part')
        """
        words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title.lower()).split()
        base = "-".join(words)[:60] or "part"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name
