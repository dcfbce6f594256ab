"""Pipelines that deserve no advice on speed."""

from __future__ import annotations

from typing import Any

from unit.advise.views import Built, function, pipeline, stage, tensor

from pipeprof.pipelines.ops.constants import AUTOTUNE

IMAGE = tensor("uint8", 224, 224, 3)
TEXT = tensor("string")
OPTIMAL: dict[str, Any] = {"wait_share": 0.01, "headspace": 0.01}
"""A run in which the device never waits."""
HUNGRY: dict[str, Any] = {"wait_share": 0.6, "headspace": 0.6}
"""A run in which it waits most of the time: the gate is open."""


def fused(*ops: str, ms: float, parallelism: float = 4.0, size: int = 32, at: int = 0, **facts: Any) -> tuple[Any, Any]:
    """A map and a batch that TensorFlow runs as one."""
    number = f"stages.{at}"
    run = {"tf_op": "MapAndBatchDataset", "parallelism": parallelism}
    body = {"element": (IMAGE,), "arguments": {"num_parallel_calls": AUTOTUNE}, **facts}
    return (
        stage(number, "map", ms=ms, function=function(*ops, elementwise=False), **{**run, **body}),
        stage(
            f"stages.{at + 1}",
            "batch",
            arguments={"batch_size": size},
            fused_with=number,
            tf_op="MapAndBatchDataset",
            element=(tensor("uint8", None, 224, 224, 3),),
        ),
    )


def slices_without_prefetch() -> Built:
    rows, columns = 20_000, 256
    return pipeline(
        stage(
            "source",
            "from_tensor_slices",
            element=(tensor("float32", columns),),
            elements=rows,
            source_bytes=4 * rows * columns,
            constant=False,
            ms=0.2,
        ),
        stage("stages.0", "shuffle", arguments={"buffer_size": rows}, element=(tensor("float32", columns),), ms=0.1),
        stage("stages.1", "batch", arguments={"batch_size": 256}, element=(tensor("float32", None, columns),), ms=0.05),
        static=False,
    )


def indices_shuffled_then_loaded() -> Built:
    count = 100_000
    return pipeline(
        stage("source", "range", element=(tensor("int64"),), elements=count),
        stage("stages.0", "shuffle", arguments={"buffer_size": count}, element=(tensor("int64"),), elements=count),
        *fused("GatherV2", "ReadFile", "DecodeJpeg", ms=60.0, at=1),
        stage("stages.3", "prefetch", arguments={"buffer_size": 2}),
        static=False,
    )


def model_on_the_same_cores() -> Built:
    return pipeline(
        stage("source", "list_files", element=(TEXT,), elements=4000),
        *fused("ReadFile", "DecodeJpeg", ms=2.0),
        stage("stages.2", "prefetch", arguments={"buffer_size": AUTOTUNE}),
        static=False,
    )


def uneven_costs_and_enough_calls() -> Built:
    return pipeline(
        stage("source", "range", element=(tensor("int64"),), elements=10_000),
        stage(
            "stages.0",
            "map",
            arguments={"num_parallel_calls": 16, "deterministic": True},
            function=function("MatMul", elementwise=False),
            tf_op="ParallelMapDatasetV2",
            parallelism=16.0,
            ms=120.0,
        ),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
        stage("stages.2", "prefetch", arguments={"buffer_size": AUTOTUNE}),
        static=False,
    )


def numpy_once_per_batch() -> Built:
    return pipeline(
        stage("source", "range", element=(tensor("int64"),), elements=100_000),
        stage("stages.0", "batch", arguments={"batch_size": 512}, element=(tensor("int64", None),)),
        stage("stages.1", "map", function=function("PyFunc"), element=(tensor("float32", None, 8),), ms=3.0),
        static=False,
    )


def cache_below_augmentation() -> Built:
    flip = {"random": True, "stateful_op": "RandomUniform", "elementwise": False}
    return pipeline(
        stage("source", "list_files", element=(TEXT,), elements=1000),
        stage("stages.0", "map", function=function("ReadFile", "DecodeJpeg"), element=(IMAGE,), ms=0.0, count=0),
        stage("stages.1", "cache", element=(IMAGE,), elements=1000, buffered_bytes=1000 * 224 * 224 * 3),
        stage("stages.2", "shuffle", arguments={"buffer_size": 1000}, element=(IMAGE,)),
        stage(
            "stages.3",
            "map",
            arguments={"num_parallel_calls": AUTOTUNE},
            function=function("RandomUniform", "ReverseV2", **flip),
            element=(IMAGE,),
            tf_op="ParallelMapDatasetV2",
            parallelism=4.0,
            ms=4.0,
        ),
        stage("stages.4", "batch", arguments={"batch_size": 32}),
        stage("stages.5", "prefetch", arguments={"buffer_size": AUTOTUNE}),
        static=False,
    )


