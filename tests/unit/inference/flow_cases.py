"""Small specs that TensorFlow refuses for certain, and others that look like them and run."""

from __future__ import annotations

import textwrap

HEAD = """\
version: 1
data:
  photos: {image_folder: {count: 4, size: [16, 12], classes: 2}}
  lines: {text: {lines: 6, files: 2}}
  shards: {tfrecord: {shards: 2, records: 6, features: {image: {jpeg: {size: [16, 12]}}, label: {label: {}}}}}
  texts: {text: {lines: 100}}
  varied: {tfrecord: {shards: 1, records: 100, features: {ids: {ints: {length: [1, 9]}}}}}
"""
_FILES = 'source: {list_files: {file_pattern: "data:photos/*/*.jpg"}}\n'
_RECORDS = 'source: {TFRecordDataset: {filenames: "data:shards/*.tfrecord"}}\n'
_LINES = 'source: {TextLineDataset: {filenames: "data:lines/*.txt"}}\n'
_TEXTS = 'source: {TextLineDataset: {filenames: "data:texts/*.txt"}}\n'
_RANGE = "source: {range: {stop: 10}}\n"
_PAIRS = "source: {from_tensor_slices: {tensors: {image: {array: {shape: [4, 8, 8, 3]}}, label: [1, 2, 3, 4]}}}\n"
_ROWS = "source: {from_tensor_slices: {tensors: {array: {shape: [4, 6]}}}}\n"
_RAGGED = "source: {from_tensor_slices: {tensors: {ragged: [[[1], [2, 3]], [[4]]]}}}\n"
_FEATURES = "{image: {FixedLenFeature: {shape: [], dtype: string}}, ids: {VarLenFeature: {dtype: int64}}}"


def as_spec(text: str) -> str:
    """The whole text of a spec."""
    return HEAD + textwrap.dedent(text)


def _ops(source: str, *calls: str) -> str:
    return f"{source}stages: [{{map: {{ops: [{', '.join(calls)}]}}}}]\n"


def _stages(source: str, *stages: str) -> str:
    return source + "stages:\n" + "".join(f"  - {stage}\n" for stage in stages)


