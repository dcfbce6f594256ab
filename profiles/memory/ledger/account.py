"""Memory ledger, series and growth of a profile, from a run's readings and looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import ELEMENT_OWNERS, RETAINING_OWNERS, STAGE_OWNERS
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import AutotuneMemory, LedgerEntry, Memory, MemoryKept
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.memory.growth.series import grown_in_use
from pipeprof.profiles.memory.ledger.buffers import Look
from pipeprof.profiles.memory.ledger.facts import Entry, Ledger, LedgerFacts
from pipeprof.profiles.memory.ledger.growth import (
    epoch_peaks,
    filling_stage,
    largest_growth,
    measured_growth,
    memory_series,
)
from pipeprof.profiles.memory.ledger.held import (
    Fullest,
    captured,
    estimate_pool_scale,
    forget_impossible,
    full_shuffles,
    held_buffers,
    in_flight_batches,
    own_fullest,
    own_shares,
    possible_looks,
    source_tensors,
    window_buffers,
)
from pipeprof.profiles.memory.ledger.pool import kept_free
from pipeprof.profiles.memory.ledger.reconcile import reconcile
from pipeprof.profiles.memory.ledger.texts import leak_text
from pipeprof.profiles.memory.ledger.vocabulary import AT_REST
from pipeprof.profiles.memory.predict.autotuned_buffers import tuned_prefetches
from pipeprof.profiles.memory.predict.model import BufferPrediction, MemoryPrediction
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.protocol.messages import BuildMemory, MemoryReading, MemoryReport
    from pipeprof.profiles.view.view import PipelineView

_FILE_BYTES = 1_000_000
_UNCOUNTED = frozenset({"runtime", "source", "python"}) | RETAINING_OWNERS
_TUNABLE = ("prefetch", "parallel")
_SAME_PEAK = 0.98
_RUNNING = ("warmup", "measure")
PYTHON_BYTES = 32_000_000
"""Bytes of large objects from which they are reported: TensorFlow and its imports hold some 10 MB."""
_WINDOWS = {"warmup": "warmup", "measure": "measure", "first": "first_element"}


@dataclass(frozen=True)
class LedgerInput:
    """Input of the ledger.

    Attributes:
        origin: Monotonic time at which the profile's series begin.
        predicted: What was predicted from the pipeline alone; None if it could not be.
        build: What the user's function made the process grow by while it built the dataset.
    """

    report: MemoryReport
    looks: Sequence[Look]
    view: PipelineView
    origin: float
    predicted: MemoryPrediction | None = None
    children: bool = False
    build: BuildMemory | None = None

    @property
    def readings(self) -> dict[str, MemoryReading]:
        """The readings by the names of the stretches that they end."""
        return {reading.name: reading for reading in self.report.readings}


def account(profile: Profile, seen: LedgerInput) -> list[Message]:
    """Fill in the ledger with its series and growth; return warnings."""
    memory = profile.memory
    forget_impossible(profile)
    seen = replace(seen, looks=possible_looks(seen.view, seen.looks, memory.peak_bytes))
    running = [look for look in seen.looks if look.phase != AT_REST]
    memory.series = memory_series(running, seen.origin)
    memory.epochs = epoch_peaks(running, profile.series, seen.origin)
    memory.grew = largest_growth(running, own_shares(seen.view))
    if memory.soak is None:
        before, after = seen.readings.get("warmup"), seen.readings.get("measure")
        memory.growth = measured_growth(
            running,
            profile.series,
            seen.origin,
            in_use=None if before is None or after is None else grown_in_use(before, after),
            children=seen.children,
            script=profile.training is not None,
        )
    memory.kept = _kept(seen.readings)
    filling = memory.growth is None and (memory.soak is None or memory.soak.state == "filling")
    memory.filling = filling_stage(running) if filling else None
    if memory.peak_bytes is None:
        return []
    facts = _facts(memory, seen)
    if facts is None:
        return []
    ledger = reconcile(facts)
    measured = [look for look in running if look.phase == "measure"]
    state_buffers(profile, ledger, own_fullest(seen.view, measured) if measured else None)
    memory.ledger = entries_of(ledger, seen.predicted, memory.peak_bytes)
    memory.unexplained_bytes = ledger.unexplained
    if seen.predicted is not None:
        memory.predicted_bytes = total_predicted(seen.predicted, memory.peak_bytes)
    memory.autotune = _autotune(memory, seen, profile.host.memory_limit_bytes)
    leak = leak_text(memory)
    return [Message(code="leak", message=leak)] if leak else []


def before_running(view: PipelineView, arrays: int) -> MemoryPrediction:
    """Predict memory from the stages as written, without measured values; `arrays` are bytes that outlive the build."""
    stages = tuple(replace(stage, measured=None) for stage in view.stages)
    nominal = sum(stage.source_bytes or 0 for stage in stages) + sum(source.bytes for source in captured(view))
    return memory_prediction(replace(view, kind="static", stages=stages, profile=None), kept=2 * arrays >= nominal)


def _kept(readings: Mapping[str, MemoryReading]) -> MemoryKept | None:
    found = kept_free(readings)
    if len(found) < 2:
        return None
    return MemoryKept(low_bytes=min(found), high_bytes=max(found), readings=len(found))


def _facts(memory: Memory, seen: LedgerInput) -> LedgerFacts | None:
    report = seen.report
    readings = seen.readings
    peak_phase = _peak_reading(memory, readings)
    if "import" not in readings or peak_phase is None or memory.peak_bytes is None:
        return None
    view, peak = seen.view, readings[peak_phase]
    held = memory_prediction(view)
    looks = [look for look in seen.looks if look.phase == _WINDOWS.get(peak_phase)]
    look = max(looks, key=lambda look: look.total, default=None)
    first = next((look for look in seen.looks if look.phase == "first_element"), None)
    python, data = report.python, report.mapped_data
    return LedgerFacts(
        readings=readings,
        peak=memory.peak_bytes,
        peak_phase=peak_phase,
        sources=tuple(source_tensors(view)),
        arrays=python.arrays,
        python=python.others if python.others >= PYTHON_BYTES else 0,
        children=max(0, memory.peak_bytes - (peak.peak or peak.rss)) if seen.children else 0,
        libraries=max(0, (peak.file or 0) - (readings["import"].file or 0) - data),
        files=data if data >= _FILE_BYTES else 0,
        buffers=(*full_shuffles(view, held, held_buffers(view, held, look)), *window_buffers(view, held, look))
        if look is not None
        else (),
        first=tuple(held_buffers(view, held, first)) if first is not None else (),
        live=look.live if look is not None else None,
        batch_bytes=report.batch_bytes,
        in_flight=tuple(in_flight_batches(view, held, look)),
        trimmed=report.trimmed,
        pool_scale=estimate_pool_scale(
            view, held, seen.looks, look, made=readings.get("iterator"), consumer=report.batch_bytes
        ),
        aliases=tuple((prediction.owner, prediction.stage) for prediction in held.held if prediction.how == "alias"),
        leaked=memory.growth is not None and memory.growth.leak,
        captured=captured(view),
        build=seen.build,
    )


def _peak_reading(memory: Memory, readings: Mapping[str, MemoryReading]) -> str | None:
    """Return the reading that ends the stretch in which the peak was reached."""
    phase = memory.peak_phase
    if phase == "first_element":
        made, first = readings.get("iterator"), readings.get("first")
        if made is not None and made.peak and first is not None and made.peak >= _SAME_PEAK * (first.peak or 0):
            return "iterator"
        return "first" if first is not None else None
    name = {"import": "import", "data": "build"}.get(phase or "", phase)
    if name not in readings:
        return None
    return _at_pools_peak(readings, name) if name in _RUNNING else name


def _at_pools_peak(readings: Mapping[str, MemoryReading], name: str) -> str:
    """Choose, among stretches with the same peak, the one with most pool bytes in use: the pool never shrinks."""
    least = _SAME_PEAK * (readings[name].peak or 0)
    same = [stretch for stretch in _RUNNING if stretch in readings and (readings[stretch].peak or 0) >= least]
    return max([name, *same], key=lambda one: readings[one].live_peak or 0)


def state_buffers(profile: Profile, ledger: Ledger, fullest: Mapping[str, Fullest] | None = None) -> None:
    """State what a stage held at its own fullest look.

    Places of a prefetch that the ledger takes for filled between two readings are in flight, not in its buffer: the
    buffer of a slow pipeline is empty at each reading.

    Args:
        fullest: Of stages that keep no elements, where there were looks; what others held is what the ledger says.
    """
    elements = {buffer.stage: buffer.elements for buffer in ledger.buffers}
    uncounted = {buffer.stage for buffer in ledger.buffers if not buffer.counted}
    for stage in profile.stages or ():
        mine = [entry for entry in ledger.entries if entry.stage == stage.id and entry.owner in STAGE_OWNERS]
        mine = [entry for entry in mine if entry.how != "predicted"]
        own = fullest.get(stage.id) if fullest is not None else None
        if own is None and fullest is not None and mine and all(entry.owner in _TUNABLE for entry in mine):
            # Its calls and its buffer were empty at every look.
            own = Fullest(0.0, 0.0)
        if any(entry.how == "model" for entry in mine) and stage.gives_handles:
            stage.buffered_bytes = None
        elif own is not None and not stage.gives_handles:
            stage.buffered_bytes = None if own.bytes is None else max(0, round(own.bytes))
            stage.buffered_elements = own.elements
        elif mine and (stage.buffered_bytes is not None or any(entry.owner in ELEMENT_OWNERS for entry in mine)):
            held = round(sum(_held(entry) for entry in mine))
            if held > 0 or not stage.buffered_bytes:
                stage.buffered_bytes = max(0, held)
                stage.buffered_elements = elements.get(stage.id, stage.buffered_elements)
        elif stage.id in uncounted:
            stage.buffered_bytes = None


def _held(entry: Entry) -> float:
    """Return bytes of a stage's entry for the table.

    Of a buffer that fills and empties these are the bytes of its tensors: by how much the pool's chunks for them are
    larger differs from one moment to the next.
    """
    if entry.owner in RETAINING_OWNERS:
        return entry.bytes
    return (entry.bytes - (entry.passing if entry.owner == "prefetch" else 0)) / entry.chunks


def entries_of(ledger: Ledger, predicted: MemoryPrediction | None, most: int | None = None) -> list[LedgerEntry]:
    """Convert the ledger, with the prediction at the first entry of an owner at a stage.

    Args:
        predicted: What was predicted of them. Of elements that are not known whole nothing is; nor of a buffer that
            is larger than there can be elements for.
    """
    expected: dict[tuple[str, str | None], int | None] = {}
    for prediction in predicted.held if predicted is not None else ():
        key = prediction.owner, prediction.stage
        before = expected.get(key, 0)
        unknown = before is None or prediction.at_least or _is_out_of_reach(prediction, most)
        expected[key] = None if unknown or before is None else before + prediction.bytes
    return [
        LedgerEntry(
            owner=entry.owner,
            stage=entry.stage,
            bytes=entry.bytes,
            how=entry.how,
            what=entry.what,
            location=None if entry.place is None else Location(file=as_typed(entry.place[0]), line=entry.place[1]),
            function=None if entry.place is None else entry.place[2],
            predicted_bytes=expected.pop((entry.owner, entry.stage), None),
        )
        for entry in ledger.entries
    ]


def total_predicted(predicted: MemoryPrediction, most: int | None) -> int | None:
    """Bytes that were predicted; None where a bound that nothing can reach is among them."""
    return None if any(_is_out_of_reach(prediction, most) for prediction in predicted.held) else predicted.peak_bytes


def _is_out_of_reach(one: BufferPrediction, most: int | None) -> bool:
    """Whether it is the size of a buffer that data of unknown number cannot have filled."""
    return one.at_most and most is not None and one.bytes > most


def _autotune(memory: Memory, seen: LedgerInput, limit: int | None) -> AutotuneMemory | None:
    """Return AUTOTUNE's budget; None where it tunes nothing.

    It matters where the largest tuned prefetches plus the memory outside the budget exceed the limit.
    """
    tuned = any(stage.measured is not None and stage.measured.tunable for stage in seen.view.stages)
    budget = next((look.ram_budget for look in reversed(seen.looks) if look.ram_budget), None)
    if not tuned or budget is None:
        return None
    uncounted = sum(entry.bytes for entry in memory.ledger or () if entry.owner in _UNCOUNTED)
    now = sum(entry.bytes for entry in memory.ledger or () if entry.owner in _TUNABLE)
    # A budget of gigabytes is no danger where a prefetch of small elements would have to hold millions of them.
    grown = max(now, tuned_prefetches(seen.view, memory_prediction(seen.view)).bytes)
    return AutotuneMemory(
        budget_bytes=round(budget),
        limit_bytes=limit,
        uncounted_bytes=uncounted,
        exceeds_limit=limit is not None and min(budget, grown) + uncounted > limit,
    )
