"""Inference for stages without a function: structure, shapes and number of elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.padding import padded
from pipeprof.pipelines.inference.rules.io import parsed_features
from pipeprof.pipelines.inference.tables import entries
from pipeprof.pipelines.inference.tensor.shapes import Nested, Shape, Structure, Tensor, each, leaves, paths
from pipeprof.pipelines.inference.tensor.texts import refuse, shape_text, tensor_text
from pipeprof.pipelines.ops import counts
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.values.structures import ShapeOf
from pipeprof.pipelines.ops.values.structures import Structure as WrittenStructure

_UNIQUE = ("int32", "int64", "string")


@dataclass(frozen=True)
class Flow:
    """Elements on their way.

    Attributes:
        uneven: Whether the last batch may be smaller than the others.
        batched: Address of the stage that made batches of the elements.
    """

    structure: Structure
    cardinality: int | None
    uneven: bool = False
    batched: str | None = None

    @property
    def endless(self) -> int | None:
        """The cardinality of what has as many or fewer elements: without end if this has none, else unknown."""
        return INFINITE if self.cardinality == INFINITE else None


UNKNOWN = Flow(None, None, uneven=True)
Handler = Callable[[Any, Flow, bool], Flow]
"""Infers the output of a stage from its input; the flag restricts it to what TensorFlow itself states."""
HANDLERS: dict[str, Handler] = {}
"""By TensorFlow's name; stages with functions and pipelines of their own stand in `function_stages`."""

_infers = entries(HANDLERS)


@_infers("cache", "prefetch", "shuffle", "snapshot", "with_options")
def _same(stage: Any, flow: Flow, strict: bool) -> Flow:
    return flow


@_infers("ignore_errors")
def _uncounted(stage: Any, flow: Flow, strict: bool) -> Flow:
    """Elements with an unknown count, at most as many as before."""
    return replace(flow, cardinality=None if strict else flow.endless, uneven=True)


@_infers("copy_to_device", "prefetch_to_device")
def _moved(stage: Any, flow: Flow, strict: bool) -> Flow:
    """All elements come out, but TensorFlow does not say how many."""
    return replace(flow, cardinality=None) if strict else flow


@_infers("distribute")
def _from_workers(stage: Any, flow: Flow, strict: bool) -> Flow:
    """Elements of the same kind; how many, and how uneven, depends on the workers."""
    return replace(flow, cardinality=flow.endless, uneven=True)


@_infers("repeat")
def _repeat(stage: Any, flow: Flow, strict: bool) -> Flow:
    return replace(flow, cardinality=counts.repeated(flow.cardinality, stage.count))


@_infers("take")
def _take(stage: Any, flow: Flow, strict: bool) -> Flow:
    return replace(flow, cardinality=counts.taken(flow.cardinality, stage.count))


@_infers("skip")
def _skip(stage: Any, flow: Flow, strict: bool) -> Flow:
    return replace(flow, cardinality=counts.skipped(flow.cardinality, stage.count, strict=strict))


@_infers("shard")
def _shard(stage: Any, flow: Flow, strict: bool) -> Flow:
    return replace(flow, cardinality=counts.sharded(flow.cardinality, stage.num_shards, stage.index))


@_infers("assert_cardinality")
def _assert_cardinality(stage: Any, flow: Flow, strict: bool) -> Flow:
    expected = stage.expected_cardinality
    return replace(flow, cardinality=expected if type(expected) is int and expected >= INFINITE else None)


@_infers("enumerate")
def _enumerate(stage: Any, flow: Flow, strict: bool) -> Flow:
    return replace(flow, structure=(Tensor("int64", ()), flow.structure))


@_infers("unique")
def _unique(stage: Any, flow: Flow, strict: bool) -> Flow:
    components = list(leaves(flow.structure))
    if len(components) > 1:
        refuse(flow.structure, "wrong-structure", "elements of a single component for unique")
    only = components[0] if components else None
    if isinstance(only, Tensor) and only.dtype not in _UNIQUE:
        refuse(only, "wrong-dtype", f"one of {', '.join(_UNIQUE)} for unique")
    return _uncounted(stage, replace(flow, cardinality=None), strict)


def batched(
    flow: Flow, size: int, stack: Callable[[Structure, int | None], Structure], *, drop: bool, strict: bool
) -> Flow:
    """Elements in batches, which `stack` makes of one component."""
    count = flow.cardinality
    even = drop or count == INFINITE or (count is not None and count % size == 0)
    known: int | None = size if drop or not strict else None
    if known is not None and not drop and count is not None and 0 < count < size:
        known = count
    structure = each(lambda component: stack(component, known), flow.structure)
    return Flow(structure, counts.batches(count, size, drop=drop), flow.uneven or not even)


def stacked(component: Tensor | Nested, size: int | None) -> Tensor | Nested:
    """A component with a dimension in front."""
    return replace(component, shape=None if component.shape is None else (size, *component.shape))


@_infers("batch")
def _batch(stage: Any, flow: Flow, strict: bool) -> Flow:
    if stage.batch_size > 1:
        for component, path in zip(leaves(flow.structure), paths(flow.structure), strict=True):
            if isinstance(component, Tensor) and component.varies and component.kind == "dense":
                where = f"`{path}`: " if path else ""
                message = (
                    f"{where}{tensor_text(component)} varies in length from element to element: "
                    "use padded_batch or ragged_batch"
                )
                raise Refused(message, "ragged-batch")
    return batched(flow, stage.batch_size, stacked, drop=stage.drop_remainder, strict=strict)


@_infers("padded_batch")
def _padded_batch(stage: Any, flow: Flow, strict: bool) -> Flow:
    structure = padded(flow.structure, stage.padded_shapes, stage.padding_values)
    return batched(
        replace(flow, structure=structure), stage.batch_size, stacked, drop=stage.drop_remainder, strict=strict
    )


