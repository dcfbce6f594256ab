"""Specs for tests: good ones, and bad ones with what is wrong and where."""

from __future__ import annotations

import copy
from typing import Any

MINIMAL: dict[str, Any] = {"version": 1, "source": {"range": {"stop": 3}}}
FLOWERS: dict[str, Any] = {
    "version": 1,
    "name": "flowers",
    "x-owner": "vision",
    "data": {"photos": {"image_folder": {"count": 60}}, "x-note": "small"},
    "source": {"list_files": {"file_pattern": "data:photos/*/*.jpg", "shuffle": False}},
    "stages": [
        {
            "map": {
                "name": "decode",
                "ops": [
                    "tf.io.read_file",
                    {"tf.io.decode_jpeg": {"channels": 3}},
                    {"tf.image.resize": {"size": [224, 224]}},
                ],
                "num_parallel_calls": 1,
            }
        },
        {"shuffle": {"buffer_size": 500, "seed": 7}},
        {"repeat": None},
        {"batch": {"batch_size": 32}},
        {"prefetch": {"buffer_size": "AUTOTUNE"}},
    ],
    "options": {"deterministic": False, "threading": {"private_threadpool_size": 8}},
    "step": {"simulate": {"base": "20ms", "every": {1000: "400ms"}}, "dispatch": 1},
    "measure": {"seconds": 5, "x-why": "quick"},
    "ignore": [{"rule": "serial-map", "stage": "decode", "reason": "on purpose"}],
}
NESTED: dict[str, Any] = {
    "version": 1,
    "source": {"list_files": {"file_pattern": ["a-*.tfrecord", "b.tfrecord"]}},
    "stages": [
        {
            "interleave": {
                "source": {"TFRecordDataset": {"compression_type": "GZIP"}},
                "stages": [
                    {
                        "map": {
                            "map_func": {
                                "ops": [
                                    {
                                        "tf.io.parse_single_example": {
                                            "features": {"image": {"FixedLenFeature": {"shape": [], "dtype": "string"}}}
                                        }
                                    },
                                    {"tf.io.decode_jpeg": {"on": "image"}},
                                ]
                            }
                        }
                    }
                ],
                "cycle_length": 4,
                "num_parallel_calls": "AUTOTUNE",
            }
        },
        {"flat_map": {"map_func": {"source": {"from_tensor_slices": {"tensors": {"on": "image"}}}}}},
        {"padded_batch": {"batch_size": 8, "padded_shapes": {"a": [None, 3]}, "padding_values": {"a": 0.0}}},
    ],
    "step": "none",
}
ARRAYS: dict[str, Any] = {
    "version": 1,
    "source": {
        "from_tensor_slices": {
            "tensors": {
                "x": {"npy": "x.npy", "mmap_mode": "r"},
                "y": [{"array": {"shape": [4], "dtype": "int32", "fill": "arange"}}, [1, 2, 3, 4]],
                "array": {"npz": "several.npz", "key": "a"},
            }
        }
    },
    "stages": [{"map": {"python": "functions.py:f"}}, {"filter": {"predicate": {"python": "functions.py:g"}}}],
    "step": {"python": "steps.py:train"},
}
GOOD = {"minimal": MINIMAL, "flowers": FLOWERS, "nested": NESTED, "arrays": ARRAYS}

PART = {"source": {"range": {"stop": 3}}}
COMBINED: dict[str, Any] = {
    "version": 1,
    "source": {
        "zip": {
            "datasets": {
                "image": PART | {"stages": [{"map": {"name": "inner", "ops": ["tf.identity"]}}]},
                "more": [
                    {"source": {"sample_from_datasets": {"datasets": [PART, PART], "weights": PART}}},
                    {"source": {"choose_from_datasets": {"datasets": [PART, PART], "choice_dataset": PART}}},
                ],
            }
        }
    },
    "stages": [
        {"concatenate": {"dataset": {"source": {"concatenate": {"datasets": [PART, PART]}}}}},
        {"flat_map": {"stages": [{"concatenate": {"dataset": {}}}]}},
        {"flat_map": {"source": {"zip": {"datasets": [{"on": 0}, {"on": 1, "stages": [{"take": {"count": 1}}]}, {}]}}}},
        {"interleave": {"map_func": {"on": "more"}}},
    ],
}
GOOD["combined"] = COMBINED

