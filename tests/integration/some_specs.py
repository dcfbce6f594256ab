"""Specs put together at random of what fits and what does not."""

from __future__ import annotations

from random import Random
from typing import Any

FEATURES = {
    "image": {"FixedLenFeature": {"shape": [], "dtype": "string"}},
    "label": {"FixedLenFeature": {"shape": [], "dtype": "int64"}},
}
FIELDS: tuple[Any, ...] = (None, None, None, None, "image", "label", "text", "imge", 0, 1, 2)
CALLS: dict[str, tuple[dict[str, Any], ...]] = {
    "tf.abs": ({},),
    "tf.add": ({"y": 1}, {"y": 1.5}, {"y": "x"}, {"y": [1, 2, 3]}),
    "tf.argmax": ({}, {"axis": 1}),
    "tf.cast": ({"dtype": "float32"}, {"dtype": "int32"}, {"dtype": "string"}, {"dtype": "uint8"}),
    "tf.concat": ({"axis": 0}, {"axis": -1}),
    "tf.divide": ({"y": 255.0}, {"y": 2}),
    "tf.ensure_shape": ({"shape": [None]}, {"shape": []}, {"shape": [8, 8, 3]}),
    "tf.equal": ({"y": 1}, {"y": "a"}, {"y": 0.5}),
    "tf.expand_dims": ({"axis": 0}, {"axis": -1}, {"axis": 2}),
    "tf.gather": ({"indices": [0, 1]},),
    "tf.identity": ({},),
    "tf.image.adjust_contrast": ({"contrast_factor": 2.0},),
    "tf.image.convert_image_dtype": ({"dtype": "float32"},),
    "tf.image.random_crop": ({"size": [4, 4, 3]}, {"size": [3]}),
    "tf.image.random_flip_left_right": ({},),
    "tf.image.resize": ({"size": [6, 5]}, {"size": [6, 5], "method": "nearest"}),
    "tf.image.resize_with_crop_or_pad": ({"target_height": 4, "target_width": 12},),
    "tf.image.rgb_to_grayscale": ({},),
    "tf.image.rot90": ({},),
    "tf.io.decode_csv": ({"record_defaults": [1.0, "x"]},),
    "tf.io.decode_jpeg": ({}, {"channels": 3}),
    "tf.io.decode_raw": ({"out_type": "uint8"},),
    "tf.io.parse_example": ({"features": FEATURES},),
    "tf.io.parse_single_example": ({"features": FEATURES},),
    "tf.io.read_file": ({},),
    "tf.linalg.matmul": ({"b": [[1.0, 2.0], [3.0, 4.0]]},),
    "tf.math.mod": ({"y": 2},),
    "tf.maximum": ({"y": 0},),
    "tf.multiply": ({"y": 2}, {"y": 0.5}),
    "tf.nn.softmax": ({},),
    "tf.one_hot": ({"depth": 3},),
    "tf.pad": ({"paddings": [[0, 1]]}, {"paddings": [[1, 1], [0, 0]]}),
    "tf.reduce_mean": ({}, {"axis": 0}, {"axis": [0, 1]}, {"axis": -1, "keepdims": True}),
    "tf.reshape": ({"shape": [-1]}, {"shape": [2, 3]}, {"shape": []}, {"shape": [-1, 2]}),
    "tf.shape": ({},),
    "tf.size": ({},),
    "tf.slice": ({"begin": [0], "size": [2]}, {"begin": [0, 0, 0], "size": [2, 2, -1]}),
    "tf.split": ({"num_or_size_splits": 2},),
    "tf.sqrt": ({},),
    "tf.squeeze": ({}, {"axis": 0}),
    "tf.stack": ({},),
    "tf.strings.join": ({},),
    "tf.strings.length": ({},),
    "tf.strings.lower": ({},),
    "tf.strings.split": ({},),
    "tf.strings.to_number": ({},),
    "tf.tile": ({"multiples": [2]}, {"multiples": [1, 2]}),
    "tf.transpose": ({}, {"perm": [1, 0]}, {"perm": [2, 0, 1]}),
    "tf.unstack": ({},),
    "tf.zeros": ({"shape": [3]},),
}
STRUCTURES: tuple[Any, ...] = (
    {"select": ["image", "label"]}, {"select": "label"}, {"drop": ["label"]}, {"rename": {"image": "view"}},
    {"to_tuple": ["image", "label"]}, {"to_tuple": [None, None]}, {"to_dict": ["image", "label"]},
    {"tf.vectorized_map": {"fn": ["tf.abs", "tf.identity"]}}, {"copy": {"on": "label", "to": "also"}},
    {"getitem": {"key": "..., :2", "on": "image"}},
)  # fmt: skip
STAGES: dict[str, tuple[dict[str, Any], ...]] = {
    "assert_cardinality": ({"expected_cardinality": 3},),
    "bucket_by_sequence_length": (
        {"element_length_func": {"ops": ["tf.size"]}, "bucket_boundaries": [3], "bucket_batch_sizes": [2, 2]},
    ),
    "cache": ({},),
    "enumerate": ({}, {"start": 3}),
    "filter": ({"ops": [{"tf.greater": {"y": 1}}]}, {"ops": [{"tf.equal": {"on": "label", "y": 1}}]}),
    "flat_map": (
        {"source": {"from_tensor_slices": {}}}, {"stages": [{"batch": {"batch_size": 2}}]},
        {"on": "image", "stages": [{"batch": {"batch_size": 2}}]},
    ),
    "group_by_window": (
        {
            "key_func": {"ops": [{"tf.math.mod": {"y": 2}}]},
            "reduce_func": {"stages": [{"batch": {"batch_size": 2}}]},
            "window_size": 2,
        },
    ),
    "ignore_errors": ({},),
    "interleave": (
        {"source": {"from_tensors": {}}}, {"source": {"from_tensors": {}}, "num_parallel_calls": 2},
        {"source": {"TextLineDataset": {}}, "cycle_length": 1}, {"source": {"range": {}}, "cycle_length": 1},
    ),
    "padded_batch": (
        {"batch_size": 2}, {"batch_size": 2, "padded_shapes": [6]}, {"batch_size": 2, "padded_shapes": [[7], []]},
        {"batch_size": 2, "padded_shapes": {"image": [8, 9, 3], "label": [], "text": []}},
    ),
    "prefetch": ({"buffer_size": 1},),
    "ragged_batch": ({"batch_size": 2}, {"batch_size": 2, "drop_remainder": True}),
    "rebatch": ({"batch_size": 2}, {"batch_size": [1, 2]}, {"batch_size": 2, "drop_remainder": True}),
    "repeat": ({}, {"count": 2}),
    "scan": (
        {"initial_state": 0, "scan_func": {"ops": [{"tf.identity": {"on": 1, "to": 1}}]}},
        {"initial_state": 0, "scan_func": {"ops": [{"tf.add": {"on": [0, 1], "to": 0}}]}},
    ),
    "shard": ({"num_shards": 2, "index": 1},),
    "shuffle": ({"buffer_size": 3},),
    "skip": ({"count": 2}, {"count": -1}),
    "take": ({"count": 0}, {"count": 3}),
    "take_while": ({"ops": [{"tf.less": {"y": 3}}]},),
    "unbatch": ({},),
    "unique": ({},),
    "window": ({"size": 2}, {"size": 3, "shift": 1, "drop_remainder": True}),
}  # fmt: skip
DECODING = (
    ["tf.io.read_file", {"tf.io.decode_jpeg": {"channels": 3}}],
    [{"tf.io.parse_single_example": {"features": FEATURES}}, {"tf.io.decode_jpeg": {"on": "image"}}],
)


