"""Pipelines for the rules on memory and correctness, and how to ask one rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView

MB, GB = 10**6, 10**9
MACHINE = 24 * GB
IMAGE = tensor("float32", 224, 224, 3)
INDEX = tensor("int64")


def run(view: Built, *, peak: int = 4 * GB, runtime: int = 500 * MB) -> PipelineView:
    """The pipeline measured, with these peaks."""
    return measured(view, peak_bytes=peak, baseline_bytes=runtime)


def line(*stages: StageView, limit: int | None = MACHINE) -> Built:
    return pipeline(*stages, memory_limit_bytes=limit)


def slices(nbytes: int, *above: StageView, row: int = 4096, dtype: str = "float32", **facts: Any) -> Built:
    """Rows of `row` bytes."""
    width = {"float32": 4, "float64": 8}[dtype]
    given = {"element": (tensor(dtype, row // width),), "elements": nbytes // row, "source_bytes": nbytes, **facts}
    return line(stage("source", "from_tensor_slices", name="a", **given), *above)


def indices(count: int | None = 100_000) -> StageView:
    return stage("source", "range", name="a", element=(INDEX,), elements=count)


def load(id: str = "stages.0", count: int | None = 100_000, *ops: str, **facts: Any) -> StageView:
    """A map that makes an image of an index."""
    body: FunctionView = facts.pop("function", function(*(ops or ("DecodeJpeg", "ReadFile"))))
    return stage(id, "map", name="b", element=(IMAGE,), elements=count, function=body, **facts)


def shuffle(id: str, buffer: int, below: StageView, **facts: Any) -> StageView:
    given = {"element": below.element, "elements": below.elements, **facts}
    return stage(id, "shuffle", name="c", arguments={"buffer_size": buffer}, **given)


def batch(id: str, size: int, below: StageView, op: str = "batch") -> StageView:
    element = tuple(replace(one, shape=(size, *one.shape)) for one in below.element or () if one.shape is not None)
    count = -(-below.elements // size) if (below.elements or 0) > 0 else below.elements
    return stage(id, op, name="d", arguments={"batch_size": size}, element=element, elements=count)


def cache(id: str, below: StageView, filename: str = "", **facts: Any) -> StageView:
    arguments = {"filename": filename} if filename else {}
    return stage(id, "cache", name="e", arguments=arguments, element=below.element, elements=below.elements, **facts)


def passing(id: str, op: str, below: StageView, count: int | None = None, **arguments: Any) -> StageView:
    elements = below.elements if count is None else count
    return stage(id, op, arguments=arguments, element=below.element, elements=elements)
