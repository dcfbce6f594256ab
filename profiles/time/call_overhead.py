"""What calling its functions takes of a stage: CPU time that TensorFlow's model does not count.

The model counts what a function's ops compute. The executor that hands them on, the threads that are woken for a call
and the call's end come to 15 to 50 µs of CPU time a call, which is most of it where the function is small. The trace
sees the executor's turns, by stage; in TensorFlow 2.21 the whole is 1 to 3 times of that, since nobody sees threads
being woken and looking for work. So the turns are the proportion in which the CPU time that is nobody's else is given
to the stages that call, and they get no more of it than `MOST` times what was seen of their turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.trace_work import Work

MOST: Final = 3.0
"""What a call takes at most, over what the trace sees of it."""
ONCE_EACH: Final = frozenset({"map", "scan", "take_while"})
"""Stages that call their function once for each element that they give out."""


def add_calling(
    stages: Sequence[Stage],
    work: Mapping[str, Work],
    nobodys_ms: float,
    batches: int | None = None,
    running: float = 1.0,
) -> None:
    """Adds calls to the stages' time and CPU time in place; those of a part of a fused stage to the one that has it.

    Args:
        stages: All rows. Only those whose time TensorFlow's model has counted are given any.
        work: What the trace saw, by address.
        nobodys_ms: CPU time of the process per batch that is nobody's yet.
        batches: That were measured. Some stages call once for each of their elements; of others the trace's number is
            told, which lacks what buffers held when it began.
        running: Of the threads' time that wanted a core, the part with one. The trace sees a turn by the clock, also
            while it waits for a core; of a stage whose threads were looked at, their own part is taken.
    """
    rows = {stage.id: stage for stage in stages}
    seen: dict[str, tuple[float, float]] = {}
    for address, one in work.items():
        row = rows.get(address)
        if row is not None and one.calls:
            carrier = row.fused_with or address
            calls, ms = seen.get(carrier, (0.0, 0.0))
            each_batch = row.elements / batches if row.op in ONCE_EACH and row.elements and batches else one.calls
            seen[carrier] = calls + each_batch, ms + one.calling * _on_a_core(one, running)
    total = sum(ms for _, ms in seen.values())
    each = min(MOST, max(0.0, nobodys_ms) / total) if total > 0 else 0.0
    for address, (calls, ms) in seen.items():
        row = rows.get(address)
        if row is None or row.timed_by != "model" or row.time_ms_per_batch is None or not each * ms > 0:
            continue
        row.calls_per_batch, row.calling_ms_per_batch = calls, each * ms
        row.time_ms_per_batch += each * ms
        row.cpu_ms_per_batch = (row.cpu_ms_per_batch or 0.0) + each * ms


def _on_a_core(one: Work, running: float) -> float:
    """The part of a stage's turns in which they had a core."""
    wanted = (one.computing or 0.0) + (one.waiting or 0.0)
    return (one.computing or 0.0) / wanted if wanted > 0 else running
