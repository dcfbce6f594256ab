"""``threadpool-caps-blocking-map``: more parallel calls than threads that could make them."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.predicates import POOL_MARKS, private_pool
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.rules.speed.threadpool_too_small import pool_hits
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class ThreadpoolCapsBlockingMap(Rule):
    """A parallel map of work that waits, on TensorFlow's own pool.

    Seen:
        A parallel map may run more calls than there are cores, as many of its calls as cores are in flight all the
        time, its threads are blocked most of it (they neither compute nor wait for a core), the worker uses less than
        half of the cores that other processes leave, and the pipeline has no private thread pool.

    Why:
        The functions of maps run on a pool with one thread per core. A call that waits for a file or a network occupies
        its thread, so num_parallel_calls above the number of cores changes nothing: 385 elements per second with 16
        calls on 2 cores, 3,059 with the same and a pool of 16 threads.

    Fix:
        Set threading.private_threadpool_size to the number of calls that should wait at a time, at most 64.

    Ignore when:
        The service that the calls wait for cannot handle more of them at a time.
    """

    name = "threadpool-caps-blocking-map"
    title = "Add a private thread pool"
    family = "speed"
    semantics = "same"
    thresholds = POOL_MARKS

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the calls in flight on average and TensorFlow's threads for functions."""
        if private_pool(view) is None:
            pool = view.shared_threads
            named = (f"the shared pool has threads ({pool:g}, one per core)", "shared_threads")
            advice = "Set a private thread pool: threading.private_threadpool_size={}.".format
            yield from pool_hits(view, pool, named, advice)
