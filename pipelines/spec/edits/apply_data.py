"""Edits applied to a spec's plain data.

All addresses are those before the edits. The edits are applied one after the other: a stage that an earlier one has
moved is changed where it is now; stages inserted after the same one come in the order of their edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

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
from pipeprof.pipelines.ops.chain_part import CannotSplitError, part_of_chains
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, Path, StagePlace, find, value_at
from pipeprof.pipelines.spec.kept_rows import rows_kept_of
from pipeprof.pipelines.spec.yaml.tree import operation_key

OPTIONS = "options"


@dataclass(eq=False)
class ListedStage:
    """A stage in a list that edits change.

    Attributes:
        value: The mapping of its operation to its arguments.
        origin: Its place before the edits; ``None`` for a new one.
        moved: Whether an edit took it to another place.
        replaces: Whether it stands in the place of stages that an edit took out.
        before: Whether it belongs to the stage after it, as one that is moved before another does.
        follows: The path of the stage that it was inserted after.
    """

    value: Any
    origin: int | None = None
    moved: bool = False
    replaces: bool = False
    before: bool = False
    follows: Path | None = None


@dataclass(eq=False)
class StageList:
    """The stages of a pipeline while edits change them."""

    pipeline: dict[Any, Any]
    items: list[ListedStage]

    def position(self, index: int) -> int:
        """Where the stage that was at an index is now."""
        return next(place for place, item in enumerate(self.items) if item.origin == index)


@dataclass
class EditPlan:
    """A spec's data after edits, and where each stage of a changed list comes from.

    Attributes:
        data: The data after the edits.
        lists: The lists that edits have touched, by the path of their pipeline before the edits.
    """

    data: Any
    lists: dict[Path, StageList] = field(default_factory=dict)


def apply_to_data(data: Any, edits: Sequence[PipelineEdit]) -> Any:
    """Return a spec's plain data with edits applied; the data itself is left as it is.

    Args:
        data: What the spec's text says, or what its files say together: mappings, lists and scalars.
        edits: In order. `SetEnvironment` changes nothing here: `environment` has it.

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
    """Apply edits to a copy of the data, and keep where each stage comes from.

    Raises:
        EditError: As `apply_to_data`.
    """
    applier = _Applier(data)
    for edit in edits:
        applier.apply(edit)
    return applier.finish()


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


