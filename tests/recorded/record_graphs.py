"""Records graphs and models of real pipelines for the unit tests: ``python tests/recorded/record_graphs.py``.

Each file in ``graphs/`` is one pipeline: ``written`` and ``executed`` graph, ``snapshots`` of the model as plain
records, how many ``batches`` came out between first and last in how many ``seconds``, the ``worker_cores`` that were at
work and the ``runnable_wait_share`` (threads waiting for a core), and whether the names are a spec's addresses.
``errors.json`` holds what TensorFlow 2.21 says when a stage fails. Sleeps of known length stand for work.
``batching.json`` beside them holds the graph as written of each pipeline that batches, by its name; ``length`` is the
mean length of the batches that came out of it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
from advice_pipelines import options, pipelines, waiting
from batching_pipelines import batching_pipelines, with_length

from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch
from pipeprof.pipelines.graph.observe.reading import read_executed, read_written
from pipeprof.pipelines.graph.read.records import MadeDict

FOLDER = Path(__file__).with_name("graphs")
BATCHING = Path(__file__).with_name("batching.json")
DATASET = tf.data.Dataset


def double(element: Any) -> Any:
    return element * 2


def add_noise(element: Any) -> Any:
    return tf.cast(element, tf.float32) + tf.random.uniform([])


def make_files(folder: Path) -> list[str]:
    """Four TFRecord files of 30 records."""
    paths = [str(folder / f"{index}.tfrecord") for index in range(4)]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(30):
                writer.write(b"x" * 100)
    return paths


def length(record: Any) -> Any:
    return tf.cast(tf.strings.length(record), tf.int64)


def count() -> Iterator[int]:
    number = 0
    while True:
        time.sleep(0.001)
        yield number
        number += 1


def specs(files: list[str]) -> Iterator[tuple[str, tf.data.Dataset]]:
    """Pipelines with names as the builder of specs gives them."""
    source = DATASET.range(100_000, name="source")
    yield "map_batch", source.map(double, name="stages_0").batch(4, name="stages_1")
    yield "stateful_map", source.map(add_noise, name="stages_0")
    yield "stateful_map_batch", source.map(waiting(2), name="stages_0").batch(4, name="stages_1")
    finite = DATASET.range(27, name="source").map(waiting(2), name="stages_0")
    yield "epochs", finite.repeat(name="stages_1").batch(4, name="stages_2")
    forty = DATASET.range(40, name="source").map(waiting(1), name="stages_0")
    yield "shuffle_repeat", forty.shuffle(8, name="stages_1").repeat(name="stages_2").batch(4, name="stages_3")
    yield "cache", forty.cache(name="stages_1").repeat(name="stages_2").batch(4, name="stages_3")

    def lengths(path: Any) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(path, name="stages_0_source").map(length, name="stages_0_stages_0")
        return records.map(waiting(1), name="stages_0_stages_1")

    paths = DATASET.from_tensor_slices(files, name="source")
    interleaved = paths.interleave(lengths, cycle_length=2, name="stages_0")
    yield "interleave", interleaved.repeat(name="stages_1").batch(4, name="stages_2")
    numbers = DATASET.from_generator(count, output_signature=tf.TensorSpec([], tf.int64), name="source")
    yield "generator", numbers.batch(4, name="stages_0")
    listed = DATASET.list_files(str(Path(files[0]).parent / "*.tfrecord"), shuffle=True, name="source")
    read = listed.map(tf.io.read_file, num_parallel_calls=2, name="stages_0")
    yield "list_files", read.repeat(name="stages_1").prefetch(tf.data.AUTOTUNE, name="stages_2")
    doubled = source.map(double, name="stages_0")
    batches = doubled.batch(4, name="stages_1")
    yield "autotune_off", batches.with_options(options(autotune__enabled=False))
    off = options(experimental_optimization__apply_default_optimizations=False)
    yield "optimizations_off", batches.with_options(off)
    threads = options(threading__private_threadpool_size=4, threading__max_intra_op_parallelism=1)
    parallel = source.map(double, num_parallel_calls=4, name="stages_0").batch(4, name="stages_1")
    yield "thread_pool", parallel.prefetch(2, name="stages_2").with_options(threads)
    fused = options(experimental_optimization__map_fusion=True, experimental_optimization__filter_fusion=True)
    maps = doubled.map(lambda element: element + 1, name="stages_1")
    filters = maps.filter(lambda element: element >= 0, name="stages_2").filter(lambda x: x >= -1, name="stages_3")
    yield "fusions", filters.take(-1, name="stages_4").with_options(fused)


def functions(files: list[str]) -> Iterator[tuple[str, tf.data.Dataset]]:
    """Pipelines as users write them."""
    source = DATASET.range(100_000)
    yield "two_maps", source.map(double).map(double)
    yield "padded_batch", source.map(lambda x: tf.range(x % 5)).padded_batch(4)
    yield "filter", source.filter(lambda element: element % 2 == 0)
    columns = {"a": np.zeros((64, 1024), np.float32), "b": np.arange(64)}
    yield "dict_shuffle", DATASET.from_tensor_slices(columns).shuffle(32).batch(8).repeat()
    nested = source.flat_map(lambda x: DATASET.range(5).flat_map(lambda y: DATASET.range(3).map(lambda z: x + y + z)))
    yield "nested_flat_map", nested.batch(6)
    interleaved = (
        DATASET.from_tensor_slices(files)
        .repeat()
        .interleave(
            lambda path: tf.data.TFRecordDataset(path).map(length).map(waiting(1)),
            cycle_length=3,
            num_parallel_calls=2,
            deterministic=False,
        )
    )
    yield "parallel_interleave", interleaved.batch(4)
    yield "zip", DATASET.zip(source.map(waiting(2), name="left"), DATASET.range(99_999).map(waiting(1))).batch(2)
    pair = [source.map(double, name="left"), DATASET.range(99_999).map(double)]
    yield "sample", DATASET.sample_from_datasets(pair, weights=[0.5, 0.5], seed=1).batch(2)
    yield "concatenate", source.take(20).map(double).concatenate(DATASET.range(99_999).map(double)).batch(2)
    yield "same_twice", DATASET.zip(*[source.map(double, name="double")] * 2).batch(3)
    yield "unbatch", source.batch(5).unbatch().enumerate().take(50_000)
    yield "window", source.window(4, 2).flat_map(lambda window: window.batch(4))
    yield "readers", tf.data.TFRecordDataset(files).repeat().batch(4)
    yield "parallel_reads", tf.data.TFRecordDataset(files, num_parallel_reads=2).repeat().batch(4)


def scheduled() -> tuple[float, float]:
    """Seconds that this process's threads ran, and that they waited for a core."""
    lines = [path.read_text().split() for path in Path("/proc/self/task").glob("*/schedstat")]
    return sum(int(one[0]) for one in lines) / 1e9, sum(int(one[1]) for one in lines) / 1e9


