"""CPU time of calling functions, which TensorFlow's model does not count.

The model counts what a function's ops compute. The executor that schedules them, the threads that wake up for a call
and the end of the call come to 15 to 50 µs of CPU time a call, which is most of it where the function is small. The
trace has the executor's turns, by stage; in TensorFlow 2.21 the whole is 1 to 3 times of that, because no trace has
threads that wake up and look for work. So the turns are the proportion in which the unattributed CPU time is assigned
to the stages that call, and they get no more of it than `MOST_CALL_OVERHEAD` times the turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import MOST_CALL_OVERHEAD
from pipeprof.profiles.time.stage_time import Times
from pipeprof.profiles.time.trace_work import Work


def add_calling(
    times: Times,
    work: Mapping[str, Work],
    unattributed_ms: float,
    batches: int | None = None,
    running: float = 1.0,
) -> Times:
    """Add calls to the stages' time and CPU time; those of a part of a fused stage to the one that has its time.

    Args:
        times: Of all stages. Only those that TensorFlow's model timed are given any.
        work: What the trace has, by address.
        unattributed_ms: CPU time of the process per batch that no stage has yet.
        batches: That were measured. Some stages call once for each of their elements; for others the trace's number is
            used, which lacks what buffers held when it began.
        running: Of the threads' time that wanted a core, the part with one. The trace times a turn by the wall clock,
            also while it waits for a core; for a stage whose threads were sampled, their own part is used.
    """
    known = {time.row.id: time for time in times}
    turns: dict[str, tuple[float, float]] = {}
    for address, seen in work.items():
        time = known.get(address)
        if time is not None and seen.calls:
            row = time.row
            carrier = row.fused_with or address
            calls, ms = turns.get(carrier, (0.0, 0.0))
            each_batch = row.elements / batches if traits(row.op).once_each and row.elements and batches else seen.calls
            turns[carrier] = calls + each_batch, ms + seen.calling * _on_a_core(seen, running)
    total = sum(ms for _, ms in turns.values())
    factor = min(MOST_CALL_OVERHEAD, max(0.0, unattributed_ms) / total) if total > 0 else 0.0
    for address, (calls, ms) in turns.items():
        time = known.get(address)
        if time is None or time.timed_by != "model" or time.inside_ms is None or not factor * ms > 0:
            continue
        known[address] = replace(
            time,
            calls=calls,
            calling_ms=factor * ms,
            inside_ms=time.inside_ms + factor * ms,
            cpu_ms=(time.cpu_ms or 0.0) + factor * ms,
        )
    return tuple(known[time.row.id] for time in times)


def _on_a_core(seen: Work, running: float) -> float:
    """Return the part of a stage's turns in which they had a core."""
    wanted = (seen.computing or 0.0) + (seen.waiting or 0.0)
    return (seen.computing or 0.0) / wanted if wanted > 0 else running
