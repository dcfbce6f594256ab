"""Python of the user's that sets the pace, and arrays of the user's: sources that copy them, constants of a graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import alone, calls_per_batch, interval_ms, microseconds, per_batch
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.facts.byte_gate import Weight, weigh
from pipeprof.profiles.advise.facts.work import WAITING_CALLS, WAITING_CORES, cores_at_work
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.advise.text.bound_advice import of_python
from pipeprof.profiles.constants import (
    ARRAY_COPIES,
    BATCH_HAND_OVER_US,
    CAPTURED_CONSTANT_COPIES,
    HAND_OVER_COMPONENT_US,
    HAND_OVER_MB_US,
    HAND_OVER_US,
    SOURCE_CONSTANT_COPIES,
)
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.memory.predict import memory_prediction
from pipeprof.profiles.view.view import ConstantView, PipelineView, StageView
from pipeprof.profiles.wording import count, listed, milliseconds, percent, place_of, ratio_text, significant, size

MOST_TIME: Final = 0.5
"""Of the time inside the stages: below it something else comes first."""
OVER_HAND_OVER: Final = 3
"""Times the cost of a transfer: an element that costs more is work in the generator."""
FEWEST_ELEMENTS: Final = 8
"""Of a batch: below it there are few transfers to save."""
USUAL_BATCH: Final = 64
WAITS_FROM: Final = 0.5
"""Of the interval in which a generator is blocked."""
WAITS_EACH_MS: Final = 0.2
"""Of waiting for an element: below it the transfer is the larger part."""
LEAST_GAIN: Final = 1.05
"""Times as fast: as the headspace, less is within the noise of a run."""


@finding("py-function-gil", "speed", "values", waits=True)
def py_function_gil(view: PipelineView) -> Iterator[Proposal]:
    """Maps and filters whose Python holds the GIL most of the time."""
    facts, interval = view.facts, interval_ms(view)
    stages = [stage for stage in view.stages if _is_python(stage)]
    share = sum((stage.measured.share or 0.0) if stage.measured is not None else 0.0 for stage in stages)
    verdict = view.profile.verdict if view.profile is not None else None
    if facts is None or interval is None or share < MOST_TIME or verdict is None or verdict.limit != "gil":
        return
    worst = max(stages, key=lambda one: one.ms_per_batch or 0.0)
    calls, headspace = calls_per_batch(view, worst), view.profile.headspace if view.profile is not None else None
    most = headspace.speedup if headspace is not None else None
    times = f" {count(calls)} times per batch" if calls is not None and calls >= LEAST_GAIN else ""
    advice = of_python(worst.measured) if worst.measured is not None else "write the function in TensorFlow ops"
    numbers = {
        "python_share": facts.python_share,
        "python_lock_share": facts.python_lock_share,
        "worker_cores": facts.worker_cores,
        "time_share": share,
        "calls_per_batch": calls,
        "interval_ms": interval,
    }
    yield Proposal(
        stage=worst.id,
        sentence=(
            f"{worst.label} runs Python{times}, {percent(share)} of the time inside the pipeline: the GIL lets one "
            "thread compute at a time, so more calls would only take turns."
        ),
        recommendation=f"{advice[:1].upper()}{advice[1:]}.",
        evidence={name: value for name, value in numbers.items() if value is not None},
        predicted=Predicted(formula=f"unknown before it is written{f' (at most {ratio_text(most)})' if most else ''}"),
    )


def _is_python(stage: StageView) -> bool:
    row, function = traits(stage.op), stage.function
    return (
        row.computes and row.single_function and function is not None and bool(function.python and stage.ms_per_batch)
    )


@finding("generator-per-element", "speed", "values", waits=True)
def generator_per_element(view: PipelineView) -> Iterator[Proposal]:
    """A Python generator whose elements cost their transfer to TensorFlow, or are waited for one by one."""
    for stage in view.stages:
        if traits(stage.op).python_iterator and stage.measured is not None and not stage.injected:
            proposal = _waits(view, stage) or _transfers(view, stage)
            if proposal is not None:
                yield replace(proposal, stage=stage.id)


def _waits(view: PipelineView, stage: StageView) -> Proposal | None:
    interval, used, blocked = interval_ms(view), cores_at_work(view), stage.blocked_ms
    each = microseconds(view, stage)
    if interval is None or used is None or blocked is None or each is None or stage.depth:
        return None
    if blocked < WAITS_FROM * interval or used >= WAITING_CORES or each < 1000 * WAITS_EACH_MS:
        return None
    predicted = expected(view, {}, {stage.id: WAITING_CALLS}, threads=WAITING_CALLS)
    if predicted is None or (predicted.speedup or 0.0) < LEAST_GAIN:
        return None
    return Proposal(
        title="Replace the waiting generator with a parallel map",
        sentence=(
            f"{stage.label} waits {milliseconds(each / 1000)} for each element, one after the other, while the process "
            f"uses {significant(used, 2)} of {view.cores:g} cores."
        ),
        recommendation=(
            f"If an element can be made from its number, use range and a map with num_parallel_calls={WAITING_CALLS} "
            f"and threading.private_threadpool_size={WAITING_CALLS}."
        ),
        evidence={"stage_ms_per_element": each / 1000, "blocked_ms_per_batch": blocked, "interval_ms": interval},
        predicted=predicted,
    )


def _transfers(view: PipelineView, stage: StageView) -> Proposal | None:
    batch = next((above for above in view.above(stage) if traits(above.op).stacks), None)
    mixed = any(traits(above.op).shuffles for above in takewhile(lambda one: one is not batch, view.above(stage)))
    after = "take them apart with unbatch() before the shuffle" if mixed else "remove the batch"
    cost, given, interval = microseconds(view, stage), per_batch(view, stage), interval_ms(view)
    share = stage.measured.share if stage.measured is not None else None
    if batch is None or cost is None or given is None or interval is None or share is None:
        return None
    components = HAND_OVER_COMPONENT_US * max(0, len(stage.element or ()) - 1)
    floor, copied = HAND_OVER_US + components, HAND_OVER_MB_US * (stage.element_bytes or 0.0) / 1e6
    if given < FEWEST_ELEMENTS or share < MOST_TIME or alone(view, cost) - copied > floor * OVER_HAND_OVER:
        return None
    rows = batch.arguments.get("batch_size")
    chunk = rows if isinstance(rows, int) and rows > 0 else USUAL_BATCH
    saved = (given * min(cost, floor) - given / chunk * (BATCH_HAND_OVER_US + components)) / 1000
    left = 1 - max(0.0, saved) / stage.ms_per_batch if stage.ms_per_batch else 1.0
    predicted = expected(view, {stage.id: left}, {})
    if predicted is None or (predicted.speedup or 0.0) < LEAST_GAIN:
        return None
    return Proposal(
        sentence=(
            f"{stage.label} hands {count(given)} elements per batch to TensorFlow one by one, {significant(cost)} µs "
            f"each, of which the transfer alone takes about {floor:g} µs: {percent(share)} of the time inside the "
            "pipeline."
        ),
        recommendation=(
            f"Yield {chunk} rows at a time and {after}; of rows in an array, read slices without a generator."
        ),
        evidence={"elements_per_batch": given, "us_per_element": cost, "hand_over_us": floor, "time_share": share},
        predicted=predicted,
    )


PYTHON: Final = (generator_per_element, py_function_gil)


CONSTANT_BYTES: Final = 5_000_000
"""Of a constant: at the peak it is 19 times that, about the 100 MB from which memory counts, and 0.5 s per iterator."""
TENSOR_COPIES: Final = 3
"""Peak with 10 to 41 MB as a captured tensor, array counted."""
GRAPH_LIMIT: Final = 2**31
_MOST_NAMED: Final = 3


@finding("big-array", "memory", "same")
def big_array(view: PipelineView) -> Iterator[Proposal]:
    """A large array in memory as the source, of which TensorFlow makes copies."""
    for stage in view.stages:
        nbytes = stage.source_bytes
        weight = weigh(nbytes, view) if traits(stage.op).slices and nbytes and not stage.constant else None
        if weight is None or nbytes is None or not weight.matters:
            continue
        peak = min(ARRAY_COPIES * nbytes, _measured_most(weight), _own_part(view, stage, weight))
        compared = weigh(peak, view).words()
        wide = _float64_bytes(stage, nbytes)
        half = f" As float32, its {size(wide)} of float64 would be half as large, with rounded values." if wide else ""
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} slices {size(nbytes)} of arrays, and TensorFlow copies them: {size(peak)} at the peak"
                f"{f', {compared}' if compared else ''}."
            ),
            recommendation=(
                "Keep the rows in a file and read whole batches of them from a memory map: indices through the stages "
                f"up to the batch, and a map after it.{half}"
            ),
            evidence={"source_bytes": nbytes, "peak_bytes": round(peak), **weight.evidence()},
            predicted=Predicted(
                formula=f"{size(nbytes)} of a mapped file instead of {size(peak)}",
                peak_rss_delta_bytes=-max(0, round(peak - nbytes)),
            ),
        )


def _measured_most(weight: Weight) -> float:
    """What a run took at the peak: where a program frees its array once the dataset is built, less than the copies."""
    return math.inf if weight.predicted or weight.peak_bytes is None else weight.peak_bytes


def _own_part(view: PipelineView, source: StageView, weight: Weight) -> float:
    """The source's part of the peak by the ledger, as far as the peak falls with it: what other stages hold stays."""
    own = _of_sources(view, source)
    if not own or weight.predicted or weight.peak_bytes is None:
        return math.inf
    others = sum(prediction.bytes for prediction in memory_prediction(view).held if prediction.owner != "source")
    return max(0.0, min(own, weight.peak_bytes - others))


