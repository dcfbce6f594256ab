"""Arguments with which every function of the allowlist can be called once."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import tensorflow as tf

from pipeprof.pipelines.spec.operations import functions

JPEG = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
EXAMPLE = tf.train.Example().SerializeToString()
SEQUENCE = tf.train.SequenceExample().SerializeToString()
SPARSE = tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]])
RAGGED = tf.ragged.constant([[1.0], [2.0, 3.0]])
FEATURES = {"a": tf.io.FixedLenFeature([], tf.int64, 0)}

# Tried as inputs, in this order, until one fits.
INPUTS = [
    tf.random.stateless_uniform([8, 8, 3], [1, 2]),
    tf.constant([1.0, 2.0]),
    tf.constant([[1.0, 2.0], [3.0, 4.0]]),
    tf.constant(1.0),
    tf.constant([1, 2]),
    tf.constant(3),
    tf.constant([True, False]),
    tf.constant(["a b", "c"]),
    tf.constant("a,b"),
    tf.zeros([8, 8, 3], tf.uint8),
    tf.constant([1 + 2j, 3 - 1j], tf.complex64),
    tf.zeros([2, 8, 8, 3]),
    SPARSE,
    RAGGED,
    tf.zeros([1, 4, 4, 4, 1]),
    tf.zeros([1, 4, 1]),
    tf.zeros([4, 1]),
    tf.zeros([16]),
    tf.zeros([3, 5], tf.complex64),
    tf.constant([[1, 2]]),
    tf.constant([[1, 0], [0, 1]], tf.int64),
    tf.constant([0, 1], tf.int64),
    tf.constant([["a"]]),
    tf.constant([EXAMPLE]),
    tf.constant(EXAMPLE),
    JPEG,
    tf.sparse.from_dense(tf.constant([[1, 2]], tf.int64)),
]

# Arguments that a parameter of this name takes in every function that requires it.
BY_NAME: dict[str, Any] = {
    "axis": 0, "shape": [2, 2], "size": [4, 4], "dtype": tf.float32, "out_type": tf.float32, "repeats": 2,
    "target_height": 4, "target_width": 4, "offset_height": 1, "offset_width": 1, "central_fraction": 0.5,
    "delta": 0.1, "max_delta": 0.2, "contrast_factor": 1.5, "saturation_factor": 1.5, "lower": 0.5, "upper": 1.5,
    "seed": [1, 2], "min_jpeg_quality": 50, "max_jpeg_quality": 90, "jpeg_quality": 70, "num_buckets": 10,
    "pattern": "a", "rewrite": "b", "input_encoding": "UTF-8", "output_encoding": "UTF-8", "ngram_width": 2,
    "depth": 3, "multiples": [1, 1], "paddings": [[0, 0], [0, 0]], "clip_value_min": 0.0, "clip_value_max": 1.0,
    "clip_norm": 1.0, "frame_length": 4, "frame_step": 2, "axes": 1, "begin": [0, 0], "crop_window": [0, 0, 4, 4],
    "data": tf.constant(3), "default_value": 0.0, "dims": [2], "end": [1, 1], "features": FEATURES, "indices": [[0]],
    "inner_axis": 1, "ksize": 2, "len": 1, "num_rows": 2, "num_samples": 1, "outer_axis": 0, "padding": "VALID",
    "pos": 0, "record_defaults": [0.0, 0.0], "sample_rate": 8000, "start": [0, 0], "strides": 2,
    "to_retain": tf.constant([True, False]), "type": tf.int32, "updates": [1.0], "value": 1.0, "vocab_size": 3,
    "window_length": 4,
}  # fmt: skip

IMAGE = INPUTS[0]
BATCH = INPUTS[11]
VECTOR = INPUTS[1]
MATRIX = INPUTS[2]
BOXES = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
SEQUENCE_FEATURES = {"s": tf.io.FixedLenSequenceFeature([], tf.int64)}

# Whole calls of functions whose arguments fit nothing else.
SAMPLES: dict[str, dict[str, Any]] = {
    "tf.constant": {"value": [1, 2]},
    "tf.einsum": {"equation": "ij,jk->ik", "inputs": [MATRIX, MATRIX]},
    "tf.image.crop_and_resize": {"image": BATCH, "boxes": BOXES[0], "box_indices": [0], "crop_size": [2, 2]},
    "tf.image.extract_patches": {
        "images": BATCH,
        "sizes": [1, 2, 2, 1],
        "strides": [1, 2, 2, 1],
        "rates": [1, 1, 1, 1],
        "padding": "VALID",
    },
    "tf.image.pad_to_bounding_box": {
        "image": IMAGE,
        "offset_height": 1,
        "offset_width": 1,
        "target_height": 12,
        "target_width": 12,
    },
    "tf.image.sample_distorted_bounding_box": {"image_size": [8, 8, 3], "bounding_boxes": BOXES},
    "tf.image.stateless_random_saturation": {"image": IMAGE, "lower": 0.5, "upper": 1.5, "seed": [1, 2]},
    "tf.image.stateless_sample_distorted_bounding_box": {
        "image_size": [8, 8, 3],
        "bounding_boxes": BOXES,
        "seed": [1, 2],
    },
    "tf.io.parse_sequence_example": {"serialized": tf.constant([SEQUENCE]), "sequence_features": SEQUENCE_FEATURES},
    "tf.io.parse_single_sequence_example": {
        "serialized": tf.constant(SEQUENCE),
        "sequence_features": SEQUENCE_FEATURES,
    },
    "tf.reverse_sequence": {"input": MATRIX, "seq_lengths": [1, 2], "seq_axis": 1},
    "tf.linalg.set_diag": {"input": MATRIX, "diagonal": VECTOR},
    "tf.math.polyval": {"coeffs": [1.0, 2.0], "x": VECTOR},
    "tf.nn.depth_to_space": {"input": tf.zeros([1, 2, 2, 4]), "block_size": 2},
    "tf.nn.space_to_depth": {"input": tf.zeros([1, 2, 2, 1]), "block_size": 2},
    "tf.ragged.constant": {"pylist": [[1], [2, 3]]},
    "tf.sparse.concat": {"axis": 0, "sp_inputs": [SPARSE, SPARSE]},
}


def modules_of_functions() -> dict[str, list[str]]:
    """The allowlist's names by TensorFlow's module, ``tf.image``."""
    names = sorted(functions(), key=lambda name: (name.rpartition(".")[0], name))
    return {module: list(group) for module, group in groupby(names, lambda name: name.rpartition(".")[0])}