REFUSED = {
    "batch before decode_jpeg": _stages(
        _FILES, "map: {ops: [tf.io.read_file]}", "batch: {batch_size: 2}", "map: {ops: [tf.io.decode_jpeg]}"
    ),
    "decode_jpeg of a file's name in a batch": _stages(
        _FILES, "batch: {batch_size: 2}", "map: {ops: [tf.io.read_file]}"
    ),
    "resize of a string": _ops(_FILES, "tf.io.read_file", "tf.image.resize: {size: [4, 4]}"),
    "resize of a mapping": _ops(_PAIRS, "tf.image.resize: {size: [4, 4]}"),
    "resize of a row": _ops(_ROWS, "tf.image.resize: {size: [4, 4]}"),
    "flip of a label": _ops(_PAIRS, "tf.image.flip_left_right: {on: label}"),
    "missing field": _ops(_PAIRS, "tf.cast: {on: imge, dtype: uint8}"),
    "missing field in a list": _ops(_PAIRS, "tf.concat: {on: [image, lable], axis: 0, to: both}"),
    "field of a single tensor": _ops(_RANGE, "tf.abs: {on: image}"),
    "index beyond a tuple": _stages(_RANGE, "enumerate: {}", "map: {ops: [tf.abs: {on: 2}]}"),
    "to a field of a single tensor": _ops(_RANGE, "tf.abs: {to: result}"),
    "to beyond a tuple": _stages(_RANGE, "enumerate: {}", "map: {ops: [tf.abs: {on: 0, to: 2}]}"),
    "select of a missing field": _ops(_PAIRS, "select: [image, labels]"),
    "rename of a missing field": _ops(_PAIRS, "rename: {img: x}"),
    "drop of a missing index": _stages(_RANGE, "enumerate: {}", "map: {ops: [drop: [5]]}"),
    "to_dict of too many names": _stages(_RANGE, "enumerate: {}", "map: {ops: [to_dict: [a, b, c]]}"),
    "strings and numbers": _ops(_FILES, "tf.add: {y: 1}"),
    "text and a number": _ops(_RANGE, "tf.equal: {y: a}"),
    "half of a whole number": _ops(_RANGE, "tf.multiply: {y: 0.5}"),
    "cast of a string": _ops(_LINES, "tf.cast: {dtype: float32}"),
    "cast to a string": _ops(_RANGE, "tf.cast: {dtype: string}"),
    "a tuple of dtypes": _ops(
        "source: {from_tensor_slices: {tensors: [{array: {shape: [4, 6]}}, [1, 2, 3, 4]]}}\n", "tf.identity"
    ),
    "two dtypes": _stages(
        _RANGE, "enumerate: {}", "map: {ops: [tf.cast: {on: 1, dtype: float32}, tf.add: {on: [0, 1], to: 0}]}"
    ),
    "square root of whole numbers": _ops(_RANGE, "tf.sqrt"),
    "not of a number": _ops(_RANGE, "tf.logical_not"),
    "cast of sparse tensors' neighbour": _ops(_RANGE, "tf.sparse.to_dense"),
    "image from a sparse tensor": _ops(
        _RECORDS, f"tf.io.parse_single_example: {{features: {_FEATURES}}}", "tf.reshape: {on: ids, shape: [-1]}"
    ),
    "parse_single_example of a batch": _stages(
        _RECORDS, "batch: {batch_size: 2}", f"map: {{ops: [tf.io.parse_single_example: {{features: {_FEATURES}}}]}}"
    ),
    "parse_example of parsed examples": _ops(_RANGE, f"tf.io.parse_example: {{features: {_FEATURES}}}"),
    "reshape to another count": _ops(_ROWS, "tf.reshape: {shape: [2, 4]}"),
    "reshape to no whole count": _ops(_ROWS, "tf.reshape: {shape: [4, -1]}"),
    "ensure another shape": _ops(_ROWS, "tf.ensure_shape: {shape: [5]}"),
    "transpose of one dimension": _ops(_ROWS, "tf.transpose: {perm: [1, 0]}"),
    "mean along a missing axis": _ops(_ROWS, "tf.reduce_mean: {axis: 1}"),
    "squeeze of six": _ops(_ROWS, "tf.squeeze: {axis: 0}"),
    "expand behind the end": _ops(_ROWS, "tf.expand_dims: {axis: 3}"),
    "shapes that do not fit": _ops(_ROWS, "tf.add: {y: [1.0, 2.0, 3.0]}"),
    "stack of different shapes": _ops(
        _PAIRS, "tf.cast: {on: label, dtype: float32}", "tf.stack: {on: [image, label], to: both}"
    ),
    "concat of scalars": _stages(_RANGE, "enumerate: {}", "map: {ops: [tf.concat: {on: [0, 1], axis: 0, to: 0}]}"),
    "slice beyond the end": _ops(_ROWS, "tf.slice: {begin: [4], size: [4]}"),
    "paddings for two dimensions": _ops(_ROWS, "tf.pad: {paddings: [[0, 1], [0, 1]]}"),
    "matmul of vectors": _ops(_ROWS, "tf.matmul: {b: [[1.0], [2.0]]}"),
    "matmul that does not fit": _ops(_ROWS, "tf.expand_dims: {axis: 0}", "tf.matmul: {b: [[1.0], [2.0]]}"),
    "one_hot of floats": _ops(_ROWS, "tf.one_hot: {depth: 3}"),
    "gather by a float": "source: {from_tensor_slices: {tensors: {a: {array: {shape: [2, 3]}}, i: [0.0, 1.0]}}}\n"
    "stages: [{map: {ops: [tf.gather: {on: [a, i], to: a}]}}]\n",
    "filter that keeps numbers": _stages(_RANGE, "filter: {ops: [tf.math.mod: {y: 2}]}"),
    "filter of rows": _stages(_ROWS, "filter: {ops: [tf.greater: {y: 0.5}]}"),
    "a ragged batch of words": _stages(_TEXTS, "map: {ops: [tf.strings.split]}", "batch: {batch_size: 4}"),
    "a ragged batch of numbers": _stages(
        'source: {TFRecordDataset: {filenames: "data:varied/*.tfrecord"}}\n',
        "map: {ops: [tf.io.parse_single_example: {features: {ids: {VarLenFeature: {dtype: int64}}}}, "
        "tf.sparse.to_dense: {on: ids}]}",
        "shuffle: {buffer_size: 10, seed: 1}",
        "batch: {batch_size: 2}",
    ),
    "unbatch of single numbers": _stages(_RANGE, "unbatch: {}"),
    "unbatch of different counts": "source: {from_tensors: {tensors: [{array: {shape: [3]}}, {array: {shape: [4]}}]}}\n"
    "stages: [{unbatch: {}}]\n",
    "rebatch of single numbers": _stages(_RANGE, "rebatch: {batch_size: 3}"),
    "padded to less": _stages(_ROWS, "padded_batch: {batch_size: 2, padded_shapes: [5]}"),
    "padded to two dimensions": _stages(_ROWS, "padded_batch: {batch_size: 2, padded_shapes: [null, null]}"),
    "padded in another structure": _stages(_PAIRS, "padded_batch: {batch_size: 2, padded_shapes: [8, 8, 3]}"),
    "padded in other fields": _stages(
        _PAIRS, "padded_batch: {batch_size: 2, padded_shapes: {image: [8, 8, 3], lable: []}}"
    ),
    "padded with text": _stages(_ROWS, "padded_batch: {batch_size: 2, padded_shapes: [8], padding_values: x}"),
    "padded with more than it holds": _stages(
        _RANGE, "map: {ops: [tf.cast: {dtype: uint8}]}", "padded_batch: {batch_size: 2, padding_values: 256}"
    ),
    "all padded with a number": _stages(
        _RANGE,
        "map: {ops: [to_dict: {n: null, s: null}, tf.strings.as_string: {on: s}]}",
        "padded_batch: {batch_size: 2, padding_values: 0}",
    ),
    "padded with a mapping": _stages(_RANGE, "padded_batch: {batch_size: 2, padding_values: {a: 0}}"),
    "padded with a number in place of a tuple": _stages(
        _RANGE, "map: {ops: [to_tuple: [null, [null, null]]]}", "padded_batch: {batch_size: 2, padding_values: [0, 0]}"
    ),
    "padded with a half": _stages(_RANGE, "padded_batch: {batch_size: 2, padding_values: 0.5}"),
    "decode_jpeg to channels that are a text": _ops(_FILES, "tf.io.read_file", "tf.io.decode_jpeg: {channels: rgb}"),
    "resize to one number": _ops(_PAIRS, "tf.image.resize: {on: image, size: 4}"),
    "resize to three numbers": _ops(_PAIRS, "tf.image.resize: {on: image, size: [4, 4, 3]}"),
    "resize to a text": _ops(_PAIRS, "tf.image.resize: {on: image, size: 4x4}"),
    "resize by an unknown method": _ops(_PAIRS, "tf.image.resize: {on: image, size: [4, 4], method: Bilinear}"),
    "crop that is larger": _ops(_PAIRS, "tf.image.random_crop: {on: image, size: [9, 8, 3]}"),
    "reshape to a text": _ops(_ROWS, 'tf.reshape: {shape: "[2, 3]"}'),
    "rows of different lengths": "source: {from_tensor_slices: {tensors: [[1, 2], [3]]}}\n",
    "padded ragged tensors": _stages(_RAGGED, "padded_batch: {batch_size: 2}"),
    "slices of single numbers": "source: {from_tensor_slices: {tensors: 3}}\n",
    "slices of different counts": "source: {from_tensor_slices: {tensors: {a: [1, 2], b: [1, 2, 3]}}}\n",
    "window as a tensor": _stages(_RANGE, "window: {size: 3}", "map: {ops: [tf.reduce_sum]}"),
    "window padded": _stages(_RANGE, "window: {size: 3}", "padded_batch: {batch_size: 2}"),
    "window unbatched": _stages(_RANGE, "window: {size: 3}", "unbatch: {}"),
    "flat_map of numbers": _stages(_RANGE, "flat_map: {stages: [batch: {batch_size: 3}]}"),
    "flat_map of a missing field": _stages(
        _PAIRS, "window: {size: 3}", "flat_map: {on: img, stages: [batch: {batch_size: 3}]}"
    ),
    "files named by numbers": _stages(_RANGE, "flat_map: {source: {TFRecordDataset: {}}}"),
    "range to a text": _stages(_FILES, "flat_map: {source: {range: {}}}"),
    "sample of different elements": "source: {sample_from_datasets: {datasets: [{source: {range: {stop: 3}}}, "
    '{source: {TextLineDataset: {filenames: "data:lines/*.txt"}}}]}}\n',
    "choice by text": "source: {choose_from_datasets: {datasets: [{source: {range: {stop: 3}}}, {source: {range: "
    '{stop: 4}}}], choice_dataset: {source: {TextLineDataset: {filenames: "data:lines/*.txt"}}}}}\n',
    "concatenate of different fields": _stages(
        _RANGE, "concatenate: {dataset: {source: {zip: {datasets: {a: {source: {range: {stop: 3}}}}}}}}"
    ),
    "concatenate inside": "source: {concatenate: {datasets: [{source: {range: {stop: 3}}}, {source: {range: {stop: 3, "
    "output_type: int32}}}]}}\n",
    "wrong in an inner pipeline": "source: {zip: {datasets: {a: {source: {range: {stop: 3}}, "
    "stages: [{unbatch: {}}]}}}}\n",
    "unique of floats": _stages(_ROWS, "unique: {}"),
    "unique of pairs": _stages(_PAIRS, "unique: {}"),
    "sparse_batch of pairs": _stages(_PAIRS, "sparse_batch: {batch_size: 2, row_shape: [8]}"),
    "key that is no int64": _stages(
        _ROWS,
        "group_by_window: {key_func: {ops: [tf.reduce_sum]}, reduce_func: {stages: [batch: {batch_size: 2}]}, "
        "window_size: 2}",
    ),
    "length that is no int32": _stages(
        _LINES,
        "map: {ops: [tf.strings.split]}",
        "bucket_by_sequence_length: {element_length_func: {ops: [tf.size: {out_type: int64}]}, "
        "bucket_boundaries: [3], bucket_batch_sizes: [2, 2]}",
    ),
    "scan without a pair": _stages(_RANGE, "scan: {initial_state: 0, scan_func: {ops: [select: 1]}}"),
    "scan to another state": _stages(_RANGE, "scan: {initial_state: 0.5, scan_func: {ops: [to_tuple: [1, 1]]}}"),
    "branches of different dtypes": _ops(_RANGE, "tf.cond: {probability: 0.5, true_fn: [tf.cast: {dtype: float32}]}"),
    "wrong inside a branch": _ops(_RANGE, "tf.cond: {probability: 0.5, true_fn: [tf.strings.lower]}"),
    "wrong in for_each": _ops(
        _PAIRS, "for_each: {on: [image, label], ops: [tf.image.stateless_random_flip_left_right]}"
    ),
}

