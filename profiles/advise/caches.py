"""Stages that repeat the elements of the first epoch, because a cache keeps them."""

from __future__ import annotations

from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import in_function
from pipeprof.profiles.view.thread_chains import owners
from pipeprof.profiles.view.view import PipelineView, StageView


def freezes(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage stores all elements of one pass, in their order, and serves these in every later epoch."""
    if not traits(stage.op).stores or stage.injected:
        return False
    if in_function(view, stage) and not stage.arguments.get("filename"):
        # Rebuilt with every call of the function: it never serves a second epoch.
        return False
    before = view.input_of(stage)
    if before is not None and before.elements == INFINITE:
        # It never completes and never serves an element.
        return False
    # A cache that is read only in part may never complete either.
    return not view.ever_after(stage, "cuts", lambda after: _cuts(view, after))


def frozen_by(view: PipelineView, stage: StageView) -> StageView | None:
    """The first stage after another one that freezes what comes out of it, in the pipelines around it too."""
    found = (
        view.first_after(other_stage, "frozen_by", lambda after: freezes(view, after))
        for other_stage in (stage, *owners(view, stage))
    )
    return next((other_stage for other_stage in found if other_stage is not None), None)


def _cuts(view: PipelineView, stage: StageView) -> bool:
    """Whether a stage may end before its input does."""
    if stage.op != "take":
        return stage.op == "take_while"
    before, count = view.input_of(stage), stage.arguments.get("count")
    if not isinstance(count, int) or count < 0:
        return not isinstance(count, int)
    return before is None or before.elements is None or before.elements < 0 or count < before.elements
