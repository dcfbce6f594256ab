"""Conditions that several rules share, so that exactly one of them applies to a cause.

- A map that runs one call at a time: `serial-map-latency` if it waits, `serial-map-cpu` if it computes (`waits` and
  `computes` exclude each other), neither if it runs Python that holds the GIL. What waits was seen to be blocked: free
  cores alone prove nothing, a restart or a stage that cannot use them leaves them free as well.
- A map with several calls in flight: `threadpool-too-small` with a private pool, else `threadpool-caps-blocking-map`.
- Two slow stages in a row: `no-prefetch-between`, which yields to the rules for serial maps. The sides of a zip are its
  own (`in_slow_zip`), maps included, because each side is only part of a sum.
- `no-prefetch` is about the end of the pipeline and the step; it can apply together with any of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import (
    BUSY_CORES,
    ONE_CORE,
    STARVED,
    cores_at_work,
    cores_left,
    room_to_wait,
    spare_cores,
    starved,
    worker_cores,
)
from pipeprof.profiles.advise.rule import Threshold, trying
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.thread_chains import (
    Timing,
    beside,
    degree,
    drawn,
    has_cost,
    inputs,
    kind_of,
    owners,
    placed,
    runs_ahead,
    timing,
    total_ms,
    tuned,
)
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, percent, significant, stage_name

OWNS_STEP = Threshold("owns-step", 0.5, "of the interval", "the map owns the step", to_try=0.2)
WAITING_CORES = Threshold(
    "waiting-cores", 0.3, "cores", "a worker that uses less waits instead of computing", to_try=0.8
)
COMPUTING_CORES = Threshold("computing-cores", 0.3, "cores", "a worker that uses less mostly waits", to_try=0.15)
COMPUTING = Threshold("computing", 0.7, "of the stage's time", "CPU near one core while the map runs", to_try=0.35)
TRIVIAL_MS = Threshold("trivial-ms", 0.03, "ms per element", "below it parallel calls lose", to_try=0.02)
BLOCKED = Threshold(
    "blocked", 0.5, "of the map's time", "its threads neither compute nor want a core: they wait", to_try=0.25
)
BLOCKED_CORES = Threshold(
    "blocked-cores", 0.5, "of the pool's threads", "a full pool that does not compute waits", to_try=0.8
)
POOL_FULL = Threshold("pool-full", 0.7, "of the pool's threads", "in-flight calls about as many as threads")
PYTHON_CORES = Threshold("python-cores", 0.5, "cores", "above it the GIL is held most of the time", to_try=0.8)
LOCK_LET_GO = Threshold(
    "lock-let-go",
    0.1,
    "of the time inside Python functions",
    "below it they leave the work to code that releases the GIL",
    to_try=0.5,
)
PYTHON_BOUND = Threshold("python-bound", 0.5, "of the map's time", "most of the map is Python")
MOST_THREADS = Threshold("most-threads", 64, "threads", "largest pool tried")
WAITED_OP = Threshold("waited-op", 0.5, "of the blocked time", "in one op, whatever the others do: it is named")
SLOW_STAGE = Threshold("slow-stage", 0.2, "of the interval", "what is worth a thread of its own", to_try=0.1)
WORTH = Threshold("predicted-speedup", 1.05, "times", "as the headspace: less is within the noise of a run")

POOL_MARKS = (
    *(POOL_FULL, BLOCKED, WAITED_OP, BLOCKED_CORES, PYTHON_CORES, PYTHON_BOUND, LOCK_LET_GO),
    *(STARVED, MOST_THREADS, ONE_CORE, BUSY_CORES, WORTH),
)
"""Thresholds of the rules about thread pools."""

POOL_OPTION = "threading.private_threadpool_size"
"""Option that sets the size of the pipeline's own pool."""


