"""``threadpool-too-small``: a private thread pool with fewer threads than calls that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipeprof.pipelines.changes.edits import SetOption
from pipeprof.profiles.advise.cores import worker_cores
from pipeprof.profiles.advise.predicates import (
    POOL_MARKS,
    POOL_OPTION,
    blocked_ms,
    larger_pool,
    maps_that_fill,
    private_pool,
    waiting_words,
    wanted_calls,
    worth,
)
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import timing, total_ms
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds, significant


class ThreadpoolTooSmall(Rule):
    """A private pool below what waiting maps need.

    Seen:
        threading.private_threadpool_size is set, a parallel map may run more calls than that, its calls occupy all
        threads of the pool and are blocked most of the time, and the worker computes little.

    Why:
        The functions of maps run on the private pool only. Calls that wait occupy their threads, so the pool, not
        num_parallel_calls, limits how many wait at a time; AUTOTUNE does not go beyond the pool either.

    Fix:
        Make the pool as large as the number of calls that should wait at a time, at most 64.

    Ignore when:
        The pool is small on purpose, because the service that the calls wait for cannot handle more of them.
    """

    name = "threadpool-too-small"
    title = "Enlarge the private thread pool"
    family = "speed"
    semantics = "same"
    thresholds = POOL_MARKS

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the calls in flight on average and the size of the pool."""
        pool = private_pool(view)
        if pool is not None:
            named = (f"the private pool has threads ({pool})", "private_threadpool_size")
            advice = f"Raise threading.private_threadpool_size from {pool} to {{}}.".format
            yield from pool_hits(view, pool, named, advice)


def pool_hits(
    view: PipelineView, pool: float, named: tuple[str, str], advice: Callable[[int], str]
) -> Iterator[Proposal]:
    """Yield what a larger pool would give, from the calls in flight on average, if that is worth it.

    Args:
        named: The pool in the sentence, and in the evidence.
        advice: The recommendation, from the number of threads it should have.
    """
    at, maps = timing(view), maps_that_fill(view, pool)
    if at is None or not maps:
        return
    ms, waited, used, calls = total_ms(maps), blocked_ms(maps), worker_cores(view) or 0.0, wanted_calls(view, maps)
    found = larger_pool(view, maps, pool)
    if found is None or not worth(found[1]):
        return
    threads, predicted = found
    words, evidence = named
    yield Proposal(
        stage=maps[0].id,
        sentence=(
            f"{waiting_words(view, at, maps)}, about as many as {words}, and the process uses {significant(used, 2)} "
            f"of {view.cores:g} cores. A batch needs {milliseconds(waited)} of waiting, and takes "
            f"{milliseconds(at.interval_ms)}."
        ),
        recommendation=advice(threads),
        evidence={
            "stage_ms_per_batch": ms,
            "blocked_ms_per_batch": waited,
            "stages": ", ".join(stage.id for stage in maps),
            "interval_ms": at.interval_ms,
            "calls_under_way": ms / at.interval_ms,
            "parallel_calls": "AUTOTUNE" if calls == float("inf") else calls,
            evidence: pool,
            "worker_cores": used,
            "cores": view.cores,
        },
        edits=(SetOption(POOL_OPTION, threads),),
        predicted=predicted,
    )
