"""Who owns the peak: TensorFlow itself, sources, each stage, what is in flight, what allocators keep; and the rest.

Each number is a measured one, cut to what is left of the peak after those before it. What nobody owns is the rest:
Python, libraries, other processes. The same numbers answer whether the pipeline fits into a limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import RETAINING_OWNERS
from pipeprof.profiles.constants import RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.memory import AutotuneMemory, LedgerEntry, Memory
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.buffers import Look, given_to, memory_series, sized_looks
from pipeprof.profiles.memory.growth import grown_in_use, leak_text, measured_growth
from pipeprof.profiles.memory.predict import (
    BufferPrediction,
    MemoryPrediction,
    UnknownSize,
    foreseen,
    is_tuned,
    memory_prediction,
    open_copies,
    pooled_share,
)
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import size as in_words

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import How, Owner
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.protocol.messages import MemoryReading, MemoryReport


_UNCOUNTED = frozenset({"runtime", "source"}) | RETAINING_OWNERS
_PASSING = ("batch", "consumer", "parallel")
_TUNABLE = ("prefetch", "parallel")
_SAME_PEAK = 0.98
_RUNNING = ("warmup", "measure")
LEAST_SOURCE_BYTES = 1_000_000
"""Bytes from which a source or constants have an owner: every function has a few."""
HEAP = "glibc's heap"
POOL = "TensorFlow's pool"
CHILDREN = "child processes"


@dataclass(frozen=True)
class LedgerInput:
    """Input of the ledger.

    Attributes:
        origin: Monotonic time at which the profile's series begin.
        predicted: From the pipeline alone; None if it could not be.
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
    seen = replace(seen, looks=sized_looks(seen.view, seen.looks, seen.report.batch_bytes, most))
    memory.series = memory_series(seen.looks, seen.origin)
    if memory.soak is None:
        before, after = seen.readings.get("warmup"), seen.readings.get("measure")
        in_use = None if before is None or after is None else grown_in_use(before, after)
        memory.growth = measured_growth(seen.looks, in_use)
    entries = owners(memory, seen)
    if entries is not None and most is not None:
        _state_buffers(profile, seen.looks, entries)
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
    return memory_prediction(replace(view, kind="static", stages=stages, profile=None), kept=_are_kept(view, arrays))


def _are_kept(view: PipelineView, arrays: int) -> bool:
    return 2 * arrays >= sum(stage.source_bytes or 0 for stage in view.stages)


def owners(memory: Memory, seen: LedgerInput) -> list[LedgerEntry] | None:
    """Return the owners of the peak; None where the peak or TensorFlow's own memory is not known."""
    readings, peak = seen.readings, memory.peak_bytes
    name = _peak_reading(memory, readings)
    if name is None or peak is None:
        return None
    base, made, now = readings["import"], readings.get("iterator") or readings.get("build"), readings[name]
    ledger = _Cut(peak)
    ledger.add("runtime", None, base.rss)
    is_making = name in ("build", "iterator")
    until = now if is_making or made is None else made
    for stage, nbytes in _sources(seen, until, base, is_making=name not in _RUNNING):
        ledger.add("source", stage, nbytes)
    for alias in memory_prediction(seen.view).held:
        if alias.how == "alias":
            ledger.add(alias.owner, alias.stage, 0, "alias")
    pooled = _add_buffers(ledger, seen, name)
    if not is_making:
        if made is not None and made.live is not None and now.live_peak is not None:
            # Tensors of the pool at its fullest that are no stage's, those in the step among them.
            flying = now.live_peak - made.live - pooled
        else:
            flying = sum(one.bytes for one in memory_prediction(seen.view).held if one.owner in _PASSING)
            flying -= sum(entry.bytes for entry in ledger.entries if entry.owner in _PASSING)
        ledger.add("parallel", None, round(flying))
        for what, nbytes in _kept(seen, name, base, now).items():
            ledger.add("slack", None, nbytes, what=what)
    if seen.children:
        ledger.add("python", None, peak - (now.peak or now.rss), what=CHILDREN)
    return ledger.entries


class _Cut:
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
) -> Iterator[tuple[str, int]]:
    """Yield the sources in memory: the copies that TensorFlow makes, of no more than the process had grown by.

    Args:
        until: The reading when they had been made.
        is_making: The peak was reached before the steps, when more of their copies were there.
    """
    held = memory_prediction(seen.view, kept=_are_kept(seen.view, seen.report.arrays)).held
    found = [one for one in held if one.owner == "source" and one.bytes >= LEAST_SOURCE_BYTES]
    sizes = [one.bytes if is_making or one.steady is None else one.steady for one in found]
    grown = max(0, (until.peak or until.rss if is_making else until.rss) - base.rss)
    scale = min(1.0, grown / sum(sizes)) if sum(sizes) else 0.0
    for one, size in zip(found, sizes, strict=True):
        yield one.stage, round(scale * size)


