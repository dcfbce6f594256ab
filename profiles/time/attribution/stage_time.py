"""A stage's time per batch, and the pure steps that it passes through before the document is written.

TensorFlow's model counts the time that threads spend *inside* a stage, by the wall clock. It is split by what the
stage's threads did in the trace window: computing, waiting for a core, or blocked (input and output, sleep, locks).
Tracing slows a pipeline, so only these proportions are used. The threads on which TensorFlow splits up single ops are
added, by what the trace has of their pool. What TensorFlow fused stays one: its time stands at the first of its parts.

A stage whose iterators had ended whenever the model was read has the trace's time for an element, times the elements
that must have come out of it. Tracing inflates that time, so such stages together get no more CPU time than the others
leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import COPIED_BYTES_PER_US, MOST_TRACE_SLOWDOWN
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.attribution.trace_work import Work


@dataclass(frozen=True)
class StageTime:
    """Times of a stage in milliseconds per batch, summed over threads; ``None`` where unknown.

    Attributes:
        row: The stage in the document; only what is no time is read from it.
        inside_ms: Wall time inside the stage: computing, blocked, waiting for a core.
        timed_by: Whether `inside_ms` comes from TensorFlow's model or from the trace.
        cpu_ms: CPU time, that of other threads for single ops and of calling its functions included.
        blocked_ms: Part of `inside_ms` in which its threads neither computed nor wanted a core.
        intra_op_ms: Part of `cpu_ms` on other threads, on which TensorFlow splits up single ops.
        calling_ms: Part of `cpu_ms` that calling its functions takes beyond what the model counts.
        beginning_ms: Part of `cpu_ms` in which its own threads begin the calls, which the model counts.
        passing_ms: Part of `cpu_ms` that the executor takes between the ops of its functions.
        calls: Calls of its functions per batch.
        threads: How many threads may be inside it at a time and have a core, by the model.
        scale: By which traced milliseconds become those of a measured batch.
        ops: Its ops: as traced, until `profiles.time.attribution.inside` makes them parts of the stage's time.
        python: Its Python functions, likewise.
    """

    row: Stage
    inside_ms: float | None = None
    timed_by: Literal["model", "trace"] | None = None
    cpu_ms: float | None = None
    blocked_ms: float | None = None
    intra_op_ms: float | None = None
    calling_ms: float | None = None
    beginning_ms: float = 0.0
    passing_ms: float | None = None
    calls: float | None = None
    threads: float | None = None
    scale: float = 1.0
    ops: Sequence[OpCost] | None = None
    python: Sequence[PythonCost] | None = None

    @property
    def active_ms(self) -> float:
        """Time inside the stage without waiting for a core."""
        return (self.cpu_ms or 0.0) + (self.blocked_ms or 0.0)

    @property
    def body_ms(self) -> float:
        """CPU time and blocked time of its own threads, without the executor that runs its functions."""
        executor = (self.calling_ms or 0.0) + (self.passing_ms or 0.0)
        return max(0.0, self.active_ms - (self.intra_op_ms or 0.0) - executor)


Times = tuple[StageTime, ...]


_LEAST_RUNNING = 0.05


def from_model(stages: Sequence[Stage]) -> Times:
    """Take the wall time inside each stage as TensorFlow's model counts it."""
    return tuple(
        StageTime(
            row=stage,
            inside_ms=stage.time_ms_per_batch,
            timed_by="model" if stage.time_ms_per_batch is not None else None,
            calls=stage.calls_per_batch,
        )
        for stage in stages
    )


def threads_of(stages: Times) -> Times:
    """Note how many threads of each stage may have a core, by its ceiling in the model's time."""
    found = []
    for time in stages:
        ceiling = time.row.ceiling_batches_per_second
        threads = ceiling * time.inside_ms / 1000 if ceiling is not None and time.inside_ms else None
        found.append(replace(time, threads=threads))
    return tuple(found)


def cap_at_threads(times: Times, interval_ms: float | None) -> Times:
    """Cap the time inside each stage at the time of its threads, and what they did in it at that.

    The model counts a call in the thread that waits for it and in the one that makes it, and a cost that was scaled up
    may be too large; no thread spends more time than passes.
    """
    return tuple(_capped(time, interval_ms) for time in times)


def _capped(time: StageTime, interval_ms: float | None) -> StageTime:
    threads = time.row.threads
    if time.inside_ms is None or interval_ms is None or threads is None:
        return time
    inside = min(time.inside_ms, threads * interval_ms)
    factor = min(1.0, inside / time.body_ms) if time.body_ms > 0 else 1.0
    if factor == 1.0:
        return replace(time, inside_ms=inside)
    # Other threads wake up for the calls and end them.
    others = (time.calling_ms or 0.0) + (time.passing_ms or 0.0) + (time.intra_op_ms or 0.0)
    cpu = None if time.cpu_ms is None else others + max(0.0, time.cpu_ms - others) * factor
    blocked = None if time.blocked_ms is None else time.blocked_ms * factor
    return replace(time, inside_ms=inside, cpu_ms=cpu, blocked_ms=blocked, beginning_ms=time.beginning_ms * factor)


