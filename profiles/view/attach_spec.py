"""Spec text attached to each stage of a view, so that a proposed change can be pasted into the spec."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.view.view import PipelineView


def with_written(view: PipelineView, loaded: LoadedSpec) -> PipelineView:
    """Return the view with what the spec says of each stage: its arguments as written."""
    found = {placed.address: placed.arguments for placed in loaded.spec.placed()}
    stages = tuple(
        stage if stage.id not in found or stage.injected else replace(stage, written=found[stage.id])
        for stage in view.stages
    )
    return replace(view, stages=stages, loaded=loaded)
