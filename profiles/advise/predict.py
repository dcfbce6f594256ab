"""Predicted speedups: those of the model, for the view that a rule reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.profiles.advise.proposal import Prediction
from pipeprof.profiles.view.view import PipelineView, StageView

if TYPE_CHECKING:
    from pipeprof.profiles.predict.flow import Flow
    from pipeprof.profiles.predict.predict import Estimate


def expected(view: PipelineView, edits: Sequence[PipelineEdit]) -> Prediction | None:
    """Predict edits from the times of all stages; ``None`` where the model does not know one of them.

    Args:
        edits: Applied one after the other.
    """
    return next(expected_of_each(view, [edits]), None)


def expected_of_each(view: PipelineView, choices: Iterable[Sequence[PipelineEdit]]) -> Iterator[Prediction | None]:
    """Yield the prediction of each of several choices of edits, in their order."""
    model = _model(view)
    for edits in choices:
        yield _known(view, _predicted(model, edits)) if model is not None and edits else None


def in_parallel(view: PipelineView, stage: StageView, calls: int, threads: int) -> Prediction | None:
    """Predict that the work of a stage is done by so many calls at a time on so many threads; ``None`` if unknown."""
    model = _model(view)
    if model is None:
        return None
    from pipeprof.profiles.predict.predict import predicted_in_parallel

    return _known(view, _prediction(predicted_in_parallel(model, stage.id, calls, threads)))


def _known(view: PipelineView, found: Prediction | None) -> Prediction | None:
    """Leave out the wait where that of the run is not known either."""
    bounded = view.profile is not None and view.profile.gains_are_bounds
    return replace(found, wait_ms=None) if found is not None and bounded else found


def _model(view: PipelineView) -> Flow | None:
    if view.profile is None:
        return None
    # `check` measures nothing, and starts without these.
    from pipeprof.profiles.predict.read import flow_of

    profile = view.profile.model_copy(update={"headspace": view.headspace, "options": dict(view.options)})
    return flow_of(profile)


def _predicted(model: Flow, edits: Sequence[PipelineEdit]) -> Prediction | None:
    from pipeprof.profiles.predict.predict import predicted_of

    return _prediction(predicted_of(model, edits))


def _prediction(found: Estimate | None) -> Prediction | None:
    return prediction_of(found) if found is not None else None


def prediction_of(found: Estimate) -> Prediction:
    """What the model expects, for a proposal."""
    return Prediction(found.formula, found.speedup, found.peak_bytes, found.wait_ms)
