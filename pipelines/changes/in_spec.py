"""A change made in the plain data of a spec: its stages become a chain, and data again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeprof.pipelines.addresses import join, pipeline_of
from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, ChainStage, apply, chain_of
from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.operations import placed

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.spec.yaml_text import TextPlace

Path: TypeAlias = "tuple[str | int, ...]"
SOURCE = "source"
STAGES = "stages"
OPTIONS = "options"


class EditError(UsageError):
    """A change that does not fit the spec, or that its text does not allow."""


@dataclass(frozen=True)
class ChangedData:
    """A spec's data with changes."""

    data: Any
    origins: Mapping[int, tuple[Path, Any]]
    """By the identity of each mapping and list that was there before: its path then, and itself."""

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
            for key, inner in _entries(value):
                beside = (*was, key) if was is not None else None
                follow(inner, (*path, key), self.origin(inner) if isinstance(inner, dict | list) else beside)

        follow(self.data, (), ())
        return found


def apply_to_data(data: Any, edits: Sequence[PipelineEdit]) -> Any:
    """Return a spec's plain data with changes; the data itself is left as it is.

    Raises:
        EditError: A change names a stage that is not there, or cannot be made in a spec.

    Example:
        >>> from pipeprof.pipelines.changes.edits import SetArgument
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


def changed_spec(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> LoadedSpec:
    """Return a spec with changes, as if its file had them.

    Raises:
        EditError: As `apply_to_data`.
        SpecError: All faults of the changed spec.
    """
    after = changed(loaded.data, edits)
    return loaded.with_data(after.data, after.places)


def changed(data: Any, edits: Sequence[PipelineEdit]) -> ChangedData:
    """Apply changes to a copy of the data; raises as `apply_to_data`."""
    origins: dict[int, tuple[Path, Any]] = {}
    new = _copied(data, (), origins)
    written = [*_written(new)]
    try:
        chain = apply(chain_of((one.address, one.op) for one in written), *edits)
    except CannotChangeError as error:
        raise EditError(str(error)) from error
    _Writer(written).write(chain)
    for path, value in chain.options.items():
        _set(new, (OPTIONS, *path.split(".")), value)
    return ChangedData(new, origins)


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
    return next(one.path for one in _written(data) if one.address == address)


def arguments_of(data: Any, address: str) -> dict[str, Any] | None:
    """Return the arguments of a source or a stage as they are written; None where they are no mapping."""
    found = next((one.value[one.op] for one in _written(data) if one.address == address and one.op), None)
    return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class _Written:
    """A source or a stage in the data: a mapping of its operation to its arguments."""

    address: str
    op: str
    path: Path
    pipeline: dict[Any, Any]
    """The mapping that it stands in."""
    value: Any


def _written(data: Any) -> Iterator[_Written]:
    for one in placed(data):
        path = one.place[:-1]
        pipeline = value_at(data, path[:-1] if path[-1] == SOURCE else path[:-2])
        yield _Written(one.address, one.op, path, pipeline, value_at(data, path))


def _entries(value: Any) -> Iterable[tuple[Any, Any]]:
    """The entries of a mapping or a list by their keys or indices; none of another value."""
    return value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())


def _copied(value: Any, path: Path, origins: dict[int, tuple[Path, Any]]) -> Any:
    copy: Any
    if isinstance(value, dict):
        copy = {key: _copied(inner, (*path, key), origins) for key, inner in value.items()}
    elif isinstance(value, list):
        copy = [_copied(inner, (*path, index), origins) for index, inner in enumerate(value)]
    else:
        return value
    origins[id(copy)] = path, copy
    return copy


def _set(holder: dict[Any, Any], path: Path, value: Any) -> None:
    """Set a value under keys, of which those before the last may hold nothing yet; None takes it out."""
    *keys, last = path
    for key in keys:
        if not isinstance(holder.get(key), dict):
            holder[key] = {}
        holder = holder[key]
    if value is None:
        holder.pop(last, None)
    else:
        holder[last] = plain(value)


class _Writer:
    """Writes a changed chain into the data that it was made of."""

    def __init__(self, written: Sequence[_Written]) -> None:
        self._values = {one.address: one.value for one in written}
        self._pipelines = {pipeline_of(one.address): one.pipeline for one in written}

    def write(self, chain: Chain) -> None:
        """Write the changed arguments, then the functions, which may be made of these, then the order."""
        calls = [call for line in chain.lines() for call in line.calls]
        for call in calls:
            for name in call.changed:
                _set(self._values[str(call.address)], (call.op, name), call.arguments.get(name))
        for call in calls:
            if call.whole_batches:
                holder = self._function(call)
                holder["ops"] = [{"tf.vectorized_map": {"fn": holder["ops"]}}]
        self._write_order(chain, "")

    def _function(self, call: ChainStage) -> dict[str, Any]:
        arguments = self._values[str(call.address)][call.op] or {}
        holder = arguments.get(traits(call.op).function, arguments)
        if not isinstance(holder, dict) or not isinstance(holder.get("ops"), list):
            reason = "a function in Python is not taken apart in a spec: write the change by hand"
            raise EditError(f"{call.address}: {reason}")
        return holder

    def _write_order(self, line: Chain, at: str) -> None:
        pipeline, stages = self._pipelines[at], [self._mapping(call) for call in line.stages]
        if line.source.op:
            pipeline[SOURCE] = self._mapping(line.source)
        written = pipeline.get(STAGES)
        if written and not stages and len(pipeline) > 1:
            del pipeline[STAGES]
        elif written:
            written[:] = stages
        elif stages:
            pipeline[STAGES] = stages
        for call in line.calls:
            for name, inner in call.inside.items():
                self._write_order(inner, join(str(call.address), name))

    def _mapping(self, call: ChainStage) -> Any:
        if call.address is not None:
            return self._values[call.address]
        # The text keeps what stands around a stage that gets other arguments.
        mapping = self._values[call.instead] if call.instead is not None else {}
        mapping[call.op] = plain(call.arguments)
        return mapping
