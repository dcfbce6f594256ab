"""Copy of a pipeline over sources of one element, to read its graph where the real sources are too large.

Serialising a pipeline copies the arrays that its sources hold, many times, and beyond 2 GB it yields nothing. But what
its stages are does not depend on what is in the arrays: so TensorFlow's ops are called once more with what they were
given when the pipeline was made, but for the large arrays (worker only: needs TensorFlow).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.graph.observe.provenance import CreatedDataset, Large, Resource, Variant

_SLICES: Final = "TensorSliceDataset"
_DUMMIES: Final = {"cache": "DummyMemoryCache", "seed_generator": "DummySeedGenerator"}
"""Op types whose resource handles TensorFlow creates for one op call and frees after it."""


class _NotAgainError(Exception):
    """The dataset cannot be created again."""


@dataclass(frozen=True)
class StandIn:
    """Copy of a pipeline over small sources.

    Attributes:
        variant: Its variant tensor.
        again: Variant tensors of all its datasets, by the original datasets.
        left_out: For each source cut to one element: its number of elements, and their bytes.
    """

    variant: Any
    again: dict[CreatedDataset, Any]
    left_out: dict[CreatedDataset, tuple[int, int]]


def stand_in(made: CreatedDataset) -> StandIn | None:
    """Copy the pipeline that ends with ``made``; None where that is impossible or saves nothing."""
    again: dict[CreatedDataset, Any] = {}
    left_out: dict[CreatedDataset, tuple[int, int]] = {}
    try:
        for one in _inputs_first(made):
            again[one] = _recreate(one, again, left_out)
    except _NotAgainError:
        return None
    return StandIn(again[made], again, left_out) if left_out else None


def _inputs_first(made: CreatedDataset) -> Iterator[CreatedDataset]:
    """Yield all datasets of a pipeline, each once; iterative, because pipelines in loops grow long."""
    seen: set[CreatedDataset] = set()
    todo: list[tuple[CreatedDataset, bool]] = [(made, False)]
    while todo:
        one, ready = todo.pop()
        if ready:
            yield one
        elif one not in seen:
            seen.add(one)
            todo.append((one, True))
            todo.extend((below, False) for below in one.reads if below is not None)


def _recreate(
    made: CreatedDataset, again: dict[CreatedDataset, Any], left_out: dict[CreatedDataset, tuple[int, int]]
) -> Any:
    import tensorflow as tf

    if made.arguments is None:
        raise _NotAgainError
    reads = iter(made.reads)
    arguments = dict(made.arguments)
    if made.op == _SLICES and any(isinstance(one, Large) for one in arguments["components"]):
        arguments["components"], left_out[made] = _one_element(arguments["components"])
    for name, op in _DUMMIES.items():
        if isinstance(arguments.get(name), Resource) and arguments[name].tensor() is None:
            arguments[name] = getattr(tf.raw_ops, op)()
    given = {name: _value(value, reads, again) for name, value in arguments.items()}
    try:
        return getattr(tf.raw_ops, made.op)(**given)
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise _NotAgainError from error


def _value(value: Any, reads: Iterator[CreatedDataset | None], again: dict[CreatedDataset, Any]) -> Any:
    if value is Variant:
        below = next(reads)
        if below is None:
            raise _NotAgainError
        return again[below]
    if isinstance(value, list):
        return [_value(one, reads, again) for one in value]
    if isinstance(value, (Large, Resource, weakref.ref)):
        held = value() if isinstance(value, weakref.ref) else value.tensor()
        if held is None:
            raise _NotAgainError
        return held
    return value


def _one_element(components: list[Any]) -> tuple[list[Any], tuple[int, int]]:
    """Return the components cut to one element, with the number of elements and the bytes of all."""
    import tensorflow as tf

    if Variant in components:
        raise _NotAgainError
    specs = [
        component.spec if isinstance(component, Large) else tf.TensorSpec.from_tensor(component)
        for component in components
    ]
    nbytes = sum(component.nbytes for component in components if isinstance(component, Large))
    return [tf.zeros([1, *spec.shape[1:]], spec.dtype) for spec in specs], (int(specs[0].shape[0]), nbytes)
