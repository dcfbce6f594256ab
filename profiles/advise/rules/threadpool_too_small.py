"""``threadpool-too-small``: a pool of the pipeline's own with fewer threads than calls that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeprof.profiles.advise.edits import SetOption
from pipeprof.profiles.advise.predicates import (
    BLOCKED_CORES,
    BUSY_CORES,
    MOST_THREADS,
    ONE_CORE,
    POOL_FULL,
    POOL_OPTION,
    PYTHON_BOUND,
    PYTHON_CORES,
    STARVED,
    WORTH,
    Timing,
    full_pool_waits,
    larger_pool,
    private_pool,
    timing,
    wanted_calls,
    worker_cores,
    worth,
)
from pipeprof.profiles.advise.rule import Draft, Rule
from pipeprof.profiles.advise.view import PipelineView, StageView
from pipeprof.profiles.explain.words import milliseconds, significant


class ThreadpoolTooSmall(Rule):
    """A private pool below what waiting maps need."""

    name = "threadpool-too-small"
    title = "The private pool has fewer threads than calls that wait"
    family = "speed"
    semantics = "same"
    seen = (
        "threading.private_threadpool_size is set, a parallel map may run more calls than that, its calls keep all "
        "threads of the pool, and the worker hardly computes."
    )
    why = (
        "The functions of maps run on the private pool alone. Calls that wait hold their threads, so the pool, not "
        "num_parallel_calls, says how many wait at a time; AUTOTUNE goes no further than the pool either."
    )
    fix = "Make the pool as large as the number of calls that have to wait at a time, at most 64."
    ignore_when = "The pool is small on purpose, because what the calls wait for cannot serve more of them."
    thresholds = (
        POOL_FULL,
        BLOCKED_CORES,
        PYTHON_CORES,
        PYTHON_BOUND,
        STARVED,
        MOST_THREADS,
        ONE_CORE,
        BUSY_CORES,
        WORTH,
    )

    def diagnose(self, view: PipelineView) -> Iterable[Draft]:
        """From the calls under way on average, beside the size of the pool."""
        at, pool = timing(view), private_pool(view)
        if at is None or pool is None:
            return
        for stage in view.stages:
            if full_pool_waits(view, stage, pool):
                yield from _drafts(view, at, stage, pool)


def _drafts(view: PipelineView, at: Timing, stage: StageView, pool: int) -> Iterator[Draft]:
    ms, used, calls = stage.ms_per_batch or 0.0, worker_cores(view) or 0.0, wanted_calls(view, stage)
    threads, predicted = larger_pool(view, at, stage, pool)
    asked = "TensorFlow may choose its parallel calls" if calls == float("inf") else f"it has {calls:g} parallel calls"
    if not worth(predicted):
        return
    yield Draft(
        stage=stage.id,
        sentence=(
            f"{stage.words} waits: {asked}, but {ms / at.interval_ms:.1f} of them are under way on average, about "
            f"as many as the private pool has threads ({pool}), and the process uses {significant(used, 2)} of "
            f"{view.cores:g} cores. {milliseconds(ms)} of waiting per batch go into "
            f"{milliseconds(at.interval_ms)} steps."
        ),
        recommendation=f"Raise threading.private_threadpool_size from {pool} to {threads}.",
        evidence={
            "stage_ms_per_batch": ms,
            "interval_ms": at.interval_ms,
            "calls_under_way": ms / at.interval_ms,
            "parallel_calls": "AUTOTUNE" if calls == float("inf") else calls,
            "private_threadpool_size": pool,
            "worker_cores": used,
            "cores": view.cores,
        },
        edits=(SetOption(POOL_OPTION, threads),),
        predicted=predicted,
    )
