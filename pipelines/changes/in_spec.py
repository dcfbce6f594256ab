"""A change made in the plain data of a spec: its stages become lines of `EditedLines`, and data again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeprof.pipelines.changes.edits import MoveFilter, NewStage, PipelineEdit, SetArgument, SetOption, VectoriseMap
from pipeprof.pipelines.changes.line import EditedLines, LineError, LineItem, Path
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops.chain_part import CannotSplitError, part_of_chains
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.yaml.tree import operation_key

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import ElementFaults, LoadedSpec
    from pipeprof.pipelines.spec.yaml.spans import TextPlace

SOURCE = "source"
STAGES = "stages"
OPTIONS = "options"
_PIPELINE = frozenset({SOURCE, STAGES, "on"})
"""Keys of a pipeline, which a mapping of named pipelines does not have."""
_FUNCTION = "map_func"
"""The argument that a nested pipeline may be written under, or left out."""


class EditError(UsageError):
    """A change that does not fit the spec, or that its text does not allow."""


@dataclass(frozen=True)
class ChangedData:
    """A spec's data with changes.

    Attributes:
        origins: By the identity of each mapping and list that was there before: its path then, and itself.
    """

    data: Any
    origins: Mapping[int, tuple[Path, Any]]

    def origin(self, value: Any) -> Path | None:
        """Where a mapping or a list stood before; None for a new one."""
        path, known = self.origins.get(id(value), (None, None))
        return path if known is value else None

    def places(self, before: Mapping[Path, TextPlace]) -> dict[Path, TextPlace]:
        """The places of what was there before by its path now, from those by its path then."""
        found: dict[Path, TextPlace] = {}

        def follow(value: Any, path: Path, was: Path | None) -> None:
            if was is not None and was in before:
                found[path] = before[was]
            entries = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
            for key, inner in entries:
                beside = (*was, key) if was is not None else None
                follow(inner, (*path, key), self.origin(inner) if isinstance(inner, dict | list) else beside)

        follow(self.data, (), ())
        return found


def apply_to_data(data: Any, edits: Sequence[PipelineEdit]) -> Any:
    """Return a spec's plain data with changes; the data itself is left as it is.

    Raises:
        EditError: A change names a stage that is not there, or cannot be made in a spec.

    Example:
        >>> apply_to_data({"source": {"range": {"stop": 3}}}, [SetArgument("source", "range", "stop", 4)])
        {'source': {'range': {'stop': 4}}}
    """
    return changed(data, edits).data


def can_change(data: Any, edits: Sequence[PipelineEdit]) -> bool:
    """Whether changes can be made in a spec's data, and leave it another one."""
    try:
        return not same(apply_to_data(data, edits), data)
    except EditError:
        return False


def changed_spec(
    loaded: LoadedSpec, edits: Sequence[PipelineEdit], element_faults: ElementFaults | None = None
) -> LoadedSpec:
    """Return a spec with changes, as if its file had them.

    Raises:
        EditError: As `apply_to_data`.
        SpecError: All faults of the changed spec.
    """
    after = changed(loaded.data, edits)
    return loaded.with_data(after.data, after.places, element_faults)


def changed(data: Any, edits: Sequence[PipelineEdit]) -> ChangedData:
    """Apply changes to a copy of the data; raises as `apply_to_data`."""
    lines = _DataLines(data)
    for edit in edits:
        try:
            lines.apply(edit)
        except LineError as error:
            raise EditError(str(error)) from error
    return lines.finish()


def plain(value: Any) -> Any:
    """A copy in the types that a spec's data is made of."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def value_at(data: Any, path: Sequence[str | int]) -> Any:
    """The value under keys and indices that are there."""
    for part in path:
        data = data[part]
    return data


def same(one: Any, other: Any) -> bool:
    """Whether two data are the same, types included; no stages and an empty list of them are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        first, second = (
            {key: inner for key, inner in value.items() if key != STAGES or inner} for value in (one, other)
        )
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(first, second) for first, second in zip(one, other, strict=True))
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124 - not a number


def find(data: Any, address: str) -> Path:
    """Return keys and indices from the top of the data to the source or stage at an address.

    Example:
        >>> find({"source": {"zip": {"datasets": [{"stages": [{"cache": None}]}]}}}, "source.datasets.0.stages.0")
        ('source', 'zip', 'datasets', 0, 'stages', 0)
    """
    rest: list[str | int] = [int(part) if part.isdigit() else part for part in address.split(".")]
    path: Path = ()
    try:
        while True:
            if rest[0] not in (SOURCE, STAGES):
                raise KeyError(rest[0])
            count = 1 if rest[0] == SOURCE else 2
            path, rest = (*path, *rest[:count]), rest[count:]
            value_at(data, path)
            if not rest:
                return path
            path, rest = _inner(data, path, rest)
    except (KeyError, IndexError, TypeError, ValueError):
        raise EditError(f"no stage at {address} in the spec: the edit was made for another version of it") from None


