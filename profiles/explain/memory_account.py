"""From what a run saw of memory to the profile's ledger, its series, and what is to be said of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.advise.memory import memory_prediction, own_share
from pipeprof.profiles.advise.prediction import MemoryPrediction
from pipeprof.profiles.explain.memory_buffers import Look, looks_of
from pipeprof.profiles.explain.memory_growth import epochs_of, growth_of, series_of
from pipeprof.profiles.explain.memory_ledger import (
    POOLED_BYTES,
    Buffer,
    Facts,
    Ledger,
    Reading,
    Source,
    reconcile,
)
from pipeprof.profiles.profile import AutotuneMemory, LedgerEntry, Memory, Message, Owner

if TYPE_CHECKING:
    from pipeprof.profiles.advise.view import PipelineView, StageView
    from pipeprof.profiles.profile import Profile

_FILE_BYTES = 1_000_000
_UNCOUNTED = ("runtime", "source", "shuffle", "cache", "python")
_SAME_PEAK = 0.98
_FULL = 0.5
PYTHON_BYTES = 32_000_000
"""Large objects count from here on: TensorFlow and what it imports hold some 10 MB of them."""
_WINDOWS = {"warmup": "warmup", "measure": "measure", "first": "first_element"}


@dataclass(frozen=True)
class Seen:
    """What there is to account with.

    Attributes:
        document: The worker's, from `MemoryLog.document`.
        looks: Its looks, with the buffers at their stages.
        view: The pipeline as it was built and measured.
        origin: Monotonic time at which the profile's series begin.
        predicted: What was predicted from the pipeline alone; None if it could not be.
        children: There were child processes.
    """

    document: Mapping[str, Any]
    looks: Sequence[Look]
    view: PipelineView
    origin: float
    predicted: MemoryPrediction | None = None
    children: bool = False


def account(profile: Profile, seen: Seen) -> list[Message]:
    """Fill in the ledger and all that belongs to it; returns what a reader should be told."""
    memory = profile.memory
    memory.series = series_of(seen.looks, seen.origin)
    memory.epochs = epochs_of(seen.looks, profile.series, seen.origin)
    memory.growth = growth_of(seen.looks, profile.series, seen.origin)
    if memory.peak_bytes is None:
        return []
    facts = _facts(memory, seen)
    if facts is None:
        return []
    ledger = reconcile(facts)
    memory.ledger = _entries(ledger, seen.predicted)
    memory.unexplained_bytes = ledger.unexplained
    if seen.predicted is not None:
        memory.predicted_bytes = seen.predicted.peak_bytes
    memory.autotune = _autotune(memory, seen, profile.host.memory_limit_bytes)
    return _messages(memory)


def looks(
    graphs: Mapping[str, Any], document: Mapping[str, Any], *, by_address: bool, ops: Mapping[str, str] | None
) -> list[Look]:
    """The worker's looks, placed on the graphs that it sent."""
    return looks_of(graphs["written"], graphs["executed"], document["looks"], by_address=by_address, ops=ops)


def before_running(view: PipelineView, arrays: int) -> MemoryPrediction:
    """The prediction from what is written alone: nothing measured of a stage is used.

    Args:
        view: The pipeline.
        arrays: Bytes of the sources' arrays that are still there when it has been made.
    """
    stages = tuple(replace(stage, measured=None) for stage in view.stages)
    nominal = sum(stage.source_bytes or 0 for stage in stages)
    return memory_prediction(replace(view, kind="static", stages=stages, profile=None), kept=2 * arrays >= nominal)