def serial_map(view: PipelineView, stage: StageView) -> bool:
    """Whether it is a map that runs one call at a time and that nothing will change by itself."""
    if stage.op != "map" or not has_cost(stage) or not traits(kind_of(stage)).maps or stage.made_parallel:
        return False
    if stage.arguments.get("synchronous") is True or not placed(view, stage):
        return False
    return degree(stage) == 1.0 and not tuned(stage) and beside(view, stage) == 1.0


def owns_step(timing_: Timing, ms: float) -> bool:
    """Whether a stage that takes `ms` of each interval is most of it."""
    return ms > OWNS_STEP.value * timing_.interval_ms


def runs_python(stage: StageView) -> bool | None:
    """Whether its function is Python; ``None`` if that is not known."""
    if traits(stage.op).python_iterator:
        return True
    return stage.function.python if stage.function is not None else None


def python_bound(view: PipelineView, stage: StageView) -> bool | None:
    """Whether most of a map's time is Python that holds the GIL; ``None`` if unknown."""
    python = runs_python(stage)
    spent = view.facts.python_ms_per_batch if view.facts is not None else None
    lock = view.facts.python_lock_share if view.facts is not None else None
    if python is False or (lock is not None and lock < LOCK_LET_GO.value):
        return False
    if spent is None or stage.ms_per_batch is None:
        return python
    return spent >= PYTHON_BOUND.value * stage.ms_per_batch


def waits(view: PipelineView, stage: StageView) -> bool:
    """Whether a serial map that owns the step waits for something else than a core."""
    at, used, blocked = timing(view), cores_at_work(view), stage.blocked_ms
    if at is None or used is None or blocked is None or not serial_map(view, stage) or not room_to_wait(view):
        return False
    return owns_step(at, blocked) and used < WAITING_CORES.value and not starved(view, blocked / at.interval_ms)


def computes(view: PipelineView, stage: StageView) -> bool:
    """Whether a serial map that owns the step computes, in TensorFlow's own code, and is not trivial."""
    at, used = timing(view), worker_cores(view)
    if at is None or used is None or not serial_map(view, stage) or not spare_cores(view):
        return False
    ms, each = stage.ms_per_batch or 0.0, ms_per_element(at, stage)
    if each is None or each < TRIVIAL_MS.value or not owns_step(at, ms):
        return False
    # The model may have seen more batches than came out: one call at a time takes no more than all of the interval.
    busy = used >= COMPUTING_CORES.value and used * at.interval_ms >= COMPUTING.value * min(ms, at.interval_ms)
    python = python_bound(view, stage)
    return busy and (python is False or (python is None and trying()))


def longest_first(view: PipelineView, applies: Callable[[PipelineView, StageView], bool]) -> list[StageView]:
    """Serial maps that a condition applies to, outside of slow zips, the one that takes longest first."""
    maps = [stage for stage in view.stages if applies(view, stage) and not in_slow_zip(view, stage)]
    return sorted(maps, key=lambda stage: -(stage.ms_per_batch or 0.0))


def parallel_hits(
    view: PipelineView,
    at: Timing,
    calls: Sequence[tuple[StageView, int]],
    more: Sequence[PipelineEdit] = (),
    *,
    sentence: str,
    recommendation: str,
    evidence: Mapping[str, float],
) -> Iterator[Proposal]:
    """Report all serial maps of one cause together: with only one of two in parallel, the other sets the pace.

    Args:
        calls: The maps with the parallel calls that each should have, the one that takes longest first.
        more: Edits in addition to those.
        evidence: Numbers in addition to the common ones.
    """
    maps = [stage for stage, _ in calls]
    edits = (*(SetArgument(stage.id, stage.op, "num_parallel_calls", wanted) for stage, wanted in calls), *more)
    predicted = predict.expected(view, edits)
    if predicted is None or not worth(predicted):
        return
    yield Proposal(
        stage=maps[0].id,
        title=f"Run {listed([stage_name(stage) for stage in maps])} in parallel",
        sentence=sentence,
        recommendation=recommendation,
        evidence={
            "stage_ms_per_batch": maps[0].ms_per_batch or 0.0,
            **evidence,
            "stages": ", ".join(stage.id for stage in maps),
            "interval_ms": at.interval_ms,
            "worker_cores": worker_cores(view) or 0.0,
            "cores": view.cores,
            "parallel_calls": 1,
        },
        edits=edits,
        predicted=replace(predicted, peak_rss_delta_bytes=predict.buffered_by(calls)),
        covers=tuple(stage.id for stage in maps),
        semantics="randomness" if any(draws(stage) for stage in maps) else None,
    )


