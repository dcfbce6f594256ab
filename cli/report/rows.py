"""Rows of a table of stages: one for each line of code, however many datasets it makes; their names and numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterable, Sequence
from typing import NamedTuple

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.top_stage import as_one
from pipeprof.profiles.wording import call_around, significant, stage_name

_DIFFERS = 0.02
"""Difference from one element in for one out from which it is shown."""


class Row(NamedTuple):
    """A stage, or all those that one call in the code makes, with their times and bytes together.

    Attributes:
        stage: The first of them; with the name of the call as its op, if TensorFlow made them inside of one.
        times: How often the code made it.
    """

    stage: Stage
    ids: frozenset[str]
    times: int


def rows_per_line(stages: Sequence[Stage]) -> list[Row]:
    """Put the stages of one line of code into one row, where the first of them stands.

    Stages of a line that are calls of different functions keep their rows; so do those that a library made for the
    user's call, which has lines of its own for them.
    """
    found: dict[Hashable, list[Stage]] = defaultdict(list)
    for stage in stages:
        found[_line_of_code(stage)].append(stage)
    in_turn = {stage.id for stage in stages if traits(stage.op).cardinality == "sum"}
    return [_merged(group, in_turn) for group in found.values()]


def _line_of_code(stage: Stage) -> Hashable:
    place = stage.location
    if place is None or place.column is None or stage.origin != "written":
        return stage.id
    inside = call_around(stage.op, place) if stage.library is None else None
    kind = inside or (stage.op, stage.name, stage.fused_with is not None, stage.library and stage.library.line)
    return (place.file, place.line, place.column, kind)


def _merged(group: Sequence[Stage], in_turn: Container[str]) -> Row:
    """One row of all of them; stages `in_turn` read their inputs one after the other."""
    first = min(group, key=lambda stage: stage.depth)
    ids = frozenset(stage.id for stage in group)
    if len(group) == 1:
        return Row(first, ids, 1)
    inside = call_around(first.op, first.location) if first.library is None else None
    # What goes into a call is counted where its elements come out.
    known = [stage for stage in group if stage.inputs_each]
    known = ([stage for stage in known if stage.depth == first.depth] or known) if inside else known
    most = max(known, key=lambda stage: (stage.inputs_each or 0.0) if inside else (stage.elements or 0), default=first)
    update: dict[str, object] = {
        "inputs_each": most.inputs_each if inside else _inputs_of_all(known),
        "inputs_each_by": most.inputs_each_by,
    }
    if inside:
        update |= {"op": inside, "name": None, "executed": None, "fused_with": None}
    if len({part for stage in group if (part := _part_of(stage, in_turn)) is not None}) >= len(group) - 1:
        # Each is in a part of its own, the first perhaps in the line that the others join: one at a time is read.
        fullest = max(group, key=lambda stage: stage.buffered_bytes or 0)
        update |= {"buffered_bytes": fullest.buffered_bytes, "buffered_elements": fullest.buffered_elements}
    together = as_one([first, *(stage for stage in group if stage is not first)])
    return Row(together.model_copy(update=update), ids, 1 if inside else len(group))


def _part_of(stage: Stage, in_turn: Container[str]) -> tuple[str, str] | None:
    """The input that a stage is in, of a stage that reads them one after the other; None for one in no such input."""
    reader, _, inside = stage.id.rpartition(".inputs.")
    return (reader, inside.partition(".")[0]) if reader in in_turn else None


def _inputs_of_all(group: Sequence[Stage]) -> float | None:
    """Elements that go into all of them together for one that comes out."""
    given = sum(stage.elements or 0 for stage in group)
    taken = sum((stage.elements or 0) * (stage.inputs_each or 0.0) for stage in group)
    return taken / given if given else next((stage.inputs_each for stage in group), None)


def write_inputs(stage: Stage) -> str:
    """Elements that go into a stage for those that come out: ``4:1`` of a shard, ``~20:1`` if counted over a part."""
    each = stage.inputs_each
    if not each or abs(each - 1) < _DIFFERS or traits(stage.op).stacks:
        return ""
    about = "~" if stage.inputs_each_by == "counters" else ""
    return f"{about}{_short(each)}:1" if each > 1 else f"{about}1:{_short(1 / each)}"


def note_inputs(stages: Iterable[Stage]) -> str:
    """Explain the column of `write_inputs`, and its mark where a stage has one; empty without a number there."""
    shown = [text for stage in stages if (text := write_inputs(stage))]
    if not shown:
        return ""
    partly = any(text.startswith("~") for text in shown)
    return f"in:out: elements that go in and come out{' (~ counted over part of an epoch)' if partly else ''}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{float(significant(number, 2)):g}"


def number_of(stage_id: str) -> str:
    """A stage's address as short as it stays unambiguous: ``stages.1.stages.0`` is ``1.0``, ``source`` stays.

    The sides of a stage with several inputs stand behind a slash.

    Example:
        >>> number_of("stages.1.source"), number_of("source.inputs.0.stages.1"), number_of("injected.0")
        ('1.source', 'source/0.1', '+')
    """
    if stage_id.startswith("injected"):
        return "+"
    parts = (part for part in stage_id.split(".") if part != "stages")
    return ".".join(parts).replace(".inputs.", "/").replace(".datasets.", "/")


def name_row(stage: Stage) -> str:
    """A stage as tables name it: ``decode (map)``, or the op alone."""
    return f"{stage_name(stage)} ({stage.op})" if stage.name and stage.name != stage.op else stage.op


def name_alone(stage: Stage) -> str:
    """Name a stage as its row does: those that a library makes for one call of the user's have rows of their own."""
    return stage.name or stage.op if stage.library is not None else stage_name(stage)


def name_rows(stages: Sequence[Stage] | None) -> dict[str, str]:
    """The names of all stages by id; a number goes with those that share a name."""
    names = [name_row(stage) for stage in stages or ()]
    return {
        stage.id: f"{name}, {number_of(stage.id)}" if names.count(name) > 1 and stage.id != "source" else name
        for stage, name in zip(stages or (), names, strict=True)
    }


def write_share(share: float | None) -> str:
    """A share as whole percent, ``<1 %`` below half a percent."""
    if share is None:
        return ""
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"
