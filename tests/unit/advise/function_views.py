"""Pipelines of functions that cost more than they need."""

from __future__ import annotations

from typing import Any

from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.profiles.view.view import FunctionView, PipelineView

TEXT = tensor("string")
FLOAT = tensor("float32")


def python_map(
    *ops: str, ms: float = 18.0, size: int = 32, parallelism: float | None = None, **run: Any
) -> PipelineView:
    view = pipeline(
        stage("source", "range"),
        stage(
            "stages.0",
            "map",
            name="a",
            ms=ms,
            parallelism=parallelism,
            function=function(*(ops or ("PyFunc",))),
            element=(tensor("float32", 8),),
        ),
        stage("stages.1", "batch", arguments={"batch_size": size}),
        static=False,
    )
    return measured(view, **{"python_share": 0.9, "python_ms": ms, "worker_cores": 1.0, **run})


def generator(ms: float = 4.0, size: int = 64, batch: str = "batch", **extra: Any) -> PipelineView:
    view = pipeline(
        stage("source", "from_generator", name="a", ms=ms, element=(tensor("float32", 256),), **extra),
        stage("stages.0", batch, arguments={"batch_size": size}, ms=0.1),
        static=False,
    )
    return measured(view, interval_ms=5.0, headspace=0.9)


ARITHMETIC = function("Cast", "Mul", "AddV2", elementwise=True, reads=frozenset({""}), writes=frozenset({""}))


def small_map(body: FunctionView = ARITHMETIC, size: int = 256, static: bool = False, **extra: Any) -> Built:
    facts = {"element": (FLOAT,), "ms": 2.0, **extra}
    return pipeline(
        stage("source", "range", element=(tensor("int64"),)),
        stage("stages.0", "map", name="a", function=body, **facts),
        stage("stages.1", "batch", arguments={"batch_size": size}, fused_with="stages.0"),
        static=static,
    )


PARSE = function("ParseExampleV2")
PARSED = (tensor("float32", 4), tensor("int64"))


def records(body: FunctionView = PARSE, size: int = 128, static: bool = False, **extra: Any) -> Built:
    facts = {"element": PARSED, "ms": 5.2, **extra}
    return pipeline(
        stage("source", "TFRecordDataset", element=(TEXT,)),
        stage("stages.0", "repeat", element=(TEXT,)),
        stage("stages.1", "map", name="a", function=body, **facts),
        stage("stages.2", "batch", arguments={"batch_size": size}),
        stage("stages.3", "prefetch"),
        static=static,
    )


DECODES = function("DecodeJpeg", reads=frozenset({"image"}), writes=frozenset({"image"}))
WANTED = function("Equal", reads=frozenset({"label"}), writes=frozenset())


def late_filter(
    body: FunctionView = DECODES,
    predicate: FunctionView = WANTED,
    kept: float = 0.25,
    ms: float = 12.0,
    own_ms: float = 1.0,
    **extra: Any,
) -> PipelineView:
    given = round(3200 / kept)
    view = pipeline(
        stage("source", "from_tensor_slices", count=given),
        stage("stages.0", "map", name="a", function=body, ms=ms, count=given, **extra),
        stage("stages.1", "filter", name="b", function=predicate, ms=own_ms),
        stage("stages.2", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    return measured(view, interval_ms=14.0, headspace=0.9)