def encoded_bytes_in_the_cache() -> Built:
    return pipeline(
        stage("source", "TFRecordDataset", element=(TEXT,), elements=50_000),
        stage("stages.0", "cache", element=(TEXT,), elements=50_000, bytes_per_element=12_700.0),
        *fused("ParseExampleV2", "DecodeJpeg", ms=70.0, at=1),
        stage("stages.3", "prefetch", arguments={"buffer_size": AUTOTUNE}),
        static=False,
    )


def padded_to_equal_lengths() -> Built:
    return pipeline(
        stage("source", "TextLineDataset", element=(TEXT,), elements=20_000),
        stage(
            "stages.0",
            "map",
            function=function("StringSplitV2", elementwise=False),
            element=(tensor("string", None),),
            tf_op="ParallelMapDatasetV2",
            parallelism=4.0,
            ms=2.0,
        ),
        stage("stages.1", "padded_batch", arguments={"batch_size": 64}),
        static=False,
    )


def tiny_map_over_batches() -> Built:
    body = function("Cast", "Mul", elementwise=True, reads=frozenset({""}), writes=frozenset({""}))
    return pipeline(
        stage("source", "range", element=(tensor("int64"),), elements=10**9, ms=0.02),
        stage("stages.0", "batch", arguments={"batch_size": 1024}, element=(tensor("int64", None),), ms=0.02),
        stage("stages.1", "map", function=body, element=(tensor("float32", None),), ms=0.005),
        options={"experimental_optimization.map_parallelization": False},
        static=False,
    )


def shards_on_a_slow_disk() -> Built:
    return pipeline(
        stage("source", "list_files", element=(TEXT,), elements=64),
        stage("stages.0", "shard", arguments={"num_shards": 8, "index": 0}, element=(TEXT,), elements=8),
        stage(
            "stages.1",
            "interleave",
            arguments={"num_parallel_calls": AUTOTUNE, "cycle_length": 8},
            function=function(),
            element=(TEXT,),
            tf_op="ParallelInterleaveDatasetV4",
            parallelism=8.0,
            tunable=True,
        ),
        stage(
            "stages.1.source",
            "TFRecordDataset",
            arguments={"compression_type": "GZIP"},
            element=(TEXT,),
            ms=100.0,
            bytes_per_element=50_000.0,
        ),
        stage("stages.2", "batch", arguments={"batch_size": 32}),
        stage("stages.3", "prefetch", arguments={"buffer_size": AUTOTUNE}, tunable=True),
        static=False,
    )


def habits_that_cost_nothing() -> Built:
    return pipeline(
        stage("source", "from_tensor_slices", name="unused", element=(tensor("float32", 8),), elements=1001, ms=0.05),
        stage("stages.0", "filter", function=function("Less"), element=(tensor("float32", 8),), ms=0.4),
        stage("stages.1", "shuffle", arguments={"buffer_size": 1001}, element=(tensor("float32", 8),)),
        stage("stages.2", "repeat", element=(tensor("float32", 8),)),
        stage("stages.3", "batch", arguments={"batch_size": 64}, element=(tensor("float32", None, 8),)),
        stage("stages.4", "prefetch", arguments={"buffer_size": 2}),
        stage("stages.5", "prefetch", arguments={"buffer_size": AUTOTUNE}),
        static=False,
    )


ON_DISK = {"disk_bytes_per_second": 1e8, "worker_cores": 0.5}
HEALTHY = {
    "in-memory slices, no prefetch written": (slices_without_prefetch, {"interval_ms": 10.3, **OPTIMAL}),
    "indices shuffled, then loaded": (indices_shuffled_then_loaded, {**OPTIMAL, "worker_cores": 3.0}),
    "a model that needs all cores": (model_on_the_same_cores, {"interval_ms": 80.0, **OPTIMAL, "worker_cores": 4.0}),
    "uneven costs, enough calls": (
        uneven_costs_and_enough_calls,
        {"interval_ms": 35.0, **OPTIMAL, "worker_cores": 3.4},
    ),
    "numpy once per batch": (
        numpy_once_per_batch,
        {**OPTIMAL, "python_share": 0.15, "python_ms": 3.0, "worker_cores": 0.2},
    ),
    "cache below the augmentation": (cache_below_augmentation, OPTIMAL),
    "encoded bytes in the cache": (encoded_bytes_in_the_cache, {**OPTIMAL, "worker_cores": 3.6}),
    "padded to equal lengths": (padded_to_equal_lengths, OPTIMAL),
    "a tiny serial map over batches": (
        tiny_map_over_batches,
        {"interval_ms": 0.1, "dispatch": None, "wait_share": 0.9, "headspace": 0.6},
    ),
    "habits that cost nothing": (habits_that_cost_nothing, OPTIMAL),
    "shards on a slow disk": (shards_on_a_slow_disk, {**HUNGRY, **ON_DISK}),
}
