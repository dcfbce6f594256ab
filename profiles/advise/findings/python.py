"""Python of the user's that sets the pace, and that only the user can write in another way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import alone, calls_per_batch, interval_ms, microseconds, per_batch
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.facts.work import cores_at_work
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.advise.text.what_to_write import of_python
from pipeprof.profiles.constants import BATCH_HAND_OVER_US, HAND_OVER_COMPONENT_US, HAND_OVER_MB_US, HAND_OVER_US
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import count, milliseconds, percent, ratio_text, significant

MOST_TIME: Final = 0.5
"""Of the time inside the stages: below it something else comes first."""
OVER_HAND_OVER: Final = 3
"""Times the cost of a transfer: an element that costs more is work in the generator."""
FEWEST_ELEMENTS: Final = 8
"""Of a batch: below it there are few transfers to save."""
USUAL_BATCH: Final = 64
WAITS_FROM: Final = 0.5
"""Of the interval in which a generator is blocked."""
WAITING_CORES: Final = 0.3
"""Cores: a worker that uses less waits instead of computing."""
WAITS_EACH_MS: Final = 0.2
"""Of waiting for an element: below it the transfer is the larger part."""
WAITING_CALLS: Final = 16
"""Calls and threads: 48 pictures of 20 ms per second from a generator, 789 with 16 of both."""
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
    calls, most = calls_per_batch(view, worst), view.headspace.speedup if view.headspace is not None else None
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
        predicted=Prediction(f"unknown before it is written{f' (at most {ratio_text(most)})' if most else ''}"),
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
            f"Yield {chunk} rows at a time and remove the batch; of rows in an array, read slices without a generator."
        ),
        evidence={"elements_per_batch": given, "us_per_element": cost, "hand_over_us": floor, "time_share": share},
        predicted=predicted,
    )


PYTHON: Final = (generator_per_element, py_function_gil)