_COPIED_IN_POOL = 1 << 15
"""Bytes of a row from which TensorFlow 2.21 copies rows into a batch on threads of the pool (``parallel_copy``)."""
_NOT_BY_BYTES = ("string", "variant")
"""Types of elements that take longer to copy than their bytes."""
_SLOWEST_COPY = COPIED_BYTES_PER_US / 8
"""Bytes per µs that are copied at least, page faults of new memory included."""


def without_pool_waits(times: Times, running: float) -> Times:
    """Leave out of a batch's time the part in which it waits for threads of the pool, which other calls hold.

    The model stops the clock of a stage that waits for its input, and not that of a batch whose rows are to be copied
    on such threads: with 60 calls of Python before it, that was 208 of 211 ms for 0.2 MB.

    Args:
        running: Of the time in which threads of the process wanted a core, the part with one.
    """
    return tuple(_without_pool_waits(time, running) for time in times)


def _without_pool_waits(time: StageTime, running: float) -> StageTime:
    row, each = time.row, time.row.inputs_each
    if not traits(row.op).copies_rows or traits(row.op).function is not None or time.inside_ms is None or not each:
        return time
    if (row.bytes_per_element or 0.0) < _COPIED_IN_POOL * each or row.bytes_out_per_batch is None:
        return time
    if any(component.dtype in _NOT_BY_BYTES for component in row.element_spec or ()):
        return time
    copying_ms = row.bytes_out_per_batch / _SLOWEST_COPY / 1000 / max(running, _LEAST_RUNNING)
    return replace(time, inside_ms=min(time.inside_ms, copying_ms))


def split_blocked(times: Times, work: Mapping[str, Work], running: float, traced_running: float | None) -> Times:
    """Split the time inside each stage into computing, blocked and waiting for a core.

    Args:
        work: Of the trace window, by address.
        running: Of the time in which threads of the process wanted a core, the part with one; for stages whose threads
            were not sampled.
        traced_running: The same in the trace window, for stages that the trace timed; ``None`` where unknown.
    """
    found = []
    for time in times:
        if time.inside_ms is None:
            found.append(time)
            continue
        seen = work.get(time.row.id)
        share = traced_running if time.timed_by == "trace" and traced_running is not None else running
        found.append(_split(time, time.inside_ms, seen, share))
    return tuple(found)


def _split(time: StageTime, inside: float, seen: Work | None, running: float) -> StageTime:
    blocked, intra_op = None, None
    if seen is None or seen.computing is None or seen.waiting is None or traits(time.row.op).copies_rows:
        cpu = inside * running
    else:
        cpu = inside * seen.computing
        blocked = min(inside - cpu, max(0.0, inside * (1.0 - seen.computing - seen.waiting)))
    if seen is not None and seen.intra_op:
        intra_op = inside * seen.intra_op
        cpu += intra_op
    return replace(time, cpu_ms=cpu, blocked_ms=blocked, intra_op_ms=intra_op)


def cap_trace_timed_stages(times: Times, others_ms: float, total_ms: float) -> Times:
    """Scale down trace-timed stages so that all stages fit the process's CPU time: tracing inflates them.

    Args:
        others_ms: CPU time per batch of everything else.
        total_ms: CPU time per batch of the process.
    """
    traced = [time for time in times if time.timed_by == "trace"]
    used = sum(time.cpu_ms or 0.0 for time in traced)
    most = max(total_ms - others_ms, used / MOST_TRACE_SLOWDOWN)
    if all(time.timed_by == "trace" for time in times if time.inside_ms is not None) or used <= most:
        return times
    found = []
    for time in times:
        if time.timed_by != "trace":
            found.append(time)
            continue
        blocked = time.blocked_ms or 0.0
        inside = blocked + ((time.inside_ms or 0.0) - blocked) * most / used
        found.append(replace(_with_cpu_scaled(time, most / used), inside_ms=inside))
    return tuple(found)


def _with_cpu_scaled(time: StageTime, factor: float) -> StageTime:
    return replace(
        time,
        cpu_ms=time.cpu_ms * factor if time.cpu_ms is not None else None,
        intra_op_ms=time.intra_op_ms * factor if time.intra_op_ms is not None else None,
    )


def scale_to_cpu(times: Times, scale: float) -> Times:
    """Scale CPU times so that stages, loop and pipeprof fit the CPU time of the process.

    Where they come to more, they waited for cores more than where each of them was measured. Times from the trace are
    estimates, which tracing and the threads that wait for the GIL in it have made longer: they are scaled as well.
    """
    found = []
    for time in times:
        scaled = _with_cpu_scaled(time, scale)
        if time.timed_by == "trace":
            blocked = time.blocked_ms or 0.0
            scaled = replace(scaled, inside_ms=blocked + ((time.inside_ms or 0.0) - blocked) * scale)
        found.append(scaled)
    return tuple(found)


def cap_waiting_at_window(times: Times, interval_ms: float | None, cores: float) -> Times:
    """Cap the waiting for cores of trace-timed stages: no more than passed while measuring."""
    if interval_ms is None or not any(time.timed_by == "model" for time in times):
        return times
    found = []
    for time in times:
        if time.timed_by != "trace":
            found.append(time)
            continue
        several = time.row.depth > 0 or executed(time.row.tf_op or "").asynchronous
        passed = interval_ms * ((time.row.parallelism or cores) if several else 1.0)
        found.append(replace(time, inside_ms=min(time.inside_ms or 0.0, max(passed, time.active_ms))))
    return tuple(found)
