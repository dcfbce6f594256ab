"""Effects of edits on the running pipeline: a new `Flow`, or none where that cannot be known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.ops.constants import AUTOTUNE, INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import AUTOTUNED_PREFETCH, CACHE_OVERHEAD_BYTES, COMPONENT_BYTES, ELEMENT_BYTES
from pipeprof.profiles.predict.costs import Costs
from pipeprof.profiles.predict.flow import ONE_CALL, Flow, Part
from pipeprof.profiles.predict.lines import between, fits, not_repeated, put, with_passes_of_input, without
from pipeprof.profiles.predict.read import FUSE, INJECT, POOL_OPTION, SWITCHES


def fewer(part: Part, share: float) -> Part:
    """A stage that gets a share of its elements."""
    calls = part.calls_per_batch * share if part.calls_per_batch is not None else None
    each = part.per_batch * share if part.per_batch is not None else None
    passes = math.ceil(part.passes * share) if part.passes is not None and part.passes > 0 else part.passes
    return replace(part.scaled(share), calls_per_batch=calls, per_batch=each, passes=passes)


def on_batches(part: Part, size: float, costs: Costs) -> Part:
    """A map whose function gets whole batches: a call and its short ops cost once, passing over the bytes as often."""
    calls = part.calls_per_batch or size
    batches = calls / size
    # Where the trace shows no op, a part of what the function takes itself stays.
    own_ms = costs.batched_share * max(0.0, part.computing_ms - part.calling_ms)
    if part.op_ms or part.parsing_ms:
        # An op that parses has the cost of its features in each call.
        others_ms = sum(_op_on_batches(ms, calls, batches, costs) for ms in part.op_ms)
        passed_ms = others_ms + costs.batched_share * part.parsing_ms
    else:
        passed_ms = own_ms
    bytes_ms = calls * (part.element_bytes or 0.0) / costs.bytes_per_us / 1e3
    ms = batches * costs.call_us / 1e3 + max(passed_ms, bytes_ms)
    each = part.element_bytes * size if part.element_bytes is not None else None
    new = replace(part.scaled(0.0), computing_ms=ms, cpu_ms=ms, calls_per_batch=batches)
    return replace(new, per_batch=batches, element_bytes=each, fused=None)


def _op_on_batches(ms: float, calls: float, batches: float, costs: Costs) -> float:
    """Time of an op on whole batches: what each element takes beyond the fixed cost of an op."""
    fixed_ms = costs.op_us / 1e3
    beyond = max(0.0, ms / calls - fixed_ms)
    return batches * fixed_ms + calls * beyond


CALLS, BUFFER = "num_parallel_calls", "buffer_size"
_SAME_OPTIONS = ("deterministic",)
"""Options that change no time that the model knows of."""
ADDED = "added."
"""Beginning of the ids of parts that an edit adds."""


@dataclass(frozen=True)
class Changed:
    """A pipeline after an edit; `bytes` change what it holds at its peak, `None` where sizes are not known."""

    flow: Flow
    bytes: float | None = 0.0

    def then(self, other: Changed) -> Changed:
        """Both changes."""
        known = self.bytes is not None and other.bytes is not None
        return Changed(other.flow, (self.bytes or 0.0) + (other.bytes or 0.0) if known else None)


def apply(flow: Flow, edit: PipelineEdit, costs: Costs) -> Changed | None:
    """Return the pipeline after an edit; ``None`` where the model does not know what it does, or it does not fit."""
    for kind, effect in _EFFECTS.items():
        if isinstance(edit, kind):
            owner = _owner(flow, edit.stage) if isinstance(edit, _MOVES) else None
            if not fits(flow if owner is None else replace(flow, parts=owner.inside), edit):
                return None
            changed = effect(flow, edit, costs) if owner is None else _inside(flow, owner, effect, edit, costs)
            return Changed(_executed(changed.flow, flow, costs), changed.bytes) if changed is not None else None
    return None


def _owner(flow: Flow, stage: str) -> Part | None:
    return next((part for part in flow.parts if any(one.id == stage for one in part.inside)), None)


def _inside(
    flow: Flow, owner: Part, effect: Callable[[Flow, Any, Costs], Changed | None], edit: PipelineEdit, costs: Costs
) -> Changed | None:
    """An effect on what runs inside the functions of a stage: its own times change as theirs do."""
    changed = effect(replace(flow, parts=owner.inside), edit, costs)
    if changed is None:
        return None
    times = {}
    for name in ("computing_ms", "waiting_ms", "cpu_ms"):
        before, after = (sum(getattr(part, name) for part in parts) for parts in (owner.inside, changed.flow.parts))
        times[name] = max(0.0, getattr(owner, name) + after - before)
    return Changed(flow.changed(replace(owner, inside=changed.flow.parts, **times)), changed.bytes)


def _insert(flow: Flow, edit: InsertStage, _costs: Costs) -> Changed | None:
    after = flow.by_id.get(edit.after) if edit.after is not None else _last_written(flow)
    if after is None:
        return None
    number = sum(part.id.startswith(ADDED) for part in flow.parts)
    new = replace(
        after, id=f"{ADDED}{number}", op=edit.op, name=edit.op, reads=(after.id,), ahead=False, calls=ONE_CALL,
        tuned=False, buffer=None, calls_per_batch=None, stateful=None, op_ms=(), parsing_ms=0.0, fused=None,
        injected=False,
    ).scaled(0.0)  # fmt: skip
    if traits(edit.op).prefetches:
        wanted = edit.arguments.get(BUFFER)
        tuned = not isinstance(wanted, int) or wanted < 0
        buffer = math.inf if tuned else float(wanted or 0)
        new = replace(new, ahead=True, tuned=tuned, buffer=buffer)
        held = _bytes_of(new, AUTOTUNED_PREFETCH if tuned else buffer)
        return Changed(put(flow, new, after), held)
    if traits(edit.op).stores and not edit.arguments.get("filename"):
        return _cache(flow, new, after, _costs)
    if traits(edit.op).shuffles:
        # What it holds may be what a cache holds anyway.
        return Changed(put(flow, new, after), None)
    if traits(edit.op).repeats and not edit.arguments:
        return Changed(put(flow, replace(new, passes=INFINITE), after), 0.0)
    return None


def _cache(flow: Flow, new: Part, after: Part, costs: Costs) -> Changed | None:
    """A cache: what comes before it does nothing from the second pass on, where a pass has an end."""
    if after.passes is None:
        return None
    if after.passes < 0:
        # It grows without end and is never read.
        return Changed(put(flow, new, after), None)
    each = CACHE_OVERHEAD_BYTES + COMPONENT_BYTES * (after.components - 1)
    held = after.passes * (after.element_bytes + each) if after.element_bytes is not None else None
    new = new.busier((after.per_batch or 0.0) * costs.cached_us / 1e3)
    flow = put(flow, new, after)
    now = sum(part.held_ms for part in flow.parts)
    flow = flow.changed(*(part.free() for part in (after, *flow.upstream(after))))
    # A pass starts with the making of its first batch.
    left = sum(part.held_ms for part in flow.parts) / now if now > 0 else 1.0
    batches = after.passes / after.per_batch if after.per_batch else math.inf
    restart = max(
        flow.restart_ms * min(1.0, left), costs.epoch_us / 1e3 / max(1.0, batches) if flow.restart_ms else 0.0
    )
    return Changed(replace(flow, restart_ms=restart), held)


def _set_argument(flow: Flow, edit: SetArgument, costs: Costs) -> Changed | None:
    part = flow.by_id.get(edit.stage)
    if part is None:
        return _set_inside(flow, edit)
    row = traits(part.op)
    if edit.argument == CALLS and (row.maps or (row.opens and row.parallel)):
        return with_calls(flow, part, edit.value, costs)
    if edit.argument == CALLS and row.batches:
        # It copies on other threads.
        many = _number(edit.value, flow.pool)
        batch = replace(part, ahead=True, calls=max(ONE_CALL, many), fused=None)
        return Changed(flow.changed(batch), _bytes_of(batch, batch.calls))
    if edit.argument == BUFFER and row.prefetches:
        tuned = edit.value == AUTOTUNE
        buffer = math.inf if tuned else _number(edit.value, math.inf)
        now = part.buffer if part.buffer is not None and math.isfinite(part.buffer) else AUTOTUNED_PREFETCH
        more = (AUTOTUNED_PREFETCH if tuned else buffer) - now
        return Changed(flow.changed(replace(part, buffer=buffer, tuned=tuned)), _bytes_of(part, more))
    if edit.argument == BUFFER and row.shuffles:
        return Changed(flow, _shuffle_bytes(part, edit.value))
    return Changed(flow) if edit.argument in _SAME_OPTIONS else None


def _set_inside(flow: Flow, edit: SetArgument) -> Changed | None:
    """More calls of a serial map inside a function: they leave the thread of the stage that calls the function."""
    owner = _owner(flow, edit.stage)
    if owner is None or edit.argument != CALLS or edit.value is None:
        return None
    inner = next(one for one in owner.inside if one.id == edit.stage)
    if not traits(inner.op).maps or inner.ahead:
        return None
    many = max(ONE_CALL, min(_number(edit.value, flow.pool), flow.pool))
    saved = 1 - 1 / many
    waiting = owner.waiting_ms - saved * inner.waiting_ms
    computing = owner.computing_ms - saved * inner.computing_ms
    new = replace(owner, computing_ms=max(0.0, computing), waiting_ms=max(0.0, waiting))
    return Changed(flow.changed(new), _bytes_of(inner, many))


def with_calls(flow: Flow, part: Part, value: Any, costs: Costs) -> Changed | None:
    """Return the pipeline with another number of calls of a function at a time, as ``num_parallel_calls`` says it."""
    # One dataset of a map and a batch runs ahead of its reader, also with one call at a time.
    fused = any(one.fused == part.id for one in flow.parts)
    if value is None:
        if part.stateful is None:
            return None if part.ahead and not part.tuned else Changed(flow)
        return Changed(flow.changed(replace(part, ahead=fused, calls=ONE_CALL, tuned=False)))
    tuned = value == AUTOTUNE
    many = max(ONE_CALL, _number(value, flow.pool))
    new = replace(part, ahead=True, calls=many, tuned=tuned)
    cores = max(flow.cores, flow.machine_cores)
    if part.ahead and round(part.calls) <= cores < many:
        new = _awake(new, costs, fused=fused)
    return Changed(flow.changed(new), _bytes_of(part, many - (part.calls if part.ahead else 0.0)))


def _awake(part: Part, costs: Costs, *, fused: bool) -> Part:
    """A part with calls enough for its threads not to fall asleep between them: each call costs so much less.

    What is left is no less than a call of next to nothing takes, and what the ops of the function do. A map that is one
    dataset with its batch gives its elements in any order: what its threads idle is the waking as well.
    """
    calls, few = part.calls_per_batch or 0.0, costs.few_calls_us
    if not part.cpu_ms > 0 or not few > costs.many_calls_us:
        return part
    own_ms = sum(part.op_ms) + part.parsing_ms
    spare_ms = max(0.0, part.cpu_ms - own_ms - calls * costs.many_calls_us / 1e3)
    saved = min(calls * (few - costs.many_calls_us) / 1e3, part.cpu_ms * (1 - costs.many_calls_us / few), spare_ms)
    left = 1 - saved / part.cpu_ms
    idle = part.idle_ms if fused else 0.0
    return replace(
        part.scaled(left), waiting_ms=(part.waiting_ms + idle) * left, idle_ms=0.0 if fused else part.idle_ms
    )


def _move(flow: Flow, edit: MoveStage | MoveFilter, costs: Costs) -> Changed | None:
    moved = flow.by_id.get(edit.stage)
    if moved is None:
        return None
    if traits(moved.op).batches:
        return _batch_first(flow, edit.before, edit.stage, costs)
    if traits(moved.op).maps and isinstance(edit, MoveStage):
        return _into_cache(flow, moved, edit.before)
    if traits(moved.op).repeats:
        return _unless_unknown(with_passes_of_input(flow, moved, between(flow, moved.id, edit.before)))
    if not traits(moved.op).drops:
        return None
    return _drop_first(flow, moved, edit.before)


def _into_cache(flow: Flow, moved: Part, before: str) -> Changed | None:
    """A map before a cache that was before it: it does nothing from the second pass on, and the cache holds more."""
    cache = flow.by_id.get(before)
    if cache is None or not traits(cache.op).stores or cache.passes is None or cache.passes < 0:
        return None
    sizes = moved.element_bytes, cache.element_bytes
    more = sizes[0] - sizes[1] if sizes[0] is not None and sizes[1] is not None else None
    each = COMPONENT_BYTES * (moved.components - cache.components)
    freed = replace(moved.free(), calls=ONE_CALL)
    kept = replace(cache, element_bytes=moved.element_bytes, components=moved.components)
    return Changed(flow.changed(freed, kept), cache.passes * (more + each) if more is not None else None)


def _unless_unknown(flow: Flow | None) -> Changed | None:
    return Changed(flow) if flow is not None else None


def _drop_first(flow: Flow, moved: Part, before: str) -> Changed | None:
    """A stage that drops elements before others: these have fewer of them."""
    crossed = between(flow, before, moved.id)
    source = flow.by_id.get(moved.reads[0]) if moved.reads else None
    if not crossed or source is None or not source.per_batch or moved.per_batch is None:
        return None
    left = min(1.0, moved.per_batch / source.per_batch)
    parts = {part.id: fewer(part, left) for part in crossed}
    parts[moved.id] = replace(moved, reads=crossed[0].reads)
    parts[crossed[0].id] = replace(parts[crossed[0].id], reads=(moved.id,))
    if (reader := flow.reader(moved)) is not None:
        parts[reader.id] = reader.reading(moved.id, crossed[-1].id)
    return Changed(flow.changed(*parts.values()))


def _batch_first(flow: Flow, map_id: str, batch_id: str, costs: Costs) -> Changed | None:
    """A batch before a map: one call of its function for the whole batch."""
    part, batch = flow.by_id.get(map_id), flow.by_id.get(batch_id)
    crossed = between(flow, map_id, batch_id)
    if part is None or batch is None or not crossed or not part.calls_per_batch or not batch.per_batch:
        return None
    size = part.calls_per_batch / batch.per_batch
    if size < 1 or any(not traits(one.op).maps and not traits(one.op).by_position for one in crossed):
        return None
    before = flow.by_id.get(part.reads[0]) if part.reads else None
    if before is None:
        return None
    # What the copying of elements of unknown size takes is left out.
    bytes_in = before.element_bytes or 0.0
    new = [on_batches(one, size, costs) if traits(one.op).maps else fewer(one, 1 / size) for one in crossed]
    moved = replace(batch, reads=part.reads, fused=None, ahead=False, element_bytes=bytes_in * size or None)
    if batch.fused is not None:
        moved = moved.busier(_batching_ms(batch, bytes_in, size, costs))
    parts = {one.id: one for one in new}
    parts[part.id] = replace(parts[part.id], reads=(batch.id,))
    parts[batch.id] = moved
    if (reader := flow.reader(batch)) is not None:
        parts[reader.id] = reader.reading(batch.id, crossed[-1].id)
    return Changed(flow.changed(*parts.values()), 0.0)


def _replace(flow: Flow, edit: ReplaceStages, costs: Costs) -> Changed | None:
    gone = [flow.by_id.get(name) for name in edit.stages]
    before = [traits(part.op) if part is not None else None for part in gone]
    after = [traits(stage.op) for stage in edit.by]
    match before, after:
        case [mapped, batch], [batch_first, then_mapped] if mapped is not None and batch is not None:
            if mapped.maps and batch.stacks and batch_first.stacks and then_mapped.maps:
                return _batch_first(flow, edit.stages[0], edit.stages[1], costs)
    if not edit.by and len(gone) == 1 and gone[0] is not None and traits(gone[0].op).repeats:
        return _unless_unknown(not_repeated(flow, gone[0]))
    if edit.by or any(part is None or not traits(part.op).prefetches or len(part.reads) != 1 for part in gone):
        return None
    held: float | None = 0.0
    for part in gone:
        if part is not None:
            most = part.buffer if part.buffer is not None and math.isfinite(part.buffer) else AUTOTUNED_PREFETCH
            freed = _bytes_of(part, most)
            held = held - freed if held is not None and freed is not None else None
            flow = without(flow, part)
    return Changed(flow, held)


def _set_option(flow: Flow, edit: SetOption, _costs: Costs) -> Changed | None:
    if edit.path == POOL_OPTION and isinstance(edit.value, int):
        pool = float(edit.value) if edit.value > 0 else flow.cores
        # TensorFlow lets as many calls run as there are threads, where it chooses.
        tuned = (replace(part, calls=pool) for part in flow.parts if part.tuned and part.ahead and part.buffer is None)
        return Changed(replace(flow.changed(*tuned), pool=pool))
    if edit.path in _SAME_OPTIONS:
        return Changed(flow)
    if edit.path in SWITCHES and edit.value is True:
        return Changed(replace(flow, fuses=True, injects=True))
    if edit.path == FUSE:
        return Changed(replace(flow, fuses=edit.value is not False))
    if edit.path == INJECT:
        return Changed(replace(flow, injects=edit.value is not False))
    return None


_MOVES = (MoveStage, MoveFilter, VectoriseMap)
_EFFECTS: dict[type[PipelineEdit], Callable[[Flow, Any, Costs], Changed | None]] = {
    InsertStage: _insert,
    SetArgument: _set_argument,
    VectoriseMap: lambda flow, edit, costs: _batch_first(flow, edit.stage, edit.batch, costs),
    MoveStage: _move,
    MoveFilter: _move,
    ReplaceStages: _replace,
    SetOption: _set_option,
}


def _executed(flow: Flow, before: Flow, costs: Costs) -> Flow:
    """The flow as TensorFlow would run it: maps and batches fused or not, a prefetch at a synchronous end."""
    for batch in flow.parts:
        source = flow.by_id.get(batch.reads[0]) if len(batch.reads) == 1 else None
        if not traits(batch.op).batches or source is None:
            continue
        fused = _fuses(flow, source, batch)
        if fused and batch.fused is None and batch.id in before.by_id and not _fuses(before, source, batch):
            ahead = replace(source, ahead=True)
            flow = flow.changed(ahead, replace(batch, fused=source.id, ahead=True))
        elif batch.fused is not None and not fused:
            flow = _unfused(flow, batch, costs)
    return _handed_over(_ended(flow), before, costs)


def _fuses(flow: Flow, source: Part, batch: Part) -> bool:
    plain = batch.op == _BATCH and batch.calls <= ONE_CALL
    return flow.fuses and plain and traits(source.op).maps and batch.reads == (source.id,)


_BATCH = "batch"


def _unfused(flow: Flow, batch: Part, costs: Costs) -> Flow:
    """A map and a batch that were one dataset, apart: the batch copies on the thread of its reader."""
    head = flow.by_id.get(batch.fused or "")
    if head is None:
        return flow
    size = (head.per_batch or 0.0) / (batch.per_batch or 1.0)
    copying = _batching_ms(batch, head.element_bytes or 0.0, size, costs)
    ahead = batch.calls > ONE_CALL
    alone = replace(batch, fused=None, ahead=ahead).busier(copying)
    serial = head.calls <= ONE_CALL and not head.tuned
    return flow.changed(alone, replace(head.busier(-min(copying, head.computing_ms)), ahead=not serial))


def _batching_ms(batch: Part, element_bytes: float, size: float, costs: Costs) -> float:
    rows = size * (batch.per_batch or 1.0)
    return rows * (costs.row_us + element_bytes / costs.bytes_per_us) / 1e3


def _ended(flow: Flow) -> Flow:
    """The flow with a tuned prefetch at its end, where the last written part is synchronous and TensorFlow adds one."""
    last = _last_written(flow)
    added = next((part for part in flow.parts if part.injected), None)
    if last is None:
        return flow
    if last.ahead and added is not None:
        return replace(flow, parts=tuple(part for part in flow.parts if part is not added))
    if added is not None:
        return flow.changed(replace(added, reads=(last.id,)))
    if last.ahead or not flow.injects:
        return flow
    new = Part("injected", _PREFETCH, _PREFETCH, (last.id,), ahead=True, tuned=True, buffer=math.inf, injected=True)
    return replace(flow, parts=(*flow.parts, replace(new, per_batch=last.per_batch)))


_PREFETCH = "prefetch"


def _handed_over(flow: Flow, before: Flow, costs: Costs) -> Flow:
    """The flow with the passing of elements between threads where an edit has added threads."""
    for part in flow.parts:
        known = before.by_id.get(part.id)
        if not part.ahead or part.fused is not None or (known is not None and known.ahead):
            continue
        half = (part.per_batch or 0.0) * costs.hand_over_us / 2e3
        reader = flow.reader(part)
        ends = [flow.by_id[name] for name in part.reads if name in flow.by_id]
        touched = [one.busier(half) for one in (*ends, *([reader] if reader is not None else []))]
        flow = flow.changed(*touched)
    return flow


def _last_written(flow: Flow) -> Part | None:
    end = flow.end
    while end is not None and end.injected:
        end = flow.by_id.get(end.reads[0]) if end.reads else None
    return end


def _bytes_of(part: Part, elements: float) -> float | None:
    """Bytes of so many buffered elements."""
    if part.element_bytes is None or not math.isfinite(elements):
        return None
    return elements * (part.element_bytes + ELEMENT_BYTES + COMPONENT_BYTES * part.components)


def _shuffle_bytes(part: Part, value: Any) -> float | None:
    """Change of what a shuffle holds, as far as there are elements."""
    if part.held is None or not isinstance(value, int):
        return None
    most = float(part.passes) if part.passes is not None and part.passes >= 0 else math.inf
    return _bytes_of(part, min(float(value), most) - part.held)


def _number(value: Any, tuned: float) -> float:
    return float(value) if isinstance(value, int) and value > 0 else tuned