def record(
    dataset: tf.data.Dataset, *, warm: int = 10, steps: int = 10, rounds: int = 4, made: Sequence[MadeDict] = ()
) -> dict[str, Any]:
    iterator = iter(dataset)
    for _ in range(warm):
        next(iterator)
    snapshots = [take_snapshot(iterator)]
    started, (ran, waited) = time.perf_counter(), scheduled()
    for _ in range(rounds):
        for _ in range(steps):
            next(iterator)
        snapshots.append(take_snapshot(iterator))
    seconds, after = time.perf_counter() - started, scheduled()
    ran, waited = after[0] - ran, after[1] - waited
    written = read_written(dataset, in_memory=0, made=made)
    return {
        "batches": steps * rounds,
        "seconds": round(seconds, 4),
        "worker_cores": round(ran / seconds, 3),
        "runnable_wait_share": round(waited / (ran + waited), 3),
        "written": written,
        "executed": read_executed(dataset, written),
        "snapshots": [one.to_dict() for one in snapshots if one is not None],
    }


def quietest(dataset: tf.data.Dataset, made: Sequence[MadeDict], tries: int = 6) -> dict[str, Any]:
    """Of several recordings the first that hardly waited for a core, else the one that waited least."""
    found = []
    for _ in range(tries):
        found.append(record(dataset, steps=40, rounds=1, made=made))
        if found[-1]["runnable_wait_share"] < 0.15:
            break
    return min(found, key=lambda one: one["runnable_wait_share"])


