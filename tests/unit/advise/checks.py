"""How to ask one finding or idea."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def short(edits: Iterable[PipelineEdit]) -> str:
    """Edits without what their kinds say: ``"MoveStage stages.2 stages.0; SetOption deterministic False"``."""
    return "; ".join(" ".join(filter(None, map(_words, _told(edit)))) for edit in edits)


def _told(edit: PipelineEdit) -> list[Any]:
    return [value for name, value in to_document(edit).items() if name not in ("op", "summary", "flat")]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_words(one)}" for name, one in value.items())
    return ",".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)
