"""Views of pipelines that make what they then drop, or element by element what a batch could be."""

from __future__ import annotations

from typing import Any

from unit.view.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.view.view import PipelineView

DECODES = function("DecodeJpeg", "ReadFile", reads=frozenset({"0"}), writes=frozenset({"0"}))
PICTURE = (tensor("float32", 160, 160, 3), tensor("int64"))


def dropped(op: str = "skip", arguments: dict[str, Any] | None = None, elements: int = 120) -> PipelineView:
    """1,200 names, decoded, of which a stage drops all but the last 120."""
    view = pipeline(
        stage("source", "list_files", elements=1200, count=1200),
        stage("stages.0", "map", name="load", function=DECODES, ms=16.0, elements=1200, count=1200, element=PICTURE),
        stage("stages.1", op, arguments=arguments or {"count": 1080}, elements=elements, count=120),
        stage("stages.2", "batch", arguments={"batch_size": 16}),
        static=False,
    )
    return measured(view, interval_ms=20.0, headspace=0.9)


def zipped() -> PipelineView:
    """Two sides of a zip that are decoded, and sharded after it."""
    sources = [stage(f"source.inputs.{side}.source", "TextLineDataset", elements=1200) for side in (0, 1)]
    reads = {"name": "tokenize", "function": function("PyFuncStateless"), "ms": 8.0, "elements": 1200}
    maps = [stage(f"source.inputs.{side}.stages.0", "map", **reads, inputs=(sources[side].id,)) for side in (0, 1)]
    view = pipeline(
        stage("source", "zip", inputs=tuple(one.id for one in maps), elements=1200),
        *(sources[0], maps[0], sources[1], maps[1]),
        stage("stages.0", "shard", arguments={"num_shards": 4, "index": 0}, elements=300, inputs=("source",)),
        stage("stages.1", "batch", arguments={"batch_size": 16}),
        static=False,
    )
    return measured(view, interval_ms=20.0, headspace=0.9)


def csv(columns: int = 430) -> PipelineView:
    """Rows of a CSV file, packed one by one."""
    given = {"filenames": ["a.csv"], "field_delim": " ", "record_defaults": ["float32"] * columns}
    view = pipeline(
        stage("source", "CsvDataset", element=(tensor("float32"),) * columns, arguments=given, ms=15.0, line=5),
        stage("stages.0", "map", name="pack", function=function("Pack"), element=(tensor("float32", columns),), ms=2.0),
        stage("stages.1", "batch", arguments={"batch_size": 128}),
        static=False,
    )
    return measured(view, interval_ms=20.0, headspace=0.9)


def readers(tf_op: str | None = "LegacyParallelInterleaveDatasetV2", size: float = 60.0, **facts: Any) -> PipelineView:
    """Small records of several files at a time."""
    view = pipeline(
        stage("source", "TFRecordDataset", tf_op=tf_op, bytes_per_element=size, ms=2.0, line=3, **facts),
        stage("stages.0", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    return measured(view, interval_ms=2.0, headspace=0.9)