def failing(files: list[str]) -> Iterator[tuple[str, str | None, tf.data.Dataset]]:
    """Case, key of the stage to blame (None: the text does not tell), and the dataset."""
    source = DATASET.range(8, name="source")

    def decode(element: Any) -> Any:
        with tf.name_scope("stages_0"):
            return tf.io.decode_jpeg(tf.strings.as_string(element))

    def divide(element: Any) -> Any:
        return tf.numpy_function(lambda value: int(value) // 0, [element], tf.int64)

    @tf.function
    def parse(element: Any) -> Any:
        return tf.io.parse_tensor(tf.strings.as_string(element), tf.int64)

    yield "scoped op, fused", "stages_0", source.map(decode, name="stages_0").batch(2, name="stages_1")
    yield "named stage", "stages_0", source.map(decode, name="stages_0")
    yield "python", "stages_0", source.map(divide, name="stages_0").shuffle(2, name="stages_1")
    yield "python, fused", "stages_0", source.map(divide, name="stages_0").batch(2, name="stages_1")

    def divided(_: Any) -> tf.data.Dataset:
        return DATASET.range(3, name="stages_0_source").map(divide, name="stages_0_stages_0")

    inside = source.interleave(divided, num_parallel_calls=2, name="stages_0")
    yield "inside a function", "stages_0_stages_0", inside
    yield "called function", "stages_0", source.map(parse, name="stages_0").prefetch(1, name="stages_1")
    yield "called function, fused", "stages_0", source.map(parse, name="stages_0").batch(1, name="stages_1")
    ranges = source.map(tf.range, name="stages_0").batch(2, name="stages_1")
    yield "shapes", "stages_1", ranges
    signature = tf.TensorSpec([], tf.int64)
    fails = DATASET.from_generator(lambda: (1 // 0 for _ in range(3)), output_signature=signature, name="source")
    yield "generator", "source", fails
    broken = Path(files[0]).with_name("broken")
    broken.write_bytes(Path(files[0]).read_bytes()[:50])
    yield "corrupt record", "source", tf.data.TFRecordDataset([str(broken)], name="source").batch(2, name="stages_0")
    yield "two candidates", None, ranges.unbatch().batch(2, name="stages_3")


def record_errors(files: list[str]) -> list[dict[str, Any]]:
    found = []
    for case, key, dataset in failing(files):
        try:
            for _ in dataset:
                pass
        except tf.errors.OpError as error:
            text = re.sub(r"(?<=[\s\"'])/(?:[^\s\"'/]+/)+", "", str(error))
            found.append({"case": case, "key": key, "text": text, "written": read_written(dataset, in_memory=0)})
        else:
            msg = f"{case}: expected an error"
            raise AssertionError(msg)
    return found


def write(name: str, content: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        for by_address, cases in ((True, specs(files)), (False, functions(files))):
            for name, dataset in cases:
                if not chosen or name in chosen:
                    write(name, {"by_address": by_address, **record(dataset)})
        for name, build in pipelines(Path(folder)):
            if not chosen or name in chosen:
                with SourceWatch() as watch:
                    dataset = build()
                write(name, {"by_address": False, **quietest(dataset, watch.made)})
        if not chosen or "errors" in chosen:
            write("errors", record_errors(files))
        if not chosen or "batching" in chosen:
            batching = {name: with_length(dataset) for name, dataset in batching_pipelines(Path(folder)).items()}
            BATCHING.write_text(json.dumps(batching, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