def _inner(data: Any, place: Path, parts: list[str | int]) -> tuple[Path, list[str | int]]:
    """The pipeline among the arguments of the operation at a place, and what follows it in the address."""
    key = operation_key(value_at(data, place))
    if key is None:
        raise KeyError(place)
    here = (*place, key)
    arguments = value_at(data, here)
    name = parts[0]
    if name in (SOURCE, STAGES):
        # The pipeline of an `interleave` stands among its arguments, or under TensorFlow's name.
        return ((*here, _FUNCTION) if _FUNCTION in arguments else here), parts
    if name == "datasets" and isinstance(parts[1], int):
        return list(_leaves(arguments[name], (*here, name)))[parts[1]], parts[2:]
    if not isinstance(arguments[name], dict):
        raise KeyError(name)
    return (*here, name), parts[1:]


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and (not value or value.keys() & _PIPELINE):
        yield path
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(inner, (*path, key))


@dataclass(eq=False)
class _Stage(LineItem):
    """A source or a stage: the mapping of its operation to its arguments; None for a source that is not written."""

    value: Any = None


class _DataLines(EditedLines[_Stage]):
    """They are read when a change needs them, and written back at the end: until then paths lead to the same places."""

    def __init__(self, data: Any) -> None:
        super().__init__({})
        self._before = data
        self._origins: dict[int, tuple[Path, Any]] = {}
        self._data = self._copy(data, ())
        self._pipelines: dict[Path, dict[Any, Any]] = {}

    def _copy(self, value: Any, path: Path) -> Any:
        copy: Any
        if isinstance(value, dict):
            copy = {key: self._copy(inner, (*path, key)) for key, inner in value.items()}
        elif isinstance(value, list):
            copy = [self._copy(inner, (*path, index)) for index, inner in enumerate(value)]
        else:
            return value
        self._origins[id(copy)] = path, copy
        return copy

    def finish(self) -> ChangedData:
        """Write the lines back into the data."""
        for at, (source, *items) in self.lines.items():
            pipeline, stages = self._pipelines[at], [item.value for item in items]
            if source.value is not None:
                pipeline[SOURCE] = source.value
            written = pipeline.get(STAGES)
            if written and not stages and len(pipeline) > 1:
                del pipeline[STAGES]
            elif written:
                written[:] = stages
            elif stages:
                pipeline[STAGES] = stages
        return ChangedData(self._data, self._origins)

    def new(self, stage: NewStage, edit: PipelineEdit) -> _Stage:
        del edit
        return _Stage(stage.op, value={stage.op: plain(stage.arguments)})

    def path(self, address: str) -> Path:
        return find(self._before, address)

    def line(self, at: Path) -> list[_Stage]:
        if at not in self.lines:
            pipeline = self._pipelines[at] = value_at(self._data, at)
            stages = [((*at, STAGES, index), value) for index, value in enumerate(pipeline.get(STAGES) or [])]
            self.lines[at] = [
                _Stage(str(operation_key(value) or ""), path, value=value)
                for path, value in [((*at, SOURCE), pipeline.get(SOURCE)), *stages]
            ]
        return self.lines[at]

    def swap(self, at: Path, first: int, count: int, new: list[_Stage]) -> None:
        for old, other in zip(self.lines[at][first : first + count], new, strict=False):
            if old.op == other.op:
                # The text keeps what stands around it.
                old.value[old.op] = other.value[old.op]
                other.value = old.value
        super().swap(at, first, count, new)

    def set_argument(self, item: _Stage, edit: SetArgument) -> None:
        key = operation_key(item.value)
        _set(item.value, key, edit.argument, edit.value)

    def set_option(self, edit: SetOption) -> None:
        holder = self._data
        *groups, last = (OPTIONS, *edit.path.split("."))
        for group in groups[:-1]:
            if not isinstance(holder.get(group), dict):
                holder[group] = {}
            holder = holder[group]
        _set(holder, groups[-1], last, edit.value)

    def crosses(self, item: _Stage, maps: Sequence[_Stage], edit: MoveFilter) -> None:
        chains = [_chain(crossed.value, edit.stage)["ops"] for crossed in maps]
        holder = _chain(item.value, edit.stage)
        try:
            holder["ops"] = plain(part_of_chains(chains, holder["ops"]))
        except (CannotSplitError, ValidationError) as error:
            words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise EditError(f"{edit.stage} cannot move before {edit.before}: {words}") from error

    def on_batches(self, item: _Stage, batch: _Stage, edit: VectoriseMap) -> None:
        del batch
        holder = _chain(item.value, edit.stage)
        holder["ops"] = [{"tf.vectorized_map": {"fn": holder["ops"]}}]


def _set(holder: dict[Any, Any], key: Any, name: str, value: Any) -> None:
    """Set a value in the mapping under a key, which may hold nothing yet; None takes it out."""
    if not isinstance(holder.get(key), dict):
        holder[key] = {}
    if value is None:
        holder[key].pop(name, None)
    else:
        holder[key][name] = plain(value)


def _chain(value: Any, address: str) -> dict[str, Any]:
    """The mapping that holds the `ops:` of a stage."""
    op = operation_key(value)
    arguments = value[op] or {}
    holder = arguments.get(traits(str(op)).function, arguments)
    if not isinstance(holder, dict) or not isinstance(holder.get("ops"), list):
        message = f"{address}: a function in Python is not taken apart in a spec: edit its graph, or write it by hand"
        raise EditError(message)
    return holder
