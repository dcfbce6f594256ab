"""Changes of a text as replaced stretches, collected from the inside out and applied at once."""

from __future__ import annotations

from dataclasses import dataclass


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
        """Put a text in the place of a stretch."""
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
