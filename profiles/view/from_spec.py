"""Static view of a spec for the rules, without TensorFlow and without running anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.sources import ElementInfo
from pipeprof.pipelines.inference.tensor.shapes import Tensor
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.structures import ShapeOf
from pipeprof.pipelines.ops.values.structures import Structure as WrittenStructure
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.models import Placed
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.functions import GENERATOR, NOTHING, FunctionViewBuilder
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView

_TENSORS = ("tensors", "args")


def view_of_spec(
    loaded: LoadedSpec, *, cores: float | None = None, memory_limit_bytes: int | None = None
) -> PipelineView:
    """Build the static view of a spec.

    Args:
        cores: Cores a run could use; those of this process if not given.
    """
    elements = element_specs(loaded.spec, loaded.base_dir)
    builder = _ViewFromSpec(loaded, elements)
    return PipelineView(
        kind="static",
        stages=tuple(builder.stage(placed) for placed in loaded.spec.placed()),
        options=dict(_flat(loaded.spec.options.written())),
        cores=cores if cores is not None else _cores(),
        memory_limit_bytes=memory_limit_bytes,
        unseen=True,
    )


def _cores() -> float:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class _ViewFromSpec:
    """Builder of the views of single stages."""

    def __init__(self, loaded: LoadedSpec, elements: Mapping[str, ElementInfo]) -> None:
        self._loaded = loaded
        self._elements = elements
        self._functions = FunctionViewBuilder(KnownFiles(loaded.base_dir, loaded.spec.data).array)
        self._links: dict[str, _Link] = {}
        _find_links(loaded.spec, "", None, self._links)

    def stage(self, placed: Placed) -> StageView:
        """Return the view of one source or stage."""
        link = self._links[placed.address]
        info = self._elements.get(placed.address)
        in_memory = traits(placed.op.op).in_memory
        return StageView(
            id=placed.address,
            op=placed.op.op,
            name=placed.name,
            inputs=link.inputs,
            depth=placed.address.count("source") + placed.address.count("stages") - 1,
            owner=link.owner,
            arguments=_arguments(placed),
            element=_components(info),
            elements=info.cardinality if info is not None else None,
            function=self._function(placed, link),
            source_bytes=info.source_bytes if info is not None and in_memory else None,
            constant=(link.owner is not None and bool(info and info.source_bytes)) if in_memory else None,
            location=self._location(placed.address),
        )

    def _location(self, address: str) -> Location | None:
        at = self._loaded.locate(address)
        return Location(file=at.file, line=at.line, column=at.column) if at is not None and at.line else None

    def _function(self, placed: Placed, link: _Link) -> FunctionView | None:
        op, row = placed.op, traits(placed.op.op)
        if row.python_iterator:
            return GENERATOR
        if any(inner.per_element for inner in op.pipelines()) and row.opens:
            return NOTHING
        if row.opens or op.op == "apply":
            return FunctionView()
        if row.function is None:
            return None
        function = getattr(op, "function" if row.computes else row.function)
        info = self._elements.get(link.inputs[0]) if link.inputs else None
        element = info.structure if info is not None else None
        if row.carries_state:
            element = (None, element)
        return self._functions.view(function.ops, element, answers=row.predicate or not row.computes)


@dataclass(frozen=True)
class _Link:
    """Links of a source or stage: its inputs, and the owner of its function."""

    inputs: tuple[str, ...]
    owner: str | None


def _find_links(pipeline: Any, address: str, owner: str | None, found: dict[str, _Link]) -> str | None:
    """Record the links of a pipeline; return the address of its last stage."""
    last: str | None = None
    steps: list[tuple[tuple[str | int, ...], Any]] = []
    if pipeline.source is not None:
        steps.append((("source",), pipeline.source))
    steps += [(("stages", index), stage) for index, stage in enumerate(pipeline.stages or [])]
    for step, op in steps:
        here = join(address, *step)
        inputs = [] if last is None else [last]
        for inner in op.pipelines():
            inside = here if inner.per_element else owner
            end = _find_links(inner.pipeline, join(here, *inner.below), inside, found)
            if not inner.per_element and end is not None:
                inputs.append(end)
        found[here] = _Link(tuple(inputs), owner)
        last = here
    return last


def _components(info: ElementInfo | None) -> tuple[ComponentView, ...] | None:
    if info is None or info.components is None:
        return None
    return tuple(_component(tensor) for tensor in info.components)


def _component(tensor: Tensor) -> ComponentView:
    if tensor.kind != "dense":
        # As in a graph: sparse and ragged tensors travel between stages as variants.
        return ComponentView("variant", None)
    return ComponentView(tensor.dtype, tensor.shape, tensor.content.mean_bytes if tensor.content is not None else None)


def _arguments(placed: Placed) -> dict[str, object]:
    """Return the arguments by TensorFlow's names; tensors are left out, their bytes and shapes are separate fields."""
    op: Any = placed.op
    given = op.written()
    if op.op == "range":
        given |= {"start": op.start, "stop": op.stop, "step": op.step}
    if traits(op.op).names_files:
        given["file_pattern"] = op.file_pattern
    plain = {name: _plain(value) for name, value in given.items() if name not in _TENSORS}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """Convert a value to plain data; ``None`` if it has none."""
    if isinstance(value, FilePatterns):
        return list(value.patterns) if value.listed else value.patterns[0]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, WrittenStructure):
        return _shapes(value.value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None


def _shapes(value: Any) -> Any:
    """Padded shapes and other small structures as data."""
    if isinstance(value, ShapeOf):
        return None if value.dimensions is None else list(value.dimensions)
    if isinstance(value, dict):
        return {key: _shapes(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_shapes(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str) else None
