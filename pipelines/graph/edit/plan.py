"""Edits as a plan for a graph: the stages of every line of a pipeline in their new order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.edits.edits import MoveFilter, NewStage, PipelineEdit, ReplaceStages, SetArgument, SetOption
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem, Path, line_of, path_of
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.stages import WrittenStage


@dataclass(eq=False)
class Part(LineItem):
    """A stage of the edited pipeline.

    Attributes:
        over: The maps that it was moved over, with the part of their functions that it reads.
        flat: It gets elements as tuples of their components, and so do the new stages after it.
        ends: Address of the last of the stages that it and others replace, if it is the last of them.
    """

    stage: WrittenStage | None = None
    new: NewStage | None = None
    over: tuple[WrittenStage, ...] = ()
    flat: bool = False
    ends: str | None = None


class Plan(EditedLines[Part]):
    """The edited pipeline."""

    def __init__(self, stages: Iterable[WrittenStage]) -> None:
        lines: dict[Path, list[Part]] = {}
        for stage in stages:
            path = path_of(stage.address)
            lines.setdefault(line_of(path), []).append(Part(stage.op, path, stage=stage))
        super().__init__(lines)
        self.arguments: list[SetArgument] = []
        self.options: dict[str, Any] = {}

    def new(self, stage: NewStage, edit: PipelineEdit) -> Part:
        """A new stage, with elements as the edit says."""
        return Part(stage.op, new=stage, flat=isinstance(edit, ReplaceStages) and edit.flat)

    def swap(self, at: Path, first: int, count: int, new: list[Part]) -> None:
        """Keep which stage the last of the new ones ends at."""
        last = self.lines[at][first + count - 1].stage
        if new and new[-1].flat and last is not None:
            new[-1].ends = last.address
        super().swap(at, first, count, new)

    def set_argument(self, item: Part, edit: SetArgument) -> None:
        """Keep it for the stage's nodes."""
        del item
        self.arguments.append(edit)

    def set_option(self, edit: SetOption) -> None:
        """Keep it for the dataset."""
        self.options[edit.path] = edit.value

    def crosses(self, item: Part, maps: Sequence[Part], edit: MoveFilter) -> None:
        """Keep the maps for the filter's function."""
        del edit
        item.over = (*(crossed.stage for crossed in maps if crossed.stage is not None), *item.over)


def plan_edits(stages: Iterable[WrittenStage], edits: Iterable[PipelineEdit]) -> Plan:
    """Apply edits to the order of stages."""
    plan = Plan(stages)
    for edit in edits:
        try:
            plan.apply(edit)
        except LineError as error:
            raise CannotEditError(error.reason, error.address) from error
    return plan
