"""Memory ledger of an interrupted run, as of its last look.

The graph is read after a measurement, so it is missing. Buffers are known by the names and the order of TensorFlow's
iterators; a stage is named only where a single written one matches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.profiles.document.memory import LedgerMoment
from pipeprof.profiles.document.shared import PhaseName
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look, kind_of
from pipeprof.profiles.memory.ledger.facts import Ledger, LedgerFacts
from pipeprof.profiles.memory.ledger.held import (
    captured,
    held_buffers,
    in_flight_batches,
    possible_looks,
    source_tensors,
)
from pipeprof.profiles.memory.ledger.reconcile import reconcile
from pipeprof.profiles.memory.predict.execution import foreseen
from pipeprof.profiles.memory.predict.model import MemoryPrediction
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.protocol.messages import BuildMemory, MemoryMoment, MemoryReading
from pipeprof.profiles.view.view import PipelineView, StageView

_UNPLACED = "?"


@dataclass(frozen=True)
class LastLook:
    """Input of the ledger.

    Attributes:
        model: TensorFlow's model at the look; None before there was an iterator.
        view: The pipeline as it is written; without stages for a function.
        build: What the user's function made the process grow by while it built the dataset, or so far.
    """

    readings: Sequence[MemoryReading]
    memory: MemoryMoment
    phase: PhaseName
    model: ModelDict | None
    view: PipelineView
    origin: float
    children: int = 0
    build: BuildMemory | None = None


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
    raw = Look(seen.memory.t, seen.phase, 0, 0, live, dict(_stage_buffers(seen)), rss=rss)
    (look,) = possible_looks(seen.view, [raw], rss)
    facts = LedgerFacts(
        readings=readings,
        peak=rss + seen.children,
        peak_phase=peak_phase,
        children=seen.children,
        sources=tuple(source_tensors(seen.view)),
        arrays=_arrays(seen.view, readings),
        buffers=tuple(held_buffers(seen.view, prediction, look)),
        live=live,
        in_flight=tuple(in_flight_batches(seen.view, prediction, look))
        if peak_phase not in ("build", "iterator")
        else (),
        aliases=tuple((held.owner, held.stage) for held in prediction.held if held.how == "alias"),
        captured=captured(seen.view),
        build=seen.build,
    )
    ledger = reconcile(facts)
    entries = [
        replace(entry, stage=None) if (entry.stage or "").startswith(_UNPLACED) else entry for entry in ledger.entries
    ]
    seconds = round(max(0.0, seen.memory.t - seen.origin), 3)
    at = LedgerMoment(seconds=seconds, phase=seen.phase, rss_bytes=rss + seen.children)
    return at, replace(ledger, entries=entries), prediction


def _arrays(view: PipelineView, readings: Mapping[str, MemoryReading]) -> int:
    """Return bytes of the sources' arrays: the growth while loading them, where that is a separate phase."""
    loaded, base = readings.get("data"), readings["import"]
    if loaded is None:
        return 0
    nominal = sum(stage.source_bytes or 0 for stage in view.stages if stage.owner is None)
    return min(nominal, max(0, loaded.rss - (loaded.file or 0) - base.rss + (base.file or 0)))


def _stage_buffers(seen: LastLook) -> Iterable[tuple[str, Buffered]]:
    """Yield the buffers of iterators with their stages, where these are known."""
    nodes = seen.model["nodes"] if seen.model is not None else []
    found: dict[str, Buffered] = {}
    for node, stage in zip(nodes, placed(nodes, seen.view), strict=True):
        held = holder(kind_of(node))
        if held is None or not node["buffered_elements"]:
            continue
        key = stage or f"{_UNPLACED}{kind_of(node)}"
        before = found.get(key, Buffered(held[0], 0, 0.0))
        found[key] = Buffered(
            held[0], before.bytes + int(node["buffered_bytes"]), before.elements + node["buffered_elements"]
        )
    return found.items()


def placed(nodes: Sequence[ModelNodeDict], view: PipelineView) -> list[str | None]:
    """The stage of each iterator that holds elements; None for others and where more than one could be meant.

    Iterators are made from the pipeline's end on, each before its inputs, and numbered in that order. Some may be
    missing on either side: an iterator that has ended, a prefetch that TensorFlow adds. A pair counts
    where every longest way to align the two has it. A stage of a function stands for all of its iterators.

    Args:
        nodes: Of TensorFlow's model, in the order in which they were made.
    """
    view = foreseen(view) if view.unseen else view
    kinds = [held[1] if (held := holder(kind_of(node))) is not None else None for node in nodes]
    there = [index for index, kind in enumerate(kinds) if kind is not None and nodes[index]["buffered_elements"]]
    stages = [stage for stage in _from_the_end(view) if traits(stage.op).holds is not None]
    many = Counter(stage.op for stage in stages)
    found: list[str | None] = [None] * len(nodes)
    nested = {stage.op: stage.id for stage in stages if stage.owner is not None and many[stage.op] == 1}
    for index in there:
        found[index] = nested.get(kinds[index] or "")
    mine = [index for index in there if found[index] is None]
    outer = [stage for stage in stages if stage.op not in nested]
    pairs = _certain_pairs([kinds[index] or "" for index in mine], [stage.op for stage in outer])
    for left, right in pairs:
        found[mine[left]] = outer[right].id if not outer[right].injected else None
    return found


def _from_the_end(view: PipelineView) -> Iterable[StageView]:
    """The stages, each before those that it reads and those that its function makes."""
    read = {name for stage in view.stages for name in stage.inputs}
    inside: dict[str | None, list[StageView]] = {}
    for stage in view.stages:
        if stage.id not in read:
            inside.setdefault(stage.owner, []).append(stage)
    todo = list(inside.get(None, ()))
    seen: set[str] = set()
    while todo:
        stage = todo.pop()
        if stage.id in seen:
            continue
        seen.add(stage.id)
        yield stage
        todo += inside.get(stage.id, ())
        todo += [view.by_id[input_] for input_ in reversed(stage.inputs) if input_ in view.by_id]


def _certain_pairs(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of equal members that all longest common subsequences have."""
    before = _longest(left, right)
    after = _longest(left[::-1], right[::-1])
    most = before[-1][-1]
    options: dict[int, set[int]] = {}
    back: dict[int, set[int]] = {}
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            if a == b and before[i][j] + 1 + after[len(left) - i - 1][len(right) - j - 1] == most:
                options.setdefault(i, set()).add(j)
                back.setdefault(j, set()).add(i)
    return [(i, next(iter(js))) for i, js in options.items() if len(js) == 1 and len(back[next(iter(js))]) == 1]


def _longest(left: Sequence[str], right: Sequence[str]) -> list[list[int]]:
    """Lengths of the longest common subsequences of all prefixes."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table
