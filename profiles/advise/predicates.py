"""What several rules ask of a measured pipeline, so that they draw the line between each other in one place.

Who speaks when more than one could:

- A map that runs one call at a time belongs to `serial-map-latency` if it waits and to `serial-map-cpu` if it
  computes (`waits`, `computes`: no map does both); if it runs Python that computes, to neither (the GIL's).
- A map with several calls at a time belongs to `threadpool-too-small` if a private pool is set, else to
  `threadpool-caps-blocking-map`.
- Two slow stages in a row belong to `no-prefetch-between` unless one of them is such a serial map (`serial_finding`):
  making it parallel takes it off the row as well, and more. The sides of a zip are its own (`in_slow_zip`), maps
  and all, because each side alone is only a part of what adds up.
- `no-prefetch` is about the end of the pipeline and the step, and stands beside any of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.graph.opnames import family, is_asynchronous
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.rule import Predicted, Threshold
from pipeprof.profiles.advise.view import AUTOTUNE, PipelineView, StageView
from pipeprof.profiles.profile import Dispatch

BUSY_CORES = Threshold("busy-cores", 0.8, "of the cores", "P9: above, more threads only compete")
ONE_CORE = Threshold("one-core", 1.0, "core", "P9: with no more, threads compete with each other")
OWNS_STEP = Threshold("owns-step", 0.5, "of the interval", "T1: the map owns the step")
WAITING_CORES = Threshold("waiting-cores", 0.3, "cores", "T1: a worker below it waits instead of computing")
STARVED = Threshold("starved", 0.3, "of the stage's threads", "Q11: waiting for a core looks like waiting")
COMPUTING = Threshold("computing", 0.7, "of the stage's time", "T3: CPU near one core while the map runs")
TRIVIAL_MS = Threshold("trivial-ms", 0.03, "ms per element", "P4, T6: below it parallel calls lose")
BLOCKED_CORES = Threshold("blocked-cores", 0.5, "of the pool's threads", "T2: a full pool that does not compute waits")
POOL_FULL = Threshold("pool-full", 0.7, "of the pool's threads", "T2: in-flight calls about as many as threads")
PYTHON_CORES = Threshold("python-cores", 0.5, "cores", "T12: above it Python's lock is held most of the time")
PYTHON_BOUND = Threshold("python-bound", 0.5, "of the map's time", "T12: most of the map is Python")
MOST_THREADS = Threshold("most-threads", 64, "threads", "T2: largest pool tried")
SLOW_STAGE = Threshold("slow-stage", 0.2, "of the interval", "T16: what is worth a thread of its own")

WORTH = Threshold("predicted-speedup", 1.05, "times", "as the headspace: less is within the noise of a run")

_PASSES_ON = frozenset({"AssertCardinality", "Repeat", "Skip", "Take", "Shard"})
_MAPS = frozenset({"Map", "ParallelMap", "MapAndBatch"})
POOL_OPTION = "threading.private_threadpool_size"


@dataclass(frozen=True)
class Timing:
    """The measured steps.

    Attributes:
        interval_ms: From one step to the next, mean.
        busy_ms: The device's work per step; 0 without a step.
        wait_ms: The device idle because of the pipeline, per step, without what the starts of epochs cost.
        batches: Steps in the window.
        dispatch: As measured.
        floor_ms: A step with replayed batches; ``None`` where it was not measured.
    """

    interval_ms: float
    busy_ms: float
    wait_ms: float
    batches: int
    dispatch: Dispatch | None
    floor_ms: float | None


def timing(view: PipelineView) -> Timing | None:
    """The measured steps; ``None`` if there are none."""
    steps = view.profile.steps if view.kind == "measured" and view.profile is not None else None
    if steps is None or steps.count <= 0 or not steps.interval_ms.mean > 0:
        return None
    interval = steps.interval_ms.mean
    return Timing(
        interval_ms=interval,
        busy_ms=steps.busy_ms.mean if steps.busy_ms is not None else 0.0,
        wait_ms=max(0.0, steps.wait_ms.mean - (steps.restart_share or 0.0) * interval),
        batches=steps.count,
        dispatch=steps.dispatch,
        floor_ms=view.headspace.replayed_ms if view.headspace is not None else None,
    )


def worker_cores(view: PipelineView) -> float | None:
    """CPU seconds of the worker per second."""
    if view.facts is not None and view.facts.worker_cores is not None:
        return view.facts.worker_cores
    contention = view.profile.contention if view.profile is not None else None
    return contention.worker_cores if contention is not None else None


def spare_cores(view: PipelineView) -> bool:
    """Whether another thread would find a core: more than one, and not all of them at work."""
    used = worker_cores(view)
    return used is not None and view.cores > ONE_CORE.value and used < BUSY_CORES.value * view.cores


def starved(view: PipelineView, running: float) -> bool:
    """Whether threads that seem to wait only wait for a core; `running` is how many are in the stage on average."""
    share = view.facts.runnable_wait_share if view.facts is not None else None
    if share is None and view.profile is not None and view.profile.contention is not None:
        share = view.profile.contention.runnable_wait_share
    used = worker_cores(view)
    if share is None or used is None or share >= 1:
        return True
    return used * share / (1 - share) >= STARVED.value * running


def kind_of(stage: StageView) -> str:
    """The family of what runs, e.g. ``ParallelMap``; empty if nothing is known to run."""
    return family(stage.executed_op) if stage.executed_op else ""


def runs_ahead(stage: StageView) -> bool:
    """Whether the stage makes its elements before they are asked for."""
    return kind_of(stage) == "Prefetch" or bool(stage.executed_op and is_asynchronous(stage.executed_op))


def degree(stage: StageView) -> float:
    """Calls at a time as executed."""
    parallelism = stage.measured.parallelism if stage.measured is not None else None
    return max(1.0, parallelism or 1.0)


def tuned(stage: StageView) -> bool:
    """Whether TensorFlow chooses the degree."""
    return stage.arguments.get("num_parallel_calls") == AUTOTUNE or bool(
        stage.measured is not None and stage.measured.tunable
    )


def owners(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """The stages in whose functions `stage` stands, innermost first."""
    seen = {stage.id}
    at = view.by_id.get(stage.owner or "")
    while at is not None and at.id not in seen:
        seen.add(at.id)
        yield at
        at = view.by_id.get(at.owner or "")


def beside(view: PipelineView, stage: StageView) -> float:
    """How many of the stage the functions around it run at a time."""
    times = 1.0
    for owner in owners(view, stage):
        times *= degree(owner) if runs_ahead(owner) else 1.0
    return times


def has_cost(stage: StageView) -> bool:
    """Whether the time inside the stage is known and stands at it, not at one that it was fused with."""
    ms = stage.ms_per_batch
    return ms is not None and ms > 0 and stage.measured is not None and stage.measured.fused_with is None


def placed(view: PipelineView, stage: StageView) -> bool:
    """Whether it is known on how many threads the stage runs: inside a function that takes its owner."""
    return stage.depth == 0 or stage.owner is not None or any(one.depth == 0 for one in view.above(stage))


def serial_map(view: PipelineView, stage: StageView) -> bool:
    """Whether it is a map that runs one call at a time and that nothing will change by itself."""
    if stage.op != "map" or not has_cost(stage) or kind_of(stage) not in _MAPS or stage.made_parallel:
        return False
    if stage.arguments.get("synchronous") is True or not placed(view, stage):
        return False
    return degree(stage) == 1.0 and not tuned(stage) and beside(view, stage) == 1.0


def owns_step(timing_: Timing, ms: float) -> bool:
    """Whether a stage that takes `ms` of each interval is most of it."""
    return ms > OWNS_STEP.value * timing_.interval_ms


def runs_python(stage: StageView) -> bool | None:
    """Whether its function is Python; ``None`` if that is not known."""
    if stage.op == "from_generator":
        return True
    return stage.function.python if stage.function is not None else None


def python_bound(view: PipelineView, stage: StageView) -> bool | None:
    """Whether most of a map's time is Python; ``None`` if that is not known."""
    python = runs_python(stage)
    spent = view.facts.python_ms_per_batch if view.facts is not None else None
    if python is False:
        return False
    if spent is None or stage.ms_per_batch is None:
        return python
    return spent >= PYTHON_BOUND.value * stage.ms_per_batch


