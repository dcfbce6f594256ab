"""Pipelines that have what a finding or an idea is for, and their stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.profiles.advise.findings.correctness import POLICY
from pipeprof.profiles.document.findings import Verdict
from pipeprof.profiles.document.memory import Device, Soak, SoakEnd, SoakSeries
from pipeprof.profiles.document.shared import Gaps, Quantiles
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView


def python_map(*ops: str, parallelism: float | None = None, limit: Any = "gil", **run: Any) -> PipelineView:
    called, rows = function(*(ops or ("PyFunc",))), (tensor("float32", 8),)
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", name="a", ms=18.0, parallelism=parallelism, function=called, element=rows),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    view = measured(view, **{"python_share": 0.9, "worker_cores": 1.0, **run})
    assert view.profile is not None
    view.profile.verdict = Verdict(limit=limit, sentence="")
    return view


def costly(interval_ms: float, *stages: StageView) -> PipelineView:
    """A run whose batches take so long, nine tenths of it for these stages."""
    return measured(pipeline(*stages, static=False), interval_ms=interval_ms, headspace=0.9)


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
        static=False,
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


# Real steps, a traced device, a soak

EMPTY = SoakSeries(seconds=[], epoch=[], steps=[], rss_bytes=[], in_use_bytes=[], buffered_bytes=[])
ROWS = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))


def texts() -> PipelineView:
    """Texts padded to the longest of their batch, and a real step."""
    view = measured(
        pipeline(
            stage("source", "TFRecordDataset"),
            stage("stages.0", "map", element=(tensor("int32", None),)),
            stage("stages.1", "padded_batch", arguments={"batch_size": 64}, element=(tensor("int32", 64, None),)),
            stage("stages.2", "prefetch"),
        )
    )
    view.profile.device = Device(kind="python", text=None)
    view.profile.steps.count = 400
    view.profile.steps.busy_ms = Quantiles(mean=14.0, p50=12.0, p95=13.0, p99=130.0)
    return view


def idling() -> PipelineView:
    """A step on a GPU whose trace says why it idles."""
    view = measured(pipeline(stage("source", "range"), stage("stages.0", "batch", ms=2.0)))
    gaps = Gaps(count=40, by_cause={"sync": 0.8, "copy": 0.4}, seconds=2.0)
    view.profile.device = Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=None)
    return view


def soaked() -> PipelineView:
    view = measured(ROWS, baseline_bytes=400_000_000, peak_bytes=500_000_000)
    view.profile.memory.soak = Soak(
        seconds=1200.0,
        state="growth",
        sentence="Memory grows by 977 KiB in each epoch: Python's heap grows.",
        bytes_per_second=500_000.0,
        low=450_000.0,
        high=550_000.0,
        bytes_per_epoch=1_000_000.0,
        owner="python",
        ends=SoakEnd(seconds=12_030.0, low=11_300.0, high=12_800.0, limit_bytes=20_000_000_000),
        series=EMPTY,
    )
    return view


# Data that several hosts divide


def names(files: int = 8, **arguments: Any) -> StageView:
    """A list of files in its order, unless told otherwise."""
    given = arguments or {"file_pattern": "data/*.tfrecord", "shuffle": False}
    return stage("source", "list_files", line=2, elements=files, arguments=given)


def reader(at: int = 0) -> tuple[StageView, StageView]:
    """An interleave over TFRecord files."""
    here = f"stages.{at}"
    return stage(here, "interleave", line=4), stage(f"{here}.source", "TFRecordDataset", line=5)


def shard(at: int, parts: int = 4) -> StageView:
    """A shard of the pipeline's own."""
    return stage(f"stages.{at}", "shard", arguments={"num_shards": parts, "index": 1}, line=9)


def _batch(at: int) -> StageView:
    return stage(f"stages.{at}", "batch", arguments={"batch_size": 32}, line=10)


def read_then_sharded(*, files: int = 8, parts: int = 4) -> Built:
    return pipeline(names(files), *reader(), shard(1, parts), _batch(2))


def sharded_then_read(source: StageView | None = None) -> Built:
    return pipeline(source or names(), shard(0), *reader(1), _batch(2))


def mapped_then_sharded() -> Built:
    """Files that a map reads."""
    return pipeline(names(), stage("stages.0", "map", function=function("ReadFile"), line=4), shard(1), _batch(2))


def direct_then_sharded() -> Built:
    """Files that the source reads."""
    source = stage("source", "TFRecordDataset", arguments={"filenames": ["a", "b", "c", "d"]}, line=2)
    return pipeline(source, shard(0), _batch(1))


def divided(policy: str | None = None, source: StageView | None = None) -> Built:
    """Files whose division is left to a strategy."""
    return pipeline(source or names(), *reader(), _batch(1), options={} if policy is None else {POLICY: policy})


def shuffled_names() -> Built:
    return sharded_then_read(names(file_pattern="data/*.tfrecord"))


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
