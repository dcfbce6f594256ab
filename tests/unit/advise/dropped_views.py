"""Views of pipelines that make what they then drop, or make it in several branches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unit.advise.views import function, measured, pipeline, stage, tensor

from pipeprof.pipelines.static.written_calls import WrittenFunction
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.texts import with_functions
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


def branches(
    *ends: tuple[str, dict[str, Any]],
    joined_by: str = "sample_from_datasets",
    same: bool = True,
    call: str | None = None,
    used: int = 1600,
    shared_ms: float = 8.0,
    keys: tuple[str, ...] | None = ("0", "1"),
    then: str = "",
) -> PipelineView:
    """A branch for each end, all of which read one dataset of the program.

    Args:
        keys: Names of the components after the branches are joined.
        then: Op of a stage after the end of each branch.
    """
    lines: list[StageView] = []
    for side, (op, facts) in enumerate(ends):
        prefix = f"source.inputs.{side}."
        below = [
            stage(f"{prefix}source", "from_tensor_slices", count=3200),
            stage(f"{prefix}stages.0", "map", name="decode", function=DECODES, ms=shared_ms, count=3200, line=7),
            stage(f"{prefix}stages.1", op, **{"count": used // len(ends), "line": 8, **facts}),
        ]
        below[1] = replace(below[1], inputs=(below[0].id,))
        below[2] = replace(below[2], inputs=(below[1].id,))
        if call is not None:
            below[2] = replace(below[2], location=Location(file="input.py", line=8, call=call))
        if side and same:
            below = [_copy(one, one.id.replace(prefix, "source.inputs.0.")) for one in below[:2]] + below[2:]
        lines += [*below, *([stage(f"{prefix}stages.2", then, inputs=(below[2].id,))] if then else [])]
    ends_at = tuple(f"source.inputs.{side}.stages.{2 if then else 1}" for side in range(len(ends)))
    view = pipeline(
        stage("source", joined_by, inputs=ends_at, count=used, keys=keys),
        *lines,
        stage("stages.0", "batch", arguments={"batch_size": 16}, inputs=("source",)),
        static=False,
    )
    return measured(view, interval_ms=20.0, headspace=0.9)


def _copy(one: StageView, of: str) -> StageView:
    assert one.measured is not None
    return replace(one, measured=one.measured.model_copy(update={"same_as": of}))


PREDICATE = {"function": function("Equal", reads=frozenset({"1"}), writes=frozenset())}


def per_class(same: bool = True) -> PipelineView:
    return branches(("filter", PREDICATE), ("filter", PREDICATE), same=same)


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


def csv_of_a_call(call: str, columns: int = 41) -> PipelineView:
    """What make_csv_dataset makes of the rows of files, as a call of the user's file."""
    place = Location(file="f.py", line=2, column=5, call="make_csv_dataset")
    row = (tensor("float32"),) * columns
    rows = {"element": row, "arguments": {"record_defaults": [0.0] * columns}, "ms": 9.0, "location": place}
    view = pipeline(
        stage("source", "from_tensor_slices", location=place),
        stage("stages.0", "interleave", location=place, ms=2.0),
        stage("stages.0.source", "CsvDataset", **rows),
        stage("stages.1", "batch", arguments={"batch_size": 265}, location=place, ms=4.0),
        stage("stages.2", "map", location=place),
        static=False,
    )
    texts = {"f.py": f"import tensorflow as tf\nds = {call}\n"}
    return replace(measured(view, interval_ms=20.0, headspace=0.9), texts=texts)


