"""Diagnostics of a spec: one :class:`Diagnostic` per mistake, and the error that carries them.

A diagnostic names the place (file, line and column, or the ``--set`` flag), says the fault and what is expected,
and shows the source line with a caret below the token.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeprof.pipelines.errors import UsageError, escape

MAX_DIAGNOSTICS: Final = 50
"""How many diagnostics are shown; a last line counts the others."""

SNIPPET_WIDTH: Final = 100
"""Columns of the source line that are shown around the token."""

_SHOWN_BEFORE: Final = 60
_ELLIPSIS: Final = "…"


@dataclass(frozen=True)
class TextLocation:
    """A place in a spec's file, or in a flag that changes it.

    Attributes:
        file: the spec as the user named it.
        line: 1-based line in the file, ``None`` for a place in a flag.
        column: 1-based column in the line, or in the flag's text.
        length: characters under the caret, at least 1.
        flag: the flag as typed, ``--set path=value``.
    """

    file: str
    line: int | None
    column: int | None
    length: int
    flag: str | None = None

    def __str__(self) -> str:
        """Return ``spec.yaml:12:7``, or the flag as typed."""
        if self.flag is not None:
            return escape(self.flag)
        return f"{escape(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Diagnostic(TextLocation):
    """One mistake at its place.

    Attributes:
        code: kebab-case word, stable: ``unknown-key``, ``wrong-type``, …
        suggestion: what was probably meant.
        order: position of the flag among the flags given, to sort by.

    Example:
        >>> wrong = Diagnostic("a.yaml", 1, 4, 2, code="wrong-type", message="got 'x', expected a number")
        >>> print(wrong.render(["a: xx"]))
        a.yaml:1:4: error[wrong-type]: got 'x', expected a number
            1 | a: xx
              |    ^^
    """

    code: str
    message: str
    suggestion: str | None = None
    order: int = 0

    @property
    def text(self) -> str:
        """The message with its suggestion, on one line."""
        return escape(self.message + (f" — did you mean {self.suggestion}?" if self.suggestion is not None else ""))

    def render(self, source_lines: Sequence[str] = ()) -> str:
        """Return the message, and the source line with a caret line below it where it is known."""
        head = f"{self}: error[{self.code}]: {self.text}"
        shown = self._shown_line(source_lines)
        if shown is None:
            return head
        label, line = shown
        start = min(max((self.column or 1) - 1, 0), len(line))
        end = min(max(start + max(self.length, 1), start), len(line))
        first = 0 if len(line) <= SNIPPET_WIDTH else max(0, min(start - _SHOWN_BEFORE, len(line) - SNIPPET_WIDTH))
        last = min(len(line), first + SNIPPET_WIDTH)
        before = (_ELLIPSIS if first else "") + escape(line[first:start])
        token = escape(line[start : min(end, last)])
        after = escape(line[min(end, last) : last]) + (_ELLIPSIS if last < len(line) else "")
        indent = sum(map(display_width, before))
        width = max(1, sum(map(display_width, token)))
        snippet, caret = before + token + after, " " * indent + "^" * width
        separator = " | " if label else ""
        number = f"    {label}{separator}"
        gutter = " " * (4 + len(label)) + separator
        return f"{head}\n{number}{snippet}\n{gutter}{caret}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON output."""
        return {name: value for name, value in vars(self).items() if name != "order"}

    def _shown_line(self, source_lines: Sequence[str]) -> tuple[str, str] | None:
        if self.flag is not None:
            return "", self.flag
        if self.line is None or not 1 <= self.line <= len(source_lines) or not source_lines[self.line - 1].strip():
            return None
        return str(self.line), source_lines[self.line - 1]


class SpecError(UsageError):
    """The spec, or a flag that changes it, is wrong; ``str()`` is everything the user needs to see.

    Attributes:
        diagnostics: the mistakes, sorted by place (the file first, then flags), at most :data:`MAX_DIAGNOSTICS`.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], source_lines: Sequence[str] = ()) -> None:
        """Sort the diagnostics and keep the first of them."""
        found = sorted(diagnostics, key=_sort_key)
        self._all, self._lines = found, source_lines
        self.diagnostics: list[Diagnostic] = found[:MAX_DIAGNOSTICS]
        self.hidden = len(found) - len(self.diagnostics)
        super().__init__(self._render(source_lines))

    def with_file_names(self, name: Callable[[str], str], text: Callable[[str], str] = str) -> SpecError:
        """Return the same error for the original of a copy."""
        found = [replace(one, file=name(one.file), message=text(one.message)) for one in self._all]
        return SpecError(found, self._lines)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"errors": [...], "hidden": n}`` for JSON output."""
        return {"errors": [diagnostic.to_dict() for diagnostic in self.diagnostics], "hidden": self.hidden}

    def _render(self, source_lines: Sequence[str]) -> str:
        blocks = [diagnostic.render(source_lines) for diagnostic in self.diagnostics]
        if self.hidden:
            blocks.append(f"and {self.hidden} more {'error' if self.hidden == 1 else 'errors'}")
        return "\n".join(blocks)


def _sort_key(diagnostic: Diagnostic) -> tuple[bool, int, int, int]:
    return diagnostic.flag is not None, diagnostic.order, diagnostic.line or 0, diagnostic.column or 0


def display_width(char: str) -> int:
    """Terminal columns that one printable character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
