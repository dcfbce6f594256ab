"""Table of the edits that each kind of target supports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.tables import read_table

TargetKind: TypeAlias = Literal["spec", "graph", "source"]


@dataclass(frozen=True)
class Support:
    """Whether a tool makes an edit on a kind of target.

    Attributes:
        words: What it can and cannot do, in one sentence.
    """

    exists: bool
    words: str


SUPPORT: Final[dict[type[PipelineEdit], dict[TargetKind, Support]]] = {
    PipelineEdit.kinds[kind]: {target: Support(*row) for target, row in rows.items()}
    for kind, rows in read_table("pipeprof.pipelines.changes", "support").items()
}


def supports(edit: PipelineEdit | type[PipelineEdit], target: TargetKind) -> bool:
    """Whether a tool makes an edit on a kind of target; whether it fits one pipeline shows when it is applied.

    Example:
        >>> from pipeprof.pipelines.changes.edits import HandWritten, SetOption
        >>> supports(SetOption("deterministic", False), "spec"), supports(HandWritten, "spec")
        (True, False)
    """
    kind = edit if isinstance(edit, type) else type(edit)
    return SUPPORT[kind][target].exists
