"""The sheet that a report is written on: headings, prose and tables for one width, then one string."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import Console
from rich.text import Text

from pipeprof.cli.render.style import Style, in_ascii, visible
from pipeprof.cli.render.table import Column, Table

KEY_WIDTH = 12

_GLUE = "\ue000"
_NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|[mµu]?s|min|h|[kKMGT]?i?B(?:/s)?|batches/s|elements/s|cores?|steps?|gaps?)(?![\w/]))"
)


class Page:
    """Collects lines; everything that is put on it has been made harmless by :meth:`clean` first.

    Args:
        style: Width, colour and characters.
    """

    def __init__(self, style: Style) -> None:
        self.style = style
        self._lines: list[Text] = []
        self._console = Console(
            file=io.StringIO(),
            width=style.width,
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )

    def clean(self, text: str) -> str:
        """Text of any origin as it may be shown: no control characters, and only those that the receiver knows."""
        return visible(text) if self.style.unicode else in_ascii(visible(text))

    def blank(self) -> None:
        """An empty line, but never two."""
        if self._lines and self._lines[-1].plain:
            self._lines.append(Text())

    def heading(self, title: str, rest: str = "") -> None:
        """A section's title, and beside it what sums the section up."""
        self.blank()
        line = Text().append(self.clean(title), style="bold")
        if rest:
            line.append(f"  {self.clean(rest)}")
        self._wrapped(line, "", " " * 2)

    def prose(self, text: str | Text, indent: int = 2, style: str = "", hang: int = 0) -> None:
        """A paragraph, wrapped at words; its second and later lines stand ``hang`` further in."""
        line = text if isinstance(text, Text) else Text(self.clean(text), style=style)
        self._wrapped(line, " " * indent, " " * (indent + hang))

    def key_value(self, key: str, value: str) -> None:
        """A line of the footer: a dim word, and what there is to say."""
        start = self.clean(key).ljust(KEY_WIDTH)
        line = Text().append(start, style="dim").append(self.clean(value))
        if self.style.width > 4 * KEY_WIDTH:
            self._wrapped(line, "", " " * KEY_WIDTH)
        else:
            self._wrapped(line, "", " " * 2)

    def verbatim(self, text: str, indent: int = 2) -> None:
        """Lines as they are, cut at the width; for commands, paths and foreign output."""
        for raw in text.splitlines():
            line = Text(" " * indent + self.clean(raw))
            line.truncate(self.style.width, overflow="ellipsis" if self.style.unicode else "crop")
            self._lines.append(line)

    def command(self, key: str, value: str) -> None:
        """A line to be copied: never cut and never wrapped."""
        start = self.clean(key).ljust(KEY_WIDTH)
        self._lines.append(Text().append(start, style="dim").append(self.clean(value), style="bold"))

    def table(self, columns: Sequence[Column], indent: int = 2) -> list[str]:
        """A table; columns that do not fit are dropped, those with the smallest ``keep`` first.

        Returns:
            Titles of the columns that are shown.
        """
        safe = [
            replace(
                column,
                title=self.clean(column.title),
                cells=[cell if isinstance(cell, Text) else self.clean(cell) for cell in column.cells],
            )
            for column in columns
        ]
        lines, titles = Table(safe, indent).lines(self.style.width, "…" if self.style.unicode else "..")
        self._lines += lines
        return titles

    def render(self) -> str:
        """The whole sheet as one string; every line ends with a newline."""
        out = io.StringIO()
        self._console.file = out
        for line in self._lines:
            self._console.print(line, soft_wrap=True)
        return out.getvalue()

    def _wrapped(self, text: Text, first: str, later: str) -> None:
        """Break a text into lines at words, not between a number and its unit; a word wider than a line is folded."""
        text = text.copy()
        text.plain = _NUMBER_AND_UNIT.sub(_GLUE, text.plain)
        width = max(self.style.width - len(later), 10)
        lines = list(text.wrap(self._console, width, tab_size=4))
        if first != later and len(first) < len(later):
            lines = self._first_wider(text, len(first), width)
        for number, line in enumerate(lines):
            line.rstrip()
            line.plain = line.plain.replace(_GLUE, " ")
            self._lines.append(Text(first if number == 0 else later).append_text(line))

    def _first_wider(self, text: Text, first: int, width: int) -> list[Text]:
        """Wrap with a first line that is wider than the rest."""
        head = text.wrap(self._console, max(self.style.width - first, 10), tab_size=4)[0]
        rest = text[len(head.plain) :]
        start = len(rest.plain) - len(rest.plain.lstrip())
        if not rest.plain.strip():
            return [head]
        return [head, *rest[start:].wrap(self._console, width, tab_size=4)]


def runs(text: str) -> str:
    """Repeated identical lines as one with a count, for output that says the same thing a thousand times."""
    counted = [(line, sum(1 for _ in group)) for line, group in groupby(text.splitlines())]
    return "\n".join(line if count == 1 else f"{line}  ({count:,} times)" for line, count in counted)
