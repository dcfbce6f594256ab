"""What flows from stage to stage of a spec: structure, dtypes, shapes and the number of elements, without TensorFlow.

What only TensorFlow or a run can tell is ``None``, never guessed: a Python function, or a function without a rule,
makes unknown what it gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.ops.base import Source, Stage
from pipeprof.pipelines.ops.element import ElementFunction
from pipeprof.pipelines.ops.stage_batch import Batch, PaddedBatch, Unbatch
from pipeprof.pipelines.ops.stage_buffer import Cache, Prefetch
from pipeprof.pipelines.ops.stage_interleave import FlatMap, Interleave
from pipeprof.pipelines.ops.stage_map import Filter, Map
from pipeprof.pipelines.ops.stage_order import Repeat, Shuffle, Skip, Take
from pipeprof.pipelines.ops.structures import ShapeOf
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.shape_rules import call_result
from pipeprof.pipelines.spec.shapes import Shape, Structure, Tensor, each, leaves
from pipeprof.pipelines.spec.source_elements import INFINITE, Files, Made, made

__all__ = ["INFINITE", "ElementInfo", "element_specs"]


@dataclass(frozen=True)
class ElementInfo:
    """What comes out of a source or stage.

    Attributes:
        structure: Dicts and tuples of `Tensor`, with ``None`` for what is not known.
        cardinality: Number of elements; `INFINITE` for no end, ``None`` when not known.
        source_bytes: Bytes of the arrays that an in-memory source holds.
    """

    structure: Structure
    cardinality: int | None
    source_bytes: int | None = None

    @cached_property
    def components(self) -> tuple[Tensor, ...] | None:
        """The tensors in TensorFlow's order; ``None`` if one of them is not known."""
        found = list(leaves(self.structure))
        known = [tensor for tensor in found if tensor is not None]
        return tuple(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class _Flow:
    """Elements on their way; `uneven` once the last batch may be smaller than the others."""

    structure: Structure
    cardinality: int | None
    uneven: bool = False


def element_specs(loaded: LoadedSpec, *, strict: bool = False) -> dict[str, ElementInfo]:
    """What comes out of every source and stage, by address.

    Args:
        loaded: The spec.
        strict: Whether to say only what TensorFlow's ``element_spec`` and ``cardinality`` say. Otherwise dimensions
            and counts that the recipes under ``data:`` settle are filled in, and the size of all batches but the last.
    """
    walker = _Walker(Files(loaded), strict=strict)
    walker.pipeline(loaded.spec.source, loaded.spec.stages, "", None)
    return walker.found


class _Walker:
    """Follows the elements from the source through the stages."""

    def __init__(self, files: Files, *, strict: bool) -> None:
        self.found: dict[str, ElementInfo] = {}
        self._files = files
        self._strict = strict

    def pipeline(self, source: Source, stages: list[Stage], address: str, outer: Structure) -> _Flow:
        """The elements of a pipeline; `outer` is the element that a nested one is made for."""
        first: Made = made(source, self._files, outer, strict=self._strict)
        flow = _Flow(first.structure, first.cardinality)
        self.found[join(address, "source")] = ElementInfo(first.structure, first.cardinality, first.source_bytes)
        for index, stage in enumerate(stages):
            here = join(address, "stages", index)
            flow = self._after(stage, flow, here)
            self.found[here] = ElementInfo(flow.structure, flow.cardinality)
        return flow

    def _after(self, stage: Stage, flow: _Flow, address: str) -> _Flow:
        if isinstance(stage, Map):
            return replace(flow, structure=self.mapped(stage.function, flow.structure))
        if isinstance(stage, Interleave | FlatMap):
            return self._nested(stage, flow, address)
        if isinstance(stage, Batch | PaddedBatch | Unbatch):
            return self._regrouped(stage, flow)
        if isinstance(stage, Filter | Repeat | Take | Skip):
            return replace(flow, cardinality=self._chosen(stage, flow.cardinality))
        return flow if isinstance(stage, Shuffle | Cache | Prefetch) else _Flow(None, None, uneven=True)

    def _regrouped(self, stage: Batch | PaddedBatch | Unbatch, flow: _Flow) -> _Flow:
        if isinstance(stage, Unbatch):
            return self._unbatched(flow)
        if isinstance(stage, Batch):
            return self._batched(flow, stage, _stacked)
        if stage.padded_shapes is None:
            return self._batched(flow, stage, _padded_to_longest)
        structure = _zip_shapes(flow.structure, stage.padded_shapes.value)
        return self._batched(replace(flow, structure=structure), stage, _stacked)

    def _chosen(self, stage: Filter | Repeat | Take | Skip, count: int | None) -> int | None:
        if isinstance(stage, Repeat):
            return _repeated(count, stage.count)
        if isinstance(stage, Take):
            return _taken(count, stage.count)
        if isinstance(stage, Skip):
            return _skipped(count, stage.count, strict=self._strict)
        return INFINITE if count == INFINITE and not self._strict else None

    def mapped(self, function: ElementFunction, structure: Structure) -> Structure:
        """The element after the function of a ``map``."""
        if function.ops is None:
            return None
        for operation in function.ops:
            structure = call_result(operation, structure, self._files.array, strict=self._strict)
        return structure

    def _nested(self, stage: Interleave | FlatMap, flow: _Flow, address: str) -> _Flow:
        function, parallel = stage.function, isinstance(stage, Interleave) and stage.num_parallel_calls is not None
        inner = _Flow(None, None, uneven=True)
        if function.source is not None:
            inner = self.pipeline(function.source, function.stages or [], address, flow.structure)
        return replace(inner, cardinality=self._nested_count(flow.cardinality, inner.cardinality, parallel=parallel))

    def _nested_count(self, outer: int | None, inner: int | None, *, parallel: bool) -> int | None:
        if self._strict:
            # TensorFlow says so much of a parallel interleave alone.
            return INFINITE if parallel and outer == INFINITE else None
        if outer is None:
            return None
        if INFINITE in (outer, inner):
            return INFINITE if 0 not in (outer, inner) else None
        return None if inner is None else outer * inner

    def _batched(
        self, flow: _Flow, stage: Batch | PaddedBatch, stack: Callable[[Tensor, int | None], Tensor | None]
    ) -> _Flow:
        size, drop = stage.batch_size, stage.drop_remainder
        count = flow.cardinality
        even = drop or count == INFINITE or (count is not None and count % size == 0)
        known: int | None = size if drop or not self._strict else None
        batches = count
        if count is not None and count != INFINITE:
            batches = count // size if drop else math.ceil(count / size)
            if known is not None and not drop and 0 < count < size:
                known = count
        structure = each(lambda tensor: stack(tensor, known), flow.structure)
        return _Flow(structure, batches, flow.uneven or not even)

    def _unbatched(self, flow: _Flow) -> _Flow:
        structure = each(_row, flow.structure)
        firsts = {tensor.shape[0] if tensor and tensor.shape else None for tensor in leaves(flow.structure)}
        first = firsts.pop() if len(firsts) == 1 else None
        count = flow.cardinality
        if count is None or count == 0 or flow.uneven or first is None:
            endless = count == INFINITE and not self._strict
            return _Flow(structure, INFINITE if endless else None, uneven=True)
        return _Flow(structure, INFINITE if count == INFINITE else count * first)


def _stacked(tensor: Tensor, size: int | None) -> Tensor:
    return replace(tensor, shape=None if tensor.shape is None else (size, *tensor.shape))


def _padded_to_longest(tensor: Tensor, size: int | None) -> Tensor | None:
    return _stacked(tensor, size) if tensor.kind == "dense" else None


def _zip_shapes(structure: Structure, shapes: Any) -> Structure:
    """The structure with its components padded to shapes, before they are batched."""
    if isinstance(shapes, ShapeOf):
        if not isinstance(structure, Tensor) or structure.kind != "dense":
            return None
        wanted: Shape | None = shapes.dimensions
        return replace(structure, shape=structure.shape if wanted is None else wanted)
    if isinstance(shapes, dict) and isinstance(structure, dict) and shapes.keys() == structure.keys():
        return {key: _zip_shapes(inner, shapes[key]) for key, inner in structure.items()}
    if isinstance(shapes, tuple) and isinstance(structure, tuple) and len(shapes) == len(structure):
        return tuple(_zip_shapes(inner, shape) for inner, shape in zip(structure, shapes, strict=True))
    return None


def _row(tensor: Tensor) -> Tensor | None:
    if tensor.kind != "dense":
        return None
    return replace(tensor, shape=tensor.shape[1:] if tensor.shape else None)


def _repeated(count: int | None, times: int | None) -> int | None:
    if count == 0 or times == 0:
        return 0
    if times is None or times < 0:
        return INFINITE
    return count if count in (None, INFINITE) else count * times


def _taken(count: int | None, most: int) -> int | None:
    if most < 0:
        return count
    return most if count == INFINITE else None if count is None else min(count, most)


def _skipped(count: int | None, first: int, *, strict: bool) -> int | None:
    if first < 0 and not (strict and count in (None, INFINITE)):
        # TensorFlow says that all but all of an endless dataset has no end either.
        return 0
    return count if count in (None, INFINITE) else max(0, count - first)