def _facts(memory: Memory, seen: Seen) -> Facts | None:
    document = seen.document
    readings = {
        one["name"]: Reading(**{key: value for key, value in one.items() if key != "name"})
        for one in document["readings"]
        if one["rss"] is not None
    }
    moment = _moment(memory, readings)
    if "import" not in readings or moment is None or memory.peak_bytes is None:
        return None
    view = seen.view
    held = memory_prediction(view)
    look = _fullest(seen.looks, _WINDOWS.get(moment))
    first = next((one for one in seen.looks if one.phase == "first_element"), None)
    python = document["python"]
    data = document["mapped_data"]
    return Facts(
        readings=readings,
        peak=memory.peak_bytes,
        moment=moment,
        sources=tuple(_sources(view)),
        arrays=python["arrays"],
        python=python["others"] if python["others"] >= PYTHON_BYTES else 0,
        children=_children(memory, readings[moment]) if seen.children else 0,
        libraries=max(0, (readings[moment].file or 0) - (readings["import"].file or 0) - data),
        files=data if data >= _FILE_BYTES else 0,
        buffers=tuple(_buffers(view, held, look)) if look is not None else (),
        first=tuple(_buffers(view, held, first)) if first is not None else (),
        live=look.live if look is not None else None,
        batch_bytes=document["batch_bytes"],
        making=tuple(_making(view, held, look, document["batch_bytes"])),
        trimmed=document["trimmed"],
        pool_scale=_pool_scale(seen, held, look, readings),
        aliases=tuple((one.owner, one.stage) for one in held.held if one.how == "alias"),
        captured=any(stage.function is not None and (stage.function.constant_bytes or 0) for stage in view.stages),
    )


def _moment(memory: Memory, readings: Mapping[str, Reading]) -> str | None:
    """The reading that ends the stretch in which the peak was reached."""
    phase = memory.peak_phase
    if phase == "first_element":
        made, first = readings.get("iterator"), readings.get("first")
        if made is not None and made.peak and first is not None and made.peak >= _SAME_PEAK * (first.peak or 0):
            return "iterator"
        return "first" if first is not None else None
    name = {"import": "import", "data": "build"}.get(phase or "", phase)
    return name if name in readings else None


def _children(memory: Memory, reading: Reading) -> int:
    """Memory of child processes at the peak, which was measured of all together."""
    return max(0, (memory.peak_bytes or 0) - (reading.peak or reading.rss))


def _fullest(looks: Iterable[Look], phase: str | None) -> Look | None:
    mine = [look for look in looks if look.phase == phase]
    return max(mine, key=lambda look: look.total, default=None)


def _sources(view: PipelineView) -> Iterable[Source]:
    for stage in view.stages:
        if stage.source_bytes and stage.owner is None:
            yield Source(stage.id, stage.source_bytes, bool(stage.constant))


def _buffers(view: PipelineView, held: MemoryPrediction, look: Look) -> Iterable[Buffer]:
    aliases = {(one.stage, one.owner) for one in held.held if one.how == "alias"}
    for stage_id, one in look.by_stage.items():
        stage = view.by_id.get(stage_id)
        if stage is None:
            yield Buffer(one.owner, stage_id, one.bytes, one.elements)
            continue
        given = stage if one.owner in ("parallel", "batch") else (view.input_of(stage) or stage)
        sizes = [component.nbytes for component in given.element or ()]
        known = [size for size in sizes if size is not None]
        unsized = any(
            component.dtype in ("string", "variant") or component.nbytes is None for component in given.element or ()
        ) and any(component.dtype in ("string", "variant") for component in given.element or ())
        share = own_share(view, given) if one.owner in ("shuffle", "cache", "prefetch") else 1.0
        each = one.bytes / one.elements if one.elements else 0.0
        texts = unsized and all(component.dtype != "variant" for component in given.element or ())
        if texts:
            pooled = 0.0
        elif known and not unsized and sum(known):
            pooled = sum(size for size in known if size >= POOLED_BYTES) / sum(known)
        else:
            pooled = 1.0 if each >= POOLED_BYTES else 0.0
        yield Buffer(
            one.owner,
            stage_id,
            one.bytes * share,
            one.elements,
            pooled=pooled,
            unsized=unsized,
            texts=texts,
            weight=_weight(view, given),
            alias=(stage_id, one.owner) in aliases,
            overhead=held.overhead_of(one.owner, given),
        )


