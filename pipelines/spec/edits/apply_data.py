"""Edits applied to a spec's plain data: where they go and what they require is in `EditedLines`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveFilter,
    NewStage,
    PipelineEdit,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem
from pipeprof.pipelines.ops.chain_part import CannotSplitError, part_of_chains
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, Path, find, value_at
from pipeprof.pipelines.spec.yaml.tree import operation_key

OPTIONS = "options"


@dataclass(eq=False)
class ListedStage(LineItem):
    """A source or a stage in a spec's data.

    Attributes:
        value: The mapping of its operation to its arguments; None for a source that is not written.
    """

    value: Any = None
    replaces: bool = False

    @property
    def origin(self) -> int | None:
        """Its index in the list of stages before the edits; ``None`` for a new one."""
        return self.path[-1] if self.path is not None and isinstance(self.path[-1], int) else None


@dataclass(eq=False)
class StageList:
    """The stages of a pipeline after edits; its source is in the pipeline's data."""

    pipeline: dict[Any, Any]
    items: list[ListedStage] = field(default_factory=list)


@dataclass
class EditPlan:
    """A spec's data after edits, and where each stage of a changed list comes from.

    Attributes:
        lists: The lists that edits have touched, by the path of their pipeline before the edits.
    """

    data: Any
    lists: dict[Path, StageList] = field(default_factory=dict)


def apply_to_data(data: Any, edits: Sequence[PipelineEdit]) -> Any:
    """Return a spec's plain data with edits applied; the data itself is left as it is.

    Args:
        data: What the spec's text says, or what its files say together: mappings, lists and scalars.

    Raises:
        EditError: An edit names a stage that is not there, or cannot be made in a spec.

    Example:
        >>> apply_to_data({"source": {"range": {"stop": 3}}}, [InsertStage("repeat", {"count": 2})])
        {'source': {'range': {'stop': 3}}, 'stages': [{'repeat': {'count': 2}}]}
    """
    return plan(data, edits).data


def environment(edits: Sequence[PipelineEdit]) -> dict[str, str]:
    """The variables that edits set in the environment of the process."""
    return {edit.variable: edit.value for edit in edits if isinstance(edit, SetEnvironment)}


def plan(data: Any, edits: Sequence[PipelineEdit]) -> EditPlan:
    """Apply edits to a copy of the data, and keep where each stage comes from."""
    lines = _DataLines(data)
    for edit in edits:
        try:
            lines.apply(edit)
        except LineError as error:
            raise EditError(str(error)) from error
    return lines.finish()


def stage_value(stage: NewStage) -> dict[str, Any]:
    """A new stage as a spec's data has it."""
    return {stage.op: plain(stage.arguments)}


def plain(value: Any) -> Any:
    """A copy in the types that a spec's data is made of."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


class _DataLines(EditedLines[ListedStage]):
    """They are read when an edit needs them, and written back at the end: until then paths lead to the same places."""

    def __init__(self, data: Any) -> None:
        super().__init__({})
        self._before = data
        self._result = EditPlan(plain(data))

    def finish(self) -> EditPlan:
        """Write the lists back into the data."""
        for at, found in self._result.lists.items():
            source, *found.items = self.lines[at]
            if source.value is not None:
                found.pipeline[SOURCE] = source.value
            # A list that was empty before stays as it is written.
            if not found.items and found.pipeline.get(STAGES):
                del found.pipeline[STAGES]
            if found.items or not found.pipeline:
                found.pipeline[STAGES] = [item.value for item in found.items]
        return self._result

    def new(self, stage: NewStage, edit: PipelineEdit) -> ListedStage:
        return ListedStage(stage.op, value=stage_value(stage), replaces=not isinstance(edit, InsertStage))

    def path(self, address: str) -> Path:
        return find(self._before, address).path

    def line(self, at: Path) -> list[ListedStage]:
        if at not in self.lines:
            pipeline = value_at(self._result.data, at)
            self._result.lists[at] = StageList(pipeline)
            stages = enumerate(pipeline.get(STAGES) or [])
            listed = [((*at, STAGES, index), stage) for index, stage in stages]
            self.lines[at] = [
                ListedStage(_op(value), path, value=value)
                for path, value in [((*at, SOURCE), pipeline.get(SOURCE)), *listed]
            ]
        return self.lines[at]

    def swap(self, at: Path, first: int, count: int, new: list[ListedStage]) -> None:
        old = self.lines[at][first : first + count]
        if first == 0:
            _rewrite(old[:1], new[:1])
            old, new, first, count = old[1:], new[1:], 1, count - 1
        if [item.op for item in old] == [item.op for item in new]:
            _rewrite(old, new)
        else:
            super().swap(at, first, count, new)

    def set_argument(self, item: ListedStage, edit: SetArgument) -> None:
        key = operation_key(item.value)
        arguments = item.value[key] or {}
        if edit.value is None:
            arguments.pop(edit.argument, None)
        else:
            arguments[edit.argument] = plain(edit.value)
        item.value[key] = arguments

    def set_option(self, edit: SetOption) -> None:
        holder = self._result.data
        for group in (OPTIONS, *edit.path.split(".")[:-1]):
            if not isinstance(holder.get(group), dict):
                holder[group] = {}
            holder = holder[group]
        name = edit.path.rpartition(".")[2]
        if edit.value is None:
            holder.pop(name, None)
        else:
            holder[name] = plain(edit.value)

    def crosses(self, item: ListedStage, maps: Sequence[ListedStage], edit: MoveFilter) -> None:
        chains = [_chain(crossed.value, edit.stage)["ops"] for crossed in maps]
        holder = _chain(item.value, edit.stage)
        try:
            holder["ops"] = plain(part_of_chains(chains, holder["ops"]))
        except (CannotSplitError, ValidationError) as error:
            words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise EditError(f"{edit.stage} cannot move before {edit.before}: {words}") from error

    def on_batches(self, item: ListedStage, batch: ListedStage, edit: VectoriseMap) -> None:
        del batch
        holder = _chain(item.value, edit.stage)
        holder["ops"] = [{"tf.vectorized_map": {"fn": holder["ops"]}}]


def _op(value: Any) -> str:
    key = operation_key(value)
    return "" if key is None else str(key)


def _rewrite(old: Sequence[ListedStage], new: Sequence[ListedStage]) -> None:
    """Give stages the operations of new ones where they are written."""
    for item, other in zip(old, new, strict=True):
        item.op, item.value = other.op, other.value


def _chain(value: Any, address: str) -> dict[str, Any]:
    """The mapping that holds the `ops:` of a stage."""
    op = operation_key(value)
    arguments = value[op] or {}
    holder = arguments.get(traits(str(op)).function, arguments)
    if not isinstance(holder, dict) or not isinstance(holder.get("ops"), list):
        message = f"{address}: a function in Python is not taken apart in a spec: edit its graph, or write it by hand"
        raise EditError(message)
    return holder