def _ragged(component: Tensor | Nested, size: int | None) -> Structure:
    if isinstance(component, Nested):
        return None
    if component.kind == "dense" and component.shape is not None and None in component.shape:
        return Tensor(component.dtype, (size, *component.shape), "ragged")
    return stacked(component, size)


@_infers("ragged_batch")
def _ragged_batch(stage: Any, flow: Flow, strict: bool) -> Flow:
    return batched(flow, stage.batch_size, _ragged, drop=stage.drop_remainder, strict=strict)


@_infers("sparse_batch")
def _sparse_batch(stage: Any, flow: Flow, strict: bool) -> Flow:
    if isinstance(flow.structure, Mapping | tuple):
        refuse(flow.structure, "wrong-structure", "elements of a single component for sparse_batch")
    row = _written_shape(stage.row_shape)

    def stack(component: Tensor | Nested, size: int | None) -> Structure:
        if isinstance(component, Nested):
            return None
        return Tensor(component.dtype, None if row is None else (None if strict else size, *row), "sparse")

    return batched(flow, stage.batch_size, stack, drop=False, strict=strict)


def _written_shape(shape: Any) -> Shape | None:
    value = shape.value if isinstance(shape, WrittenStructure) else shape
    value = value.dimensions if isinstance(value, ShapeOf) else value
    if not isinstance(value, list | tuple):
        return None
    return tuple(None if size is None or size < 0 else size for size in value)


@_infers("rebatch")
def _rebatch(stage: Any, flow: Flow, strict: bool) -> Flow:
    size = stage.batch_size
    if isinstance(size, list | tuple):
        size = size[0] if len(set(size)) == 1 else None
    known = size if stage.drop_remainder or not strict or _divides(size, flow.structure) else None

    def regroup(component: Tensor | Nested) -> Structure:
        if component.shape == ():
            refuse(component, "wrong-rank", "batches for rebatch: put `batch` before it", "batch_size")
        if isinstance(component, Nested) or component.kind != "dense":
            return None
        return replace(component, shape=None if component.shape is None else (known, *component.shape[1:]))

    structure = each(regroup, flow.structure)
    rows = _first_dimension(flow.structure)
    total = None
    if flow.cardinality is not None and rows is not None and not flow.uneven:
        total = INFINITE if flow.cardinality == INFINITE else flow.cardinality * rows
    count = None if strict or type(size) is not int else counts.batches(total, size, drop=stage.drop_remainder)
    return Flow(structure, count, uneven=True, batched=flow.batched)


def _divides(size: int | None, structure: Structure) -> bool:
    first = {leaf.shape[0] for leaf in leaves(structure) if leaf is not None and leaf.shape} - {None}
    return size is not None and len(first) == 1 and all(rows is not None and rows % size == 0 for rows in first)


def _first_dimension(structure: Structure) -> int | None:
    found = {
        component.shape[0] if component is not None and component.shape else None for component in leaves(structure)
    }
    return found.pop() if len(found) == 1 else None


@_infers("unbatch")
def _unbatch(stage: Any, flow: Flow, strict: bool) -> Flow:
    _check_unbatch(leaves(flow.structure))
    structure = each(lambda one: replace(one, shape=one.shape[1:] if one.shape else None), flow.structure)
    dense = [leaf for leaf in leaves(flow.structure) if not isinstance(leaf, Tensor) or leaf.kind != "sparse"]
    first = _first_dimension(tuple(dense))
    count = flow.cardinality
    if count is None or flow.uneven or first is None:
        return Flow(structure, None if strict else flow.endless, uneven=True)
    return Flow(structure, INFINITE if count == INFINITE else count * first)


def _check_unbatch(components: Iterable[Tensor | Nested | None]) -> None:
    known = [component for component in components if component is not None]
    for one in known:
        if one.shape == ():
            refuse(one, "wrong-rank", "batches for unbatch: every component needs a first dimension")
    sizes = {one.shape[0]: one for one in known if one.shape and one.shape[0] is not None}
    if len(sizes) > 1:
        listed = " and ".join(shape_text(size.shape) for size in sizes.values())
        raise Refused(f"components of shape {listed}: unbatch expects the same first dimension in all", "wrong-shape")


@_infers("parse_example_dataset")
def _parsed(stage: Any, flow: Flow, strict: bool) -> Flow:
    text = flow.structure
    if text is None:
        return replace(flow, structure=None)
    if not isinstance(text, Tensor) or text.dtype != "string" or (text.shape is not None and len(text.shape) != 1):
        refuse(text, "wrong-rank", "batches of serialised examples (a string tensor of shape [null])")
    if text.shape is None:
        return replace(flow, structure=None)
    return replace(flow, structure=parsed_features(stage.features, text.shape, text.content, strict=False))


@_infers("window")
def _window(stage: Any, flow: Flow, strict: bool) -> Flow:
    shift = stage.size if stage.shift is None else stage.shift
    count = counts.windows(flow.cardinality, stage.size, shift, stage.stride, drop=stage.drop_remainder)
    full = stage.drop_remainder or flow.cardinality == INFINITE
    inner = stage.size if full and not strict else None
    if isinstance(flow.structure, Mapping | tuple):
        structure = _windows(flow.structure, inner)
    else:
        structure = Nested(flow.structure, (), inner)
    return Flow(structure, count)


def _windows(structure: Structure, count: int | None) -> Structure:
    """TensorFlow makes a dataset of every component by itself."""
    if isinstance(structure, Mapping):
        return {key: _windows(inner, count) for key, inner in structure.items()}
    if isinstance(structure, tuple):
        return tuple(_windows(inner, count) for inner in structure)
    return Nested(structure, (), count)