def takes_words(at: Timing, stage: StageView) -> str:
    """State what a stage takes of the interval."""
    shown = stage.table_ms or stage.ms_per_batch or 0.0
    share = percent(min(1.0, shown / at.interval_ms))
    return f"{stage.label} takes {milliseconds(shown)} of the {milliseconds(at.interval_ms)} per batch ({share})"


def too_words(maps: Sequence[StageView]) -> str:
    """Name the maps after the first one; empty if there are none."""
    return f" ({listed([stage.label for stage in maps[1:]])} too)" if maps[1:] else ""


def cores_words(view: PipelineView) -> str:
    """State how many of the cores the process uses."""
    return f"the whole process uses {significant(worker_cores(view) or 0.0, 2)} of {view.cores:g} cores"


def pool_words(pool: int | None, threads: int) -> str:
    """State what calls need of the private pool, after num_parallel_calls."""
    if threads != pool:
        return f" and a private pool of {threads} threads; without the pool there is one thread per core."
    return f"; the private pool of {pool} threads is large enough."


def ms_per_element(timing_: Timing, stage: StageView) -> float | None:
    """Time per element that the stage gives."""
    elements = stage.measured.elements if stage.measured is not None else None
    ms = stage.ms_per_batch
    return ms * timing_.batches / elements if ms is not None and elements else None


def private_pool(view: PipelineView) -> int | None:
    """Threads of the pipeline's own pool; ``None`` if it shares TensorFlow's."""
    size = view.options.get(POOL_OPTION)
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def maps_that_fill(view: PipelineView, pool: float) -> list[StageView]:
    """Maps whose calls fill a pool of `pool` threads, may be more, and wait; the longest first, or none."""
    at, used, left = timing(view), cores_at_work(view), cores_left(view)
    if at is None or used is None or left is None or not room_to_wait(view) or not 0 < pool < MOST_THREADS.value:
        return []
    if used >= BLOCKED_CORES.value * min(pool, left):
        return []
    maps = [stage for stage in view.stages if _parallel_map(view, stage) and _is_blocked(stage)]
    maps = sorted(maps, key=lambda stage: stage.ms_per_batch or 0.0, reverse=True)
    maps = [stage for stage in maps if (stage.ms_per_batch or 0.0) >= SLOW_STAGE.value * total_ms(maps)]
    running = total_ms(maps) / at.interval_ms
    if not maps or running < POOL_FULL.value * pool or not wanted_calls(view, maps) > pool:
        return []
    if used >= PYTHON_CORES.value and any(python_bound(view, stage) is not False for stage in maps):
        return []
    return [] if starved(view, running) else maps


def _is_blocked(stage: StageView) -> bool:
    """Whether its threads were seen to be blocked most of the time."""
    return stage.blocked_ms is not None and stage.blocked_ms >= BLOCKED.value * (stage.ms_per_batch or 0.0) > 0


def blocked_ms(stages: Sequence[StageView]) -> float:
    """Time per batch in which the threads of all of them are blocked; what is not known counts nothing."""
    return sum(stage.blocked_ms or 0.0 for stage in stages)


def _parallel_map(view: PipelineView, stage: StageView) -> bool:
    """Return whether the stage is a map that may run several calls at a time, its own or its enclosing function's."""
    if stage.op != "map" or not has_cost(stage) or not traits(kind_of(stage)).maps or not placed(view, stage):
        return False
    return any(runs_ahead(runner) and (degree(runner) > 1 or tuned(runner)) for runner in (stage, *owners(view, stage)))


