"""Who owns the peak: TensorFlow itself, sources, each stage, what is in flight, what allocators keep; and the rest.

Each number is a measured one, cut to what is left of the peak after those before it. What nobody owns is the rest:
Python, libraries, other processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import RETAINING_OWNERS
from pipeprof.profiles.constants import POOLED_FROM
from pipeprof.profiles.document.memory import AutotuneMemory, LedgerEntry, Memory
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.memory.buffers import Buffered, Look, given_to, possible_looks
from pipeprof.profiles.memory.growth import grown_in_use
from pipeprof.profiles.memory.ledger_texts import leak_text
from pipeprof.profiles.memory.over_time import epoch_peaks, largest_growth, measured_growth, memory_series
from pipeprof.profiles.memory.predict.autotuned_buffers import tuned_prefetches
from pipeprof.profiles.memory.predict.element_size import bytes_kept_by_slices
from pipeprof.profiles.memory.predict.model import (
    BufferPrediction,
    MemoryPrediction,
    cache_overhead_bytes,
    shuffle_overhead_bytes,
)
from pipeprof.profiles.memory.predict.predict import (
    counted,
    memory_prediction,
    own_share,
    pool_bytes_per_cached_byte,
    pooled_share,
    small_bytes,
)
from pipeprof.profiles.memory.predict.shared_tensors import own_components

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import How, Owner
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.protocol.messages import MemoryReading, MemoryReport
    from pipeprof.profiles.view.view import PipelineView, StageView

_UNCOUNTED = frozenset({"runtime", "source"}) | RETAINING_OWNERS
_TUNABLE = ("prefetch", "parallel")
_SAME_PEAK = 0.98
_WINDOWS = {"warmup": "warmup", "measure": "measure", "first": "first_element"}
_UNSIZED = frozenset({"string", "variant"})
LEAST_SOURCE_BYTES = 1_000_000
HEAP = "glibc's heap"
POOL = "TensorFlow's pool"
CHILDREN = "child processes"


@dataclass(frozen=True)
class LedgerInput:
    """Input of the ledger.

    Attributes:
        origin: Monotonic time at which the profile's series begin.
        predicted: What was predicted from the pipeline alone; None if it could not be.
        children: There were child processes.
    """

    report: MemoryReport
    looks: Sequence[Look]
    view: PipelineView
    origin: float
    predicted: MemoryPrediction | None = None
    children: bool = False

    @property
    def readings(self) -> dict[str, MemoryReading]:
        """The readings by the names of the stretches that they end."""
        return {reading.name: reading for reading in self.report.readings}


def account(profile: Profile, seen: LedgerInput) -> list[Message]:
    """Fill in the ledger with its series and growth; return warnings."""
    memory = profile.memory
    most = memory.peak_bytes
    for stage in profile.stages or ():
        if most is not None and stage.buffered_bytes is not None and not 0 <= stage.buffered_bytes <= most:
            stage.buffered_bytes = None
        if most is not None and stage.bytes_per_element is not None and stage.bytes_per_element > most:
            stage.bytes_per_element = None
    seen = replace(seen, looks=possible_looks(seen.view, seen.looks, most))
    memory.series = memory_series(seen.looks, seen.origin)
    memory.epochs = epoch_peaks(seen.looks, profile.series, seen.origin)
    memory.grew = largest_growth(seen.looks, _own_shares(seen.view))
    if memory.soak is None:
        before, after = seen.readings.get("warmup"), seen.readings.get("measure")
        memory.growth = measured_growth(
            seen.looks,
            profile.series,
            seen.origin,
            in_use=None if before is None or after is None else grown_in_use(before, after),
            children=seen.children,
            script=profile.training is not None,
        )
    entries = owners(memory, seen)
    if entries is not None and most is not None:
        _state_buffers(profile, seen, entries)
        memory.ledger = _with_predictions(entries, seen.predicted, most)
        memory.unexplained_bytes = most - sum(entry.bytes for entry in entries)
        if seen.predicted is not None and not any(_is_out_of_reach(one, most) for one in seen.predicted.held):
            memory.predicted_bytes = seen.predicted.peak_bytes
        memory.autotune = _autotune(memory, seen, profile.host.memory_limit_bytes)
    leak = leak_text(memory)
    return [Message(code="leak", message=leak)] if leak else []


def before_running(view: PipelineView, arrays: int) -> MemoryPrediction:
    """Predict memory from the stages as written, without measured values; `arrays` are bytes that outlive the build."""
    stages = tuple(replace(stage, measured=None) for stage in view.stages)
    nominal = sum(stage.source_bytes or 0 for stage in stages)
    return memory_prediction(replace(view, kind="static", stages=stages, profile=None), kept=2 * arrays >= nominal)


def owners(memory: Memory, seen: LedgerInput) -> list[LedgerEntry] | None:
    """Return the owners of the peak; None where the peak or TensorFlow's own memory is not known."""
    readings, peak = seen.readings, memory.peak_bytes
    name = _peak_reading(memory, readings)
    if name is None or peak is None or "import" not in readings:
        return None
    base, made, now = readings["import"], readings.get("iterator") or readings.get("build"), readings[name]
    ledger = _Cut(peak)
    ledger.add("runtime", None, base.rss)
    is_making = name in ("build", "iterator")
    for entry in _sources(
        seen, now if is_making or made is None else made, base, is_making=name not in ("warmup", "measure")
    ):
        ledger.add(entry.owner, entry.stage, entry.bytes)
    for alias in memory_prediction(seen.view).held:
        if alias.how == "alias":
            ledger.add(alias.owner, alias.stage, 0, "alias")
    looks = [look for look in seen.looks if look.phase == _WINDOWS.get(name)]
    look = max(looks, key=lambda look: look.total, default=None)
    pooled = 0.0
    for buffer in _buffers(seen.view, look, seen.report.batch_bytes, at_peak=True) if look is not None else ():
        taken = ledger.add(buffer.owner, buffer.stage, round(buffer.bytes), buffer.how, buffer.what)
        pooled += taken * buffer.pooled
    if not is_making:
        ledger.add("parallel", None, round(_in_flight(seen, made, now, pooled)))
        for what, nbytes in _kept(seen, name, base, now).items():
            ledger.add("slack", None, nbytes, what=what)
    if seen.children:
        ledger.add("python", None, max(0, peak - (now.peak or now.rss)), what=CHILDREN)
    return ledger.entries