def _pool_scale(seen: Seen, held: MemoryPrediction, fullest: Look | None, readings: Mapping[str, Reading]) -> float:
    """How much more the pool has in use than the buffered tensors count, where least else was in it."""
    made = readings.get("iterator")
    if fullest is None or made is None or made.live is None:
        return 1.0
    consumer = seen.document["batch_bytes"] or 0.0
    ratios = []
    for look in seen.looks:
        if look.phase != fullest.phase or look.live is None or look.total < _FULL * fullest.total:
            continue
        buffers = [one for one in _buffers(seen.view, held, look) if not one.alias]
        pooled = sum(one.bytes * one.pooled for one in buffers)
        if not pooled or any(one.unsized for one in buffers):
            continue
        beside = consumer if consumer >= POOLED_BYTES else 0.0
        ratios.append((look.live - made.live - beside) / pooled)
    return min(max(min(ratios, default=1.0), 1.0), 2.0)


def _weight(view: PipelineView, stage: StageView) -> float:
    """Elements of the source in one element that comes out of a stage."""
    weight = 1.0
    for one in (stage, *view.below(stage)):
        size = one.arguments.get("batch_size")
        if isinstance(size, int) and size > 0:
            weight *= size
    return weight


def _making(
    view: PipelineView, held: MemoryPrediction, look: Look | None, batch_bytes: float | None
) -> Iterable[tuple[Owner, str, int]]:
    """Batches in the making and calls under way, which no buffer holds yet, and room that was filled between looks."""
    for one in held.held:
        if one.owner == "batch":
            yield one.owner, one.stage, one.bytes
        elif one.owner == "parallel":
            there = look.by_stage.get(one.stage) if look is not None else None
            calls = view.by_id[one.stage].measured
            if there is None or calls is None or not there.elements:
                yield one.owner, one.stage, one.bytes
            else:
                # Every call under way makes a result as large as those that wait.
                under_way = min(view.cores, math.ceil(calls.parallelism or 1))
                yield one.owner, one.stage, round(there.bytes / there.elements * under_way)
    for stage_id, there in (look.by_stage if look is not None else {}).items():
        stage = view.by_id.get(stage_id)
        if stage is None or there.owner != "prefetch" or not there.room:
            continue
        given = view.input_of(stage) or stage
        each = there.bytes / there.elements if there.elements else given.element_bytes or batch_bytes or 0.0
        yield "prefetch", stage_id, round(there.room * each)


def _entries(ledger: Ledger, predicted: MemoryPrediction | None) -> list[LedgerEntry]:
    """The ledger with what was predicted beside the first entry of an owner at a stage."""
    expected: dict[tuple[str, str | None], int] = {}
    for one in predicted.held if predicted is not None else ():
        expected[one.owner, one.stage] = expected.get((one.owner, one.stage), 0) + one.bytes
    return [
        LedgerEntry(
            owner=one.owner,
            stage=one.stage,
            bytes=one.bytes,
            how=one.how,
            what=one.what,
            predicted_bytes=expected.pop((one.owner, one.stage), None),
        )
        for one in ledger.entries
    ]


def _autotune(memory: Memory, seen: Seen, limit: int | None) -> AutotuneMemory | None:
    """AUTOTUNE's budget, where it tunes anything."""
    tuned = any(stage.measured is not None and stage.measured.tunable for stage in seen.view.stages)
    budget = next((look.ram_budget for look in reversed(seen.looks) if look.ram_budget), None)
    if not tuned or budget is None:
        return None
    uncounted = sum(one.bytes for one in memory.ledger or () if one.owner in _UNCOUNTED)
    return AutotuneMemory(
        budget_bytes=round(budget),
        limit_bytes=limit,
        uncounted_bytes=uncounted,
        exceeds_limit=limit is not None and budget + uncounted > limit,
    )


def _messages(memory: Memory) -> list[Message]:
    found = []
    growth = memory.growth
    if growth is not None and growth.leak:
        text = (
            f"Memory leaks: with all buffers full it grew by {growth.mb_per_1000_steps:.3g} MB per 1,000 steps "
            f"({growth.low:.3g} to {growth.high:.3g}), in each of {growth.windows} stretches, and so did TensorFlow's "
            "live tensors."
        )
        found.append(Message(code="leak", message=text))
    return found