def some_spec(seed: int) -> dict[str, Any]:
    """The source and stages of a spec; the same for the same seed."""
    draw = Random(seed)  # no secret
    return {"source": _source(draw, 0), "stages": [_stage(draw) for _ in range(draw.choice([1, 2, 3, 4]))]}


def _array(shape: list[int], dtype: str) -> dict[str, Any]:
    return {"array": {"shape": shape, "dtype": dtype}}


def _leaf(draw: Random) -> dict[str, Any]:
    shape = draw.choice([[4], [4, 3], [4, 6], [4, 4, 2], [4, 8, 8, 3]])
    image = _array([4, 8, 8, 3], draw.choice(["uint8", "float32"]))
    return draw.choice(
        [
            {"range": {"stop": draw.choice([0, 6, 9])}},
            {"range": {"stop": 5, "output_type": "int32"}},
            {"counter": {}},
            {"from_tensor_slices": {"tensors": _array(shape, draw.choice(["float32", "int32", "uint8", "int64"]))}},
            {"from_tensor_slices": {"tensors": {"image": image, "label": [1, 2, 3, 4], "text": ["a b", "c", "", "d"]}}},
            {"from_tensor_slices": {"tensors": [_array([4, 6], "float32"), _array([4], "int32")]}},
            {"from_tensor_slices": {"tensors": {"ragged": [[1], [2, 3], [], [4]]}}},
            {"from_tensors": {"tensors": draw.choice([["a", "b"], [1, 2, 3], _array([5, 4], "float32")])}},
            {"list_files": {"file_pattern": "data:photos/*/*.jpg"}},
            {"TextLineDataset": {"filenames": "data:lines/*.txt"}},
            {"TFRecordDataset": {"filenames": "data:shards/*.tfrecord"}},
        ]
    )


