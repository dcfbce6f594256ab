"""Memory ledger of an interrupted run, as of its last look.

The graph is read after a measurement, so it is missing. Buffers are known by TensorFlow's iterator names; a stage is
named only where a single written one matches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import holder
from pipeprof.profiles.document.memory import LedgerMoment
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look, kind_of
from pipeprof.profiles.memory.ledger.facts import Ledger, LedgerFacts
from pipeprof.profiles.memory.ledger.held import captured, held_buffers, in_flight_batches, source_tensors
from pipeprof.profiles.memory.ledger.reconcile import reconcile
from pipeprof.profiles.memory.predict.model import MemoryPrediction
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.protocol.messages import MemoryReading

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.profiles.document.vocabulary import PhaseName
    from pipeprof.profiles.protocol.messages import MemoryMoment
    from pipeprof.profiles.view.view import PipelineView

_UNPLACED = "?"


@dataclass(frozen=True)
class LastLook:
    """Input of the ledger.

    Attributes:
        readings: The worker's, as far as it came.
        memory: At the look.
        phase: The phase under way.
        model: TensorFlow's model at the look; None before there was an iterator.
        view: The pipeline as it is written; without stages for a function.
        origin: Monotonic time at which the profile's series begin.
        children: Memory of child processes at the look.
    """

    readings: Sequence[MemoryReading]
    memory: MemoryMoment
    phase: PhaseName
    model: ModelDict | None
    view: PipelineView
    origin: float
    children: int = 0


def ledger_at(seen: LastLook) -> tuple[LedgerMoment, Ledger, MemoryPrediction] | None:
    """Build the ledger of that moment and the prediction; None where TensorFlow's own memory is unknown."""
    rss = seen.memory.rss
    readings = {reading.name: reading for reading in seen.readings}
    if rss is None or "import" not in readings:
        return None
    live = seen.memory.live
    peak_phase = next((name for name in ("build", "iterator", "first") if name not in readings), seen.phase)
    readings = {name: one for name, one in readings.items() if name != peak_phase}
    readings[peak_phase] = MemoryReading(
        rss=rss, peak=rss, live=live, live_peak=live, heap=seen.memory.heap, heap_free=seen.memory.heap_free
    )
    prediction = memory_prediction(seen.view)
    look = Look(seen.memory.t, seen.phase, 0, 0, live, dict(_stage_buffers(seen)))
    facts = LedgerFacts(
        readings=readings,
        peak=rss + seen.children,
        peak_phase=peak_phase,
        children=seen.children,
        sources=tuple(source_tensors(seen.view)),
        arrays=_arrays(seen.view, readings),
        buffers=tuple(held_buffers(seen.view, prediction, look)),
        live=live,
        in_flight=tuple(in_flight_batches(seen.view, prediction, look, None))
        if peak_phase not in ("build", "iterator")
        else (),
        aliases=tuple((one.owner, one.stage) for one in prediction.held if one.how == "alias"),
        captured=captured(seen.view),
    )
    ledger = reconcile(facts)
    entries = [
        replace(entry, stage=None) if (entry.stage or "").startswith(_UNPLACED) else entry for entry in ledger.entries
    ]
    seconds = round(max(0.0, seen.memory.t - seen.origin), 3)
    at = LedgerMoment(seconds=seconds, phase=seen.phase, rss_bytes=rss + seen.children)
    return at, Ledger(entries, ledger.unexplained), prediction


def _arrays(view: PipelineView, readings: Mapping[str, MemoryReading]) -> int:
    """Return bytes of the sources' arrays: the growth while loading them, where that is a separate phase."""
    loaded, base = readings.get("data"), readings["import"]
    if loaded is None:
        return 0
    nominal = sum(stage.source_bytes or 0 for stage in view.stages if stage.owner is None)
    return min(nominal, max(0, loaded.rss - (loaded.file or 0) - base.rss + (base.file or 0)))


def _stage_buffers(seen: LastLook) -> Iterable[tuple[str, Buffered]]:
    """Yield the buffers of iterators with the only written stage that each can belong to."""
    nodes = seen.model["nodes"] if seen.model is not None else []
    kinds = [kind_of(node) for node in nodes]
    many = Counter(kinds)
    found: dict[str, Buffered] = {}
    for kind, node in zip(kinds, nodes, strict=True):
        held = holder(kind)
        if held is None or not node["buffered_elements"]:
            continue
        owner, op = held
        stages = [stage for stage in seen.view.stages if stage.op == op]
        alone = len(stages) == 1 and (many[kind] == 1 or stages[0].owner is not None)
        key = stages[0].id if alone else f"{_UNPLACED}{kind}"
        before = found.get(key, Buffered(owner, 0, 0.0))
        found[key] = Buffered(
            owner, before.bytes + int(node["buffered_bytes"]), before.elements + node["buffered_elements"]
        )
    return found.items()