def waits(view: PipelineView, stage: StageView) -> bool:
    """Whether a serial map that owns the step waits for something else than a core."""
    at, used = timing(view), worker_cores(view)
    if at is None or used is None or not serial_map(view, stage) or not spare_cores(view):
        return False
    ms = stage.ms_per_batch or 0.0
    return owns_step(at, ms) and used < WAITING_CORES.value and not starved(view, ms / at.interval_ms)


def computes(view: PipelineView, stage: StageView) -> bool:
    """Whether a serial map that owns the step computes, in TensorFlow's own code, and is not trivial."""
    at, used = timing(view), worker_cores(view)
    if at is None or used is None or not serial_map(view, stage) or not spare_cores(view):
        return False
    ms, each = stage.ms_per_batch or 0.0, ms_per_element(at, stage)
    if each is None or each < TRIVIAL_MS.value or not owns_step(at, ms):
        return False
    busy = used >= WAITING_CORES.value and used * at.interval_ms >= COMPUTING.value * ms
    return busy and python_bound(view, stage) is False


def serial_finding(view: PipelineView, stage: StageView) -> bool:
    """Whether a rule for serial maps speaks of the stage."""
    return (waits(view, stage) or computes(view, stage)) and not in_slow_zip(view, stage)


def ms_per_element(timing_: Timing, stage: StageView) -> float | None:
    """Time per element that the stage gives."""
    elements = stage.measured.elements if stage.measured is not None else None
    ms = stage.ms_per_batch
    return ms * timing_.batches / elements if ms is not None and elements else None