ACCEPTED = {
    "softmax of a ragged tensor": _ops(_RAGGED, "tf.cast: {dtype: float32}", "tf.nn.softmax"),
    "a batch of images resized": _stages(
        _PAIRS, "batch: {batch_size: 2}", "map: {ops: [tf.image.resize: {on: image, size: [4, 4]}]}"
    ),
    "a batch reshaped to its size": _stages(
        _ROWS, "batch: {batch_size: 4}", "map: {ops: [tf.reshape: {shape: [4, 2, 3]}]}"
    ),
    "lines of any length in a dense batch": _stages(_LINES, "map: {ops: [tf.strings.split]}", "batch: {batch_size: 1}"),
    "int64 padded with a number": _stages(
        _RANGE, "map: {ops: [tf.expand_dims: {axis: 0}]}", "padded_batch: {batch_size: 2, padding_values: -1}"
    ),
    "a whole number padded into floats and ints": _stages(
        _RANGE,
        "map: {ops: [to_dict: {n: null, x: null}, tf.cast: {on: x, dtype: float16}]}",
        "padded_batch: {batch_size: 2, padding_values: {n: 1.0, x: 1}}",
    ),
    "words in a padded batch": _stages(_TEXTS, "map: {ops: [tf.strings.split]}", "padded_batch: {batch_size: 4}"),
    "one list of words": _stages(
        _TEXTS, "map: {ops: [tf.strings.split]}", "take: {count: 1}", "batch: {batch_size: 4}"
    ),
    "ragged tensors in a batch": _stages(_RAGGED, "batch: {batch_size: 2}"),
    "windows in a batch": _stages(_RANGE, "window: {size: 3}", "batch: {batch_size: 2}"),
    "windows in turn": _stages(_RANGE, "window: {size: 3}", "flat_map: {stages: [batch: {batch_size: 3}]}"),
    "parse_example of one record": _ops(_RECORDS, f"tf.io.parse_example: {{features: {_FEATURES}}}"),
    "a whole number beside floats": _ops(_ROWS, "tf.add: {y: 1}"),
    "numbers of strings": _ops(_LINES, "tf.strings.length", "tf.cast: {dtype: float32}", "tf.sqrt"),
    "a tuple as a list": _stages(_RANGE, "enumerate: {}", "map: {ops: [tf.stack]}"),
    "a tuple as a tensor": _stages(_RANGE, "enumerate: {}", "map: {ops: [tf.reduce_sum]}"),
    "shapes that are stretched": _ops(_PAIRS, "tf.add: {on: image, y: [1.0, 2.0, 3.0]}"),
    "weights that leave one out": "source: {sample_from_datasets: {datasets: [{source: {range: {stop: 3}}}, "
    '{source: {TextLineDataset: {filenames: "data:lines/*.txt"}}}], weights: [1, 0]}}\n',
    "shapes that differ in a concatenation": _stages(
        _ROWS, "concatenate: {dataset: {source: {from_tensor_slices: {tensors: {array: {shape: [4, 5]}}}}}}"
    ),
    "branches of different shapes": _ops(_ROWS, "tf.cond: {probability: 0.5, true_fn: [tf.expand_dims: {axis: 0}]}"),
    "a Python function before everything": _stages(
        _RANGE, 'map: {python: "f.py:f"}', "unbatch: {}", "map: {ops: [tf.strings.lower]}"
    ),
    "repeat without end before a concatenation": _stages(
        _RANGE, "repeat: {}", "concatenate: {dataset: {source: {range: {stop: 3}}}}"
    ),
    "take of nothing": _stages(_RANGE, "take: {count: 0}", "batch: {batch_size: 2}"),
}
