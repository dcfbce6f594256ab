"""Whether a change of order or of random numbers is none, because each run draws them anew anyway: pure functions.

An order that a shuffle without a seed draws is random before the change. It stays so if every epoch still draws a new
one, no element can move less far than before, and single elements are shuffled among as many others as before: where
only names of files were shuffled, the elements of a file stay together, as what a loss compares may have to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, ReplaceStages, SetArgument
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import line_of
from pipeprof.profiles.propose.proposal import Proposal, Redrawn, Semantics
from pipeprof.profiles.verify.guessing.caching import pass_count

CALLS_AT_A_TIME = frozenset({"num_parallel_calls", "num_parallel_reads", "cycle_length"})
"""Arguments that change the order of elements and nothing else of them."""


@dataclass(frozen=True)
class OrderPart:
    """A stage of a line, as far as it decides about the order of elements.

    Attributes:
        kind: `cache` repeats the order of the first epoch, `regroups` makes other elements of those that it gets.
        buffer: Elements that a shuffle holds, infinite if it holds all of a pass; None if unknown.
        seeded: Whether it draws the same order in each run; None if unknown.
        reshuffles: Whether it draws a new order in each epoch; None if unknown.
    """

    kind: Literal["shuffle", "cache", "regroups", "other"]
    buffer: float | None = None
    seeded: bool | None = None
    reshuffles: bool | None = None


def stays_random(before: Sequence[OrderPart], after: Sequence[OrderPart], *, seed: bool) -> bool:
    """Whether a line draws a random order in each epoch, and a change leaves what is shuffled, and how far, as it is.

    Args:
        before: The line as it is, up to the last stage that the change is about.
        seed: Whether the process has a seed.
    """
    shuffles = [part for part in (*before, *after) if part.kind == "shuffle"]
    if seed or any(part.seeded is not False or part.reshuffles is not True for part in shuffles):
        return False
    reach = _reach(before, unknown=math.inf)
    if not reach or list(before) == list(after):
        return reach > 0
    singly = _reach(before, unknown=math.nan, singly=True) == _reach(after, unknown=math.nan, singly=True)
    return singly and reach <= _reach(after, unknown=0)


def _reach(line: Sequence[OrderPart], *, unknown: float, singly: bool = False) -> float:
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


def as_redrawn(profile: Profile, proposal: Proposal) -> Proposal:
    """The same proposal; its class is `same` where all that it changes is drawn anew in each run anyway."""
    redrawn = drawn_anew(profile, proposal.semantics, proposal.edits)
    return proposal if redrawn is None else replace(proposal, semantics="same", redrawn=redrawn)


def reclassify(profile: Profile) -> None:
    """Give the findings and proposals of a profile the class that they have where nothing is seeded."""
    for finding in (*(profile.findings or ()), *profile.proposals):
        redrawn = drawn_anew(profile, finding.semantics, finding.edits) if finding.is_known else None
        if redrawn is not None:
            finding.semantics, finding.redrawn = "same", redrawn


def drawn_anew(profile: Profile, semantics: Semantics | None, edits: Sequence[PipelineEdit]) -> Redrawn | None:
    """What edits change, if that is only what each run of the pipeline as it is draws anew; None where it is not."""
    if semantics == "order" and order_is_drawn_anew(profile, edits):
        return "order"
    return "randomness" if semantics == "randomness" and nothing_is_seeded(profile) else None


def nothing_is_seeded(profile: Profile) -> bool:
    """Whether no run of the pipeline repeats what another one draws: neither it nor a stage has a seed.

    A seed of the program (`tf.random.set_seed`) is in the graph's ops. What Python draws is not known.
    """
    stages = profile.stages or ()
    drawn = all(one.seeded is False for one in stages if one.random)
    return profile.seed is None and drawn and all(one.shuffle.seeded is False for one in stages if one.shuffle)


def order_is_drawn_anew(profile: Profile, edits: Sequence[PipelineEdit]) -> bool:
    """Whether edits that change the order of elements leave a random order as random as it is.

    Args:
        profile: Of a run; False where it does not have what that takes.
    """
    lines = _lines(profile, edits)
    if lines is None:
        return False
    before, after = lines
    return stays_random(before, after, seed=profile.seed is not None)


def _lines(profile: Profile, edits: Sequence[PipelineEdit]) -> tuple[list[OrderPart], list[OrderPart]] | None:
    """The parts of the line that edits are about, before and after them; None for edits that are not understood."""
    places = [place for edit in edits for place in _places(edit)]
    line = line_of(profile, places[0]) if places and places[0] is not None else []
    known = {stage.id: number for number, stage in enumerate(line)}
    if not line or any(place not in known for place in places):
        return None
    last = max(known[edit.after or ""] for edit in edits if isinstance(edit, InsertStage)) if _inserts(edits) else None
    last = max((known[place] for place in places if place is not None), default=0) if last is None else last
    parts = [_part(profile, line, number) for number in range(last + 1)]
    after: list[tuple[str, OrderPart]] = list(zip(known, parts, strict=False))
    for edit in edits:
        stage = line[known[_places(edit)[0] or ""]]
        if isinstance(edit, SetArgument):
            # What was read one after the other is read in turn: neighbours are torn apart as by a shuffle.
            if edit.argument not in CALLS_AT_A_TIME or not traits(stage.op).parallel:
                return None
        elif isinstance(edit, InsertStage):
            place = max(number for number, (name, _) in enumerate(after) if name == edit.after)
            after.insert(place + 1, (edit.after or "", _new(profile, line, known[edit.after or ""], edit)))
        elif isinstance(edit, MoveStage) and traits(stage.op).shuffles:
            moved = after.pop(next(number for number, (name, _) in enumerate(after) if name == edit.stage))
            after.insert(next(number for number, (name, _) in enumerate(after) if name == edit.before), moved)
        elif not _moves_a_repeat(edit, stage):
            return None
    return parts, [part for _, part in after]


def _moves_a_repeat(edit: PipelineEdit, stage: Stage) -> bool:
    """Whether all that an edit does is to take a stage that repeats elements from its place."""
    moves = isinstance(edit, MoveStage) or (isinstance(edit, ReplaceStages) and not edit.by)
    return moves and traits(stage.op).repeats


def _inserts(edits: Sequence[PipelineEdit]) -> bool:
    return any(isinstance(edit, InsertStage) for edit in edits)


def _places(edit: PipelineEdit) -> list[str | None]:
    """Addresses of the stages that an edit is about; a None where it is not understood."""
    if isinstance(edit, InsertStage):
        return [edit.after]
    if isinstance(edit, ReplaceStages):
        return list(edit.stages)
    if isinstance(edit, MoveStage):
        return [edit.stage, edit.before]
    return [edit.stage] if isinstance(edit, SetArgument) else [None]


def _part(profile: Profile, line: Sequence[Stage], place: int) -> OrderPart:
    stage, row = line[place], traits(line[place].op)
    facts = stage.shuffle
    if row.stores:
        return OrderPart("cache")
    if facts is not None:
        return OrderPart("shuffle", _buffer(profile, line, place, facts.buffer_size), facts.seeded, facts.reshuffles)
    if row.shuffles or (stage.tf_op is not None and traits(executed(stage.tf_op).op).shuffles):
        return OrderPart("shuffle")
    return OrderPart("regroups" if row.regroups or row.opens else "other")


def _new(profile: Profile, line: Sequence[Stage], place: int, edit: InsertStage) -> OrderPart:
    row, given = traits(edit.op), edit.arguments
    if row.shuffles:
        size = given.get("buffer_size")
        seeded, again = given.get("seed") is not None, given.get("reshuffle_each_iteration", True) is not False
        return OrderPart(
            "shuffle", _buffer(profile, line, place, size if isinstance(size, int) else None), seeded, again
        )
    return OrderPart("cache" if row.stores else "regroups" if row.regroups or row.opens else "other")


def _buffer(profile: Profile, line: Sequence[Stage], place: int, size: int | None) -> float | None:
    """Elements that a shuffle at a place holds, infinite if that are all of a pass."""
    if size is None or profile.steps is None:
        return None
    count = pass_count(line, place, profile.steps)
    return math.inf if count is not None and size >= count else float(size)