KEY = {"ops": [{"tf.math.floormod": {"y": 2}}]}
GROUPS = {"key_func": KEY, "reduce_func": {"stages": [{"batch": {"batch_size": 2}}]}, "window_size": 2}
BUCKETS = {"element_length_func": KEY, "bucket_boundaries": [10, 20], "bucket_batch_sizes": [8, 4, 2]}
STAGES: dict[str, Any] = {
    "version": 1,
    "source": {"range": {"stop": 3}},
    "stages": [
        {"window": {"size": 3, "shift": 1, "stride": 2, "drop_remainder": True, "name": "windows"}},
        {"flat_map": {"stages": [{"batch": {"batch_size": 3}}]}},
        {"group_by_window": GROUPS},
        {"bucket_by_sequence_length": BUCKETS},
        {"scan": {"initial_state": {"a": 0}, "ops": ["tf.identity"]}},
        {"scan": {"initial_state": 0, "scan_func": {"python": "f.py:f"}}},
        {"take_while": {"predicate": {"ops": ["tf.identity"]}}},
        {"enumerate": {"start": -1}},
        {"shard": {"num_shards": 2, "index": 1}},
        {"rebatch": {"batch_size": [1, 2]}},
        {"ragged_batch": {"batch_size": 2, "row_splits_dtype": "int32"}},
        {"sparse_batch": {"batch_size": 2, "row_shape": [None, 3]}},
        {"snapshot": {"path": "kept", "compression": None, "reader_func": {"stages": [{"flat_map": {"on": 0}}]}}},
        {"ignore_errors": {}},
        {"unique": None},
        {"apply": {"python": "f.py:f"}},
        {"apply": {"transformation_func": {"python": "f.py:f"}}},
        {"assert_cardinality": {"expected_cardinality": -1}},
        {"pad_to_cardinality": {"cardinality": 8}},
        {"rejection_resample": {"class_func": KEY, "target_dist": [0.5, 0.5]}},
        {"with_options": {"options": {"deterministic": False, "threading": {"private_threadpool_size": 2}}}},
        {"distribute": {"processing_mode": "OFF", "service": "grpc://h1:5000", "compression": None}},
        {"copy_to_device": {"target_device": "/GPU:0"}},
        {"prefetch_to_device": {"device": "/GPU:0", "buffer_size": "AUTOTUNE"}},
    ],
}
GOOD["stages"] = STAGES

FEATURES = {
    "file_pattern": "a-*.tfrecord",
    "batch_size": 2,
    "features": {"a": {"FixedLenFeature": {"shape": [], "dtype": "int64"}}},
}
SQL = {"driver_name": "sqlite", "data_source_name": "a.sqlite", "query": "select 1", "output_types": ["int64"]}
SPARSE = {"indices": [[0, 1], [1, 0]], "values": [7, 8], "dense_shape": [2, 2]}
SOURCES: list[dict[str, Any]] = [
    {"FixedLengthRecordDataset": {"filenames": "a.bin", "record_bytes": 3, "header_bytes": 16}},
    {"random": {"seed": 1}},
    {"CsvDataset": {"filenames": "a.csv", "record_defaults": ["int64", {"repeat": 0.5, "count": 20}, ""]}},
    {"counter": None},
    {"make_csv_dataset": {"file_pattern": ["a.csv", "b.csv"], "batch_size": 2, "select_columns": [0, 1]}},
    {"make_batched_features_dataset": FEATURES | {"reader": "TFRecordDataset", "reader_args": ["GZIP"]}},
    {"SqlDataset": SQL},
    {"load": {"path": "saved", "compression": "GZIP", "reader_func": {"python": "f.py:f"}}},
    {"image_dataset_from_directory": {"directory": "data:photos", "image_size": [64, 64], "label_mode": None}},
    {"text_dataset_from_directory": {"directory": "a", "validation_split": 0.2, "subset": "training", "seed": 1}},
    {"audio_dataset_from_directory": {"directory": "a", "labels": [0, 1], "ragged": True}},
    {"timeseries_dataset_from_array": {"data": {"npy": "x.npy"}, "targets": None, "sequence_length": 3}},
    {"tfds.load": {"name": "mnist", "split": "train", "read_config": {"interleave_cycle_length": "AUTOTUNE"}}},
    {"python": {"function": "f.py:f"}},
    {"from_tensors": {"tensors": {"a": {"files": "*.jpg"}, "b": {"lines": "l.txt"}, "c": {"ragged": [[1], ["a"]]}}}},
    {"from_tensors": {"tensors": [{"sparse": SPARSE}, {"csv": "a.csv", "field_delim": ";"}]}},
    {
        "from_generator": {
            "python": "f.py:g",
            "output_signature": [
                {"ragged": {"shape": [None, None], "dtype": "int32", "ragged_rank": 1}},
                {"sparse": {"shape": [None], "dtype": "string"}},
            ],
        }
    },
]
GOOD["sources"] = {"version": 1, "source": {"zip": {"datasets": [{"source": source} for source in SOURCES]}}}

