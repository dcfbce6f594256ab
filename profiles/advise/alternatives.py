"""Which changes are two ways to the same end: pure functions.

Two edits that set the same argument, or that put the same stage in another place, are alternatives: once one of them
helps, the other one is no further gain. What an edit replaces is not there for another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
    stages_of,
)

PLACE = "place"


def are_alternative_edits(one: Sequence[PipelineEdit], other: Sequence[PipelineEdit]) -> bool:
    """Whether edits change the same thing as others."""
    if not _changed(one).isdisjoint(_changed(other)):
        return True
    return not (_replaced(one).isdisjoint(_touched(other)) and _replaced(other).isdisjoint(_touched(one)))


def _replaced(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    return frozenset(name for edit in edits if isinstance(edit, ReplaceStages) for name in edit.stages)


def _touched(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    """The stages that edits change, or insert others after."""
    return stages_of(edits) | {edit.after for edit in edits if isinstance(edit, InsertStage) and edit.after is not None}


def _changed(edits: Sequence[PipelineEdit]) -> frozenset[tuple[str, str]]:
    """What edits change: a stage or ``""``, and its argument, its place, or an option."""
    return frozenset(part for edit in edits for part in _parts(edit))


def _parts(edit: PipelineEdit) -> Iterable[tuple[str, str]]:
    match edit:
        case SetArgument(stage=stage, argument=name):
            found = [(stage, name)]
        case SetOption(path=name) | SetEnvironment(variable=name):
            found = [("", name)]
        case InsertStage(after=stage, op=name):
            found = [(stage or "", name)]
        case MoveStage(stage=stage) | MoveFilter(stage=stage):
            found = [(stage, PLACE)]
        case VectoriseMap(stage=stage, batch=batch):
            found = [(stage, PLACE), (batch, PLACE)]
        case ReplaceStages(stages=stages):
            found = [(stage, PLACE) for stage in stages]
        case _:
            found = []
    return found
