"""CPU time of the executor that runs a stage's functions, which TensorFlow's model does not count.

The model counts what the ops of a function compute, also of the many that are too short for a trace. The executor that
passes results from op to op, the threads that wake up for a call and the end of the call are in no count; they come to
15 to 50 µs of CPU time a call, which is most of it where the function is small. The CPU time that no stage has yet pays
for them, up to what the trace has of the executor's turns:

* A call has its own cost, whatever the function contains: `CALL_TURN_US` of a turn, and up to `MOST_CALL_OVERHEAD`
  times of that, because no trace has the threads that wake up for it.
* Beginning a call on a thread that goes on meanwhile is in the model's time: as large a part of it as in the trace
  window. It is part of the cost of the call, and no time of its ops.
* What the turns took beyond that and without any op, traced or not, went from op to op: to short ones, each of
  them taking up to `PASSING_PER_SHORT_OP` times its own time. It belongs to the ops.
* What is left then was no waiting for a core, where stages seem to have waited for one (`recover_waiting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeprof.profiles.constants import CALL_TURN_US, MOST_CALL_OVERHEAD, PASSING_PER_SHORT_OP
from pipeprof.profiles.time.attribution.from_trace import parts_of
from pipeprof.profiles.time.attribution.stage_time import StageTime, Times
from pipeprof.profiles.time.attribution.trace_work import FEWEST_CALLS, Work


@dataclass(frozen=True)
class _Turns:
    """CPU time of a stage's executor, in milliseconds per batch: for calls, and from op to op."""

    calling: float = 0.0
    passing: float = 0.0
    calls: float | None = None
    beginning: float = 0.0
    """Part of the model's time in which the stage's threads begin calls and have a core."""


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
    passing, calling = sum(turn.passing for turn in turns.values()), sum(turn.calling for turn in turns.values())
    left = max(0.0, unattributed_ms)
    called = min(MOST_CALL_OVERHEAD, left / calling) if calling > 0 else 0.0
    left -= called * calling
    passed = min(1.0, left / passing) if passing > 0 else 0.0
    return tuple(_with_executor(time, turns.get(time.row.id), called, passed) for time in times)


def recover_waiting(times: Times, unattributed_ms: float) -> Times:
    """Count as computing what seems to be waiting for a core, as far as the process used CPU time that no stage has.

    How much of a stage's time its threads waited is known of the trace window, in which the samplers want cores, too;
    of stages whose threads were not sampled it is what the kernel counts of all threads, their waking up included.
    """
    waiting = [0.0 if time.cpu_ms is None else max(0.0, (time.inside_ms or 0.0) - _own_ms(time)) for time in times]
    factor = min(1.0, max(0.0, unattributed_ms) / sum(waiting)) if sum(waiting) > 0 else 0.0
    return tuple(
        replace(time, cpu_ms=(time.cpu_ms or 0.0) + factor * ms) if factor * ms > 0 else time
        for time, ms in zip(times, waiting, strict=True)
    )


def without_waiting(times: Times) -> Times:
    """Count as blocked what seems to be waiting for a core: of machines whose cores were free.

    A thread that sleeps often is seen as it wakes up, and its CPU time is scaled down to what the process used; neither
    is a wait for a core that another thread has. Stages whose blocked time is unknown stay as they are.
    """
    return tuple(
        replace(time, blocked_ms=max(time.blocked_ms, (time.inside_ms or 0.0) - (_own_ms(time) - time.blocked_ms)))
        if time.blocked_ms is not None
        else time
        for time in times
    )


def _own_ms(time: StageTime) -> float:
    """Return the time inside a stage without waiting for a core, that of further threads of its ops not included."""
    return time.active_ms - (time.intra_op_ms or 0.0)


def _with_executor(time: StageTime, turns: _Turns | None, called: float, passed: float) -> StageTime:
    if turns is None or time.timed_by != "model" or time.inside_ms is None:
        return time
    calling, passing = called * turns.calling, passed * turns.passing
    beginning = min(time.cpu_ms or 0.0, turns.beginning * time.inside_ms)
    if not calling + passing > 0:
        return replace(time, calls=turns.calls, beginning_ms=beginning) if turns.calls is not None else time
    return replace(
        time,
        calls=turns.calls,
        beginning_ms=beginning,
        calling_ms=calling or None,
        passing_ms=passing or None,
        inside_ms=time.inside_ms + calling + passing,
        cpu_ms=(time.cpu_ms or 0.0) + calling + passing,
    )


def _turns(time: StageTime, parts: list[StageTime], work: Mapping[str, Work], running: float) -> _Turns:
    """The trace's time of a stage's executor, for the calls of a measured batch."""
    seen = [work[part.row.id] for part in parts if part.row.id in work]
    calls = sum(traced.calls for traced in seen)
    if calls < FEWEST_CALLS:
        return _Turns()
    running = sum(one.calling * _on_a_core(one, running) for one in seen) / (sum(one.calling for one in seen) or 1.0)
    turn, own = sum(traced.calling for traced in seen) / calls, CALL_TURN_US / 1000
    model = next((traced.model_ms for traced in seen if traced.model_ms is not None), None)
    # Where the model did not read the trace window, ops that are too short for the trace are not known.
    short = max(0.0, model - sum(traced.ms + traced.own for traced in seen)) / calls if model is not None else 0.0
    beyond = min(max(0.0, turn - own - short), PASSING_PER_SHORT_OP * short)
    number = time.calls if time.calls is not None else calls
    beginning = min(1.0, sum(traced.beginning for traced in seen) / model) * running if model else 0.0
    return _Turns(number * min(turn * running, own), number * beyond, number, beginning)


def _on_a_core(seen: Work, running: float) -> float:
    """Return the part of a stage's turns in which they had a core."""
    wanted = (seen.computing or 0.0) + (seen.waiting or 0.0)
    return (seen.computing or 0.0) / wanted if wanted > 0 else running