def _add_buffers(ledger: _Cut, seen: LedgerInput, name: str) -> float:
    """Add what the stages hold at the fullest look of the peak's phase; return the part that lies in the pool."""
    looks = [look for look in seen.looks if look.phase == ("first_element" if name == "first" else name)]
    held = memory_prediction(seen.view).held
    full = {one.stage: one.count for one in held if one.owner == "shuffle" and one.count and not one.at_most}
    pooled = 0.0
    for stage_id, there in max(looks, key=lambda look: look.total).by_stage.items() if looks else ():
        stage, nbytes = seen.view.by_id.get(stage_id), there.bytes
        if there.elements > 0:
            # A shuffle was full at the peak: it fills before its first element comes out, and empties at the end.
            nbytes = round(nbytes * max(1.0, (full.get(stage_id) or 0) / there.elements))
        how: How = "model" if there.counted else "measured"
        taken = ledger.add(there.owner, stage_id, nbytes, how, None if there.counted else "about")
        pooled += taken * (pooled_share(seen.view, given_to(seen.view, stage, there.owner)) if stage else 1.0)
    return pooled


def _kept(seen: LedgerInput, name: str, base: MemoryReading, now: MemoryReading) -> dict[str, int]:
    """Return what was freed and is kept: free blocks of glibc's heap, and of the pool, which never shrinks."""
    until = list(seen.readings.values())[: list(seen.readings).index(name) + 1]
    most = max(one.live_peak or 0 for one in until)
    heap = max(0, now.heap_free - (base.heap_free or 0)) if now.heap_free is not None else 0
    return {HEAP: heap, POOL: max(0, most - (now.live_peak or 0))}


def _peak_reading(memory: Memory, readings: Mapping[str, MemoryReading]) -> str | None:
    """Return the reading that ends the stretch in which the peak was reached; None without TensorFlow's own memory.

    Of stretches with the same peak, the one with more of the pool in use: the pool never shrinks.
    """
    if "import" not in readings or len(readings) == 1:
        return None
    runs = memory.peak_phase in _RUNNING
    peaks = {name: one.peak or one.rss for name, one in [*readings.items()][::-1] if (name in _RUNNING) == runs}
    same = [name for name, peak in peaks.items() if peak >= _SAME_PEAK * max(peaks.values())]
    return max(same, key=lambda name: readings[name].live_peak or 0, default=None)


def _state_buffers(profile: Profile, looks: Sequence[Look], entries: Sequence[LedgerEntry]) -> None:
    """State in the stages' rows what each held at its own fullest look; one that keeps elements, as in the ledger."""
    kept = {entry.stage: entry.bytes for entry in entries if entry.owner in RETAINING_OWNERS}
    for stage in profile.stages or ():
        there = [look.by_stage[stage.id] for look in looks if look.phase == "measure" and stage.id in look.by_stage]
        fullest = max(there, key=lambda one: (one.counted, one.bytes), default=None)
        if stage.gives_handles:
            stage.buffered_bytes = None
        elif fullest is None:
            stage.buffered_bytes = kept.get(stage.id, stage.buffered_bytes)
        else:
            known = fullest.bytes if fullest.counted else None
            stage.buffered_bytes, stage.buffered_elements = kept.get(stage.id, known), fullest.elements


def _with_predictions(
    entries: Sequence[LedgerEntry], predicted: MemoryPrediction | None, most: int
) -> list[LedgerEntry]:
    """Return the entries with what was predicted of them, but not of elements that are not known whole."""
    held = predicted.held if predicted is not None else ()
    known = {(one.owner, one.stage): one.bytes for one in held if not one.at_least and not _is_out_of_reach(one, most)}
    return [
        entry.model_copy(update={"predicted_bytes": known.get((entry.owner, entry.stage or ""))}) for entry in entries
    ]


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
    grown = max(now, sum(one.growth for one in memory_prediction(seen.view).held if one.owner == "prefetch"))
    return AutotuneMemory(
        budget_bytes=round(budget),
        limit_bytes=limit,
        uncounted_bytes=uncounted,
        exceeds_limit=limit is not None and min(budget, grown) + uncounted > limit,
    )


_PASSES_ON = frozenset({"batch", "consumer", "parallel"})
_PASSING_RESERVE = 1.0
"""Reserve for temporary batches and results: a chunk of the pool may be twice as large as its tensor. Batches of 32 MB,
and the images they are made of, took more than 1.6 times what is predicted."""
_WORTH_STATING = 0.01
"""Share of the limit from which a prefetch, and what TensorFlow may let grow, is stated."""


