"""``serial-map-latency``: a map that waits for something, one call at a time."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import SetOption
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, STARVED
from pipeprof.profiles.advise.predicates import (
    OWNS_STEP,
    POOL_OPTION,
    WAITING_CORES,
    WORTH,
    cores_words,
    longest_first,
    parallel_hits,
    pool_words,
    private_pool,
    takes_words,
    too_words,
    waits,
)
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import timing
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds


class SerialMapLatency(Rule):
    """A serial map that mostly waits.

    Seen:
        A map that TensorFlow runs one call at a time is blocked for more than half of the interval (its thread neither
        computes nor waits for a core), while the worker uses less than a third of a core: the calls wait for a file, a
        network or a database.

    Why:
        Waiting needs no core, so many calls can wait at a time. TensorFlow makes a map parallel by itself only if its
        function has no state; py_function and numpy_function have state. And calls run on a pool with one thread per
        core, which limits num_parallel_calls (188 to 377 elements per second on 2 cores, 3,059 with a pool of 16
        threads).

    Fix:
        Set num_parallel_calls=16 and threading.private_threadpool_size=16, both. The order of the elements stays the
        same. The function must be thread-safe.

    Ignore when:
        The function is not thread-safe, or the service that it waits for handles one request at a time.
    """

    name = "serial-map-latency"
    title = "Run the waiting map in parallel"
    family = "speed"
    semantics = "same"
    thresholds = (
        OWNS_STEP,
        WAITING_CORES,
        STARVED,
        ONE_CORE,
        BUSY_CORES,
        WORTH,
        Threshold("parallel-calls", 16, "calls and threads", "16 gave 16 times as much, the cap is 64"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the maps and the CPU time of the worker."""
        at, maps = timing(view), longest_first(view, waits)
        if at is None or not maps:
            return
        calls, pool = int(self.threshold("parallel-calls")), private_pool(view)
        threads, blocked = max(calls, pool or 0), maps[0].blocked_ms or 0.0
        yield from parallel_hits(
            view,
            at,
            [(stage, calls) for stage in maps],
            (SetOption(POOL_OPTION, threads),) if threads != pool else (),
            sentence=(
                f"{takes_words(at, maps[0])}, one call at a time{too_words(maps)}, while {cores_words(view)}: it waits "
                f"{milliseconds(blocked)} of that, for one element at a time."
            ),
            recommendation=(f"Let {calls} calls wait at a time: num_parallel_calls={calls}{pool_words(pool, threads)}"),
            evidence={"blocked_ms_per_batch": blocked},
        )
