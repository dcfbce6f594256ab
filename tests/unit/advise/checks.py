"""How to ask one finding or idea."""

from __future__ import annotations

from typing import Any

from unit.view.views import unnamed

from pipeprof.pipelines.changes.edits import PipelineEdit, to_document
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


def found(name: str, view: PipelineView) -> list[Proposal]:
    """What it sees in a view, and in the same one without any name of the user's."""
    proposals = list(CHECKS[name](view))
    again = list(CHECKS[name](unnamed(view)))
    assert [(one.stage, one.edits) for one in again] == [(one.stage, one.edits) for one in proposals]
    return proposals


def only(name: str, view: PipelineView) -> Proposal:
    (proposal,) = found(name, view)
    return proposal


def short(edit: PipelineEdit) -> tuple[Any, ...]:
    """An edit without what its kind says: ``("MoveStage", "stages.2", "stages.0")``."""
    document = to_document(edit)
    kind = document.pop("kind")
    return (kind, *(value for name, value in document.items() if name not in ("op", "summary", "flat")))