GENERATOR = {"python": "f.py:g", "output_signature": {"shape": [None], "dtype": "int64"}}


def changed(base: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return copy.deepcopy(base) | parts


def stage(value: Any) -> dict[str, Any]:
    return changed(MINIMAL, stages=[value])


def ops(*calls: Any) -> dict[str, Any]:
    return stage({"map": {"ops": list(calls)}})


# What is wrong, where that is said, a part of the message, and whether a JSON schema can tell as well.
BAD: dict[str, tuple[Any, tuple[str | int, ...], str, bool]] = {
    "no version": ({"source": {"range": {"stop": 3}}}, ("version",), "required", True),
    "other version": (changed(MINIMAL, version=2), ("version",), "supports: 1", True),
    "true is no version": (changed(MINIMAL, version=True), ("version",), "got true", True),
    "no source": ({"version": 1}, ("source",), "required", True),
    "unknown key": (changed(MINIMAL, sorce=1), ("sorce",), "unknown key `sorce`", True),
    "unknown source": (changed(MINIMAL, source={"rang": {"stop": 3}}), ("source", "rang"), "unknown source", True),
    "stage as source": (changed(MINIMAL, source={"map": {}}), ("source", "map"), "belong under `stages:`", True),
    "source as stage": (stage({"range": {"stop": 2}}), ("stages", 0, "range"), "belong under `source:`", True),
    "unknown stage": (stage({"bach": {"batch_size": 2}}), ("stages", 0, "bach"), "unknown stage", True),
    "two keys": (stage({"map": {"python": "f.py:f"}, "name": "x"}), ("stages", 0), "2 keys (map, name)", True),
    "name alone": (stage("cache"), ("stages", 0), "`cache: {}`", True),
    "not the last stage": (
        changed(MINIMAL, stages=[{"cache": {}}, {"prefetch_to_device": {"device": "/GPU:0"}}, {"cache": {}}]),
        ("stages", 1, "prefetch_to_device"),
        "must be the last stage",
        False,
    ),
    "stages is no list": (changed(MINIMAL, stages={"map": {}}), ("stages",), "list", True),
    "unknown argument": (
        stage({"batch": {"batch_size": 2, "drop_remander": True}}),
        ("stages", 0, "batch", "drop_remander"),
        "unknown argument",
        True,
    ),
    "missing argument": (stage({"batch": {}}), ("stages", 0, "batch", "batch_size"), "required", True),
    "batch of none": (stage({"batch": {"batch_size": 0}}), ("stages", 0, "batch", "batch_size"), "at least 1", True),
    "text for a number": (stage({"batch": {"batch_size": "2"}}), ("stages", 0, "batch", "batch_size"), "got '2'", True),
    "true for a number": (stage({"take": {"count": True}}), ("stages", 0, "take", "count"), "got true", True),
    "count below -1": (stage({"repeat": {"count": -2}}), ("stages", 0, "repeat", "count"), "-1", True),
    "misspelt autotune": (
        stage({"prefetch": {"buffer_size": "AUTO"}}),
        ("stages", 0, "prefetch", "buffer_size"),
        "AUTOTUNE",
        True,
    ),
    "text for a flag": (
        stage({"batch": {"batch_size": 2, "deterministic": "no"}}),
        ("stages", 0, "batch", "deterministic"),
        "true or false",
        True,
    ),
    "no function": (
        stage({"map": {"num_parallel_calls": 2}}),
        ("stages", 0, "map"),
        "exactly one of `ops` and `python`",
        True,
    ),
    "two functions": (
        stage({"map": {"ops": ["tf.identity"], "python": "f.py:f"}}),
        ("stages", 0, "map"),
        "both ops and python",
        True,
    ),
    "no ops": (ops(), ("stages", 0, "map", "ops"), "at least 1", True),
    "python of another form": (
        stage({"map": {"python": "f:g"}}),
        ("stages", 0, "map", "python"),
        "a file and a function",
        True,
    ),
    "unknown function": (ops("tf.io.read_fil"), ("stages", 0, "map", "ops", 0), "unknown function", True),
    "short name": (ops("read_file"), ("stages", 0, "map", "ops", 0), "not a full function name", True),
    "python in ops": (
        ops({"tf.while_loop": {}}),
        ("stages", 0, "map", "ops", 0, "tf.while_loop"),
        "`python: file.py:function`",
        True,
    ),
    "writing in ops": (ops("tf.io.write_file"), ("stages", 0, "map", "ops", 0), "writes files", True),
    "printing in ops": (ops("tf.print"), ("stages", 0, "map", "ops", 0), "not allowed", True),
    "unknown parameter": (
        ops("tf.identity", {"tf.io.decode_jpeg": {"chanels": 3}}),
        ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "chanels"),
        "one of tf.io.decode_jpeg's: contents, channels",
        True,
    ),
    "missing parameter": (
        ops({"tf.image.resize": {"antialias": True}}),
        ("stages", 0, "map", "ops", 0, "tf.image.resize"),
        "missing size of tf.image.resize",
        False,
    ),
    "too many inputs": (
        ops({"tf.identity": {"on": ["a", "b", "c"], "to": "d"}}),
        ("stages", 0, "map", "ops", 0, "tf.identity", "on"),
        "3 inputs",
        False,
    ),
    "inputs without target": (
        ops({"tf.math.add": {"on": ["a", "b"]}}),
        ("stages", 0, "map", "ops", 0, "tf.math.add", "on"),
        "missing `to`",
        False,
    ),
    "unknown dtype": (
        ops({"tf.cast": {"dtype": "flot32"}}),
        ("stages", 0, "map", "ops", 0, "tf.cast", "dtype"),
        "float32",
        False,
    ),
    "unknown feature": (
        ops({"tf.io.parse_single_example": {"features": {"a": {"FixedLen": {"shape": [], "dtype": "int64"}}}}}),
        ("stages", 0, "map", "ops", 0, "tf.io.parse_single_example", "features", "a", "FixedLen"),
        "unknown feature",
        True,
    ),
    "nested": (
        stage({"interleave": {"source": {"TFRecordDataset": {}}, "stages": [{"map": {"ops": ["tf.identit"]}}]}}),
        ("stages", 0, "interleave", "stages", 0, "map", "ops", 0),
        "unknown function",
        True,
    ),
    "no nested source": (
        stage({"interleave": {"stages": [{"cache": {}}], "python": "f.py:f"}}),
        ("stages", 0, "interleave"),
        "both stages and python",
        True,
    ),
    "nested source and field": (
        stage({"flat_map": {"source": {"range": {}}, "on": 0}}),
        ("stages", 0, "flat_map", "on"),
        "both `on: 0` and `source`",
        False,
    ),
    "nested nothing": (
        stage({"flat_map": {}}),
        ("stages", 0, "flat_map"),
        "exactly one of `source` and `python`",
        True,
    ),
    "zip of no pipeline": (
        changed(MINIMAL, source={"zip": {"datasets": {"a": [3]}}}),
        ("source", "zip", "datasets", "a", 0),
        "got 3, expected a pipeline",
        True,
    ),
    "zip of nothing": (changed(MINIMAL, source={"zip": {"datasets": []}}), ("source", "zip", "datasets"), "", True),
    "combined without sources": (
        changed(MINIMAL, source={"zip": {"datasets": {"a": {"stages": []}}}}),
        ("source", "zip", "datasets", "a"),
        "missing `source`",
        False,
    ),
    "combined with an unknown key": (
        changed(MINIMAL, source={"sample_from_datasets": {"datasets": [PART | {"stagess": []}]}}),
        ("source", "sample_from_datasets", "datasets", 0, "stagess"),
        "source, stages, on",
        True,
    ),
    "combined with errors inside": (
        changed(MINIMAL, source={"zip": {"datasets": [{"source": {"TFRecordDataset": {}}}]}}),
        ("source", "zip", "datasets", 0, "source", "TFRecordDataset", "filenames"),
        "required",
        False,
    ),
    "weights of another number": (
        changed(MINIMAL, source={"sample_from_datasets": {"datasets": [PART, PART], "weights": [0.5]}}),
        ("source", "sample_from_datasets", "weights"),
        "1 weight for 2 pipelines",
        False,
    ),
    "weight below zero": (
        changed(MINIMAL, source={"sample_from_datasets": {"datasets": [PART], "weights": [-1]}}),
        ("source", "sample_from_datasets", "weights", 0),
        "at least 0",
        True,
    ),
    "no choice": (
        changed(MINIMAL, source={"choose_from_datasets": {"datasets": [PART]}}),
        ("source", "choose_from_datasets", "choice_dataset"),
        "required",
        True,
    ),
    "concatenation of one": (
        changed(MINIMAL, source={"concatenate": {"datasets": [PART]}}),
        ("source", "concatenate", "datasets"),
        "at least two",
        False,
    ),
    "concatenation with a list": (
        stage({"concatenate": {"dataset": [PART]}}),
        ("stages", 0, "concatenate", "dataset"),
        "expected a pipeline",
        True,
    ),
    "window of none": (stage({"window": {"size": 0}}), ("stages", 0, "window", "size"), "at least 1", True),
    "shard beyond the number": (
        stage({"shard": {"num_shards": 2, "index": 2}}),
        ("stages", 0, "shard", "index"),
        "below num_shards, which is 2",
        False,
    ),
    "buckets without batch sizes": (
        stage({"bucket_by_sequence_length": BUCKETS | {"bucket_batch_sizes": [4, 4]}}),
        ("stages", 0, "bucket_by_sequence_length", "bucket_batch_sizes"),
        "2 batch sizes for 2 boundaries: expected 3",
        False,
    ),
    "buckets out of order": (
        stage({"bucket_by_sequence_length": BUCKETS | {"bucket_boundaries": [20, 10]}}),
        ("stages", 0, "bucket_by_sequence_length", "bucket_boundaries"),
        "numbers in ascending order",
        False,
    ),
    "groups without a size": (
        stage({"group_by_window": {"key_func": KEY, "reduce_func": {"stages": []}}}),
        ("stages", 0, "group_by_window"),
        "neither of",
        False,
    ),
    "groups with two sizes": (
        stage({"group_by_window": GROUPS | {"window_size_func": KEY}}),
        ("stages", 0, "group_by_window"),
        "both of",
        False,
    ),
    "groups without a key": (
        stage({"group_by_window": {"reduce_func": {"stages": []}, "window_size": 2}}),
        ("stages", 0, "group_by_window", "key_func"),
        "required",
        True,
    ),
    "groups with an error inside": (
        stage({"group_by_window": GROUPS | {"reduce_func": {"stages": [{"batch": {"batch_size": "2"}}]}}}),
        ("stages", 0, "group_by_window", "reduce_func", "stages", 0, "batch", "batch_size"),
        "got '2'",
        True,
    ),
    "scan without a state": (
        stage({"scan": {"ops": ["tf.identity"]}}),
        ("stages", 0, "scan", "initial_state"),
        "required",
        True,
    ),
    "scan without a function": (
        stage({"scan": {"initial_state": 0}}),
        ("stages", 0, "scan"),
        "exactly one of `ops` and `python`",
        True,
    ),
    "snapshot without a path": (
        stage({"snapshot": {"path": ""}}),
        ("stages", 0, "snapshot", "path"),
        "not empty",
        True,
    ),
    "snapshot with another compression": (
        stage({"snapshot": {"path": "a", "compression": "ZLIB"}}),
        ("stages", 0, "snapshot", "compression"),
        "AUTO, GZIP, SNAPPY or NONE",
        True,
    ),
    "rebatch to nothing": (
        stage({"rebatch": {"batch_size": [2, 0]}}),
        ("stages", 0, "rebatch", "batch_size"),
        "at least 1, or a list",
        True,
    ),
    "shares of another number": (
        stage({"rejection_resample": {"class_func": KEY, "target_dist": [0.5, 0.5], "initial_dist": [1]}}),
        ("stages", 0, "rejection_resample", "initial_dist"),
        "each of the 2 classes",
        False,
    ),
    "apply of calls": (stage({"apply": {}}), ("stages", 0, "apply"), "exactly one of `python`", True),
    "unknown option in the middle": (
        stage({"with_options": {"options": {"determinstic": True}}}),
        ("stages", 0, "with_options", "options", "determinstic"),
        "unknown key",
        True,
    ),
    "tables of no batch size": (
        changed(MINIMAL, source={"make_csv_dataset": {"file_pattern": "a.csv"}}),
        ("source", "make_csv_dataset", "batch_size"),
        "required",
        True,
    ),
    "features of another kind": (
        changed(MINIMAL, source={"make_batched_features_dataset": FEATURES | {"features": {"a": {"FixedLen": {}}}}}),
        ("source", "make_batched_features_dataset", "features", "a", "FixedLen"),
        "unknown feature",
        True,
    ),
    "another reader": (
        changed(MINIMAL, source={"make_batched_features_dataset": FEATURES | {"reader": "CsvDataset"}}),
        ("source", "make_batched_features_dataset", "reader"),
        "TFRecordDataset or TextLineDataset",
        True,
    ),
    "another database": (
        changed(MINIMAL, source={"SqlDataset": SQL | {"driver_name": "postgres"}}),
        ("source", "SqlDataset", "driver_name"),
        "sqlite",
        True,
    ),
    "another label mode": (
        changed(MINIMAL, source={"image_dataset_from_directory": {"directory": "a", "label_mode": "inferred"}}),
        ("source", "image_dataset_from_directory", "label_mode"),
        "int, categorical or binary",
        True,
    ),
    "both subsets": (
        changed(MINIMAL, source={"text_dataset_from_directory": {"directory": "a", "subset": "both"}}),
        ("source", "text_dataset_from_directory", "subset"),
        "training or validation",
        True,
    ),
    "labels of text": (
        changed(MINIMAL, source={"audio_dataset_from_directory": {"directory": "a", "labels": ["a"]}}),
        ("source", "audio_dataset_from_directory", "labels"),
        "inferred",
        True,
    ),
    "windows without a word about targets": (
        changed(MINIMAL, source={"timeseries_dataset_from_array": {"data": [1], "sequence_length": 2}}),
        ("source", "timeseries_dataset_from_array", "targets"),
        "required",
        True,
    ),
    "a download": (
        changed(MINIMAL, source={"tfds.load": {"name": "mnist", "split": "train", "download": True}}),
        ("source", "tfds.load", "download"),
        "pipeprof downloads nothing",
        True,
    ),
    "python source of another form": (
        changed(MINIMAL, source={"python": {"function": "f"}}),
        ("source", "python", "function"),
        "a file and a function",
        True,
    ),
    "ragged of numbers": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"ragged": [1, [None]]}}}),
        ("source", "from_tensors", "tensors", "ragged"),
        "a number or text",
        False,
    ),
    "sparse of another length": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"sparse": SPARSE | {"values": [1]}}}}),
        ("source", "from_tensors", "tensors", "sparse", "values"),
        "1 values for 2 indices",
        False,
    ),
    "sparse outside": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"sparse": SPARSE | {"dense_shape": [2, 1]}}}}),
        ("source", "from_tensors", "tensors", "sparse", "indices", 0),
        "an index inside of [2, 1]",
        False,
    ),
    "ragged signature": (
        changed(
            MINIMAL,
            source={"from_generator": GENERATOR | {"output_signature": {"ragged": {"shape": [2], "dtype": "in32"}}}},
        ),
        ("source", "from_generator", "output_signature", "ragged", "dtype"),
        "name of a dtype",
        False,
    ),
    "outer element at the top": (
        changed(MINIMAL, source={"TFRecordDataset": {"filenames": {"on": "a"}}}),
        ("source", "TFRecordDataset", "filenames"),
        "got a mapping",
        False,
    ),
    "no arguments": (stage({"batch": [2]}), ("stages", 0, "batch"), "got a list", True),
    "array with a typo": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"a": {"npy": "x.npy", "mmap": "r"}}}}),
        ("source", "from_tensors", "tensors", "a", "mmap"),
        "mmap_mode",
        False,
    ),
    "array without shape": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"array": {"dtype": "int8"}}}}),
        ("source", "from_tensors", "tensors", "array", "shape"),
        "required",
        False,
    ),
    "null in tensors": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"a": [1, None]}}}),
        ("source", "from_tensors", "tensors", "a", 1),
        "got null",
        True,
    ),
    "generator without signature": (
        changed(MINIMAL, source={"from_generator": {"python": "f.py:g"}}),
        ("source", "from_generator", "output_signature"),
        "output_signature",
        False,
    ),
    "step of zero": (
        changed(MINIMAL, source={"range": {"stop": 3, "step": 0}}),
        ("source", "range", "step"),
        "other than 0",
        True,
    ),
    "unknown option": (changed(MINIMAL, options={"determinstic": True}), ("options", "determinstic"), "unknown", True),
    "unknown inner option": (
        changed(MINIMAL, options={"autotune": {"ram_budget": "8Gib"}}),
        ("options", "autotune", "ram_budget"),
        "8GiB",
        True,
    ),
    "duration without unit": (changed(MINIMAL, step={"simulate": 12}), ("step", "simulate"), "with its unit", True),
    "two steps": (changed(MINIMAL, step={"simulate": "1ms", "python": "f.py:f"}), ("step",), "exactly one of", True),
    "a model that is no file": (changed(MINIMAL, step={"keras": {}}), ("step", "keras"), "a function", True),
    "no profile": (changed(MINIMAL, step={"recorded": "profile.txt"}), ("step", "recorded"), "profile.json", True),
    "dispatch": (changed(MINIMAL, step={"simulate": "1ms", "dispatch": 0}), ("step", "dispatch"), "sync", True),
    "no time": (changed(MINIMAL, measure={"seconds": 0}), ("measure", "seconds"), "above 0", True),
    "no reason": (changed(MINIMAL, ignore=[{"rule": "a"}]), ("ignore", 0, "reason"), "required", True),
    "unknown ignored stage": (
        changed(MINIMAL, ignore=[{"rule": "a", "stage": "b", "reason": "c"}]),
        ("ignore", 0, "stage"),
        "unknown stage 'b'",
        False,
    ),
    "a name twice": (
        changed(MINIMAL, stages=[{"cache": {"name": "a"}}, {"cache": {"name": "a"}}]),
        ("stages", 1, "cache", "name"),
        "duplicate name",
        False,
    ),
    "recipe": (changed(MINIMAL, data={"a": {"image_foldr": {}}}), ("data", "a"), "", True),
    "notes inside arguments": (
        stage({"cache": {"x-why": 1}}),
        ("stages", 0, "cache", "x-why"),
        "unknown argument",
        True,
    ),
}