def _source(draw: Random, depth: int) -> dict[str, Any]:
    if depth > 1 or draw.random() < 0.75:
        return _leaf(draw)
    one, other = _pipeline(draw, depth), _pipeline(draw, depth)
    choice = {"source": {"range": {"stop": 2}}}
    return draw.choice(
        [
            {"zip": {"datasets": [one, other]}},
            {"zip": {"datasets": {"image": one, "label": other}}},
            {"concatenate": {"datasets": [one, draw.choice([one, other])]}},
            {"sample_from_datasets": {"datasets": [one, draw.choice([one, other])], "weights": [0.5, 0.5]}},
            {"sample_from_datasets": {"datasets": [one, other], "weights": [1.0, 0.0]}},
            {"choose_from_datasets": {"datasets": [one, one], "choice_dataset": draw.choice([choice, other])}},
        ]
    )


def _pipeline(draw: Random, depth: int) -> dict[str, Any]:
    return {"source": _source(draw, depth + 1), "stages": [_stage(draw) for _ in range(draw.choice([0, 0, 1]))]}


def _stage(draw: Random) -> dict[str, Any]:
    kind = draw.random()
    if kind < 0.45:
        return {"map": {"ops": _ops(draw)}}
    if kind < 0.6:
        return {"batch": {"batch_size": draw.choice([2, 3]), "drop_remainder": draw.random() < 0.5}}
    name = draw.choice(list(STAGES))
    return {name: draw.choice(STAGES[name])}


def _ops(draw: Random) -> list[Any]:
    calls = [_call(draw) for _ in range(draw.choice([1, 1, 2, 3]))]
    return [*draw.choice(DECODING), *calls[1:]] if draw.random() < 0.25 else calls


def _call(draw: Random) -> Any:
    if draw.random() < 0.1:
        return draw.choice(STRUCTURES)
    name = draw.choice(list(CALLS))
    arguments = dict(draw.choice(CALLS[name]))
    field = draw.choice(FIELDS)
    if field is not None:
        arguments["on"] = field
    elif draw.random() < 0.1:
        arguments |= {
            "on": draw.choice([["image", "label"], [0, 1], ["image", "image"]]),
            "to": draw.choice(["new", 0]),
        }
    return {name: arguments}