class _Applier:
    def __init__(self, data: Any) -> None:
        self._before = data
        self._result = EditPlan(plain(data))
        self._gone: set[Path] = set()

    def apply(self, edit: PipelineEdit) -> None:
        """Apply one edit after those before it."""
        if isinstance(edit, InsertStage):
            self._insert(edit)
        elif isinstance(edit, SetArgument):
            self._set_argument(edit)
        elif isinstance(edit, MoveStage):
            self._move(edit.stage, edit.op, edit.before)
        elif isinstance(edit, MoveFilter):
            self._move_filter(edit)
        elif isinstance(edit, ReplaceStages):
            self._replace(edit)
        elif isinstance(edit, VectoriseMap):
            self._vectorise(edit)
        elif isinstance(edit, VectoriseFilter):
            self._vectorise_filter(edit)
        elif isinstance(edit, SetOption):
            self._set_option(edit)
        elif not isinstance(edit, SetEnvironment):
            message = f"{type(edit).__name__} has to be written by hand: no tool applies it to a spec"
            raise EditError(message)

    def finish(self) -> EditPlan:
        """Write the lists back into the data."""
        for found in self._result.lists.values():
            # A list that was empty before stays as it is written.
            if not found.items and found.pipeline.get(STAGES):
                del found.pipeline[STAGES]
            if found.items or not found.pipeline:
                found.pipeline[STAGES] = [item.value for item in found.items]
        return self._result

    def _place(self, address: str) -> StagePlace:
        """Where a stage was before the edits.

        Raises:
            EditError: There is none, or an edit before this one replaced it.
        """
        place = find(self._before, address)
        if any(place.path[:length] in self._gone for length in range(1, len(place.path) + 1)):
            message = f"{address} was replaced by an earlier edit"
            raise EditError(message)
        return place

    def _list(self, pipeline: Path) -> StageList:
        known = self._result.lists.get(pipeline)
        if known is None:
            # Lists are written back at the end: until then the paths of before lead to the same pipelines.
            holder = value_at(self._result.data, pipeline)
            stages = holder.get(STAGES) or []
            known = StageList(holder, [ListedStage(stage, index) for index, stage in enumerate(stages)])
            self._result.lists[pipeline] = known
        return known

    def _stage(self, address: str, op: str | None = None) -> tuple[StageList, int]:
        """The list of a stage and where it is now.

        Raises:
            EditError: There is none, or it is another operation.
        """
        place = self._place(address)
        if place.index is None:
            message = f"{address} is a source: expected a stage"
            raise EditError(message)
        found = self._list(place.pipeline)
        position = found.position(place.index)
        _check(found.items[position].value, op, address)
        return found, position

    def _insert(self, edit: InsertStage) -> None:
        stage = ListedStage(stage_value(NewStage(edit.op, edit.arguments)))
        if edit.after is None:
            self._list(()).items.append(stage)
            return
        place = self._place(edit.after)
        found = self._list(place.pipeline)
        position = 0 if place.index is None else found.position(place.index) + 1
        while position < len(found.items) and found.items[position].follows == place.path:
            position += 1
        stage.follows = place.path
        found.items.insert(position, stage)

    def _set_argument(self, edit: SetArgument) -> None:
        place = self._place(edit.stage)
        if place.index is None:
            holder = self._list(place.pipeline).pipeline[SOURCE]
        else:
            found, position = self._stage(edit.stage)
            holder = found.items[position].value
        key = _check(holder, edit.op, edit.stage)
        arguments = holder[key] or {}
        if edit.value is None:
            arguments.pop(edit.argument, None)
        else:
            arguments[edit.argument] = plain(edit.value)
        holder[key] = arguments

    def _move(self, stage: str, op: str | None, before: str) -> None:
        found, position = self._stage(stage, op)
        target = self._place(before)
        if target.index is None or self._list(target.pipeline) is not found:
            message = f"{stage} cannot move before {before}: expected a stage of the same pipeline"
            raise EditError(message)
        item = found.items[position]
        if stage == before:
            return
        found.items.remove(item)
        found.items.insert(found.position(target.index), item)
        item.moved = item.before = True

    def _move_filter(self, edit: MoveFilter) -> None:
        found, position = self._stage(edit.stage, "filter")
        other, target = self._stage(edit.before)
        if other is not found or target > position:
            message = f"{edit.stage} does not follow {edit.before} in the same pipeline"
            raise EditError(message)
        item = found.items[position]
        chains = []
        for crossed in found.items[target:position]:
            op = str(operation_key(crossed.value))
            row = traits(op)
            if row.maps:
                chains.append(_chain(crossed.value, edit.stage)["ops"])
            elif not (row.passes and row.one_to_one and row.consecutive):
                message = f"{op} before {edit.stage} is no map: with fewer elements before it, it would give others"
                raise EditError(message)
        holder = _chain(item.value, edit.stage)
        try:
            holder["ops"] = plain(part_of_chains(chains, holder["ops"]))
        except (CannotSplitError, ValidationError) as error:
            words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            message = f"{edit.stage} cannot move before {edit.before}: {words}"
            raise EditError(message) from error
        self._move(edit.stage, "filter", edit.before)

    def _replace(self, edit: ReplaceStages) -> None:
        if not edit.stages:
            message = "ReplaceStages names no stage: expected at least one"
            raise EditError(message)
        first = self._place(edit.stages[0])
        new = list(edit.by)
        addresses = list(edit.stages)
        found = self._list(first.pipeline)
        start = 0
        if first.index is None:
            if not new:
                message = f"{addresses[0]} is a source: it can be replaced, not removed"
                raise EditError(message)
            found.pipeline[SOURCE] = stage_value(new.pop(0))
            self._gone.add(first.path)
            addresses = addresses[1:]
        positions = [self._stage(address) for address in addresses]
        if positions and first.index is not None:
            start = positions[0][1]
        if any(one is not found or at != start + number for number, (one, at) in enumerate(positions)):
            message = f"{', '.join(edit.stages)} do not follow each other: expected stages in a row"
            raise EditError(message)
        old = found.items[start : start + len(positions)]
        values = [stage_value(stage) for stage in new]
        if len(old) == len(values) and all(
            operation_key(item.value) == operation_key(value) for item, value in zip(old, values, strict=True)
        ):
            for item, value in zip(old, values, strict=True):
                item.value = value
            self._gone.update((*first.pipeline, STAGES, item.origin) for item in old if item.origin is not None)
            return
        self._gone.update((*first.pipeline, STAGES, item.origin) for item in old if item.origin is not None)
        found.items[start : start + len(positions)] = [ListedStage(value, replaces=True) for value in values]

    def _vectorise(self, edit: VectoriseMap) -> None:
        found, position = self._stage(edit.stage, "map")
        other, batch = self._stage(edit.batch)
        if other is not found or batch < position:
            message = f"{edit.batch} does not follow {edit.stage} in the same pipeline"
            raise EditError(message)
        if traits(str(operation_key(found.items[batch].value))).pads:
            message = f"{edit.batch} pads rows of different lengths, for which tf.vectorized_map has no form"
            raise EditError(message)
        item = found.items[position]
        holder = _chain(item.value, edit.stage)
        holder["ops"] = [{"tf.vectorized_map": {"fn": holder["ops"]}}]
        found.items.remove(item)
        found.items.insert(batch, item)
        item.moved = True

    def _vectorise_filter(self, edit: VectoriseFilter) -> None:
        found, position = self._stage(edit.stage, "filter")
        other, batch = self._stage(edit.batch, "batch")
        if other is not found or batch != position + 1:
            message = f"{edit.batch} is not the stage after {edit.stage}"
            raise EditError(message)
        holder, sizes = _chain(found.items[position].value, edit.stage), found.items[batch].value["batch"] or {}
        if edit.fields is None:
            message = f"{edit.stage} cannot keep rows of whole batches: the fields of its elements are not known"
            raise EditError(message)
        chain = rows_kept_of(edit.fields, holder["ops"])
        size = {"batch_size": sizes.get("batch_size")}
        name = found.items[position].value["filter"].get("name")
        new = (
            {"batch": size},
            {"map": {**({"name": name} if name is not None else {}), "ops": plain(chain)}},
            {"rebatch": {**size, **({"drop_remainder": True} if sizes.get("drop_remainder") else {})}},
        )
        gone = found.items[position : batch + 1]
        pipeline = self._place(edit.stage).pipeline
        self._gone.update((*pipeline, STAGES, item.origin) for item in gone if item.origin is not None)
        found.items[position : batch + 1] = [ListedStage(plain(value), replaces=True) for value in new]

    def _set_option(self, edit: SetOption) -> None:
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


def _chain(value: Any, address: str) -> dict[str, Any]:
    """The mapping that holds the `ops:` of a stage.

    Raises:
        EditError: Its function is Python.
    """
    op = operation_key(value)
    arguments = value[op] or {}
    holder = arguments.get(traits(str(op)).function, arguments)
    if not isinstance(holder, dict) or not isinstance(holder.get("ops"), list):
        message = f"{address}: a function in Python is not taken apart in a spec: edit its graph, or write it by hand"
        raise EditError(message)
    return holder


def _check(value: Any, op: str | None, address: str) -> Any:
    """The key of the operation that a source or stage is.

    Raises:
        EditError: It is not the operation that an edit expects.
    """
    key = operation_key(value)
    if key is None or (op is not None and str(key) != op):
        message = f"{address} is {key or 'no stage'}, expected {op}: the edit was made for another version of the spec"
        raise EditError(message)
    return key
