"""Whether a change of order or of random numbers is none, because each run draws them anew anyway.

An order that a shuffle without a seed draws is random before the change. It stays so if every epoch still draws a new
one, no element can move less far than before, and single elements are shuffled among as many others as before: where
only names of files were shuffled, the elements of a file stay together, as what a loss compares may have to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, ReplaceStages, SetArgument
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.cache_places import pass_count
from pipeprof.profiles.advise.facts.work import line_of
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView

_AT_A_TIME: Final = frozenset({"num_parallel_calls", "num_parallel_reads", "cycle_length"})
"""Arguments that change the order of elements and nothing else of them."""


class _Part(NamedTuple):
    """A stage of a line, as far as it decides about the order of elements.

    A cache repeats the order of the first epoch. The buffer of a shuffle is infinite if it holds all of a pass, None if
    unknown; it is drawn where no other run and no other epoch has its order.
    """

    kind: Literal["shuffle", "cache", "regroups", "other"]
    buffer: float | None = None
    drawn: bool = False


def as_redrawn(view: PipelineView, proposal: Proposal) -> Proposal:
    """The same proposal; its class is `same` where all that it changes is drawn anew in each run anyway."""
    if proposal.semantics == "order" and _order_is_drawn_anew(view, proposal.edits):
        return replace(proposal, semantics="same", redrawn="order")
    if proposal.semantics == "randomness" and _nothing_is_seeded(view):
        return replace(proposal, semantics="same", redrawn="randomness")
    return proposal


def _nothing_is_seeded(view: PipelineView) -> bool:
    """Whether no run repeats what another one draws, as far as known: what Python draws is not."""
    rows = [stage.measured for stage in view.stages if stage.measured is not None]
    unseeded = view.profile is not None and view.profile.seed is None
    drawn = all(row.seeded is False for row in rows if row.random)
    return unseeded and drawn and all(row.shuffle.seeded is False for row in rows if row.shuffle)


def _order_is_drawn_anew(view: PipelineView, edits: Sequence[PipelineEdit]) -> bool:
    """Whether edits that change the order of elements leave a random order as random as it is."""
    parts = _before_and_after(view, edits)
    if parts is None or view.profile is None or view.profile.seed is not None:
        return False
    before, after = parts
    if not all(part.drawn for part in (*before, *after) if part.kind == "shuffle"):
        return False
    reach = _reach(before, unknown=math.inf)
    if not reach or before == after:
        return reach > 0
    singly = _reach(before, unknown=math.nan, singly=True) == _reach(after, unknown=math.nan, singly=True)
    return singly and reach <= _reach(after, unknown=0)


def _reach(line: Sequence[_Part], *, unknown: float, singly: bool = False) -> float:
    """Elements by which the shuffles after the last cache can move one; `unknown` where that cannot be compared.

    Args:
        singly: Of shuffles of the last stage's own elements only, not of files or batches that they come from.
    """
    total = 0.0
    for part in line:
        if part.kind == "cache":
            total = 0.0
        elif part.kind == "regroups":
            total = 0.0 if singly else unknown if 0 < total < math.inf else total
        elif part.kind == "shuffle":
            total += unknown if part.buffer is None else part.buffer
    return total


def _before_and_after(view: PipelineView, edits: Sequence[PipelineEdit]) -> tuple[list[_Part], list[_Part]] | None:
    """The parts of the line that edits are about, before and after them; None for edits that are not understood."""
    places = [place for edit in edits for place in _places(edit)]
    first = view.by_id.get(places[0] or "") if places else None
    line = line_of(view, first) if first is not None else []
    known = {stage.id: number for number, stage in enumerate(line)}
    if not line or any(place not in known for place in places):
        return None
    inserted = [known[edit.after or ""] for edit in edits if isinstance(edit, InsertStage)]
    last = max(inserted or [known[place] for place in places if place is not None])
    parts = [_part(view, line, stage) for stage in line[: last + 1]]
    after: list[tuple[str, _Part]] = list(zip(known, parts, strict=False))
    for edit in edits:
        stage = line[known[_places(edit)[0] or ""]]
        if isinstance(edit, SetArgument):
            # What was read one after the other is read in turn: neighbours are torn apart as by a shuffle.
            if edit.argument not in _AT_A_TIME or not traits(stage.op).parallel:
                return None
        elif isinstance(edit, InsertStage):
            place = max(number for number, (name, _) in enumerate(after) if name == edit.after)
            after.insert(place + 1, (edit.after or "", _new(view, line, stage, edit)))
        elif isinstance(edit, MoveStage) and traits(stage.op).shuffles:
            moved = after.pop(next(number for number, (name, _) in enumerate(after) if name == edit.stage))
            after.insert(next(number for number, (name, _) in enumerate(after) if name == edit.before), moved)
        elif not traits(stage.op).repeats or (isinstance(edit, ReplaceStages) and edit.by):
            return None
    return parts, [part for _, part in after]


def _places(edit: PipelineEdit) -> list[str | None]:
    match edit:
        case InsertStage():
            return [edit.after]
        case ReplaceStages():
            return list(edit.stages)
        case MoveStage():
            return [edit.stage, edit.before]
        case SetArgument():
            return [edit.stage]
    return [None]


def _part(view: PipelineView, line: Sequence[StageView], stage: StageView) -> _Part:
    row = traits(stage.op)
    facts = stage.measured.shuffle if stage.measured is not None else None
    if row.stores:
        return _Part("cache")
    if facts is not None:
        drawn = facts.seeded is False and facts.reshuffles is True
        return _Part("shuffle", _buffer(view, line, stage, facts.buffer_size), drawn)
    if row.shuffles or (stage.executed_op is not None and traits(executed(stage.executed_op).op).shuffles):
        return _Part("shuffle")
    return _Part("regroups" if row.regroups or row.opens else "other")


def _new(view: PipelineView, line: Sequence[StageView], stage: StageView, edit: InsertStage) -> _Part:
    row, given = traits(edit.op), edit.arguments
    if row.shuffles:
        size = given.get("buffer_size")
        drawn = given.get("seed") is None and given.get("reshuffle_each_iteration", True) is not False
        return _Part("shuffle", _buffer(view, line, stage, size if isinstance(size, int) else None), drawn)
    return _Part("cache" if row.stores else "regroups" if row.regroups or row.opens else "other")


def _buffer(view: PipelineView, line: Sequence[StageView], stage: StageView, size: int | None) -> float | None:
    if size is None:
        return None
    count = pass_count(view, line, stage)
    return math.inf if count is not None and size >= count else float(size)
