"""Spans in a text, and problems at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A token's place: 1-based line and column, and its length in characters on that line (at least 1).

    ``flag`` is the number of the command-line flag whose text the place is in (then the line is 1), ``None`` in a file.
    """

    line: int
    column: int
    length: int
    flag: int | None = None


START = Span(1, 1, 1)
"""Where a mistake of a file as a whole is shown."""


@dataclass(frozen=True)
class SpecProblem:
    """One mistake in a text, before it is known how the text is called."""

    span: Span
    code: str
    message: str
    suggestion: str | None = None


@dataclass(frozen=True)
class TextPlace:
    """Span of a value, and of the key before it (list items and the root have none)."""

    value: Span
    key: Span | None = None