class _Cut:
    """Entries that together are no more than the peak."""

    def __init__(self, peak: int) -> None:
        self._left = peak
        self.entries: list[LedgerEntry] = []

    def add(self, owner: Owner, stage: str | None, nbytes: int, how: How = "measured", what: str | None = None) -> int:
        """Add an owner with as much as is left of the peak; return that."""
        taken = max(0, min(nbytes, self._left))
        self._left -= taken
        if taken or how == "alias":
            self.entries.append(LedgerEntry(owner=owner, stage=stage, bytes=taken, how=how, what=what))
        return taken


def _sources(
    seen: LedgerInput, until: MemoryReading, base: MemoryReading, *, is_making: bool
) -> Iterator[BufferPrediction]:
    """Yield the sources in memory: the copies that TensorFlow makes, of no more than the process had grown by.

    Args:
        until: The reading when they had been made.
        is_making: The peak was reached before the steps, when more of their copies were there.
    """
    kept = 2 * seen.report.arrays >= sum(stage.source_bytes or 0 for stage in seen.view.stages)
    held = memory_prediction(seen.view, kept=kept).held
    # Every function has a few constants.
    found = [one for one in held if one.owner == "source" and one.bytes >= LEAST_SOURCE_BYTES]
    sizes = [one.bytes if is_making or one.steady is None else one.steady - one.residue for one in found]
    grown = max(0, (until.peak or until.rss if is_making else until.rss) - base.rss)
    scale = min(1.0, grown / sum(sizes)) if sum(sizes) else 0.0
    for one, size in zip(found, sizes, strict=True):
        yield replace(one, bytes=round(scale * size))


@dataclass(frozen=True)
class _Buffer:
    """What a stage holds at a look; `pooled` is the share that lies in TensorFlow's pool."""

    owner: Owner
    stage: str
    bytes: float
    pooled: float
    elements: float
    how: How
    what: str | None = None