def readers(tf_op: str | None = "LegacyParallelInterleaveDatasetV2", size: float = 60.0, **facts: Any) -> PipelineView:
    """Small records of several files at a time."""
    view = pipeline(
        stage("source", "TFRecordDataset", tf_op=tf_op, bytes_per_element=size, ms=2.0, line=3, **facts),
        stage("stages.0", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    return measured(view, interval_ms=2.0, headspace=0.9)


def small_files(
    names: int = 64,
    records: int = 64,
    size: float = 1500.0,
    interval: float = 20.0,
    op: str = "TFRecordDataset",
    ms: float = 30.0,
    written: dict[str, Any] | None = None,
    given: str = "",
    parses: bool = False,
) -> PipelineView:
    """Files that an interleave opens, so many of them and so many records per batch."""
    view = pipeline(
        stage("source", "list_files", line=3, count=names * 1000),
        stage(
            "stages.0",
            "interleave",
            line=4,
            count=records * 1000,
            bytes_per_element=size,
            parallelism=2.0,
            ms=ms,
            given=WrittenFunction(given) if given else None,
        ),
        stage("stages.0.source", op, line=4, ms=ms / 4, written=written if given else written or {}),
        *([stage("stages.0.stages.0", "map", line=4, ms=1.0)] if parses else []),
        stage("stages.1", "batch", arguments={"batch_size": records}, count=1000),
        static=False,
    )
    return measured(view, interval_ms=interval, headspace=0.9)


def parts(count: int = 20, lines: tuple[int, ...] = (4,), ms: float = 1.0) -> PipelineView:
    """Small datasets that a loop concatenates."""
    stages: list[StageView] = [stage("source", "from_tensor_slices", line=4), stage("stages.0", "map", line=5, ms=ms)]
    for number in range(1, count):
        inner = f"stages.{number}.inputs.1."
        line = lines[number % len(lines)]
        stages += [
            stage(
                f"stages.{number}",
                "concatenate",
                inputs=(stages[-1 if number == 1 else -3].id, f"{inner}stages.0"),
                line=9,
            ),
            stage(f"{inner}source", "from_tensor_slices", line=line, inputs=()),
            stage(f"{inner}stages.0", "map", line=5, ms=ms, inputs=(f"{inner}source",)),
        ]
    view = pipeline(*stages, stage(f"stages.{count}", "prefetch", inputs=(f"stages.{count - 1}",)), static=False)
    return measured(view, interval_ms=20.0, headspace=0.9)


def taking(repeated: bool = True, batch: int = 256, ms: float = 8.0, parallelism: float | None = None) -> PipelineView:
    """Windows of an array that comes with each number of one."""
    array, numbers = "source.inputs.0.", "source.inputs.1."
    again = [stage(f"{array}stages.0", "repeat", elements=-1, inputs=(f"{array}source",))] if repeated else []
    view = pipeline(
        stage("source", "zip", inputs=(again[0].id if again else f"{array}source", f"{numbers}source"), elements=9000),
        stage(f"{array}source", "from_tensors" if repeated else "from_tensor_slices", inputs=()),
        *again,
        stage(f"{numbers}source", "range", inputs=()),
        stage(
            "stages.0",
            "map",
            function=function("GatherV2"),
            element=(tensor("float32", 24, 16),),
            elements=9000,
            ms=ms,
            parallelism=parallelism,
            inputs=("source",),
        ),
        stage("stages.1", "batch", arguments={"batch_size": batch}),
        static=False,
    )
    return measured(view, interval_ms=10.0, headspace=0.9)


def groups(given: int = 100, rows: int | None = 16) -> PipelineView:
    """Elements in groups by a key: of 3,200 that went in, so many groups of `rows` came out."""
    view = pipeline(
        stage("source", "range", count=6400, element=(tensor("float32", 100),)),
        stage("stages.0", "group_by_window", count=given, element=(tensor("float32", rows, 100),), line=6),
        static=False,
    )
    return measured(view, interval_ms=10.0, headspace=0.9)


GROUPED = """
def load(path, person):
    return tf.io.decode_jpeg(tf.io.read_file(path)), person
ds = ds.map(load)
ds = ds.group_by_window(lambda image, who: who // 2, lambda key, window: window.take(4).batch(4), window_size=12)
"""


def taken_of_groups(ms: float = 8.0, given: int = 50, code: str = GROUPED, op: str = "take") -> PipelineView:
    """Groups that give four rows each of what a costly map makes: of 600 elements, 200."""
    path, image, person = tensor("string"), tensor("uint8", 8, 8, 3), tensor("int64")
    image_rows, rows = tensor("uint8", 4, 8, 8, 3), tensor("int64", 4)
    load, key = (Location(file="people.py", line=at) for at in (4, 5))
    view = pipeline(
        stage("source", "from_tensor_slices", count=600, element=(path, person)),
        stage("stages.0", "map", name="load", ms=ms, count=600, element=(image, person), location=load),
        stage("stages.1", "group_by_window", count=given, element=(image_rows, rows), location=key),
        stage("stages.1.stages.0", op, element=(image, person), owner="stages.1", depth=1, inputs=()),
        stage("stages.1.stages.1", "batch", element=(image_rows, rows), owner="stages.1", depth=1),
        static=False,
    )
    return with_functions(measured(view, interval_ms=10.0, headspace=0.9), {"people.py": code})


def interleaved(
    code: str = "ds = ds.interleave(read, cycle_length=8, num_parallel_calls=4)\n",
    bytes_each: float = 40.0,
    tf_op: str | None = "ParallelInterleaveDatasetV4",
    inner: str = "FixedLengthRecordDataset",
    batch: int = 64,
) -> PipelineView:
    """Small records of several files, which are put into batches after they were handed over."""
    place = Location(file="flows.py", line=1)
    view = pipeline(
        stage("source", "list_files"),
        stage(
            "stages.0",
            "interleave",
            tf_op=tf_op,
            ms=0.3,
            bytes_per_element=bytes_each,
            count=6400,
            location=place,
            executed_op=tf_op,
            element=None,
        ),
        stage("stages.0.source", inner, ms=0.1),
        stage("stages.1", "batch", arguments={"batch_size": batch}, count=100),
        static=False,
    )
    return with_functions(measured(view, interval_ms=0.5, headspace=0.9), {"flows.py": code})


def zip_of_shards(*index: int) -> PipelineView:
    """Shards of one dataset, side by side."""
    stages: list[StageView] = []
    for number in range(len(index)):
        base = f"source.inputs.{number}."
        source = stage(f"{base}source", "TFRecordDataset", inputs=(), count=4800)
        made = stage(f"{base}stages.0", "map", name="spectrum", ms=4.0, count=4800, line=5, function=DECODES)
        made = replace(made, measured=made.measured.model_copy(update={"same_as": "source.inputs.0.stages.0"}))
        one = stage(f"{base}stages.1", "shard", count=4800 // len(index), line=6, arguments={"num_shards": len(index)})
        stages += [source, made, replace(one, arguments={**one.arguments, "index": index[number]})]
    ends = tuple(f"source.inputs.{number}.stages.1" for number in range(len(index)))
    joins = stage("source", "zip", inputs=ends, line=7, count=4800 // len(index))
    return measured(pipeline(joins, *stages, stage("stages.0", "batch"), static=False), interval_ms=20.0, headspace=0.9)
