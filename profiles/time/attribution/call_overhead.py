"""CPU time of the executor that runs a stage's functions, which TensorFlow's model does not count.

The model counts what the ops of a function compute, also of the many that are too short for a trace. The executor that
hands results from op to op, the threads that wake up for a call and the end of the call are in no count; they come to
15 to 50 µs of CPU time a call, which is most of it where the function is small. The trace has the executor's turns:
what they took without any op, traced or not, is the proportion in which the CPU time is assigned that no stage has yet.

A turn is two things. A call has its own cost, whatever the function contains (`CALL_TURN_US` of a turn); no trace has
the threads that wake up for it, so it may come to `MOST_CALL_OVERHEAD` times of that. The rest goes from op to op, and
belongs to the ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeprof.profiles.constants import CALL_TURN_US, MOST_CALL_OVERHEAD
from pipeprof.profiles.time.attribution.from_trace import parts_of
from pipeprof.profiles.time.attribution.stage_time import StageTime, Times
from pipeprof.profiles.time.attribution.trace_work import Work


@dataclass(frozen=True)
class _Turns:
    """Of a stage's executor, in milliseconds of CPU time per batch: for calls, and from op to op."""

    calling: float = 0.0
    passing: float = 0.0
    calls: float | None = None


def add_calling(times: Times, work: Mapping[str, Work], unattributed_ms: float, running: float = 1.0) -> Times:
    """Add the executor to the stages' time and CPU time; that of a part of a fused stage to the one that has its time.

    Args:
        times: Of all stages. Only those that TensorFlow's model timed are given any.
        work: What the trace has, by address.
        unattributed_ms: CPU time of the process per batch that no stage has yet.
        running: Of the threads' time that wanted a core, the part with one. The trace times a turn by the wall clock,
            also while it waits for a core; for a stage whose threads were sampled, their own part is used.
    """
    turns = {
        time.row.id: _turns(time, parts_of(time, times), work, running) for time in times if time.row.fused_with is None
    }
    passing, calling = sum(one.passing for one in turns.values()), sum(one.calling for one in turns.values())
    left = max(0.0, unattributed_ms)
    passed = min(1.0, left / passing) if passing > 0 else 0.0
    called = min(MOST_CALL_OVERHEAD, (left - passed * passing) / calling) if calling > 0 else 0.0
    return tuple(_with_executor(time, turns.get(time.row.id), called, passed) for time in times)


def _with_executor(time: StageTime, turns: _Turns | None, called: float, passed: float) -> StageTime:
    if turns is None or time.timed_by != "model" or time.inside_ms is None:
        return time
    calling, passing = called * turns.calling, passed * turns.passing
    if not calling + passing > 0:
        return time
    return replace(
        time,
        calls=turns.calls,
        calling_ms=calling or None,
        passing_ms=passing or None,
        inside_ms=time.inside_ms + calling + passing,
        cpu_ms=(time.cpu_ms or 0.0) + calling + passing,
    )


def _turns(time: StageTime, parts: list[StageTime], work: Mapping[str, Work], running: float) -> _Turns:
    """What the trace has of a stage's executor, for the calls of a measured batch."""
    seen = [work[one.row.id] for one in parts if one.row.id in work]
    calls = sum(one.calls for one in seen)
    if not calls:
        return _Turns()
    each = sum(one.calling * _on_a_core(one, running) for one in seen) / calls
    model = next((one.model_ms for one in seen if one.model_ms is not None), None)
    own = CALL_TURN_US / 1000
    if model is None:
        # How long the ops took that are too short for a trace is unknown.
        each = min(each, own)
    else:
        short = max(0.0, model - sum(one.ms + one.own for one in seen)) / calls
        each = max(0.0, each - short)
    number = time.calls if time.calls is not None else calls
    return _Turns(number * min(each, own), number * max(0.0, each - own), number)


def _on_a_core(seen: Work, running: float) -> float:
    """Return the part of a stage's turns in which they had a core."""
    wanted = (seen.computing or 0.0) + (seen.waiting or 0.0)
    return (seen.computing or 0.0) / wanted if wanted > 0 else running