def _buffers(view: PipelineView, look: Look, batch: float | None, *, at_peak: bool = False) -> Iterator[_Buffer]:
    """Yield what the stages hold at a look: their elements times what one takes.

    Args:
        batch: Bytes of what the step is given, as they were measured.
        at_peak: A shuffle is full, as it was at the peak: it fills before its first element comes out, and empties
            when its input has ended.
    """
    held = memory_prediction(view).held
    aliases = {(one.stage, one.owner) for one in held if one.how == "alias"}
    full = {one.stage: one.count for one in held if one.owner == "shuffle" and one.count and not one.at_most}
    for name, there in look.by_stage.items():
        stage = view.by_id.get(name)
        if (name, there.owner) in aliases or there.elements <= 0:
            continue
        if stage is None:
            yield _Buffer(there.owner, name, there.bytes, 1, there.elements, "model")
            continue
        elements = max(there.elements, full.get(name) or 0) if at_peak else there.elements
        given = given_to(view, stage, there.owner)
        dtypes = {component.dtype for component in given.element or ()}
        is_counted = there.counted and not dtypes & _UNSIZED
        each = there.bytes / there.elements if is_counted else _unsized_bytes(view, given, batch)
        if there.owner == "cache" and look.live is not None:
            each *= pool_bytes_per_cached_byte(view, stage)
        each *= own_share(view, given) if there.owner in RETAINING_OWNERS or there.owner == "prefetch" else 1.0
        kept = bytes_kept_by_slices(view, given, elements) if there.owner == "shuffle" else 0.0
        nbytes = elements * (each + _overhead(view, there, given, each)) + kept
        pooled = pooled_share(view, there.owner, stage)
        if not is_counted and "string" not in dtypes:
            pooled = 1.0 if each >= POOLED_FROM else 0.0
        how: How = "model" if is_counted else "measured"
        yield _Buffer(there.owner, name, nbytes, pooled, elements, how, None if is_counted else "about")


def _unsized_bytes(view: PipelineView, given: StageView, batch: float | None) -> float:
    """Return bytes of an element that the model does not count, of strings or ragged: its part of a batch at least."""
    root = view.root
    part = (batch or 0.0) * _examples_in(view, given) / _examples_in(view, root) if root is not None else 0.0
    return max(given.element_bytes or 0.0, part)


def _examples_in(view: PipelineView, stage: StageView) -> float:
    """Return the number of source elements in one output element of a stage."""
    sizes = [one.arguments.get("batch_size") for one in (stage, *view.below(stage))]
    return math.prod(size for size in sizes if isinstance(size, int) and size > 0)


def _overhead(view: PipelineView, there: Buffered, given: StageView, each: float) -> float:
    """Return what an element takes beyond its values where it stays for long: of many small ones it is the most."""
    components = own_components(view, given)
    if there.owner == "cache":
        return cache_overhead_bytes(components)
    if there.owner == "shuffle":
        small = min(each, small_bytes(view, given))
        return shuffle_overhead_bytes(components, small, counted=counted(view, given))
    return 0


def _in_flight(seen: LedgerInput, made: MemoryReading | None, now: MemoryReading, pooled: float) -> float:
    """Return the tensors of the pool at its fullest that are no stage's, those in the step among them."""
    if made is None or made.live is None or now.live_peak is None:
        held = memory_prediction(seen.view).held
        return sum(one.bytes for one in held if one.owner in ("batch", "consumer", "parallel"))
    return max(0.0, now.live_peak - made.live - pooled)


def _kept(seen: LedgerInput, name: str, base: MemoryReading, now: MemoryReading) -> dict[str, int]:
    """Return what was freed and is kept: free blocks of glibc's heap, and of the pool what was in use before.

    The pool never returns memory.
    """
    until = list(seen.readings.values())[: list(seen.readings).index(name) + 1]
    most = max(one.live_peak or 0 for one in until)
    heap = max(0, now.heap_free - (base.heap_free or 0)) if now.heap_free is not None else 0
    return {HEAP: heap, POOL: max(0, most - (now.live_peak or 0))}


