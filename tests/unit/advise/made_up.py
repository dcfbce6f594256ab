"""Pipelines that have what a finding or an idea is for, and their stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.profiles.document.findings import Verdict
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView


def python_map(*ops: str, parallelism: float | None = None, limit: Any = "gil", **run: Any) -> PipelineView:
    called, rows = function(*(ops or ("PyFunc",))), (tensor("float32", 8),)
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", name="a", ms=18.0, parallelism=parallelism, function=called, element=rows),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
    )
    view = measured(view, **{"python_share": 0.9, "worker_cores": 1.0, **run})
    assert view.profile is not None
    view.profile.verdict = Verdict(limit=limit, sentence="")
    return view


def costly(interval_ms: float, *stages: StageView) -> PipelineView:
    """A run whose batches take so long, nine tenths of it for these stages."""
    return measured(pipeline(*stages), interval_ms=interval_ms, headspace=0.9)


def generator(ms: float = 4.0, size: int = 64) -> PipelineView:
    return costly(
        5.0,
        stage("source", "from_generator", name="a", ms=ms, element=(tensor("float32", 256),)),
        stage("stages.0", "batch", arguments={"batch_size": size}, ms=0.1),
    )


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
    )
    return measured(view)


DECODES = function("DecodeJpeg", reads=frozenset({0}), writes=frozenset({0}))
WANTED = function("Equal", reads=frozenset({1}), writes=frozenset())


def late_filter(predicate: FunctionView = WANTED, kept: float = 0.25, **facts: Any) -> PipelineView:
    given = round(3200 / kept)
    return costly(
        14.0,
        stage("source", "from_tensor_slices", count=given),
        stage("stages.0", "map", name="a", function=DECODES, ms=12.0, count=given, **facts),
        stage("stages.1", "filter", name="b", function=predicate, ms=1.0),
        stage("stages.2", "batch", arguments={"batch_size": 32}),
    )


# What is made and then dropped, or made one by one

LOADS = function("DecodeJpeg", "ReadFile", reads=frozenset({0}), writes=frozenset({0}))
PICTURE = (tensor("float32", 160, 160, 3), tensor("int64"))


def dropped(op: str = "skip", arguments: dict[str, Any] | None = None, elements: int = 120) -> PipelineView:
    """1,200 names, decoded, of which a stage drops all but the last 120."""
    return costly(
        20.0,
        stage("source", "list_files", elements=1200, count=1200),
        stage("stages.0", "map", name="load", function=LOADS, ms=16.0, elements=1200, count=1200, element=PICTURE),
        stage("stages.1", op, arguments=arguments or {"count": 1080}, elements=elements, count=120),
        stage("stages.2", "batch", arguments={"batch_size": 16}),
    )


def zipped() -> PipelineView:
    """Two sides of a zip that are decoded, and sharded after it."""
    sources = [stage(f"source.inputs.{side}.source", "TextLineDataset", elements=1200) for side in (0, 1)]
    reads = {"name": "tokenize", "function": function("PyFuncStateless"), "ms": 8.0, "elements": 1200}
    maps = [stage(f"source.inputs.{side}.stages.0", "map", **reads, inputs=(sources[side].id,)) for side in (0, 1)]
    return costly(
        20.0,
        stage("source", "zip", inputs=tuple(one.id for one in maps), elements=1200),
        *(sources[0], maps[0], sources[1], maps[1]),
        stage("stages.0", "shard", arguments={"num_shards": 4, "index": 0}, elements=300, inputs=("source",)),
        stage("stages.1", "batch", arguments={"batch_size": 16}),
    )


def csv(columns: int = 430) -> PipelineView:
    """Rows of a CSV file, packed one by one."""
    given = {"filenames": ["a.csv"], "field_delim": " ", "record_defaults": ["float32"] * columns}
    return costly(
        20.0,
        stage("source", "CsvDataset", element=(tensor("float32"),) * columns, arguments=given, ms=15.0, line=5),
        stage("stages.0", "map", name="pack", function=function("Pack"), element=(tensor("float32", columns),), ms=2.0),
        stage("stages.1", "batch", arguments={"batch_size": 128}),
    )


def readers(tf_op: str | None = "LegacyParallelInterleaveDatasetV2", size: float = 60.0, **facts: Any) -> PipelineView:
    """Small records of several files at a time."""
    return costly(
        2.0,
        stage("source", "TFRecordDataset", tf_op=tf_op, bytes_per_element=size, ms=2.0, line=3, **facts),
        stage("stages.0", "batch", arguments={"batch_size": 256}),
    )


# Windows that are made one by one

ROW = (tensor("float32", 3),)
PAIR = (tensor("float32", 3), tensor("int64"))
OF_DATASETS = function()
"""What a function does that only makes datasets."""


def windows(
    element: tuple[ComponentView, ...] = ROW,
    window: dict[str, Any] | None = None,
    keys: tuple[str, ...] | None = None,
    written: dict[str, Any] | None = None,
    size: int = 26,
    **flat: Any,
) -> PipelineView:
    """Windows of 26 rows in batches of 32, of which each takes 44 µs: 1.4 ms of 2 ms."""
    sizes = {"batch_size": size, "drop_remainder": True}
    body: tuple[StageView, ...] = (stage("stages.1.source", "batch", arguments=sizes, ms=0.1),)
    if len(element) > 1:
        sides = [f"stages.1.source.inputs.{number}.source" for number in range(len(element))]
        body = (
            stage("stages.1.source", "zip", inputs=tuple(sides)),
            *(stage(side, "batch", arguments=sizes, ms=0.05, owner="stages.1") for side in sides),
        )
    return costly(
        2.0,
        stage("source", "from_tensor_slices", element=element),
        stage("stages.0", "window", arguments={"size": size, "shift": 1} | (window or {}), ms=0.1, written=written),
        stage(
            "stages.1",
            "flat_map",
            **{"function": OF_DATASETS, "keys": keys, "ms": 1.2, "bytes_per_element": 312.0, "element": None} | flat,
        ),
        *body,
        stage("stages.2", "batch", arguments={"batch_size": 32}),
    )


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
