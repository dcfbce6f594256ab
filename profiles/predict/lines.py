"""Parts that come, go or repeat in the lines of a pipeline: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeprof.pipelines.changes.chain import CannotChangeError, apply, chain_of
from pipeprof.pipelines.changes.edits import MoveFilter, PipelineEdit, VectoriseMap
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.predict.flow import Flow, Part


def between(flow: Flow, first: str, last: str) -> list[Part]:
    """The parts from one to before a later one, in the order of the data; empty where the two are not in a row."""
    found: list[Part] = []
    part = flow.by_id.get(last)
    while part is not None and part.id != first:
        part = flow.by_id.get(part.reads[0]) if len(part.reads) == 1 else None
        if part is not None:
            found.insert(0, part)
    return found if part is not None else []


def fits(flow: Flow, edit: PipelineEdit) -> bool:
    """Whether the stages that an edit is about allow it, as far as they are in a row of the flow."""
    if not isinstance(edit, VectoriseMap | MoveFilter):
        return True
    first, last = (edit.before, edit.stage) if isinstance(edit, MoveFilter) else (edit.stage, edit.batch)
    row = [*between(flow, first, last), *(part for part in flow.parts if part.id == last)]
    try:
        apply(chain_of((part.id, part.op) for part in row), edit)
    except CannotChangeError:
        return False
    return True


def put(flow: Flow, new: Part, after: Part) -> Flow:
    """The flow with a part between another one and its reader."""
    parts: list[Part] = []
    for part in flow.parts:
        parts.append(part.reading(after.id, new.id))
        if part.id == after.id:
            parts.append(new)
    return replace(flow, parts=tuple(parts))


def without(flow: Flow, gone: Part) -> Flow:
    """The flow without a part, whose reader reads what it has read."""
    left = (part.reading(gone.id, gone.reads[0]) for part in flow.parts if part.id != gone.id)
    return replace(flow, parts=tuple(left))


def not_repeated(flow: Flow, gone: Part) -> Flow | None:
    """The flow without a `repeat`: the stages after it have an end where its input has one."""
    crossed, part = [], flow.reader(gone)
    while part is not None and part.passes == INFINITE and takes_each_alone(part):
        crossed.append(part)
        part = flow.reader(part)
    changed = with_passes_of_input(flow, gone, crossed)
    return without(changed, gone) if changed is not None else None


def takes_each_alone(part: Part) -> bool:
    """Whether a part has as many passes as what it reads, each of its elements or of those that it keeps."""
    row = traits(part.op)
    return row.maps or row.predicate or row.prefetches or row.shuffles


def with_passes_of_input(flow: Flow, repeat: Part, crossed: Sequence[Part]) -> Flow | None:
    """The flow in which stages that take each element alone have an end where the input of a `repeat` has one."""
    source = flow.by_id.get(repeat.reads[0]) if repeat.reads else None
    if not crossed or source is None:
        return None
    passes, found = source.passes, []
    before = repeat
    for part in crossed:
        if traits(part.op).predicate and passes and passes > 0 and part.per_batch and before.per_batch:
            passes = max(1, round(passes * part.per_batch / before.per_batch))
        found.append(replace(part, passes=passes))
        before = part
    return flow.changed(*found)
