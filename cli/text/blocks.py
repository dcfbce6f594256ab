"""Format-neutral blocks of a report: what a section says, without how it is laid out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeAlias


class TextSpan(NamedTuple):
    """A part of a line with one look.

    Attributes:
        text: The part, of any origin; whoever shows it makes it harmless.
        style: ``bold``, ``dim``, a colour, or several of them with spaces between; empty for plain text.
    """

    text: str
    style: str = ""


Line: TypeAlias = str | tuple[TextSpan, ...]


@dataclass(frozen=True)
class Heading:
    """A section's title, and its summary on the same line."""

    title: str
    rest: str = ""
    spare: int = 0


@dataclass(frozen=True)
class Prose:
    """A paragraph, wrapped at words.

    Attributes:
        indent: Spaces before the first line.
        style: Look of a `text` without spans.
        hang: Further spaces before the second and later lines.
        spare: As `without` has it.
    """

    text: Line
    indent: int = 2
    style: str = ""
    hang: int = 0
    spare: int = 0


@dataclass(frozen=True)
class Items:
    """Texts that belong to the line before them, each on a line of its own and wrapped at words.

    Attributes:
        indent: Spaces before each.
        spare: As `without` has it.
    """

    texts: Sequence[str]
    indent: int = 4
    spare: int = 0


@dataclass(frozen=True)
class KeyValue:
    """A label and its text, which stays right of the label.

    Attributes:
        value: The text.
        indent: Spaces before the label.
        width: Cells of the label with the space after it; ``None`` for the usual number.
        spare: As `without` has it.
    """

    key: str
    value: str
    indent: int = 0
    width: int | None = None
    spare: int = 0


@dataclass(frozen=True)
class Code:
    """Lines as they are, to be copied: never wrapped.

    Attributes:
        indent: Spaces before each line.
        label: Stands to the left of the first line.
        cut: Long lines are cut: they are output, to be looked at.
        spare: As `without` has it.
    """

    text: str
    indent: int = 2
    label: str = ""
    cut: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Command:
    """A labelled line to be copied: never cut and never wrapped.

    Attributes:
        indent: Spaces before the label.
        width: Cells of the label with the space after it; ``None`` for the usual number.
        note: Follows the line where it fits, else stands on the next one.
        spare: As `without` has it.
    """

    key: str
    value: str
    indent: int = 0
    width: int | None = None
    note: str = ""
    spare: int = 0


@dataclass(frozen=True)
class Blank:
    """An empty line; several in a row are one."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its head, the unit included.
        cells: One text a row.
        keep: Columns with the smallest number are dropped first, 0 to 2 before any column is cut; ``None`` is never
            dropped.
        shrink_to: The column may be cut to this many cells, with an ellipsis, before those above 2 are dropped.
        gap: Spaces before the column; ``None`` for the usual number.
    """

    title: str
    cells: Sequence[str]
    right: bool = True
    keep: int | None = None
    shrink_to: int | None = None
    style: str = ""
    gap: int | None = None


@dataclass(frozen=True)
class Table:
    """Columns side by side; empty ones are left out.

    Attributes:
        columns: All have the same number of cells.
        indent: Spaces before each line.
        below: Blocks that follow a row, by the row's number.
        spare: As `without` has it.
    """

    columns: Sequence[Column]
    indent: int = 2
    below: Mapping[int, Sequence[Block]] = field(default_factory=dict)
    spare: int = 0


@dataclass(frozen=True)
class Legend:
    """Short notes on the table before it, on one line.

    Attributes:
        notes: Pairs of the beginning of a column's title and its note, which is shown where that column is; an empty
            title: always.
    """

    notes: Sequence[tuple[str, str]]
    spare: int = 2


@dataclass(frozen=True)
class Alternatives:
    """Versions of one content: the first whose tables fit without a cut is shown, else the last.

    Attributes:
        spare: As `without` has it.
        instead: What a full screen shows in their place.
    """

    versions: Sequence[Sequence[Block]]
    spare: int = 0
    instead: Sequence[Block] = ()


Block: TypeAlias = Heading | Prose | Items | KeyValue | Code | Command | Blank | Table | Legend | Alternatives


def list_spare(blocks: Iterable[Block], spare: int) -> list[Block]:
    """List each block that `without` leaves out, in order: one that several alternatives have, once."""
    found: list[Block] = []
    for block in blocks:
        inner: Iterable[Block] = ()
        if getattr(block, "spare", 0) == spare:
            inner = [block]
        elif isinstance(block, Table):
            inner = list_spare((one for below in block.below.values() for one in below), spare)
        elif isinstance(block, Alternatives):
            inner = list_spare((one for version in block.versions for one in version), spare)
        found += [one for one in inner if one not in found]
    return found


def without(blocks: Iterable[Block], spare: int, kept: Collection[Block] = ()) -> list[Block]:
    """Leave out what a report on one screen can do without, also after rows of tables and in alternatives.

    Args:
        spare: That of the blocks that go: 1 for what goes first; 0 always stays.
        kept: Blocks that stay all the same.
    """
    left: list[Block] = []
    for block in blocks:
        if getattr(block, "spare", 0) == spare and block not in kept:
            left += block.instead if isinstance(block, Alternatives) else ()
        elif isinstance(block, Table):
            below = {row: without(inner, spare, kept) for row, inner in block.below.items()}
            left.append(replace(block, below=below))
        elif isinstance(block, Alternatives):
            left.append(replace(block, versions=[without(version, spare, kept) for version in block.versions]))
        else:
            left.append(block)
    return left


def with_texts(block: Block, change: Callable[[str], str]) -> Block:
    """A block with other texts and the same layout.

    Args:
        change: Makes the new text of an old one.
    """
    changed: Block = _changed(block, change)
    return changed


def _changed(part: Any, change: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        return change(part)
    if isinstance(part, TextSpan):
        return TextSpan(change(part.text), part.style)
    if isinstance(part, Mapping):
        return {key: _changed(inner, change) for key, inner in part.items()}
    if isinstance(part, (list, tuple)):
        return type(part)(_changed(inner, change) for inner in part)
    if hasattr(part, "__dataclass_fields__"):
        own = {field.name: getattr(part, field.name) for field in fields(part) if field.name != "style"}
        return replace(part, **{name: _changed(value, change) for name, value in own.items()})
    return part
