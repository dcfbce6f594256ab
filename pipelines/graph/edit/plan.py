"""Edits as a plan for a graph: the stages of every line of a pipeline in their new order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.edits.edits import (
    MoveFilter,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    RewriteMap,
    SetArgument,
    SetOption,
    SplitMap,
    VectoriseFilter,
    VectoriseMap,
)
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem, Path, line_of, path_of
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.stages import WrittenStage
from pipeprof.pipelines.ops.traits import traits


@dataclass(eq=False)
class Part(LineItem):
    """A stage of the edited pipeline.

    Attributes:
        pads: The stage that padded what the function gives, where the function does it now.
        stacks: It stacks elements of one shape, which it padded before.
        over: The maps that it was moved over, with the part of their functions that it reads.
        flat: It gets elements as tuples of their components, and so do the new stages after it.
        narrow: The second part makes narrow numbers wider, and nothing else.
        ends: Address of the last of the stages that it and others replace, if it is the last of them.
    """

    stage: WrittenStage | None = None
    new: NewStage | None = None
    pads: str | None = None
    stacks: bool = False
    masks: bool = False
    sized_by: WrittenStage | None = None
    over: tuple[WrittenStage, ...] = ()
    flat: bool = False
    half_of: WrittenStage | None = None
    narrow: bool = False
    how: tuple[str, ...] = ()
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

    def halves(self, item: Part, edit: SplitMap) -> list[Part]:
        """Let the first part know its map."""
        if item.stage is None or item.half_of is not None:
            raise LineError(edit.stage, "it was divided by an earlier edit")
        item.half_of, item.narrow = item.stage, edit.batch is not None
        first = Part(item.op, new=NewStage(item.op), half_of=item.stage, narrow=item.narrow)
        return [first, *(self.new(stage, edit) for stage in edit.by), item]

    def rewrites(self, item: Part, edit: RewriteMap) -> None:
        """Keep it for the map's function."""
        item.how = (*item.how, edit.how)

    def on_batches(self, item: Part, batch: Part, edit: VectoriseMap) -> None:
        """Let the function pad for the first map: of several, the last one moves first."""
        if traits(batch.op).pads and not batch.stacks:
            batch.stacks, item.pads = True, edit.batch

    def on_rows(self, item: Part, batch: Part, edit: VectoriseFilter) -> list[Part]:
        """Give the new batches the size of the one that they replace."""
        first, _, last = super().on_rows(item, batch, edit)
        first.sized_by = last.sized_by = batch.stage
        item.masks = True
        return [first, item, last]


def plan_edits(stages: Iterable[WrittenStage], edits: Iterable[PipelineEdit]) -> Plan:
    """Apply edits to the order of stages."""
    plan = Plan(stages)
    for edit in edits:
        try:
            plan.apply(edit)
        except LineError as error:
            raise CannotEditError(error.reason, error.address) from error
    return plan
