"""``serial-map-latency``: a map that waits for something, one call at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeprof.pipelines.edits.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, STARVED, worker_cores
from pipeprof.profiles.advise.predicates import (
    OWNS_STEP,
    POOL_OPTION,
    WAITING_CORES,
    WORTH,
    draws,
    in_slow_zip,
    private_pool,
    waits,
    worth,
)
from pipeprof.profiles.advise.rule import Prediction, Rule, RuleHit, Threshold
from pipeprof.profiles.view.thread_chains import (
    Timing,
    timing,
)
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, percent, significant, stage_name


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

    def diagnose(self, view: PipelineView) -> Iterable[RuleHit]:
        """From the time inside the maps and the CPU time of the whole worker."""
        at = timing(view)
        maps = [stage for stage in view.stages if waits(view, stage) and not in_slow_zip(view, stage)]
        if at is not None and maps:
            yield from self._drafts(view, at, sorted(maps, key=lambda stage: -(stage.ms_per_batch or 0.0)))

    def _drafts(self, view: PipelineView, at: Timing, maps: Sequence[StageView]) -> Iterator[RuleHit]:
        """Report all maps that wait together: with only one of two in parallel, the other sets the pace."""
        stage, *others = maps
        used, calls, pool = worker_cores(view) or 0.0, int(self.threshold("parallel-calls")), private_pool(view)
        threads = max(calls, pool or 0)
        edits: list[PipelineEdit] = [SetArgument(stage.id, stage.op, "num_parallel_calls", calls) for stage in maps]
        if threads != pool:
            edits.append(SetOption(POOL_OPTION, threads))
        predicted = predict.expected(view, edits)
        if predicted is None or not worth(predicted):
            return
        ms = stage.ms_per_batch or 0.0
        too = f" ({listed([stage.label for stage in others])} too)" if others else ""
        held = [predict.buffered(stage.element_bytes, calls) for stage in maps]
        shown = stage.table_ms or ms
        yield RuleHit(
            stage=stage.id,
            title=f"Run {listed([stage_name(stage) for stage in maps])} in parallel",
            sentence=(
                f"{stage.label} takes {milliseconds(shown)} of the {milliseconds(at.interval_ms)} per batch "
                f"({percent(min(1.0, shown / at.interval_ms))}), one call at a time{too}, while the whole process uses "
                f"{significant(used, 2)} of {view.cores:g} cores: it waits {milliseconds(stage.blocked_ms or 0.0)} "
                "of that, for one element at a time."
            ),
            recommendation=(
                f"Let {calls} calls wait at a time: num_parallel_calls={calls}"
                + (
                    f" and a private pool of {threads} threads; without the pool there is one thread per core."
                    if threads != pool
                    else f"; the private pool of {pool} threads is large enough."
                )
            ),
            evidence={
                "stage_ms_per_batch": ms,
                "blocked_ms_per_batch": stage.blocked_ms or 0.0,
                "stages": ", ".join(stage.id for stage in maps),
                "interval_ms": at.interval_ms,
                "worker_cores": used,
                "cores": view.cores,
                "parallel_calls": 1,
            },
            edits=tuple(edits),
            predicted=Prediction(
                formula=predicted.formula,
                speedup=predicted.speedup,
                wait_ms=predicted.wait_ms,
                peak_rss_delta_bytes=None if None in held else sum(entry for entry in held if entry is not None),
            ),
            covers=tuple(stage.id for stage in maps),
            semantics="randomness" if any(draws(stage) for stage in maps) else None,
        )
