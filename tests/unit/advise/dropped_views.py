"""Views of pipelines that make what they then drop, or element by element what a batch could be."""

from __future__ import annotations

from typing import Any

from unit.view.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView

DECODES = function("DecodeJpeg", "ReadFile", reads=frozenset({"0"}), writes=frozenset({"0"}))
PICTURE = (tensor("float32", 160, 160, 3), tensor("int64"))
SHARD = {"num_shards": 4, "index": 0}


def dropped(
    *between: StageView,
    op: str = "skip",
    arguments: dict[str, Any] | None = None,
    elements: int | None = 120,
    body: FunctionView = DECODES,
    static: bool = False,
    **run: Any,
) -> PipelineView:
    """1,200 names, decoded, of which a stage drops all but the last 120."""
    last = len(between) + 1
    view = pipeline(
        stage("source", "list_files", elements=1200, count=1200),
        stage("stages.0", "map", name="load", function=body, ms=16.0, elements=1200, count=1200, element=PICTURE),
        *between,
        stage(f"stages.{last}", op, arguments=arguments or {"count": 1080}, elements=elements, count=120),
        stage(f"stages.{last + 1}", "batch", arguments={"batch_size": 16}),
        static=static,
    )
    return view if static else measured(view, interval_ms=20.0, headspace=0.9, **run)


def zipped(op: str = "shard") -> PipelineView:
    """Two sides of a zip that are decoded, and sharded after it."""
    sides = [
        (
            stage(f"source.inputs.{side}.source", "TextLineDataset", elements=1200),
            stage(
                f"source.inputs.{side}.stages.0",
                "map",
                name="tokenize",
                function=function("PyFuncStateless"),
                ms=8.0,
                elements=1200,
                inputs=(f"source.inputs.{side}.source",),
            ),
        )
        for side in (0, 1)
    ]
    view = pipeline(
        stage("source", "zip", inputs=("source.inputs.0.stages.0", "source.inputs.1.stages.0"), elements=1200),
        *sides[0],
        *sides[1],
        stage("stages.0", op, arguments=SHARD, elements=300, inputs=("source",)),
        stage("stages.1", "batch", arguments={"batch_size": 16}),
        static=False,
    )
    return measured(view, interval_ms=20.0, headspace=0.9)


def csv(columns: int = 430, ms: float = 15.0, static: bool = False, **facts: Any) -> PipelineView:
    """Rows of a CSV file, packed one by one."""
    given = {"filenames": ["a.csv"], "field_delim": " ", "record_defaults": ["float32"] * columns, **facts}
    view = pipeline(
        stage("source", "CsvDataset", element=(tensor("float32"),) * columns, arguments=given, ms=ms, line=5),
        stage("stages.0", "map", name="pack", function=function("Pack"), element=(tensor("float32", columns),), ms=2.0),
        stage("stages.1", "batch", arguments={"batch_size": 128}),
        static=static,
    )
    return view if static else measured(view, interval_ms=20.0, headspace=0.9)


def readers(tf_op: str | None = "LegacyParallelInterleaveDatasetV2", size: float = 60.0, **facts: Any) -> PipelineView:
    """Small records of several files at a time."""
    view = pipeline(
        stage("source", "TFRecordDataset", tf_op=tf_op, bytes_per_element=size, ms=2.0, line=3, **facts),
        stage("stages.0", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    return measured(view, interval_ms=2.0, headspace=0.9)
