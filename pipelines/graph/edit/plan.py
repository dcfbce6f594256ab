"""Edits as a plan: the stages of every line of a pipeline in their new order.

A line is a source with its stages: the pipeline itself, a side of a stage with several inputs, or what a stage's
function makes. Addresses in edits are those of the pipeline as written, whatever other edits have moved. Stages
that are inserted after the same one come in the order of their edits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseFilter,
    VectoriseMap,
)
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.stages import WrittenStage
from pipeprof.pipelines.ops.traits import traits

_AGAIN: Final = "rebatch"


@dataclass(eq=False)
class Part:
    """A stage of the edited pipeline.

    Attributes:
        stage: The stage as written; None for a new one.
        new: The new one.
        whole_batches: Its function is applied to whole batches.
        pads: The stage that padded what the function gives, where the function does it now.
        stacks: It stacks elements of one shape, which it padded before.
        masks: Its predicate keeps rows of whole batches.
        sized_by: The batch whose size and remainder a new stage has.
        moved: It is in another place than before.
        over: The maps that it was moved over, with the part of their functions that it reads.
        follows: Address of the stage that it was inserted after.
        flat: It gets elements as tuples of their components, and so do the new stages after it.
        ends: Address of the last of the stages that it and others replace, if it is the last of them.
    """

    stage: WrittenStage | None = None
    new: NewStage | None = None
    whole_batches: bool = False
    pads: str | None = None
    stacks: bool = False
    masks: bool = False
    sized_by: WrittenStage | None = None
    moved: bool = False
    over: tuple[WrittenStage, ...] = ()
    follows: str | None = None
    flat: bool = False
    ends: str | None = None

    @property
    def op(self) -> str:
        """Its op as written."""
        return self.stage.op if self.stage is not None else self.new.op if self.new is not None else ""

    @property
    def name(self) -> str:
        """What to call it in an error."""
        if self.stage is None:
            return self.new.op if self.new is not None else ""
        return self.stage.address


@dataclass
class Plan:
    """The edited pipeline.

    Attributes:
        lines: Stages of each line, by the prefix of their addresses; empty for the pipeline itself.
        arguments: What is set in the stages as written.
        options: Options of the whole pipeline by their dotted path.
    """

    lines: dict[str, list[Part]]
    arguments: list[SetArgument] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


def plan_edits(stages: Iterable[WrittenStage], edits: Iterable[PipelineEdit]) -> Plan:
    """Apply edits to the order of stages.

    Args:
        stages: The stages as written, those of each line in order.
        edits: The edits.

    Raises:
        CannotEditError: An address is none of the pipeline, or a stage would come before its source.
    """
    plan = Plan({})
    for stage in stages:
        plan.lines.setdefault(line_of(stage.address), []).append(Part(stage))
    for edit in edits:
        _apply(plan, edit)
    for prefix, line in plan.lines.items():
        if not line:
            msg = "a pipeline without a source has no elements"
            raise CannotEditError(msg, f"{prefix}source")
    return plan


def _apply(plan: Plan, edit: PipelineEdit) -> None:
    match edit:
        case SetArgument():
            _find(plan, edit.stage)
            plan.arguments.append(edit)
        case SetOption():
            plan.options[edit.path] = edit.value
        case InsertStage():
            _insert(plan, edit)
        case MoveStage():
            _move(plan, edit)
        case MoveFilter():
            _move_filter(plan, edit)
        case ReplaceStages():
            _replace(plan, edit)
        case VectoriseMap():
            _vectorise(plan, edit)
        case VectoriseFilter():
            _vectorise_filter(plan, edit)
        case SetEnvironment():
            return  # of the process, before it starts
        case _:
            msg = f"{type(edit).__name__} is not an edit of a graph"
            raise CannotEditError(msg)


def line_of(address: str) -> str:
    """Return what the addresses of a line's stages begin with.

    Example:
        >>> line_of("stages.1"), line_of("stages.1.source"), line_of("source.inputs.0.stages.2")
        ('', 'stages.1.', 'source.inputs.0.')
    """
    head = address.rpartition(".")[0] if address.rpartition(".")[2].isdigit() else address
    return head.rpartition(".")[0] + "." if "." in head else ""


def _find(plan: Plan, address: str) -> tuple[str, int]:
    for prefix, line in plan.lines.items():
        for index, part in enumerate(line):
            if part.stage is not None and part.stage.address == address:
                return prefix, index
    msg = "the pipeline has no stage at this address"
    raise CannotEditError(msg, address)


def _insert(plan: Plan, edit: InsertStage) -> None:
    prefix, index = ("", len(plan.lines[""]) - 1) if edit.after is None else _find(plan, edit.after)
    line = plan.lines[prefix]
    while edit.after is not None and index + 1 < len(line) and line[index + 1].follows == edit.after:
        index += 1
    line.insert(index + 1, Part(new=NewStage(edit.op, edit.arguments), follows=edit.after))
    plan.changed.add(prefix)


def _move(plan: Plan, edit: MoveStage) -> None:
    prefix, index = _find(plan, edit.stage)
    other, _ = _find(plan, edit.before)
    if other != prefix:
        msg = f"{edit.before} is in another line: a stage moves only along its own"
        raise CannotEditError(msg, edit.stage)
    part = plan.lines[prefix].pop(index)
    _, target = _find(plan, edit.before)
    if 0 in (index, target):
        msg = "a stage cannot come before the source"
        raise CannotEditError(msg, edit.stage)
    part.moved = True
    plan.lines[prefix].insert(target, part)
    plan.changed.add(prefix)


def _move_filter(plan: Plan, edit: MoveFilter) -> None:
    prefix, index = _find(plan, edit.stage)
    other, target = _find(plan, edit.before)
    line = plan.lines[prefix]
    part = line[index]
    if other != prefix or not 0 < target < index or not traits(part.op).predicate:
        msg = f"it is not a filter after {edit.before} in the same line"
        raise CannotEditError(msg, edit.stage)
    over = []
    for crossed in line[target:index]:
        row = traits(crossed.op)
        if row.maps and crossed.stage is not None and not crossed.whole_batches:
            over.append(crossed.stage)
        elif not (row.passes and row.one_to_one and row.consecutive):
            msg = f"{crossed.op} before the filter is no map: with fewer elements before it, it would give others"
            raise CannotEditError(msg, crossed.name)
    part.over, part.moved = tuple(over), True
    line.insert(target, line.pop(index))
    plan.changed.add(prefix)


def _replace(plan: Plan, edit: ReplaceStages) -> None:
    if not edit.stages:
        msg = "no stage to replace is named"
        raise CannotEditError(msg)
    prefix, first = _find(plan, edit.stages[0])
    found = [_find(plan, address) for address in edit.stages]
    if found != [(prefix, first + offset) for offset in range(len(found))]:
        msg = f"{', '.join(edit.stages)} do not follow each other"
        raise CannotEditError(msg, edit.stages[0])
    new = [Part(new=stage, flat=edit.flat) for stage in edit.by]
    if new and edit.flat:
        new[-1].ends = edit.stages[-1]
    plan.lines[prefix][first : first + len(found)] = new
    if first == 0 and not edit.by:
        msg = "a pipeline without a source has no elements"
        raise CannotEditError(msg, edit.stages[0])
    plan.changed.add(prefix)


def _vectorise(plan: Plan, edit: VectoriseMap) -> None:
    prefix, index = _find(plan, edit.stage)
    other, _ = _find(plan, edit.batch)
    line = plan.lines[prefix]
    part = line.pop(index)
    _, target = _find(plan, edit.batch)
    if other != prefix or target < index:
        msg = f"{edit.batch} is not after it in the same line"
        raise CannotEditError(msg, edit.stage)
    if not traits(part.op).maps:
        msg = f"{part.op} is not a map"
        raise CannotEditError(msg, edit.stage)
    batch = traits(line[target].op)
    if not (batch.pads or (batch.stacks and batch.keeps_shapes)):
        msg = f"{line[target].op} is not a batch of elements of one shape, or of one that they are padded to"
        raise CannotEditError(msg, edit.batch)
    for between in line[index:target]:
        if not traits(between.op).by_position:
            msg = f"{between.op} between the map and the batch depends on what the map gives"
            raise CannotEditError(msg, between.name)
    line.insert(target + 1, part)
    part.whole_batches = part.moved = True
    if batch.pads and not line[target].stacks:
        # Of several maps, the last one moves first: its function pads.
        line[target].stacks, part.pads = True, edit.batch
    plan.changed.add(prefix)


def _vectorise_filter(plan: Plan, edit: VectoriseFilter) -> None:
    prefix, index = _find(plan, edit.stage)
    other, target = _find(plan, edit.batch)
    line = plan.lines[prefix]
    part, batch = line[index], line[target]
    if not traits(part.op).predicate:
        msg = f"{part.op} is not a filter"
        raise CannotEditError(msg, edit.stage)
    if other != prefix or target != index + 1:
        msg = f"{edit.batch} is not the stage after it"
        raise CannotEditError(msg, edit.stage)
    row = traits(batch.op)
    if not (row.stacks and row.keeps_shapes) or row.pads or batch.stage is None:
        msg = f"{batch.op} is not a batch of elements of one shape"
        raise CannotEditError(msg, edit.batch)
    part.masks = True
    first, last = (Part(new=NewStage(op), sized_by=batch.stage) for op in (batch.op, _AGAIN))
    line[index : target + 1] = [first, part, last]
    plan.changed.add(prefix)
