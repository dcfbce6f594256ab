"""Pipelines of functions that cost more than they need."""

from __future__ import annotations

from typing import Any

from unit.view.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.view.view import FunctionView, PipelineView


def python_map(*ops: str, parallelism: float | None = None, **run: Any) -> PipelineView:
    called, rows = function(*(ops or ("PyFunc",))), (tensor("float32", 8),)
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", name="a", ms=18.0, parallelism=parallelism, function=called, element=rows),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    return measured(view, **{"python_share": 0.9, "python_ms": 18.0, "worker_cores": 1.0, **run})


def generator(ms: float = 4.0, size: int = 64) -> PipelineView:
    view = pipeline(
        stage("source", "from_generator", name="a", ms=ms, element=(tensor("float32", 256),)),
        stage("stages.0", "batch", arguments={"batch_size": size}, ms=0.1),
        static=False,
    )
    return measured(view, interval_ms=5.0, headspace=0.9)


def records() -> PipelineView:
    """Records that are parsed one by one."""
    text = (tensor("string"),)
    parsed = (tensor("float32", 4), tensor("int64"))
    view = pipeline(
        stage("source", "TFRecordDataset", element=text),
        stage("stages.0", "repeat", element=text),
        stage("stages.1", "map", name="a", function=function("ParseExampleV2"), element=parsed, ms=5.2),
        stage("stages.2", "batch", arguments={"batch_size": 128}),
        stage("stages.3", "prefetch"),
        static=False,
    )
    return measured(view)


DECODES = function("DecodeJpeg", reads=frozenset({"image"}), writes=frozenset({"image"}))
WANTED = function("Equal", reads=frozenset({"label"}), writes=frozenset())


def late_filter(predicate: FunctionView = WANTED, kept: float = 0.25) -> PipelineView:
    given = round(3200 / kept)
    view = pipeline(
        stage("source", "from_tensor_slices", count=given),
        stage("stages.0", "map", name="a", function=DECODES, ms=12.0, count=given),
        stage("stages.1", "filter", name="b", function=predicate, ms=1.0),
        stage("stages.2", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    return measured(view, interval_ms=14.0, headspace=0.9)
