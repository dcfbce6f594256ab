"""``serial-map-cpu``: a map that computes on one core while others are free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from pipeprof.pipelines.edits.edits import SetArgument
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, worker_cores
from pipeprof.profiles.advise.predicates import (
    COMPUTING,
    COMPUTING_CORES,
    LOCK_LET_GO,
    OWNS_STEP,
    PYTHON_BOUND,
    TRIVIAL_MS,
    WORTH,
    computes,
    draws,
    in_slow_zip,
    ms_per_element,
    worth,
)
from pipeprof.profiles.advise.rule import Prediction, Rule, RuleHit, Threshold
from pipeprof.profiles.view.thread_chains import (
    Timing,
    timing,
)
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, percent, significant, stage_name


class SerialMapCpu(Rule):
    """A serial map that keeps one core busy.

    Seen:
        A map that TensorFlow runs one call at a time takes more than half of the interval, computes all that time in
        TensorFlow's own code or in Python that releases the GIL, is not trivial, and cores are free.

    Why:
        TensorFlow makes a map parallel by itself, unless its function has state (random ops, tables, prints), it is
        inside another function, or this was switched off. A serial map uses one core.

    Fix:
        Set num_parallel_calls. Several times the number of cores is better than the same number, because finished
        results that wait for their turn count as calls. The order of the elements stays the same; a function that draws
        random numbers draws others.

    Ignore when:
        The random draws must stay the same, or the other cores are reserved for other work.
    """

    name = "serial-map-cpu"
    title = "Run the map in parallel"
    family = "speed"
    semantics = "same"
    thresholds = (
        OWNS_STEP,
        COMPUTING,
        COMPUTING_CORES,
        TRIVIAL_MS,
        PYTHON_BOUND,
        LOCK_LET_GO,
        ONE_CORE,
        BUSY_CORES,
        WORTH,
        Threshold("calls-per-core", 4, "calls", "as many calls as cores gained nothing, four times as many did"),
        Threshold("calls-bytes", 100e6, "bytes", "calls in flight hold an element each; above, one and a half"),
        Threshold("calls-per-core-large", 1.5, "calls", "for elements too large to hold four per core"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[RuleHit]:
        """From the time inside the maps and the CPU time of the whole worker."""
        at = timing(view)
        maps = [stage for stage in view.stages if computes(view, stage) and not in_slow_zip(view, stage)]
        if at is not None and maps:
            yield from self._drafts(view, at, sorted(maps, key=lambda stage: -(stage.ms_per_batch or 0.0)))

    def _calls(self, view: PipelineView, stage: StageView) -> int:
        calls = math.ceil(self.threshold("calls-per-core") * view.cores)
        held = predict.buffered(stage.element_bytes, calls)
        if held is not None and held > self.threshold("calls-bytes"):
            calls = math.ceil(self.threshold("calls-per-core-large") * view.cores)
        return calls

    def _drafts(self, view: PipelineView, at: Timing, maps: Sequence[StageView]) -> Iterator[RuleHit]:
        """Report all maps that compute together: with only one of two in parallel, the other sets the pace."""
        stage, *others = maps
        calls = {stage.id: self._calls(view, stage) for stage in maps}
        edits = tuple(SetArgument(stage.id, stage.op, "num_parallel_calls", calls[stage.id]) for stage in maps)
        predicted = predict.expected(view, edits)
        if predicted is None or not worth(predicted):
            return
        ms, used = stage.ms_per_batch or 0.0, worker_cores(view) or 0.0
        random = any(draws(stage) for stage in maps)
        too = f" ({listed([stage.label for stage in others])} too)" if others else ""
        held = [predict.buffered(stage.element_bytes, calls[stage.id]) for stage in maps]
        shown = stage.table_ms or ms
        yield RuleHit(
            stage=stage.id,
            title=f"Run {listed([stage_name(stage) for stage in maps])} in parallel",
            sentence=(
                f"{stage.label} takes {milliseconds(shown)} of the {milliseconds(at.interval_ms)} per batch "
                f"({percent(min(1.0, shown / at.interval_ms))}) and computes one call at a time{_why(view, stage)}"
                f"{too}; "
                f"the whole process uses {significant(used, 2)} of {view.cores:g} cores."
            ),
            recommendation=(
                f"Set num_parallel_calls={calls[stage.id]}; the order of the elements stays the same"
                + (", but it draws other random numbers." if random else ".")
            ),
            evidence={
                "stage_ms_per_batch": ms,
                "stage_ms_per_element": ms_per_element(at, stage) or 0.0,
                "stages": ", ".join(stage.id for stage in maps),
                "interval_ms": at.interval_ms,
                "worker_cores": used,
                "cores": view.cores,
                "parallel_calls": 1,
            },
            edits=edits,
            predicted=Prediction(
                formula=predicted.formula,
                speedup=predicted.speedup,
                wait_ms=predicted.wait_ms,
                peak_rss_delta_bytes=None if None in held else sum(entry for entry in held if entry is not None),
            ),
            covers=tuple(stage.id for stage in maps),
            semantics="randomness" if random else None,
        )


def _why(view: PipelineView, stage: StageView) -> str:
    """Why TensorFlow left it serial, where that is known."""
    if stage.arguments.get("num_parallel_calls") is not None:
        return f" (num_parallel_calls={stage.arguments['num_parallel_calls']})"
    if stage.depth:
        return ", because TensorFlow makes nothing parallel inside a function"
    if view.options.get("autotune.enabled") is False:
        return ", because autotune is off"
    if stage.function is not None and stage.function.stateful_op is not None:
        return f", because its function has state ({stage.function.stateful_op})"
    for option in ("apply_default_optimizations", "map_parallelization"):
        if view.options.get(f"experimental_optimization.{option}") is False:
            return f", because {option} is off"
    return ""