class _Question:
    """A pipeline as TensorFlow runs it, its prediction, and the limit in bytes.

    Attributes:
        condition: What the answers presume, in words, where there is no room for that growth.
        rest: Predicted bytes while running, TensorFlow's own and the growth that there is room for included.
        left: Bytes that are left beside them with a reserve.
        partial: Some sizes are unknown, so that more than the prediction is needed.
    """

    def __init__(self, view: PipelineView, memory: MemoryPrediction, limit: int) -> None:
        self.view, self.memory, self.limit = view, memory, limit
        # Infinite where the size of an element is not known.
        tuned = [math.inf for one in memory.unknown if one.owner == "prefetch" and is_tuned(view.by_id[one.stage])]
        growing = [*tuned, *(one.growth for one in memory.held if one.growth)]
        growth, budget = float(sum(growing)), view.options.get("autotune.ram_budget")
        if isinstance(budget, int) and budget > 0 and view.options.get("autotune.enabled") is not False:
            growth = min(growth, budget)
        passing = sum(one.bytes for one in memory.held if one.owner in _PASSES_ON)
        free = limit - RUNTIME_BYTES - (1 + RESERVE) * memory.running_bytes - (_PASSING_RESERVE - RESERVE) * passing
        fits_grown = growth <= max(0.0, free)
        self.counted = growth if fits_grown else 0.0
        self.left = (free - self.counted) / (1 + RESERVE)
        self.rest = memory.running_bytes + self.counted + RUNTIME_BYTES
        several = "its prefetches" if len(growing) > 1 else "its prefetch"
        self.condition = "" if fits_grown else f" with {several} bounded"
        self.partial = bool(memory.unknown) or any(one.at_least for one in memory.held)


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[LimitAnswer]:
    """Answer for the whole pipeline, and for the largest of the shuffles and prefetches of a fixed size."""
    view = foreseen(view) if view.unseen else view
    asked = _Question(view, memory, limit)
    least = {"shuffle": 0.0, "prefetch": _WORTH_STATING * limit}
    sized = [one for one in memory.held if one.count and not one.most and one.bytes >= least.get(one.owner, math.inf)]
    largest = max(sized, key=lambda one: one.bytes, default=None)
    return [_whole(asked), *([_of_buffer(asked, largest)] if largest is not None else [])]


def _whole(asked: _Question) -> LimitAnswer:
    memory, limit = asked.memory, asked.limit
    needed = max(memory.peak_bytes + RUNTIME_BYTES, asked.rest)
    at_least, at_most = any(one.at_least for one in memory.held), any(one.at_most for one in memory.held)
    # A prefetch that TensorFlow tunes grows past `DOUBLED_UP_TO` elements, too.
    needs = "needs at least" if at_least else "may need" if asked.counted else "needs at most" if at_most else "needs"
    own = f"the pipeline {needs} {in_words(needed)} ({in_words(RUNTIME_BYTES)} of it TensorFlow itself)"
    own += ", plus buffers of unknown size" if memory.unknown else ""
    if asked.counted >= _WORTH_STATING * limit:
        own += f", {in_words(asked.counted)} of it for buffers that TensorFlow may let grow"
    fits: bool | None = None
    if any(_is_endless(asked.view, one) for one in memory.unknown):
        fits, says = False, "does not fit, because a cache grows without end"
    elif limit <= RUNTIME_BYTES or (needed > limit and not at_most):
        fits, says = False, "does not fit"
    elif asked.partial and needed <= limit:
        says = f"fits as far as sizes are known{asked.condition and ','}{asked.condition}"
    elif asked.left < 0 or (1 + RESERVE) * memory.peak_bytes + RUNTIME_BYTES > limit:
        says = f"may not fit{asked.condition}"
        own += ", and the prediction may be a fifth too low"
    else:
        fits, says = (None if asked.condition else True), f"fits{asked.condition}"
    return LimitAnswer(stage=None, fits=fits, sentence=f"Limit {in_words(limit)}: {says}; {own}")


def _is_endless(view: PipelineView, one: UnknownSize) -> bool:
    below = view.input_of(view.by_id[one.stage])
    return one.owner == "cache" and below is not None and below.elements == INFINITE


def _of_buffer(asked: _Question, held: BufferPrediction) -> LimitAnswer:
    """State the largest buffer; of a nested stage, that of each copy."""
    stage, fits = asked.view.by_id[held.stage], None if asked.partial or asked.condition else True
    copies, buffer = open_copies(asked.view, stage), stage.arguments["buffer_size"]
    count, most = (held.count or 0.0) / copies, max(0, int((asked.left + held.bytes) / (copies * held.each)))
    each = f" in each of {copies} open copies" if copies > 1 else ""
    if count < buffer and most >= count:
        words = f"any buffer_size fits{asked.condition}, because there are {count:,.0f} elements{each}"
    else:
        fits = fits if buffer <= most else False
        bound = "buffer_size must be less than" if asked.partial else "largest buffer_size that fits:"
        known = f"{bound} {most:,}{each}" if most else "no buffer_size fits"
        words = f"{known}{asked.condition}; now {buffer:,}"
    others = f"({in_words(asked.rest - held.bytes)} used by the rest, 20 % headroom)"
    return LimitAnswer(stage=stage.id, fits=fits, sentence=f"{stage.label}: {words} {others}", most=most)
