"""Predicted speedups: those of the model, for the view that a finding or an idea reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pipeprof.profiles.advise.proposal import Prediction
from pipeprof.profiles.view.view import PipelineView


def expected(
    view: PipelineView,
    left: Mapping[str, float],
    calls: Mapping[str, float],
    prefetched: Collection[str] = (),
    threads: float | None = None,
) -> Prediction | None:
    """Predict a change from the times of all stages; ``None`` without them, or where it says nothing of them.

    Args:
        left: The share of a stage's work that is left, by address.
        calls: The calls at a time that a stage has, by address.
        prefetched: Addresses of stages with a prefetch after them.
        threads: Of the pool, where the change sets them.
    """
    if view.profile is None:
        return None
    # `check` measures nothing, and starts without these.
    from pipeprof.profiles.predict.predict import predicted
    from pipeprof.profiles.time.read_flow import flow_of

    flow = flow_of(view.profile.model_copy(update={"headspace": view.headspace, "options": dict(view.options)}))
    found = predicted(flow, left, calls, prefetched, threads) if flow is not None else None
    if found is None:
        return None
    # The wait is not known where that of the run is not.
    return Prediction(found.formula, found.speedup, wait_ms=None if view.profile.gains_are_bounds else found.wait_ms)
