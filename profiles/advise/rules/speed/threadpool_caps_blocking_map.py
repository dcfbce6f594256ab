"""``threadpool-caps-blocking-map``: more parallel calls than threads that could make them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeprof.pipelines.edits.edits import SetOption
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, STARVED, worker_cores
from pipeprof.profiles.advise.predicates import (
    BLOCKED,
    BLOCKED_CORES,
    LOCK_LET_GO,
    MOST_THREADS,
    POOL_FULL,
    POOL_OPTION,
    PYTHON_BOUND,
    PYTHON_CORES,
    WAITED_OP,
    WORTH,
    blocked_ms,
    larger_pool,
    maps_that_fill,
    private_pool,
    waiting_words,
    wanted_calls,
    worth,
)
from pipeprof.profiles.advise.rule import Rule, RuleHit
from pipeprof.profiles.view.thread_chains import Timing, timing, total_ms
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, significant


class ThreadpoolCapsBlockingMap(Rule):
    """A parallel map of work that waits, on TensorFlow's own pool."""

    name = "threadpool-caps-blocking-map"
    title = "Add a private thread pool"
    family = "speed"
    semantics = "same"
    seen = (
        "A parallel map may run more calls than there are cores, as many of its calls as cores are in flight "
        "all the time, its threads are blocked most of it (they neither compute nor wait for a core), the worker "
        "uses less than half of the cores that other processes leave, and the pipeline has no private thread pool."
    )
    why = (
        "The functions of maps run on a pool with one thread per core. A call that waits for a file or a "
        "network occupies its thread, so num_parallel_calls above the number of cores changes nothing: 385 "
        "elements per second with 16 calls on 2 cores, 3,059 with the same and a pool of 16 threads."
    )
    fix = "Set threading.private_threadpool_size to the number of calls that should wait at a time, at most 64."
    ignore_when = "The service that the calls wait for cannot handle more of them at a time."
    thresholds = (
        POOL_FULL,
        BLOCKED,
        WAITED_OP,
        BLOCKED_CORES,
        PYTHON_CORES,
        PYTHON_BOUND,
        LOCK_LET_GO,
        STARVED,
        MOST_THREADS,
        ONE_CORE,
        BUSY_CORES,
        WORTH,
    )

    def diagnose(self, view: PipelineView) -> Iterable[RuleHit]:
        """From the calls in flight on average and the CPU time of the whole worker."""
        at = timing(view)
        if at is None or private_pool(view) is not None:
            return
        maps = maps_that_fill(view, view.shared_threads)
        if maps:
            yield from _drafts(view, at, maps)


def _drafts(view: PipelineView, at: Timing, maps: Sequence[StageView]) -> Iterator[RuleHit]:
    ms, waited, used, calls = total_ms(maps), blocked_ms(maps), worker_cores(view) or 0.0, wanted_calls(view, maps)
    found = larger_pool(view, maps, view.shared_threads)
    if found is None or not worth(found[1]):
        return
    threads, predicted = found
    yield RuleHit(
        stage=maps[0].id,
        sentence=(
            f"{waiting_words(view, at, maps)}, about as many as the shared pool has threads "
            f"({view.shared_threads:g}, one per core), and the process uses {significant(used, 2)} cores. "
            f"A batch needs {milliseconds(waited)} of waiting, and takes {milliseconds(at.interval_ms)}."
        ),
        recommendation=f"Set a private thread pool: threading.private_threadpool_size={threads}.",
        evidence={
            "stage_ms_per_batch": ms,
            "blocked_ms_per_batch": waited,
            "stages": ", ".join(stage.id for stage in maps),
            "interval_ms": at.interval_ms,
            "calls_under_way": ms / at.interval_ms,
            "parallel_calls": "AUTOTUNE" if calls == float("inf") else calls,
            "worker_cores": used,
            "cores": view.cores,
            "shared_threads": view.shared_threads,
        },
        edits=(SetOption(POOL_OPTION, threads),),
        predicted=predicted,
    )
