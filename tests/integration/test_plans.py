"""A plan of every kind that `fix` can write, applied to a dataset; and plans that must not reach TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pipeprof
from pipeprof.pipelines.edits.edits import (
    REWRITES,
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    RewriteMap,
    SetArgument,
    SetEnvironment,
    SetOption,
    SplitMap,
    VectoriseFilter,
    VectoriseMap,
    to_document,
)
from pipeprof.pipelines.edits.environment import VALUES
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, write_plan
from pipeprof.pipelines.edits.plan_table import CALLS, OPTIONS, rows
from pipeprof.pipelines.graph.edit.round_trip import editable

pytestmark = pytest.mark.usefixtures("without_autograph")

AUTOTUNE = "AUTOTUNE"
POOL = "threading.private_threadpool_size"


def mapped() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).map(lambda number: tf.cast(number, tf.float32) * 2.0).batch(4)


def filtered() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).map(lambda number: (number, number * 3)).filter(lambda one, _: one > 3).batch(4)


def kept() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).filter(lambda one: one % 3 > 0).batch(4)


def shuffled() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).shuffle(4, seed=1).prefetch(1)


def opened() -> tf.data.Dataset:
    return tf.data.Dataset.range(3).interleave(lambda _: tf.data.Dataset.range(4), cycle_length=2)


def windows() -> tf.data.Dataset:
    made = tf.data.Dataset.range(40).map(lambda number: tf.stack([number, number + 1]))
    return made.window(5, shift=2, stride=2, drop_remainder=True).flat_map(lambda one: one.batch(5))


def next_to_each_other() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).window(3, drop_remainder=True).flat_map(lambda one: one.batch(3))


def padded() -> tf.data.Dataset:
    return tf.data.Dataset.range(1, 9).map(lambda number: tf.fill([number], 1)).padded_batch(4)


def repeated() -> tf.data.Dataset:
    return tf.data.Dataset.range(6).map(lambda number: number + 1).repeat(2)


def noisy() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).map(lambda number: number * 3 + tf.random.uniform([], 0, 5, tf.int64))


def cached_in_files(folder: Path) -> Callable[[], tf.data.Dataset]:
    return lambda: tf.data.Dataset.range(12).cache(str(folder / "kept"))


def called() -> tf.data.Dataset:
    return tf.data.Dataset.range(12).map(lambda number: tf.py_function(lambda one: one * 2, [number], tf.int64))


def pictures() -> tf.data.Dataset:
    picture = tf.io.encode_jpeg(tf.zeros([64, 64, 3], tf.uint8))
    part = [16, 16, 3]
    raw = tf.data.Dataset.from_tensors(picture).repeat(3)
    return raw.map(lambda one: tf.slice(tf.io.decode_jpeg(one, channels=3), [8, 8, 0], part))


def small_pictures() -> tf.data.Dataset:
    picture = tf.io.encode_jpeg(tf.zeros([64, 64, 3], tf.uint8))
    raw = tf.data.Dataset.from_tensors(picture).repeat(3)
    return raw.map(lambda one: tf.image.resize(tf.io.decode_jpeg(one, channels=3), [8, 8]))


def accurate_pictures() -> tf.data.Dataset:
    picture = tf.io.encode_jpeg(tf.zeros([64, 64, 3], tf.uint8))
    raw = tf.data.Dataset.from_tensors(picture).repeat(3)
    return raw.map(lambda one: tf.io.decode_jpeg(one, channels=3, dct_method="INTEGER_ACCURATE"))


def scaled_pictures() -> tf.data.Dataset:
    picture = tf.io.encode_jpeg(tf.zeros([64, 64, 3], tf.uint8))
    raw = tf.data.Dataset.from_tensors(picture).repeat(3)
    return raw.map(lambda one: tf.image.resize(tf.cast(tf.io.decode_jpeg(one, channels=3), tf.float32) / 255.0, [8, 8]))


def lines(folder: Path) -> Callable[[], tf.data.Dataset]:
    files = [folder / name for name in ("a.txt", "b.txt")]
    for file in files:
        file.write_text("1\n2\n")
    return lambda: tf.data.TextLineDataset([str(file) for file in files])


@dataclass(frozen=True)
class Case:
    """Edits of a pipeline, and whether its elements stay in their order."""

    make: Callable[[], tf.data.Dataset]
    edits: tuple[PipelineEdit, ...]
    ordered: bool = True


PIECES = ReplaceStages(
    ("stages.1", "stages.2"),
    (
        NewStage("window", {"size": 23, "shift": 16}),
        NewStage("flat_map", {"source": {"zip": {"datasets": [{"on": 0, "stages": [{"batch": {"batch_size": 23}}]}]}}}),
        NewStage(
            "map",
            {
                "ops": [
                    {"tf.signal.frame": {"frame_length": 9, "frame_step": 2, "axis": 0, "on": 0}},
                    {"getitem": {"key": ":, ::2", "on": 0}},
                ]
            },
        ),
        NewStage("unbatch"),
    ),
    "make {stage} 23 elements long, cut 8 out of each with tf.signal.frame",
    flat=True,
)
BUCKETS = {"element_length_func": {"ops": ["tf.size"]}, "bucket_boundaries": [3, 5], "bucket_batch_sizes": [4, 4, 4]}


def cases(folder: Path) -> Iterator[Case]:
    """A plan for each row of the table."""
    for after in (None, "stages.0"):
        yield Case(mapped, (InsertStage("prefetch", {"buffer_size": AUTOTUNE}, after),))
    yield Case(repeated, (ReplaceStages(("stages.1",)), InsertStage("cache", {}, "stages.0")), ordered=False)
    caching = (InsertStage("cache", {}, "stages.0"), InsertStage("shuffle", {"buffer_size": 6}, "stages.0"))
    yield Case(repeated, (MoveStage("stages.1", "repeat", "stages.0"), *caching), ordered=False)
    yield Case(mapped, (InsertStage("repeat", {}, "stages.1"),), ordered=False)
    for calls in (AUTOTUNE, 16, 64, None):
        yield Case(mapped, (SetArgument("stages.0", "map", "num_parallel_calls", calls),))
    many = tuple(SetArgument("stages.0", "interleave", name, 16) for name in ("cycle_length", "num_parallel_calls"))
    yield Case(opened, (*many, SetOption(POOL, 16)), ordered=False)
    yield Case(
        lines(folder), (SetArgument("source", "TextLineDataset", "num_parallel_reads", AUTOTUNE),), ordered=False
    )
    yield Case(shuffled, (SetArgument("stages.0", "shuffle", "buffer_size", 12),), ordered=False)
    for ahead in (AUTOTUNE, 2, 8):
        yield Case(shuffled, (SetArgument("stages.1", "prefetch", "buffer_size", ahead),))
    yield Case(mapped, (MoveStage("stages.1", "batch", "stages.0"),))
    yield Case(filtered, (MoveFilter("stages.1", "stages.0"),))
    yield Case(kept, (VectoriseFilter("stages.0", "stages.1"),))
    yield Case(mapped, (VectoriseMap("stages.0", "stages.1"),))
    yield Case(windows, (PIECES,))
    batch = NewStage("batch", {"batch_size": 3, "drop_remainder": True})
    yield Case(next_to_each_other, (ReplaceStages(("stages.0", "stages.1"), (batch,)),))
    buckets = (NewStage("bucket_by_sequence_length", BUCKETS),)
    yield Case(padded, (ReplaceStages(("stages.1",), buckets, "replace {stage}"),), ordered=False)
    files = cached_in_files(folder)
    yield Case(files, (ReplaceStages(("stages.0",), (NewStage("cache"),)),))
    for kept_by in (("cache",), ("cache", "shuffle"), ("prefetch",), ("repeat",)):
        by = tuple(NewStage(op, {"buffer_size": 4} if op in {"shuffle", "prefetch"} else {}) for op in kept_by)
        yield Case(noisy, (SplitMap("stages.0", by),), ordered=False)
    for how in REWRITES:
        shown = {"crop": pictures, "fast-dct": accurate_pictures, "resize-first": scaled_pictures}.get(
            how, small_pictures
        )
        make, at = (called, 0) if "graph" in how else (shown, 1)
        yield Case(make, (RewriteMap(f"stages.{at}", how),))
    for path in OPTIONS:
        yield Case(mapped, (SetOption(path, 8 if path == POOL else path == "autotune.enabled"),))
    library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
    for name, value in VALUES.items():
        yield Case(mapped, (SetEnvironment(name, value or library),))


def written(folder: Path, make: Callable[[], tf.data.Dataset], *steps: tuple[PipelineEdit, ...]) -> Path:
    stages = {stage.address: stage.op for stage in editable(make(), in_memory=0).read().stages()}
    path = folder / "fast.plan.json"
    path.write_text(write_plan(SavedPlan("input.py:make", stages, steps)), encoding="utf-8")
    return path


def values(dataset: tf.data.Dataset) -> list[Any]:
    found = [tf.nest.map_structure(lambda part: np.asarray(part).tolist(), element) for element in dataset.take(100)]
    return [str(one) for one in found]


KEYS = {
    "InsertStage": ("op",),
    "SetArgument": ("argument",),
    "SetOption": ("path",),
    "SetEnvironment": ("variable",),
    "RewriteMap": ("how",),
}


def rows_of(edit: PipelineEdit) -> Iterator[tuple[str, str]]:
    """The rows of the documentation's table that an edit is about."""
    document = to_document(edit)
    kind, keys = document["kind"], KEYS.get(document["kind"], ())
    keys = (*keys, "op") if document.get("argument") == "buffer_size" else keys
    yield kind, ", ".join(f"`{key}` `{document[key]}`" for key in keys)
    for stage in document.get("by", ()):
        yield from ((kind, "`by`"), (kind, f"`by`, `op` `{stage['op']}`"))


