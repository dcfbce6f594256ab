"""The stages of a pipeline in their order while edits change it: the one interpreter of edits.

A line is a source with its stages: the pipeline itself, an input of a stage with several, or what a stage's function
makes. Addresses in edits are those before all of them: a stage that was moved is changed where it is now, one that was
replaced is refused. Stages that are inserted after the same one come in the order of their edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pipeprof.pipelines.addresses import join, pipeline_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.ops.traits import traits

Path: TypeAlias = "tuple[str | int, ...]"


class LineError(Exception):
    """An edit does not fit the stages; each backend raises an error of its own in its place.

    Attributes:
        address: Address of the stage that prevents it; the op of a new one; None where it is none.
    """

    def __init__(self, address: str | None, reason: str) -> None:
        super().__init__(f"{address}: {reason}" if address else reason)
        self.address = address
        self.reason = reason


@dataclass(eq=False)
class LineItem:
    """A stage or a source in a line.

    Attributes:
        path: Its place before the edits, which begins with that of a stage around it; None for a new one.
        before: It was put before the stage after it, not after the one before it.
    """

    op: str
    path: Path | None = None
    follows: Path | None = None
    moved: bool = False
    before: bool = False
    whole_batches: bool = False


T = TypeVar("T", bound=LineItem)


def path_of(address: str) -> Path:
    """The parts of an address."""
    return tuple(address.split("."))


def line_of(path: Path) -> Path:
    """The place of the pipeline that a source or stage is in; empty for the whole one.

    Example:
        >>> line_of(path_of("stages.1")), line_of(path_of("source.inputs.0.source"))
        ((), ('source', 'inputs', '0'))
    """
    return path[:-1] if path[-1] == "source" else path[:-2]


class EditedLines(Generic[T]):
    """The lines of a pipeline; a subclass defines its items, and hooks for the rest of an edit."""

    def __init__(self, lines: dict[Path, list[T]]) -> None:
        self.lines = lines
        self.changed: set[Path] = set()
        self._gone: set[Path | None] = set()

    def new(self, stage: NewStage, edit: PipelineEdit) -> T:
        """An item for a new stage."""
        raise NotImplementedError

    def path(self, address: str) -> Path:
        """The place of an address before the edits."""
        return path_of(address)

    def line(self, at: Path) -> list[T]:
        """A line by the place of its pipeline."""
        return self.lines.get(at, [])

    def put(self, at: Path, index: int, item: T) -> None:
        """Put an item into a line."""
        self.lines[at].insert(index, item)

    def take(self, at: Path, index: int) -> T:
        """Take an item out of a line."""
        return self.lines[at].pop(index)

    def swap(self, at: Path, first: int, count: int, new: list[T]) -> None:
        """Put new items in place of some in a row."""
        self.lines[at][first : first + count] = new

    def set_argument(self, item: T, edit: SetArgument) -> None:
        """Give an argument of a stage another value."""

    def set_option(self, edit: SetOption) -> None:
        """Set an option of the pipeline."""

    def crosses(self, item: T, maps: Sequence[T], edit: MoveFilter) -> None:
        """Prepare a filter for its place before maps, which are given in the order of the data."""

    def on_batches(self, item: T, batch: T, edit: VectoriseMap) -> None:
        """Apply the function of a map to what a batch gives."""

    def begin_step(self) -> None:
        """Take the addresses of further edits as those of the pipeline that the edits until now have made."""
        self._gone.clear()
        for at, line in self.lines.items():
            for number, item in enumerate(line[1:]):
                item.path, item.follows = (*at, "stages", str(number)), None
                item.moved = item.before = item.whole_batches = False

    def apply(self, edit: PipelineEdit) -> None:
        """Apply one edit after those before it."""
        match edit:
            case InsertStage():
                self._insert(edit)
            case SetArgument():
                self.set_argument(self._expected(edit.stage, edit.op), edit)
            case SetOption():
                self.set_option(edit)
            case MoveStage():
                self._move(edit)
            case MoveFilter():
                self._move_filter(edit)
            case ReplaceStages():
                self._replace(edit)
            case VectoriseMap():
                self._vectorise(edit)
            case SetEnvironment():
                pass  # of the process, before it starts
            case _:
                raise LineError(None, f"{type(edit).__name__} has to be written by hand: no tool applies it")

    def find(self, address: str) -> tuple[Path, int]:
        """The line of a source or stage, and where it is there now."""
        path = self.path(address)
        if any(path[:length] in self._gone for length in range(1, len(path) + 1)):
            raise LineError(address, "it was replaced by an earlier edit")
        at = line_of(path)
        for index, item in enumerate(self.line(at)):
            if item.path == path:
                return at, index
        raise LineError(address, "the pipeline has no stage at this address")

    def _pair(self, address: str, other: str) -> tuple[Path, int, int | None]:
        """The line of a stage, where it is there, and where another one is; None if that is in another line."""
        at, index = self.find(address)
        beside, target = self.find(other)
        return at, index, target if beside == at else None

    def _expected(self, address: str, op: str) -> T:
        at, index = self.find(address)
        item = self.lines[at][index]
        if item.op != op:
            kind = item.op or "no stage"
            raise LineError(
                address, f"it is {kind}, expected {op}: the edit was made for another version of the pipeline"
            )
        return item

    def _shift(self, at: Path, index: int, target: int, *, before: bool) -> None:
        item = self.take(at, index)
        item.moved, item.before = True, before
        self.put(at, target - (index < target) + (not before), item)
        self.changed.add(at)

    def _swap(self, at: Path, first: int, count: int, new: list[T]) -> None:
        gone = [item.path for item in self.lines[at][first : first + count]]
        self.swap(at, first, count, new)
        self._gone.update(gone)
        self.changed.add(at)

    def _insert(self, edit: InsertStage) -> None:
        at, index = self.find(edit.after) if edit.after is not None else ((), len(self.line(())) - 1)
        line, item = self.lines[at], self.new(NewStage(edit.op, edit.arguments), edit)
        if edit.after is not None:
            item.follows = line[index].path
            while index + 1 < len(line) and line[index + 1].follows == item.follows:
                index += 1
        self.put(at, index + 1, item)
        self.changed.add(at)

    def _move(self, edit: MoveStage) -> None:
        self._expected(edit.stage, edit.op)
        at, index, target = self._pair(edit.stage, edit.before)
        if target is None:
            raise LineError(edit.stage, f"{edit.before} is in another line: a stage moves only along its own")
        if 0 in (index, target):
            raise LineError(edit.stage, "a stage cannot come before the source")
        item = self.lines[at][index]
        if index != target:
            self._shift(at, index, target, before=True)
        after = self.lines[at][self.lines[at].index(item) + 1 :]
        kept = next((one for one in after if one.path is None and traits(one.op).stores), None)
        if kept is not None and traits(item.op).repeats:
            # The edits were made for other places: an earlier one has moved what they are about.
            raise LineError(edit.stage, f"{kept.op} would stand after {item.op}, where no pass ends, and never be full")

    def _move_filter(self, edit: MoveFilter) -> None:
        at, index, target = self._pair(edit.stage, edit.before)
        line = self.lines[at]
        if target is None or not 0 < target < index or not traits(line[index].op).predicate:
            raise LineError(edit.stage, f"it is not a filter after {edit.before} in the same line")
        maps = []
        for crossed in line[target:index]:
            row = traits(crossed.op)
            if row.maps and crossed.path is not None and not crossed.whole_batches:
                maps.append(crossed)
            elif not (row.passes and row.one_to_one and row.consecutive):
                kind = "map as it was before the edits" if row.maps else "map"
                reason = (
                    f"{crossed.op} before the filter is no {kind}: with fewer elements before it, it would give others"
                )
                raise LineError(_beside(edit.stage, crossed), reason)
        self.crosses(line[index], maps, edit)
        self._shift(at, index, target, before=True)

    def _replace(self, edit: ReplaceStages) -> None:
        if not edit.stages:
            raise LineError(None, "no stage to replace is named: expected at least one")
        found = [self.find(address) for address in edit.stages]
        at, first = found[0]
        if found != [(at, first + offset) for offset in range(len(found))]:
            raise LineError(edit.stages[0], f"{', '.join(edit.stages)} do not follow each other")
        if first == 0 and not edit.by:
            raise LineError(
                edit.stages[0], "a pipeline without a source has no elements: it can be replaced, not removed"
            )
        self._swap(at, first, len(found), [self.new(stage, edit) for stage in edit.by])

    def _vectorise(self, edit: VectoriseMap) -> None:
        at, index, target = self._pair(edit.stage, edit.batch)
        line = self.lines[at]
        if not traits(line[index].op).maps:
            raise LineError(edit.stage, f"{line[index].op} is not a map")
        if target is None or target < index:
            raise LineError(edit.stage, f"{edit.batch} is not after it in the same line")
        batch = traits(line[target].op)
        if not (batch.stacks and batch.keeps_shapes):
            raise LineError(edit.batch, f"{line[target].op} is not a batch of elements of one shape")
        for between in line[index + 1 : target]:
            if not traits(between.op).by_position:
                reason = f"{between.op} between the map and the batch depends on what the map gives"
                raise LineError(_beside(edit.stage, between), reason)
        self.on_batches(line[index], line[target], edit)
        line[index].whole_batches = True
        self._shift(at, index, target, before=False)


class OpLines(EditedLines[LineItem]):
    """Lines of ops and nothing else."""

    def new(self, stage: NewStage, edit: PipelineEdit) -> LineItem:
        """An item for a new stage."""
        del edit
        return LineItem(stage.op)


def _beside(address: str, item: LineItem) -> str:
    """The address of another stage of a stage's line; a new one has the name of its op."""
    return join(pipeline_of(address), *item.path[-2:]) if item.path is not None else item.op
