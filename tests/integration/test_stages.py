"""Combined sources and all further stages: first elements as TensorFlow gives them, and errors at the inner stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.spec.models import Spec

pytestmark = pytest.mark.usefixtures("without_autograph")

FUNCTIONS = """
import tensorflow as tf

def third(dataset):
    return dataset.shard(3, 0)

def a_number(dataset):
    return 3

def reduced(key, window):
    return window.batch(2).map(lambda x: (key, x))

def state(old, element):
    return old + element, old

def reader(files):
    return files.flat_map(lambda one: one)

def twenty(key):
    return tf.constant(20, tf.int64)

def row(n):
    return tf.fill([n], n)

def rows(n):
    return row(n), tf.cast(row(n), tf.float32)

def boom(key):
    raise ValueError("no such key")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    return tmp_path


def dataset(folder: Path, source: Any, *stages: Any) -> Any:
    spec = Spec.model_validate({"version": 1, "source": source, "stages": list(stages)})
    context = BuildContext(folder)
    load_arrays(spec, context)
    return build(spec, context)


def plain(value: Any) -> Any:
    if isinstance(value, tf.RaggedTensor):
        return value.to_list()
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy().tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return tuple(plain(inner) for inner in value)
    return value.numpy().tolist()


def elements(folder: Path, source: Any, *stages: Any) -> list[Any]:
    return [plain(element) for element in dataset(folder, source, *stages).take(50)]


def numbers(stop: int, *stages: Any) -> dict[str, Any]:
    return {"source": {"range": {"stop": stop}}, "stages": list(stages)}


def add(y: int) -> dict[str, Any]:
    return {"map": {"ops": [{"tf.math.add": {"y": y}}]}}


UNEVEN = {"from_tensor_slices": {"tensors": [1, 3, 2, 5, 1, 4]}}
FILLED = {"map": {"ops": [{"tf.expand_dims": {"axis": 0}}, {"tf.fill": {"value": 7}}]}}
# From n to n times n, as many ints of 64 bits.
ROW = {
    "map": {
        "ops": [
            {"to_dict": {"dims": None, "value": None}},
            {"tf.expand_dims": {"axis": 0, "on": "dims"}},
            {"tf.fill": {"on": {"dims": "dims", "value": "value"}, "to": "row"}},
            {"select": "row"},
        ]
    }
}
PAIR = {
    "map": {
        "ops": [
            {"to_dict": {"a": None, "b": [None, None]}},
            {"tf.cast": {"on": "b.0", "dtype": "float32"}},
            {"tf.cast": {"on": "b.1", "dtype": "float64"}},
        ]
    }
}

CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "zip of a mapping with a list": (
        {"zip": {"datasets": {"a": numbers(2), "b": [numbers(3, add(10)), numbers(4)]}}},
        [],
        [{"a": 0, "b": (10, 0)}, {"a": 1, "b": (11, 1)}],
    ),
    "concatenate": (
        {"concatenate": {"datasets": [numbers(2), numbers(1, add(5)), numbers(1)]}},
        [{"concatenate": {"dataset": numbers(1, add(9))}}],
        [0, 1, 5, 0, 9],
    ),
    "choose": (
        {
            "choose_from_datasets": {
                "datasets": [numbers(9), numbers(9, add(100))],
                "choice_dataset": {
                    "source": {
                        "from_tensor_slices": {"tensors": {"array": {"shape": [3], "dtype": "int64", "fill": "zeros"}}}
                    }
                },
            }
        },
        [],
        [0, 1, 2],
    ),
    "sample by a pipeline of weights": (
        {
            "sample_from_datasets": {
                "datasets": [numbers(9), numbers(3, add(100))],
                "weights": {"source": {"from_tensors": {"tensors": [0.0, 1.0]}}, "stages": [{"repeat": {}}]},
                "stop_on_empty_dataset": True,
                "seed": 1,
            }
        },
        [],
        [100, 101, 102],
    ),
    "windows of numbers": (
        {"range": {"stop": 7}},
        [
            {"window": {"size": 3, "shift": 2, "stride": 2, "drop_remainder": True}},
            {"flat_map": {"stages": [{"batch": {"batch_size": 3}}]}},
        ],
        [[0, 2, 4], [2, 4, 6]],
    ),
    "windows of a mapping, put together by zip": (
        {"from_tensor_slices": {"tensors": {"x": [1, 2, 3, 4], "y": [5, 6, 7, 8]}}},
        [
            {"window": {"size": 2}},
            {
                "flat_map": {
                    "source": {
                        "zip": {
                            "datasets": [
                                {"on": "x", "stages": [{"batch": {"batch_size": 2}}]},
                                {"on": "y", "stages": [{"skip": {"count": 1}}, {"batch": {"batch_size": 1}}]},
                            ]
                        }
                    }
                }
            },
        ],
        [([1, 2], [6]), ([3, 4], [8])],
    ),
    "window inside of a pipeline of an element": (
        {"from_tensor_slices": {"tensors": [3, 4]}},
        [
            {
                "flat_map": {
                    "source": {"range": {}},
                    "stages": [{"window": {"size": 2}}, {"flat_map": {"stages": [{"batch": {"batch_size": 2}}]}}],
                }
            }
        ],
        [[0, 1], [2], [0, 1], [2, 3]],
    ),
    "group_by_window": (
        {"range": {"stop": 8}},
        [
            {
                "group_by_window": {
                    "key_func": {"ops": [{"tf.math.floormod": {"y": 2}}]},
                    "reduce_func": {"stages": [{"batch": {"batch_size": 3}}]},
                    "window_size": 3,
                }
            }
        ],
        [[0, 2, 4], [1, 3, 5], [6], [7]],
    ),
    "group_by_window with functions": (
        {"range": {"stop": 4}},
        [
            {
                "group_by_window": {
                    "key_func": {"ops": [{"tf.math.floormod": {"y": 2}}]},
                    "reduce_func": {"python": "functions.py:reduced"},
                    "window_size_func": {"python": "functions.py:twenty"},
                }
            }
        ],
        [(0, [0, 2]), (1, [1, 3])],
    ),
    "bucket_by_sequence_length": (
        UNEVEN,
        [
            FILLED,
            {
                "bucket_by_sequence_length": {
                    "element_length_func": {"ops": [{"tf.size": {}}]},
                    "bucket_boundaries": [3],
                    "bucket_batch_sizes": [2, 2],
                    "padding_values": 0,
                }
            },
        ],
        [[[7, 0], [7, 7]], [[7, 7, 7, 0, 0], [7, 7, 7, 7, 7]], [[7]], [[7, 7, 7, 7]]],
    ),
    "padding of int64": (
        {"range": {"start": 1, "stop": 3}},
        [ROW, {"padded_batch": {"batch_size": 2, "padding_values": -1}}],
        [[[1, -1], [2, 2]]],
    ),
    "one padding value for all components": (
        {"range": {"start": 1, "stop": 3}},
        [ROW, PAIR, {"padded_batch": {"batch_size": 2, "padding_values": 3}}],
        [{"a": [[1, 3], [2, 2]], "b": ([[1.0, 3.0], [2.0, 2.0]], [[1.0, 3.0], [2.0, 2.0]])}],
    ),
    "padding values of each component": (
        {"range": {"start": 1, "stop": 3}},
        [ROW, PAIR, {"padded_batch": {"batch_size": 2, "padding_values": {"a": 5.0, "b": [None, 7]}}}],
        [{"a": [[1, 5], [2, 2]], "b": ([[1.0, 0.0], [2.0, 2.0]], [[1.0, 7.0], [2.0, 2.0]])}],
    ),
    "scan": (
        {"range": {"stop": 4}},
        [
            {
                "scan": {
                    "initial_state": {"array": {"shape": [], "dtype": "int64", "fill": "zeros"}},
                    "ops": [{"tf.math.add": {"on": [0, 1], "to": 0}}, {"tf.identity": {"on": 0, "to": 1}}],
                }
            }
        ],
        [0, 1, 3, 6],
    ),
    "windows of a tuple": (
        {"from_tensor_slices": {"tensors": [{"array": {"shape": [3], "dtype": "int32", "fill": "arange"}}, [7, 8, 9]]}},
        [{"window": {"size": 2}}, {"interleave": {"on": 1, "cycle_length": 1, "stages": [{"take": {"count": 1}}]}}],
        [7, 9],
    ),
    "one padding value for components that are not known": (
        {"range": {"start": 1, "stop": 3}},
        [
            {"map": {"python": "functions.py:rows"}},
            {"padded_batch": {"batch_size": 2, "padded_shapes": [[None], [None]], "padding_values": 4}},
        ],
        [([[1, 4], [2, 2]], [[1.0, 4.0], [2.0, 2.0]])],
    ),
    "scan with a function": (
        {"range": {"stop": 4}},
        [
            {
                "scan": {
                    "initial_state": {"array": {"shape": [], "dtype": "int64", "fill": "zeros"}},
                    "scan_func": {"python": "functions.py:state"},
                }
            }
        ],
        [0, 0, 1, 3],
    ),
    "take_while": ({"range": {"stop": 9}}, [{"take_while": {"ops": [{"tf.math.less": {"y": 3}}]}}], [0, 1, 2]),
    "enumerate": ({"range": {"stop": 2}}, [add(5), {"enumerate": {"start": 3}}], [(3, 5), (4, 6)]),
    "shard": ({"range": {"stop": 7}}, [{"shard": {"num_shards": 3, "index": 1}}], [1, 4]),
    "unique": ({"from_tensor_slices": {"tensors": [1, 1, 2, 1]}}, [{"unique": {}}], [1, 2]),
    "rebatch": (
        {"range": {"stop": 7}},
        [{"batch": {"batch_size": 4}}, {"rebatch": {"batch_size": [1, 2]}}],
        [[0], [1, 2], [3], [4, 5], [6]],
    ),
    "ragged_batch": (
        UNEVEN,
        [FILLED, {"ragged_batch": {"batch_size": 2, "row_splits_dtype": "int32"}}, {"take": {"count": 1}}],
        [[[7], [7, 7, 7]]],
    ),
    "sparse_batch": (
        UNEVEN,
        [FILLED, {"sparse_batch": {"batch_size": 2, "row_shape": [4]}}, {"take": {"count": 1}}],
        [[[7, 0, 0, 0], [7, 7, 7, 0]]],
    ),
    "ignore_errors": (
        {"from_tensor_slices": {"tensors": ["1", "x", "3"]}},
        [
            {"map": {"ops": [{"tf.strings.to_number": {"out_type": "int32"}}]}},
            {"ignore_errors": {"log_warning": False}},
        ],
        [1, 3],
    ),
    "apply": ({"range": {"stop": 7}}, [{"apply": {"python": "functions.py:third"}}], [0, 3, 6]),
    "assert_cardinality": ({"range": {"stop": 2}}, [{"assert_cardinality": {"expected_cardinality": 2}}], [0, 1]),
    "with_options": (
        {"range": {"stop": 2}},
        [
            {"with_options": {"options": {"deterministic": False}}},
            {"with_options": {"options": {"autotune": {"enabled": False}}}},
        ],
        [0, 1],
    ),
    "devices": (
        {"range": {"stop": 2}},
        [
            {"copy_to_device": {"target_device": "/cpu:0"}},
            {"prefetch_to_device": {"device": "/cpu:0", "buffer_size": 1}},
        ],
        [0, 1],
    ),
    "snapshot": (
        {"range": {"stop": 3}},
        [
            {
                "snapshot": {
                    "path": "kept",
                    "compression": "SNAPPY",
                    "shard_func": {"ops": [{"tf.math.floormod": {"y": 1}}]},
                    "reader_func": {"stages": [{"flat_map": {"stages": []}}]},
                }
            }
        ],
        [0, 1, 2],
    ),
    "snapshot read by a function": (
        {"range": {"stop": 3}},
        [{"snapshot": {"path": "kept", "compression": None, "reader_func": {"python": "functions.py:reader"}}}],
        [0, 1, 2],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_elements_are_tensorflows(folder: Path, name: str) -> None:
    source, stages, expected = CASES[name]
    assert elements(folder, source, *stages) == expected


def test_samples_follow_weights_and_seed(folder: Path) -> None:
    parts = {"datasets": [numbers(1000), numbers(1000, add(1000))], "weights": [0.8, 0.2], "seed": 3}
    sampled = dataset(folder, {"sample_from_datasets": parts}).take(500)
    share = np.mean([element.numpy() < 1000 for element in sampled])
    assert 0.7 < share < 0.9
    assert list(sampled.as_numpy_iterator()) == list(sampled.as_numpy_iterator())


def test_rejection_resampling(folder: Path) -> None:
    resampled = dataset(
        folder,
        {"range": {"stop": 1000}},
        {
            "rejection_resample": {
                "class_func": {
                    "ops": [
                        {"tf.math.floormod": {"y": 4}},
                        {"tf.math.equal": {"y": 0}},
                        {"tf.cast": {"dtype": "int32"}},
                    ]
                },
                "target_dist": [0.5, 0.5],
                "initial_dist": [0.75, 0.25],
                "seed": 1,
            }
        },
    )
    classes = [int(kind) for kind, _ in resampled]
    assert 0.4 < np.mean(classes) < 0.6


def test_snapshots_are_where_the_user_says(folder: Path) -> None:
    assert elements(folder, {"range": {"stop": 3}}, {"snapshot": {"path": "made/kept"}}) == [0, 1, 2]
    assert list((folder / "made" / "kept").iterdir())
    # The second run reads what the first one has kept.
    assert sorted(path.name for path in folder.iterdir()) == ["functions.py", "made"]
    assert sorted(elements(folder, {"range": {"stop": 3}}, {"snapshot": {"path": "made/kept"}})) == [0, 1, 2]


@pytest.mark.parametrize(
    ("source", "stages", "address", "part"),
    [
        (
            {"range": {"stop": 3}},
            [{"prefetch_to_device": {"device": "/GPU:99"}}],
            "stages.0",
            "no device /GPU:99 on this machine: expected one of /CPU:0",
        ),
        (
            {"range": {"stop": 3}},
            [{"map": {"python": "functions.py:rows"}}, {"padded_batch": {"batch_size": 2, "padding_values": [0.5, 1]}}],
            "stages.1",
            "padding_values 0.5 for `0`, int64: expected a value of that dtype",
        ),
        (
            {
                "zip": {
                    "datasets": {
                        "a": numbers(2),
                        "b": numbers(2, {"batch": {"batch_size": 2}}, {"map": {"ops": ["tf.io.read_file"]}}),
                    }
                }
            },
            [],
            "source.datasets.1.stages.1",
            "string",
        ),
        (
            {"range": {"stop": 2}},
            [{"flat_map": {"stages": [{"batch": {"batch_size": 2}}]}}],
            "stages.0",
            "expected a dataset",
        ),
        ({"range": {"stop": 2}}, [{"window": {"size": 2}}, {"flat_map": {"on": "a"}}], "stages.1", "a"),
        (
            {"range": {"stop": 2}},
            [
                {
                    "group_by_window": {
                        "key_func": {"ops": ["tf.identity"]},
                        "reduce_func": {"stages": [{"unbatch": {}}]},
                        "window_size": 2,
                    }
                }
            ],
            "stages.0.reduce_func.stages.0",
            "",
        ),
        (
            {"range": {"stop": 2}},
            [
                {
                    "group_by_window": {
                        "key_func": {"python": "functions.py:boom"},
                        "reduce_func": {"stages": []},
                        "window_size": 2,
                    }
                }
            ],
            "stages.0",
            "no such key",
        ),
        ({"range": {"stop": 2}}, [{"apply": {"python": "functions.py:a_number"}}], "stages.0", "int"),
    ],
)
def test_what_tensorflow_refuses_is_pinned_to_the_inner_stage(
    folder: Path, source: Any, stages: Any, address: str, part: str
) -> None:
    with pytest.raises(BuildError) as caught:
        dataset(folder, source, *stages)
    assert caught.value.address == address
    assert part in caught.value.message
