"""Places of stages in a spec's plain data: what an address such as ``stages.1.source.datasets.0.stages.2`` leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.yaml.tree import operation_key

Path: TypeAlias = "tuple[str | int, ...]"

SOURCE = "source"
STAGES = "stages"
_PIPELINE = frozenset({SOURCE, STAGES, "on"})
"""Keys of a pipeline, which a mapping of named pipelines does not have."""
_FUNCTION = "map_func"
"""The argument that a nested pipeline may be written under, or left out."""


class EditError(UsageError):
    """An edit that does not fit the spec, or that its text does not allow."""


@dataclass(frozen=True)
class StagePlace:
    """Place of a source or a stage.

    Attributes:
        pipeline: Keys and indices from the top of the data to the pipeline's mapping.
        index: Its place in the pipeline's stages; ``None`` for the source.
    """

    pipeline: Path
    index: int | None

    @property
    def path(self) -> Path:
        """Keys and indices from the top of the data to the source or stage itself."""
        return (*self.pipeline, SOURCE) if self.index is None else (*self.pipeline, STAGES, self.index)


def value_at(data: Any, path: Sequence[str | int]) -> Any:
    """The value under keys and indices that are there."""
    for part in path:
        data = data[part]
    return data


def find(data: Any, address: str) -> StagePlace:
    """Return the place of the source or stage at an address.

    Example:
        >>> find({"source": {"zip": {"datasets": [{"stages": [{"cache": None}]}]}}}, "source.datasets.0.stages.0").path
        ('source', 'zip', 'datasets', 0, 'stages', 0)
    """
    parts: list[str | int] = [int(part) if part.isdigit() else part for part in address.split(".")]
    pipeline: Path = ()
    try:
        while True:
            place, rest = _step(pipeline, parts)
            value_at(data, place.path)
            if not rest:
                return place
            pipeline, parts = _inner(data, place.path, rest)
    except (KeyError, IndexError, TypeError, ValueError):
        raise EditError(f"no stage at {address} in the spec: the edit was made for another version of it") from None


def _step(pipeline: Path, parts: list[str | int]) -> tuple[StagePlace, list[str | int]]:
    if parts[0] == SOURCE:
        return StagePlace(pipeline, None), parts[1:]
    if parts[0] == STAGES and isinstance(parts[1], int):
        return StagePlace(pipeline, parts[1]), parts[2:]
    raise KeyError(parts[0])


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


def same(one: Any, other: Any) -> bool:
    """Whether two data are the same, types included; no stages and an empty list of them are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        first, second = (_without_empty(value) for value in (one, other))
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(first, second) for first, second in zip(one, other, strict=True))
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124 - not a number


def _without_empty(value: dict[Any, Any]) -> dict[Any, Any]:
    return {key: inner for key, inner in value.items() if key != STAGES or inner}
