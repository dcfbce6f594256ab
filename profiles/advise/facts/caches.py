"""Caches that repeat the elements of the first epoch in all later ones."""

from __future__ import annotations

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.byte_gate import in_function
from pipeprof.profiles.view.view import PipelineView, StageView, owners


def freezes(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage stores all elements of one pass, in their order, and serves these in every later epoch."""
    if not traits(stage.op).stores or stage.injected:
        return False
    # In a function it is rebuilt with every call; without an end, or read only in part, it never completes: none of
    # these serves a second epoch.
    rebuilt = in_function(view, stage) and not stage.arguments.get("filename")
    before = view.input_of(stage)
    endless = before is not None and before.elements == INFINITE
    return not (rebuilt or endless or view.ever_after(stage, "cuts", lambda after: _cuts(view, after)))


def frozen_by(view: PipelineView, stage: StageView) -> StageView | None:
    """The first stage after another one that freezes what comes out of it, in the pipelines around it too."""
    for start in (stage, *owners(view, stage)):
        if (cache := view.first_after(start, "frozen_by", lambda after: freezes(view, after))) is not None:
            return cache
    return None


def _cuts(view: PipelineView, stage: StageView) -> bool:
    """Whether a stage may end before its input does."""
    row = traits(stage.op)
    if not row.ends_early or row.counts is None:
        return row.ends_early
    before, count = view.input_of(stage), stage.arguments.get(row.counts)
    if not isinstance(count, int) or count < 0:
        return not isinstance(count, int)
    return before is None or before.elements is None or before.elements < 0 or count < before.elements
