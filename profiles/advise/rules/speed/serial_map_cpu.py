"""``serial-map-cpu``: a map that computes on one core while others are free."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE
from pipeprof.profiles.advise.predicates import (
    COMPUTING,
    COMPUTING_CORES,
    LOCK_LET_GO,
    OWNS_STEP,
    PYTHON_BOUND,
    TRIVIAL_MS,
    WORTH,
    computes,
    cores_words,
    draws,
    longest_first,
    ms_per_element,
    parallel_hits,
    takes_words,
    too_words,
)
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import timing
from pipeprof.profiles.view.view import PipelineView, StageView


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

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the maps and the CPU time of the worker."""
        at, maps = timing(view), longest_first(view, computes)
        if at is None or not maps:
            return
        stage, calls = maps[0], [(stage, self._calls(view, stage)) for stage in maps]
        random = ", but it draws other random numbers" if any(draws(stage) for stage in maps) else ""
        yield from parallel_hits(
            view,
            at,
            calls,
            sentence=(
                f"{takes_words(at, stage)} and computes one call at a time{_why(view, stage)}{too_words(maps)}; "
                f"{cores_words(view)}."
            ),
            recommendation=f"Set num_parallel_calls={calls[0][1]}; the order of the elements stays the same{random}.",
            evidence={"stage_ms_per_element": ms_per_element(at, stage) or 0.0},
        )

    def _calls(self, view: PipelineView, stage: StageView) -> int:
        calls = math.ceil(self.threshold("calls-per-core") * view.cores)
        held = predict.buffered(stage.element_bytes, calls)
        if held is not None and held > self.threshold("calls-bytes"):
            calls = math.ceil(self.threshold("calls-per-core-large") * view.cores)
        return calls


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