def _of_sources(view: PipelineView, source: StageView | None = None) -> float:
    """Bytes at the peak that the ledger gives to data of the program, copies included; of one source if given."""
    memory = view.profile.memory if view.profile is not None else None
    held = [entry for entry in (memory.ledger if memory is not None else None) or () if entry.owner == "source"]
    return float(sum(entry.bytes for entry in held if source is None or entry.stage == source.id))


def _float64_bytes(stage: StageView, nbytes: int) -> int:
    known = [(component.dtype, component.nbytes or 0) for component in stage.element or ()]
    total = sum(width for _, width in known)
    if not total or any(not width for _, width in known):
        return 0
    return round(nbytes * sum(width for dtype, width in known if dtype == "float64") / total)


@finding("graph-constant", "memory", "same")
def graph_constant(view: PipelineView) -> Iterator[Proposal]:
    """An array that became a constant of a graph, which is copied and rewritten as a whole for every iterator."""
    inside: dict[str, int] = {}
    for stage in view.stages:
        nbytes = stage.source_bytes or 0
        if traits(stage.op).in_memory and stage.constant and nbytes > CONSTANT_BYTES:
            # Inside the function of a stage it is copied like a captured constant.
            copies = SOURCE_CONSTANT_COPIES if stage.owner is None else CAPTURED_CONSTANT_COPIES
            what = f"{stage.label} was built inside a function: its {size(nbytes)}"
            text = f"Build the dataset outside of the function: there it takes {ARRAY_COPIES:g} times the array."
            yield _constant(view, nbytes, (copies, ARRAY_COPIES), what, text, stage=stage)
            if stage.owner is not None:
                inside[stage.owner] = inside.get(stage.owner, 0) + nbytes
    for stage in view.stages:
        carried = (stage.function.constant_bytes if stage.function is not None else None) or 0
        # The constants of a source inside the function are those of that source.
        own = carried - inside.get(stage.id, 0)
        if own > CONSTANT_BYTES:
            arrays = [constant for constant in view.constants if constant.stage == stage.id]
            yield _captured(view, own, f"The function of {stage.label}", arrays, stage)
    if not any(stage.function is not None for stage in view.stages):
        yield from _unplaced(view)