def private_pool(view: PipelineView) -> int | None:
    """Threads of the pipeline's own pool; ``None`` if it shares TensorFlow's."""
    size = view.options.get(POOL_OPTION)
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def full_pool_waits(view: PipelineView, stage: StageView, pool: float) -> bool:
    """Whether the calls of a map fill a pool of `pool` threads, want more, and do not compute."""
    at, used = timing(view), worker_cores(view)
    if at is None or used is None or stage.op != "map" or not has_cost(stage) or kind_of(stage) not in _MAPS:
        return False
    ahead = runs_ahead(stage) or any(runs_ahead(owner) for owner in owners(view, stage))
    if not placed(view, stage) or not ahead or pool >= MOST_THREADS.value or not wanted_calls(view, stage) > pool:
        return False
    running = (stage.ms_per_batch or 0.0) / at.interval_ms
    if running < POOL_FULL.value * pool or used >= BLOCKED_CORES.value * min(pool, view.cores):
        return False
    if used >= PYTHON_CORES.value and python_bound(view, stage) is not False:
        return False
    return spare_cores(view) and not starved(view, running)


def wanted_calls(view: PipelineView, stage: StageView) -> float:
    """Calls that may be under way at a time; without bound where TensorFlow chooses."""
    if tuned(stage) or any(tuned(owner) and runs_ahead(owner) for owner in owners(view, stage)):
        return float("inf")
    return degree(stage) * beside(view, stage)


def larger_pool(view: PipelineView, timing_: Timing, stage: StageView, pool: float) -> tuple[int, Predicted]:
    """Threads for the calls that wait in a full pool of `pool`, and what they should bring."""
    ms, calls = stage.ms_per_batch or 0.0, min(wanted_calls(view, stage), MOST_THREADS.value)
    cpu_ms = cpu_left_ms(view, stage)
    target_ms = max(timing_.floor_ms or 0.0, cpu_ms)
    threads = predict.threads_needed(ms, target_ms, math.floor(pool) + 1, math.floor(calls))
    predicted = predict.more_calls(
        timing_.interval_ms, ms, now=pool, calls=calls, threads=threads, floor_ms=timing_.floor_ms, cpu_ms=cpu_ms
    )
    return threads, predicted


def cpu_left_ms(view: PipelineView, stage: StageView) -> float:
    """CPU time per batch that stays however many calls wait at a time: of Python on one core, else on all."""
    at, used = timing(view), worker_cores(view)
    if at is None or used is None:
        return 0.0
    return used * at.interval_ms / (max(1.0, view.cores) if runs_python(stage) is False else 1.0)


def worth(predicted: Predicted) -> bool:
    """Whether an edit is predicted to bring more than noise."""
    return predicted.speedup is not None and predicted.speedup >= WORTH.value


def draws(stage: StageView) -> bool:
    """Whether calls in another order may give other random draws; of Python nobody can know, and trying tells."""
    function = stage.function
    return function is None or bool(function.random) or (function.random is None and not function.python)


def drawn(view: PipelineView, stage: StageView, seen: set[str] | None = None) -> list[StageView]:
    """The stages whose times add up when an element is drawn from `stage`; stops at what runs ahead."""
    seen = set() if seen is None else seen
    if stage.id in seen or runs_ahead(stage):
        return []
    seen.add(stage.id)
    found = [stage]
    for below in [*_inside(view, stage), *inputs(view, stage)]:
        found += drawn(view, below, seen)
    return found


def inputs(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages it reads, in order."""
    return [view.by_id[one] for one in stage.inputs if one in view.by_id and one != stage.id]


def _inside(view: PipelineView, stage: StageView) -> list[StageView]:
    """The ends of the pipelines inside its function."""
    read = {one for other in view.stages for one in other.inputs}
    return [one for one in view.stages if one.owner == stage.id and one.id not in read and not one.injected]


def total_ms(stages: Sequence[StageView]) -> float:
    """Time per batch in all of them; what is not known counts nothing."""
    return sum(stage.ms_per_batch or 0.0 for stage in stages)


def end(view: PipelineView) -> StageView | None:
    """The last stage that runs; ``None`` if that is not known."""
    added = [one for one in view.stages if one.injected and one.depth == 0 and kind_of(one) == "Prefetch"]
    root = view.root
    if any(root is None or not one.inputs or root.id in one.inputs for one in added):
        return added[-1]
    seen: set[str] = set()
    # A stage without effect is taken out when the pipeline runs.
    while root is not None and not root.executed_op and root.id not in seen:
        seen.add(root.id)
        root = view.input_of(root)
    return root if root is not None and root.executed_op else None


def passes_on(stage: StageView) -> bool:
    """Whether the stage only hands elements on."""
    return kind_of(stage) in _PASSES_ON


def slow_sides(view: PipelineView, stage: StageView) -> list[StageView]:
    """The inputs of a zip that are drawn one after the other and each take long; empty for anything else."""
    at = timing(view)
    if at is None or kind_of(stage) != "Zip":
        return []
    slow = [one for one in inputs(view, stage) if total_ms(drawn(view, one)) >= SLOW_STAGE.value * at.interval_ms]
    return slow if len(slow) > 1 else []


def in_slow_zip(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage belongs to a side of a zip whose sides add up."""
    sides = [side for one in view.stages for side in slow_sides(view, one)]
    return any(one.id == stage.id for side in sides for one in drawn(view, side))
