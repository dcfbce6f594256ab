"""Lines of a text around its values: which of them a stage or an entry owns, and how wide they are indented."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.edits.tree import WrittenNode


@dataclass(frozen=True)
class Splice:
    """A stretch of the text before, and what stands there afterwards; ``number`` is its place in the collection."""

    number: int
    start: int
    end: int
    text: str

    def drops(self, other: Splice) -> bool:
        """Whether an earlier change lies in this stretch, so that it goes with it.

        What was inserted at the beginning of the stretch belongs to what stands before it, at the end to the stretch.
        """
        if other.number >= self.number or self.start == self.end:
            return False
        if other.start == other.end:
            return self.start < other.start <= self.end
        return self.start <= other.start and other.end <= self.end


class Splices:
    """The changes of one text; those inside of an item come before those of the item."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: list[Splice] = []

    def replace(self, start: int, end: int, text: str) -> None:
        """Put a text in place of a stretch."""
        if start != end or text:
            self._found.append(Splice(len(self._found), start, end, text))

    def insert(self, at: int, text: str) -> None:
        """Put a text between two characters, after what was inserted there before."""
        self.replace(at, at, text)

    def render(self, start: int = 0, end: int | None = None) -> str:
        """A stretch with the changes that lie in it."""
        stop = len(self.text) if end is None else end
        inside = [
            splice
            for splice in self._found
            if start <= splice.start and splice.end <= stop and (splice.end > start or start == 0)
        ]
        kept = [splice for splice in inside if not any(other.drops(splice) for other in inside)]
        # What is inserted where a stretch begins stands before what replaces it.
        kept.sort(key=lambda splice: (splice.start, splice.end > splice.start, splice.number))
        parts: list[str] = []
        at = start
        for splice in kept:
            parts += [self.text[at : splice.start], splice.text]
            at = splice.end
        return "".join([*parts, self.text[at:stop]])


@dataclass(frozen=True)
class OwnLines:
    """The lines of one item of a block: the comments directly before it, itself, its own comments after it."""

    start: int
    end: int


class Layout:
    """A text that ends with a line end, by lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        crlf = text.find("\r\n")
        self.line_end = "\r\n" if crlf >= 0 and text.find("\n") == crlf + 1 else "\n"

    def line_start(self, at: int) -> int:
        """Return the start of an offset's line."""
        return self.text.rfind("\n", 0, at) + 1

    def line_stop(self, at: int) -> int:
        """Return the end of an offset's line, before its line end."""
        found = self.text.find("\n", at)
        stop = len(self.text) if found < 0 else found
        return stop - 1 if stop > at and self.text[stop - 1] == "\r" else stop

    def next_line(self, at: int) -> int:
        """Return the start of the line after an offset's."""
        found = self.text.find("\n", at)
        return len(self.text) if found < 0 else found + 1

    def column(self, at: int) -> int:
        """0-based column of an offset."""
        return at - self.line_start(at)

    def begins_line(self, at: int) -> bool:
        """Whether only blanks stand before an offset in its line."""
        return not self.text[self.line_start(at) : at].strip()

    def indent(self, at: int) -> int:
        """Return the indentation of an offset's line, in columns."""
        line = self.text[self.line_start(at) : self.line_stop(at)]
        return len(line) - len(line.lstrip(" "))

    def is_comment(self, at: int) -> bool:
        """Whether the line of an offset is nothing but a comment."""
        return self.text[self.line_start(at) : self.line_stop(at)].lstrip().startswith("#")

    def item_start(self, node: WrittenNode, index: int) -> int:
        """Return the start of a block's item: its key, or its dash.

        Raises:
            EditError: Something else begins in the same line, so that the item has no lines of its own.
        """
        at, _ = node.extent(index)
        if not node.keys:
            floor = node.extent(index - 1)[1] if index else 0
            line = self.line_start(at)
            # A dash may stand in a line before what follows it.
            while not self.text[line:at].lstrip().startswith("-") and line > floor:
                line = self.line_start(line - 1)
            at = line + self.indent(line)
        if not self.begins_line(at) or (not node.keys and self.text[at : at + 1] != "-"):
            raise EditError(f"line {self.number(at)} holds the beginning of more than one value: give each its own")
        return at

    def number(self, at: int) -> int:
        """1-based number of the line of an offset."""
        return self.text.count("\n", 0, at) + 1

    def own_lines(self, node: WrittenNode, index: int) -> OwnLines:
        """The lines of an item of a block."""
        at = self.item_start(node, index)
        start = self.line_start(at)
        floor = node.extent(index - 1)[1] if index else -1
        column = at - start
        while start > 0 and self.line_start(start - 1) > floor and self.is_comment(start - 1):
            line = self.line_start(start - 1)
            if index and self.indent(line) > column:
                # It belongs to the item before.
                break
            start = line
        return OwnLines(start, self.after(node, index, column))

    def block_column(self, node: WrittenNode) -> int:
        """The column of the keys or dashes of a block."""
        return self.column(node.keys[0].start if node.keys else self.item_start(node, 0))

    def after(self, node: WrittenNode, index: int, column: int) -> int:
        """Return the start of the line after an item."""
        return self.next_line(self._last_line(node.extent(index)[1], column))

    def _last_line(self, end: int, column: int) -> int:
        """An offset in the last line of an item: comments that are indented further than it belong to it."""
        at = max(end - 1, 0)
        while True:
            line = self.next_line(at)
            if line >= len(self.text) or not self.is_comment(line) or self.indent(line) <= column:
                return at
            at = line