def _unplaced(view: PipelineView) -> Iterator[Proposal]:
    """Constants that were seen while the pipeline was built, where no graph has their stages."""
    sources = [stage for stage in view.stages if stage.constant]
    by_line: dict[tuple[str, int] | None, list[ConstantView]] = {}
    for constant in view.constants:
        place = constant.location
        if not any(_is_of_source(constant, stage) for stage in sources):
            by_line.setdefault((place.file, place.line) if place is not None else None, []).append(constant)
    for arrays in by_line.values():
        nbytes = sum(constant.nbytes for constant in arrays)
        if nbytes > CONSTANT_BYTES:
            yield _captured(view, nbytes, "A function of the pipeline", arrays, None)


def _captured(
    view: PipelineView, nbytes: int, who: str, arrays: Sequence[ConstantView], stage: StageView | None
) -> Proposal:
    largest = sorted(arrays, key=lambda one: -one.nbytes)[:_MOST_NAMED]
    named = f" ({listed([_words(one) for one in largest])})" if largest else ""
    text = "Convert the array once, outside of the function: array = tf.constant(array)."
    copies = (CAPTURED_CONSTANT_COPIES, TENSOR_COPIES)
    what = f"{who} carries {size(nbytes)}{named}, which"
    place = stage.location if stage is not None and stage.location is not None else None
    found = _constant(view, nbytes, copies, what, text, stage=stage)
    return replace(found, location=place or (largest[0].location if largest else None))


def _constant(
    view: PipelineView, nbytes: int, copies: tuple[float, float], what: str, text: str, *, stage: StageView | None
) -> Proposal:
    """One finding; `copies` are times the array at the peak, as it is and with the advice."""
    weight = weigh(copies[0] * nbytes, view)
    # At most all that was measured.
    peak = min(copies[0] * nbytes, max(_measured_most(weight), _of_sources(view)))
    compared = weight.words(peak)
    limit = f" A graph of {size(GRAPH_LIMIT)} cannot be built at all." if nbytes > GRAPH_LIMIT / 2 else ""
    return Proposal(
        stage=stage.id if stage is not None else None,
        sentence=(
            f"{what} are constants of a graph. Every new iterator copies and rewrites it as a whole: {size(peak)} at "
            f"the peak{f', {compared}' if compared else ''}.{limit}"
        ),
        recommendation=text,
        evidence={"constant_bytes": nbytes, "peak_bytes": round(peak), **weight.evidence()},
        predicted=Predicted(
            formula=f"{copies[1]:g} times the array instead of {size(peak)}",
            peak_rss_delta_bytes=-max(0, round(peak - copies[1] * nbytes)),
        ),
    )


def _words(array: ConstantView) -> str:
    place = place_of(array.location)
    used = f", used in {place}" if place is not None else ""
    return f"{array.dtype}[{','.join(map(str, array.shape))}]{used}"


def _is_of_source(array: ConstantView, source: StageView) -> bool:
    """Whether an array may be what a source in memory was made of, which is a finding of its own."""
    return any(
        component.dtype == array.dtype and component.shape in (array.shape, array.shape[1:])
        for component in source.element or ()
    )