def test_a_plan_of_every_kind_that_fix_writes_applies(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    del recwarn  # Variables that are not set are named.
    data = tmp_path / "fast"
    tf.data.Dataset.range(12).map(lambda number: tf.cast(number, tf.float32) * 2.0).save(str(data / "elements"))
    seen: set[tuple[str, str]] = set()
    for case in cases(tmp_path):
        path = written(tmp_path, case.make, case.edits)
        fast = pipeprof.apply(case.make(), path, data=data)
        found, expected = values(fast), values(case.make())
        assert found, case
        if case.ordered:
            assert found == expected, case
        seen.update(row for edit in case.edits for row in rows_of(edit))
    # Only the deprecated `shuffle_and_repeat` makes the last one, and TensorFlow when it runs a dataset.
    fused = ("SetArgument", "`argument` `buffer_size`, `op` `shuffle+repeat`")
    assert {(kind, about) for kind, about, _ in rows()} - seen == {fused}
    assert {name for call in PIECES.by[2].arguments["ops"] for name in call} == set(CALLS)


LARGEST: tuple[tuple[Callable[[], tf.data.Dataset], PipelineEdit], ...] = (
    (mapped, SetArgument("stages.0", "map", "num_parallel_calls", 4096)),
    (opened, SetArgument("stages.0", "interleave", "cycle_length", 4096)),
    (shuffled, SetArgument("stages.1", "prefetch", "buffer_size", 1024)),
    (mapped, InsertStage("prefetch", {"buffer_size": 1024}, "stages.0")),
    (next_to_each_other, ReplaceStages(("stages.0", "stages.1"), (NewStage("batch", {"batch_size": 10**7}),))),
)


@pytest.mark.parametrize(("make", "edit"), LARGEST, ids=lambda value: type(value).__name__)
def test_the_largest_numbers_run(make: Callable[[], tf.data.Dataset], edit: PipelineEdit, tmp_path: Path) -> None:
    assert values(pipeprof.apply(make(), written(tmp_path, make, (edit,))))


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "InsertStage", "op": "map", "after": None, "arguments": {"python": "MARKS:mark('MARK')"}},
        {"kind": "InsertStage", "op": "filter", "after": None, "arguments": {"python": "MARKS:mark('MARK')"}},
        {"kind": "InsertStage", "op": "apply", "after": None, "arguments": {"python": "MARKS:mark('MARK')"}},
        {"kind": "InsertStage", "op": "cache", "after": None, "arguments": {"filename": "MARK"}},
        {"kind": "InsertStage", "op": "snapshot", "after": None, "arguments": {"path": "MARK"}},
        {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "num_parallel_calls", "value": 2**31},
        {"kind": "InsertStage", "op": "shuffle", "after": None, "arguments": {"buffer_size": 2**63 - 1}},
        {"kind": "SetArgument", "stage": "stages.1", "op": "batch", "argument": "batch_size", "value": 10**40},
    ],
)
def test_a_hostile_plan_runs_nothing_and_writes_nothing(edit: dict[str, Any], tmp_path: Path) -> None:
    marks, mark = tmp_path / "marks.py", tmp_path / "mark"
    marks.write_text(f"open({str(mark)!r}, 'w').close()\ndef mark(path):\n    open(path, 'w').close()\n")
    path = written(tmp_path, mapped)
    document = json.loads(path.read_text())
    document["edits"] = [json.loads(json.dumps(edit).replace("MARKS", str(marks)).replace("MARK", str(mark)))]
    path.write_text(json.dumps(document))
    with pytest.raises(PlanError, match=r"edits\[0\]\."):
        values(pipeprof.apply(mapped(), path))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fast.plan.json", "marks.py"]
