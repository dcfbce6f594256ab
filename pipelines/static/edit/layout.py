"""Positions in the text of a Python file, and changes of it: lines, calls and their arguments."""

from __future__ import annotations

import ast
import bisect
import io
import itertools
import tokenize
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.static.edit.errors import CannotEditSourceError

_ASIDE: Final = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})
_JOINED: Final = b"\\"


@dataclass(frozen=True)
class Replacement:
    """A place in the text, and what comes there instead of what it has."""

    start: int
    end: int
    text: bytes


class PythonLayout:
    """The text of a file as bytes, which Python's positions count.

    Attributes:
        data: Its bytes.

    Raises:
        CannotEditSourceError: Its lines end in a way that no tool for diffs knows.
    """

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        self.newline = b"\r\n" if b"\r\n" in self.data else b"\n"
        if b"\r" in self.data.replace(b"\r\n", b"") or b"\f" in self.data:
            raise CannotEditSourceError("its lines do not all end as lines of a diff do")
        lengths = [len(line) + 1 for line in self.data.split(b"\n")]
        self._starts = [0, *itertools.accumulate(lengths)]

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return the offset of a node's start."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Return the offset of a node's end."""
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def line_start(self, place: int) -> int:
        """Return the start of an offset's line."""
        return self._starts[bisect.bisect_right(self._starts, place) - 1]

    def line_end(self, place: int) -> int:
        """Return the end of an offset's line, without its line end."""
        end = self.data.find(b"\n", place)
        end = len(self.data) if end < 0 else end
        return end - 1 if self.data[end - 1 : end] == b"\r" else end

    def next_line(self, place: int) -> int:
        """Return the start of the line after an offset's."""
        end = self.data.find(b"\n", place)
        return len(self.data) if end < 0 else end + 1

    def indent(self, place: int) -> bytes:
        """The blanks that the line of a place begins with."""
        line = self.data[self.line_start(place) : self.line_end(place)]
        return line[: len(line) - len(line.lstrip())]

    def leads(self, place: int) -> bool:
        """Whether nothing but blanks stands before a place in its line."""
        return not self.data[self.line_start(place) : place].strip()

    def trails(self, place: int) -> bool:
        """Whether nothing but blanks, a comment or the sign of a joined line stands after a place in its line."""
        rest = self.data[place : self.line_end(place)].strip()
        return rest in {b"", _JOINED} or rest.startswith(b"#")

    def is_joined(self, place: int) -> bool:
        """Whether the line of a place ends with the sign that joins it to the next one."""
        return self.data[self.line_start(place) : self.line_end(place)].rstrip().endswith(_JOINED)

    def follows_joined(self, place: int) -> bool:
        """Whether the line before that of a place is joined to it."""
        start = self.line_start(place)
        return start > 0 and self.is_joined(start - 1)

    def dot(self, call: ast.Call) -> int:
        """Return the offset of the dot before a call's method."""
        if not isinstance(call.func, ast.Attribute):
            raise TypeError(call)
        place = self.end(call.func) - len(call.func.attr.encode()) - 1
        while self.data[place : place + 1] != b".":
            place -= 1
        return place

    def last_argument(self, call: ast.Call) -> tuple[int, bool]:
        """Return the end of a call's last argument, or of the comma after it, and whether there is one."""
        first, close = self.end(call.func), self.end(call) - 1
        inside = self.data[first : close + 1].decode()
        ends = [0, *itertools.accumulate(len(line) for line in inside.splitlines(keepends=True))]
        place, comma = first + 1, False
        for token in tokenize.generate_tokens(io.StringIO(inside).readline):
            if token.type in _ASIDE or token.type == tokenize.ENDMARKER:
                continue
            row, column = token.end
            reached = first + len(inside[: ends[row - 1] + column].encode())
            if reached > close:
                break
            place, comma = reached, token.string == ","
        return place, comma

    def with_splices(self, *splices: Replacement) -> str:
        """The text with changes that do not overlap."""
        found = self.data
        for splice in sorted(splices, key=lambda one: one.start, reverse=True):
            found = found[: splice.start] + splice.text + found[splice.end :]
        return found.decode()