def _peak_reading(memory: Memory, readings: Mapping[str, MemoryReading]) -> str | None:
    """Return the reading that ends the stretch in which the peak was reached."""
    phase = memory.peak_phase
    if phase == "first_element":
        made, first = readings.get("iterator"), readings.get("first")
        if made is not None and made.peak and first is not None and made.peak >= _SAME_PEAK * (first.peak or 0):
            return "iterator"
        return "first" if first is not None else None
    name = "build" if phase == "data" else phase or ""
    if name not in readings:
        return None
    # Of warm-up and measurement with the same peak, the one with more of the pool in use: the pool never shrinks.
    least = _SAME_PEAK * (readings[name].peak or 0)
    same = [one for one in ("warmup", "measure") if one in readings and (readings[one].peak or 0) >= least]
    return max([name, *same], key=lambda one: readings[one].live_peak or 0) if name in same else name


def _own_shares(view: PipelineView) -> dict[str, float]:
    """Return the share of each stage's buffered bytes that is not another stage's."""
    aliases = {one.stage for one in memory_prediction(view).held if one.how == "alias"}
    return {
        stage.id: 0.0 if stage.id in aliases else own_share(view, view.input_of(stage) or stage)
        for stage in view.stages
    }


def _state_buffers(profile: Profile, seen: LedgerInput, entries: list[LedgerEntry]) -> None:
    """State in the stages' rows what each held at its own fullest look; one that keeps elements, as in the ledger."""
    view, batch = seen.view, seen.report.batch_bytes
    looks = [look for look in seen.looks if look.phase == "measure"]
    kept = {entry.stage: entry.bytes for entry in entries if entry.owner in RETAINING_OWNERS}
    for stage in profile.stages or ():
        there = [look for look in looks if stage.id in look.by_stage]
        if stage.gives_handles or not there:
            stage.buffered_bytes = None if stage.gives_handles else kept.get(stage.id, stage.buffered_bytes)
            continue
        fullest = max(there, key=lambda look: (look.by_stage[stage.id].counted, look.by_stage[stage.id].bytes))
        own = fullest.by_stage[stage.id]
        held = _buffers(view, replace(fullest, by_stage={stage.id: own}), batch)
        nbytes = kept.get(stage.id, round(sum(one.bytes for one in held if one.stage == stage.id)))
        stage.buffered_bytes = nbytes if own.counted or stage.id in kept else None
        stage.buffered_elements = own.elements


def _with_predictions(
    entries: Sequence[LedgerEntry], predicted: MemoryPrediction | None, most: int
) -> list[LedgerEntry]:
    """Return the entries with what was predicted of them.

    Of elements that are not known whole nothing is; nor of a buffer that is larger than there can be elements for.
    """
    expected: dict[tuple[str, str | None], int | None] = {}
    for one in predicted.held if predicted is not None else ():
        before = expected.get((one.owner, one.stage), 0)
        unknown = before is None or one.at_least or _is_out_of_reach(one, most)
        expected[one.owner, one.stage] = None if unknown or before is None else before + one.bytes
    return [entry.model_copy(update={"predicted_bytes": expected.get((entry.owner, entry.stage))}) for entry in entries]


def _is_out_of_reach(one: BufferPrediction, most: int) -> bool:
    """Whether it is the size of a buffer that data of unknown number cannot have filled."""
    return one.at_most and one.bytes > most


def _autotune(memory: Memory, seen: LedgerInput, limit: int | None) -> AutotuneMemory | None:
    """Return AUTOTUNE's budget; None where it tunes nothing.

    It matters where the largest tuned prefetches plus the memory outside the budget exceed the limit.
    """
    tuned = any(stage.measured is not None and stage.measured.tunable for stage in seen.view.stages)
    budget = next((look.ram_budget for look in reversed(seen.looks) if look.ram_budget), None)
    if not tuned or budget is None:
        return None
    uncounted = sum(entry.bytes for entry in memory.ledger or () if entry.owner in _UNCOUNTED)
    uncounted += max(0, memory.unexplained_bytes or 0)
    now = sum(entry.bytes for entry in memory.ledger or () if entry.owner in _TUNABLE)
    # A budget of gigabytes is no danger where a prefetch of small elements would have to hold millions of them.
    grown = max(now, tuned_prefetches(seen.view, memory_prediction(seen.view)).bytes)
    return AutotuneMemory(
        budget_bytes=round(budget),
        limit_bytes=limit,
        uncounted_bytes=uncounted,
        exceeds_limit=limit is not None and min(budget, grown) + uncounted > limit,
    )