def wanted_calls(view: PipelineView, maps: Sequence[StageView]) -> float:
    """Calls that may be in flight; infinite where TensorFlow chooses."""
    if any(tuned(runner) and runs_ahead(runner) for stage in maps for runner in (stage, *owners(view, stage))):
        return math.inf
    return sum((degree(stage) if runs_ahead(stage) else 1.0) * beside(view, stage) for stage in maps)


def waiting_words(view: PipelineView, timing_: Timing, maps: Sequence[StageView]) -> str:
    """State that these maps wait, and how many of their calls are in flight."""
    calls, running = wanted_calls(view, maps), total_ms(maps) / timing_.interval_ms
    most = "TensorFlow chooses the parallel calls" if calls == math.inf else f"{calls:g} calls may run at a time"
    ops = {_waited_op(stage) for stage in maps}
    op = ops.pop() if len(ops) == 1 else None
    blocking = f" in {op}" if op is not None else ""
    who = " and ".join(stage.label for stage in maps)
    return f"{who} {'wait' if maps[1:] else 'waits'}{blocking}: {most}, but {running:.1f} are in flight on average"


def _waited_op(stage: StageView) -> str | None:
    """The op in which most of the stage's waiting passes; ``None`` where its measured time does not show one."""
    ms, blocked = stage.ms_per_batch, stage.blocked_ms
    ops = stage.measured.ops if stage.measured is not None else None
    if not ops or ms is None or blocked is None:
        return None
    longest = max(ops, key=lambda one: one.ms_per_batch)
    # All that the stage computes may pass in the same op.
    waited = longest.ms_per_batch - (ms - blocked)
    return longest.op if waited > 0 and waited >= WAITED_OP.value * blocked else None


def larger_pool(view: PipelineView, maps: Sequence[StageView], pool: float) -> tuple[int, Prediction] | None:
    """Choose threads for the calls that wait in a full pool of `pool`, and predict their effect; ``None`` if unknown.

    More than the waiting needs, up to the number of calls.
    """
    most = math.floor(min(wanted_calls(view, maps), MOST_THREADS.value))
    sizes = range(math.floor(pool) + 1, most + 1)
    predictions = predict.expected_of_each(view, [[SetOption(POOL_OPTION, size)] for size in sizes])
    found = dict(zip(sizes, predictions, strict=False))
    gains = {size: one.speedup for size, one in found.items() if one is not None and one.speedup is not None}
    if not gains:
        return None
    needed = min(size for size, gain in gains.items() if gain >= NEARLY_ALL * max(gains.values()))
    # A thread that waits costs next to nothing; one too few costs its share of the speed.
    threads = min(most, SPARE_THREADS * needed)
    predicted = found[threads]
    return (threads, predicted) if predicted is not None else None


SPARE_THREADS = 2
"""Threads of a pool over those that the waiting needs by what was measured."""
NEARLY_ALL = 0.99
"""Share of the largest pool's gain from which a smaller pool is as good."""


def worth(predicted: Prediction) -> bool:
    """Whether an edit is predicted to gain more than noise."""
    return predicted.speedup is not None and predicted.speedup >= WORTH.value


def draws(stage: StageView) -> bool:
    """Whether calls in another order may give other random draws; of Python that is unknown before a trial."""
    function = stage.function
    return function is None or bool(function.random) or (function.random is None and not function.python)


def slow_sides(view: PipelineView, stage: StageView) -> list[StageView]:
    """The inputs of a zip that are drawn one after the other and each take long; empty for anything else."""
    at = timing(view)
    if at is None or kind_of(stage) != "Zip":
        return []
    slow = [side for side in inputs(view, stage) if total_ms(drawn(view, side)) >= SLOW_STAGE.value * at.interval_ms]
    return slow if len(slow) > 1 else []


def in_slow_zip(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage belongs to a side of a zip whose sides add up."""
    sides = [side for zip_ in view.stages for side in slow_sides(view, zip_)]
    return any(inner.id == stage.id for side in sides for inner in drawn(view, side))
