"""What is said of elements without TensorFlow, against the datasets that TensorFlow builds."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.function_samples import modules_of_functions
from integration.test_ops_tensorflow import _calls, _is_input, _placeholder

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.signatures import resolve
from pipeprof.pipelines.data.recipes import Npy, Recipe
from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.rules.base import Arguments, rules
from pipeprof.pipelines.inference.tensor.shapes import Nested, Tensor
from pipeprof.pipelines.ops.functions.catalog import Function, function
from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec

DATA = """
data:
  photos: {image_folder: {count: 12, size: [64, 48], classes: 2}}
  shards: {tfrecord: {shards: 2, records: 10, features: {image: {jpeg: {size: [32, 24]}}, label: {label: {}}}}}
  table: {csv: {rows: 10, columns: 2, ints: 1, label: 2}}
  lines: {text: {lines: 10, files: 2}}
  array: {npy: {shape: [10, 4, 6], dtype: float64}}
"""

SPECS = {
    "arrays": """
        source:
          from_tensor_slices:
            tensors:
              b: {array: {shape: [10, 8], dtype: uint8}}
              a: [{npy: "data:array/data.npy"}, {array: {shape: [10], dtype: bool}}]
        stages:
          - batch: {batch_size: 3}
          - unbatch: {}
          - batch: {batch_size: 3, drop_remainder: true}
          - unbatch: {}
          - batch: {batch_size: 3, drop_remainder: true}
          - repeat: {count: 2}
          - take: {count: 4}
          - skip: {count: 1}
          - shuffle: {buffer_size: 3}
          - cache: {}
          - prefetch: {buffer_size: AUTOTUNE}
    """,
    "literals": """
        source:
          from_tensor_slices:
            tensors: {a: [1, 2, 3], b: [1.5, 2, 3], c: [x, y, z], d: [[true], [false], [true]]}
        stages:
          - map:
              ops:
                - tf.cast: {on: a, dtype: float32}
                - tf.add: {on: [a, b], to: s}
                - tf.strings.length: {on: c, to: l}
          - padded_batch: {batch_size: 2}
          - repeat: {}
          - take: {count: 7}
    """,
    "tensors": """
        source: {from_tensors: {tensors: {array: {shape: [4, 5], dtype: float16}}}}
        stages:
          - repeat: {count: -1}
          - skip: {count: 3}
          - batch: {batch_size: 2}
          - skip: {count: -1}
    """,
    "saved": """
        source: {from_tensor_slices: {tensors: [{npy: small.npy}, {npz: several.npz, key: y}]}}
        stages:
          - map: {ops: [{tf.transpose: {on: 0}}, {tf.one_hot: {on: 1, depth: 4}}]}
          - batch: {batch_size: 2, drop_remainder: true}
    """,
    "range": """
        source: {range: {start: 3, stop: 20, step: 4}}
        stages:
          - filter: {ops: [{tf.math.mod: {y: 2}}, {tf.equal: {y: 0}}]}
          - batch: {batch_size: 2}
          - repeat: {}
    """,
    "numbers": """
        source: {range: {stop: 9, output_type: int32}}
        stages:
          - map:
              ops:
                - tf.cast: {dtype: float32}
                - tf.divide: {y: 2.0}
                - tf.math.truediv: {y: 3.0}
                - tf.expand_dims: {axis: 0}
                - tf.tile: {multiples: [6]}
                - tf.reshape: {shape: [2, -1]}
                - tf.pad: {paddings: [[1, 0], [0, 2]]}
                - tf.reduce_sum: {axis: 1, keepdims: true}
                - tf.squeeze: {axis: [-1]}
                - tf.argmax
          - map: {ops: [{tf.cast: {dtype: int32}}, {tf.divide: {y: 2}}]}
    """,
    "photos": """
        source: {list_files: {file_pattern: "data:photos/*/*.jpg"}}
        stages:
          - map:
              ops:
                - tf.io.read_file
                - tf.io.decode_jpeg: {channels: 3}
                - tf.image.resize: {size: [20, 30]}
                - tf.image.random_flip_left_right
                - tf.image.random_brightness: {max_delta: 0.1}
                - tf.image.random_crop: {size: [16, 16, 3]}
                - tf.image.per_image_standardization
          - map: {ops: [{tf.image.rgb_to_grayscale: {}}, {tf.image.rot90: {}}, {tf.image.transpose: {}}]}
          - map: {ops: [{tf.image.resize_with_crop_or_pad: {target_height: 4, target_width: 5}}]}
          - map:
              ops:
                - tf.image.crop_to_bounding_box: {offset_height: 0, offset_width: 0, target_height: 2, target_width: 3}
          - map: {ops: [{tf.image.grayscale_to_rgb: {}}, {tf.image.convert_image_dtype: {dtype: uint8}}]}
          - batch: {batch_size: 5}
          - map: {ops: [{tf.image.resize: {size: [7, 8], method: nearest}}, tf.image.flip_up_down]}
    """,
    "decoders": """
        source: {list_files: {file_pattern: ["data:photos/class_0/*.jpg", "data:photos/class_1/*.jpg"], shuffle: false}}
        stages:
          - map: {ops: [tf.io.read_file]}
          - map: {ops: [{tf.io.decode_image: {channels: 3, expand_animations: false}}]}
    """,
    "records": """
        source: {TFRecordDataset: {filenames: "data:shards/*.tfrecord"}}
        stages:
          - map:
              ops:
                - tf.io.parse_single_example:
                    features:
                      image: {FixedLenFeature: {shape: [], dtype: string}}
                      label: {FixedLenFeature: {shape: [2], dtype: int64}}
                      ids: {VarLenFeature: {dtype: int64}}
                      seq: {FixedLenSequenceFeature: {shape: [3], dtype: float32, allow_missing: true}}
                - tf.io.decode_png: {on: image, channels: 1, dtype: uint16}
          - map: {ops: [{tf.sparse.to_dense: {on: ids}}]}
          - padded_batch: {batch_size: 4, padded_shapes: {image: [8, 8, 1], label: [2], ids: [null], seq: [6, 3]}}
    """,
    "parsed in batches": """
        source: {TFRecordDataset: {filenames: "data:shards/*.tfrecord"}}
        stages:
          - batch: {batch_size: 4, drop_remainder: true}
          - map:
              ops:
                - tf.io.parse_example:
                    features:
                      label: {FixedLenFeature: {shape: [2], dtype: int64}}
                      ids: {VarLenFeature: {dtype: int64}}
                      r: {RaggedFeature: {dtype: int64}}
                      seq: {FixedLenSequenceFeature: {shape: [], dtype: float32, allow_missing: true}}
          - map: {ops: [{tf.sparse.to_dense: {on: ids}}, {tf.RaggedTensor.to_tensor: {on: r}}]}
    """,
    "lines": """
        source: {TextLineDataset: {filenames: "data:lines/*.txt"}}
        stages:
          - map: {ops: [{tf.strings.split: {sep: " "}}, tf.strings.upper]}
          - map: {ops: [{tf.strings.to_hash_bucket_fast: {num_buckets: 9}}]}
          - padded_batch: {batch_size: 3, drop_remainder: true}
    """,
    "lines in batches": """
        source: {TextLineDataset: {filenames: "data:lines/*.txt"}}
        stages:
          - batch: {batch_size: 3, drop_remainder: true}
          - map: {ops: [tf.strings.split]}
          - map: {ops: [tf.RaggedTensor.to_tensor]}
    """,
    "decoded lines": """
        source: {TextLineDataset: {filenames: "data:table/data.csv"}}
        stages:
          - skip: {count: 1}
          - map: {ops: [{tf.io.decode_csv: {record_defaults: [float32, 1.5, 3, x]}}]}
          - map: {ops: [{tf.stack: {on: [0, 1], to: 0}}]}
    """,
    "rows": """
        source:
          CsvDataset: {filenames: "data:table/data.csv", record_defaults: [float32, 0.0, 0, int64], header: true}
        stages:
          - map: {ops: [{tf.stack: {on: [0, 1], to: 0}}]}
          - batch: {batch_size: 4}
    """,
    "nested": """
        source: {list_files: {file_pattern: "data:shards/*.tfrecord"}}
        stages:
          - repeat: {}
          - interleave: {source: {TFRecordDataset: {}}, stages: [{batch: {batch_size: 2}}], cycle_length: 2}
          - flat_map: {source: {from_tensor_slices: {}}}
          - take: {count: 3}
    """,
    "nested arrays": """
        source: {range: {stop: 3}}
        stages:
          - flat_map:
              source: {from_tensor_slices: {tensors: {array: {shape: [4, 2]}}}}
              stages: [{repeat: {count: 2}}]
          - interleave: {source: {from_tensors: {}}, cycle_length: 1}
    """,
    "raw": """
        source: {list_files: {file_pattern: "data:shards/*.tfrecord"}}
        stages:
          - map: {ops: [tf.io.read_file, {tf.io.decode_raw: {out_type: float32}}]}
          - map: {ops: [{tf.reshape: {shape: [-1, 4]}}, {tf.gather: {indices: [0, 2], axis: 1}}]}
    """,
    "generator": """
        source:
          from_generator:
            python: gen.py:pairs
            output_signature: {x: {shape: [null, 3], dtype: float32}, y: {shape: [], dtype: int64}}
        stages:
          - batch: {batch_size: 2}
          - map: {python: "gen.py:change"}
          - prefetch: {buffer_size: 1}
    """,
    "old generator": """
        source: {from_generator: {python: "gen.py:pairs", output_types: [float32, int64], output_shapes: [[3], []]}}
        stages: [{batch: {batch_size: 2}}]
    """,
    "windows": """
        source: {range: {stop: 10}}
        stages:
          - window: {size: 3, shift: 2, drop_remainder: true}
          - shuffle: {buffer_size: 2}
          - flat_map: {stages: [{batch: {batch_size: 3, drop_remainder: true}}]}
          - enumerate: {start: 2}
          - shard: {num_shards: 3, index: 1}
    """,
    "windows of pairs": """
        source: {from_tensor_slices: {tensors: {a: [1, 2, 3, 4, 5], b: [[1.0], [2.0], [3.0], [4.0], [5.0]]}}}
        stages:
          - window: {size: 2, stride: 2}
          - batch: {batch_size: 2}
    """,
    "a component of a window": """
        source: {from_tensor_slices: {tensors: {a: [1, 2, 3, 4, 5], b: [[1.0], [2.0], [3.0], [4.0], [5.0]]}}}
        stages:
          - window: {size: 2}
          - interleave: {on: b, stages: [{batch: {batch_size: 2}}], cycle_length: 1}
          - rebatch: {batch_size: 3, drop_remainder: true}
          - rebatch: {batch_size: [1, 2]}
    """,
    "combined": """
        source:
          zip:
            datasets:
              a: {source: {range: {stop: 7}}, stages: [{batch: {batch_size: 2, drop_remainder: true}}]}
              b:
                - {source: {counter: {}}, stages: [{map: {ops: [{tf.cast: {dtype: float32}}]}}]}
                - source:
                    concatenate:
                      datasets:
                        - {source: {from_tensor_slices: {tensors: [[1, 2], [3, 4]]}}}
                        - {source: {from_tensor_slices: {tensors: [[1, 2, 3], [3, 4, 5]]}}}
        stages:
          - map: {ops: [{select: [a]}, {rename: {a: c}}, {to_tuple: [c, {d: c}]}, {to_dict: [x, y]}, {drop: y}]}
          - concatenate:
              dataset:
                source: {range: {stop: 3}}
                stages: [{batch: {batch_size: 3}}, {map: {ops: [{to_dict: [x]}]}}]
    """,
    "drawn": """
        source:
          sample_from_datasets:
            datasets:
              - {source: {range: {stop: 7}}, stages: [{repeat: {}}]}
              - source:
                  choose_from_datasets:
                    datasets: [{source: {range: {stop: 3}}}, {source: {random: {seed: 1}}}]
                    choice_dataset: {source: {range: {stop: 2}}, stages: [{repeat: {}}]}
              - {source: {range: {stop: 3, output_type: int32}}}
            weights: [0.5, 0.5, 0]
        stages: [{take: {count: 3}}]
    """,
    "groups": """
        source: {range: {stop: 10}}
        stages:
          - group_by_window:
              key_func: {ops: [{tf.math.mod: {y: 2}}]}
              reduce_func: {stages: [{batch: {batch_size: 2}}]}
              window_size: 2
          - unbatch: {}
          - take_while: {ops: [{tf.less: {y: 5}}]}
          - unique: {}
    """,
    "buckets": """
        source: {TextLineDataset: {filenames: "data:lines/*.txt"}}
        stages:
          - map: {ops: [tf.strings.split]}
          - bucket_by_sequence_length:
              element_length_func: {ops: [tf.size]}
              bucket_boundaries: [3, 6]
              bucket_batch_sizes: [4, 2, 1]
          - ignore_errors: {}
          - snapshot: {path: kept}
    """,
    "ragged": """
        source: {from_tensor_slices: {tensors: {r: {ragged: [[1], [2, 3], []]}, s: [x, y, z]}}}
        stages:
          - map: {ops: [{tf.add: {on: r, y: 1}}]}
          - ragged_batch: {batch_size: 2}
          - unbatch: {}
          - ragged_batch: {batch_size: 2, drop_remainder: true}
    """,
    "sparse": """
        source:
          from_tensor_slices: {tensors: {sparse: {indices: [[0, 1], [2, 0]], values: [1.5, 2], dense_shape: [3, 4]}}}
        stages:
          - batch: {batch_size: 2}
    """,
    "rows as sparse": """
        source: {from_tensor_slices: {tensors: {array: {shape: [4, 6]}}}}
        stages:
          - sparse_batch: {batch_size: 2, row_shape: [8]}
          - with_options: {options: {deterministic: false}}
    """,
    "branches": """
        source: {from_tensor_slices: {tensors: {a: {array: {shape: [4, 8, 6, 3]}}, b: {array: {shape: [4, 5, 6, 3]}}}}}
        stages:
          - map: {ops: [{tf.cond: {on: a, probability: 0.5, true_fn: [{tf.image.rot90: {}}]}}]}
          - map:
              ops:
                - tf.switch_case:
                    on: b
                    branch_fns: [[tf.image.flip_up_down], [{tf.slice: {begin: [0, 0, 0], size: [2, 6, 3]}}]]
          - map: {ops: [{random_order: {on: b, fns: [[tf.abs], [tf.sqrt]]}}]}
          - map: {ops: [{for_each: {on: [a, b], ops: [{tf.image.stateless_random_flip_left_right: {}}]}}]}
    """,
    "parts": """
        source: {from_tensor_slices: {tensors: {array: {shape: [4, 6, 3]}}}}
        stages:
          - map: {ops: [{tf.split: {num_or_size_splits: 3}}]}
          - map: {ops: [{tf.matmul: {on: 1, b: [[1.0], [2.0], [3.0]]}}]}
          - map: {ops: [{tf.unstack: {on: 0, axis: 1, to: [0, 1, 2]}}]}
    """,
    "resampled": """
        source: {range: {stop: 10}}
        stages:
          - scan:
              initial_state: {array: {shape: [], dtype: int64}}
              scan_func: {ops: [{tf.add: {on: [0, 1], to: 0}}]}
          - assert_cardinality: {expected_cardinality: 10}
    """,
    "features": """
        source:
          make_batched_features_dataset:
            file_pattern: "data:shards/*.tfrecord"
            batch_size: 3
            features: {label: {FixedLenFeature: {shape: [], dtype: int64}}, image: {VarLenFeature: {dtype: string}}}
            label_key: label
    """,
    "fixed records": """
        source: {FixedLengthRecordDataset: {filenames: "data:lines/*.txt", record_bytes: 4}}
        stages: [{map: {ops: [{tf.io.decode_raw: {out_type: uint8}}]}}]
    """,
    "random": """
        source: {range: {stop: 5}}
        stages:
          - map: {ops: [{tf.random.uniform: {shape: [3, 2], minval: 0, maxval: 9, dtype: int32}}]}
          - map: {ops: [{tf.random.normal: {on: [], shape: [4]}}]}
          - map: {ops: [{tf.zeros: {shape: [2, 2]}}, {tf.greater: {y: 0.5}}, {tf.where: {x: 1.0, y: 2.0}}]}
    """,
}
UNKNOWN = {("generator", "stages.1"), ("generator", "stages.2")}
"""Stages of which nothing is known."""
OUTPUTS = {
    "gen.py": "def pairs():\n    yield {'x': [[1, 2, 3]], 'y': 1}\n\n\ndef change(element):\n    return element['x']\n"
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "gen.py").write_text(OUTPUTS["gen.py"])
    np.save(tmp_path / "small.npy", np.zeros((6, 2, 3), np.int16, order="F"))
    np.savez(tmp_path / "several.npz", x=np.zeros(3), y=np.zeros(6, np.int32))
    return tmp_path


def _data_dirs(loaded: LoadedSpec, folder: Path) -> dict[str, Path]:
    """Folders with the files of the recipes; only arrays are filled, since nothing else is read."""
    return {name: _stand_in(folder / "made" / name, entry) for name, entry in loaded.spec.data.items()}


def _stand_in(folder: Path, entry: Recipe) -> Path:
    for name in entry.file_names():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Npy):
            np.save(path, np.zeros(entry.shape, entry.dtype))
        else:
            path.write_bytes(b"")
    return folder


def _built(loaded: LoadedSpec, folder: Path) -> Iterator[tuple[str, Any]]:
    """The dataset after each stage of the pipeline itself."""
    context = BuildContext(loaded.base_dir, _data_dirs(loaded, folder))
    load_arrays(loaded.spec, context)
    for count in range(len(loaded.spec.stages) + 1):
        shorter = loaded.spec.model_copy(update={"stages": loaded.spec.stages[:count]})
        yield f"stages.{count - 1}" if count else "source", build(shorter, context)


def _described(spec: Any) -> Any:
    """TensorFlow's spec in the words of the static one."""
    if isinstance(spec, tf.data.DatasetSpec):
        return Nested(_described(spec.element_spec), tuple(spec._dataset_shape.as_list()))
    if isinstance(spec, Mapping):
        return {key: _described(inner) for key, inner in spec.items()}
    if isinstance(spec, tuple):
        return tuple(_described(inner) for inner in spec)
    kind = {"TensorSpec": "dense", "SparseTensorSpec": "sparse", "RaggedTensorSpec": "ragged"}[type(spec).__name__]
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return Tensor(spec.dtype.name, shape, kind)


def _plain(structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return {key: _plain(inner) for key, inner in structure.items()}
    if isinstance(structure, tuple):
        return tuple(_plain(inner) for inner in structure)
    if isinstance(structure, Nested):
        return Nested(_plain(structure.structure), structure.shape)
    return None if structure is None else Tensor(structure.dtype, structure.shape, structure.kind)


def _compare(loaded: LoadedSpec, folder: Path, unknown: set[str]) -> None:
    strict = element_specs(loaded.spec, loaded.base_dir, strict=True)
    for address, dataset in _built(loaded, folder):
        found = strict[address]
        if address in unknown:
            assert found.structure is None
        else:
            assert _plain(found.structure) == _described(dataset.element_spec), address
        cardinality = int(dataset.cardinality())
        if found.cardinality is not None:
            assert found.cardinality == cardinality, address
        else:
            assert cardinality == tf.data.UNKNOWN_CARDINALITY, address


def _by_module() -> dict[str, list[Function]]:
    """The functions that have a rule, by the module that their rule lies in."""
    found: dict[str, list[Function]] = {}
    for name, names in modules_of_functions().items():
        known = [called for each in names if each in rules() and (called := function(each)) is not None]
        if known:
            found[name] = known
    return found


FUNCTIONS = _by_module()
BLURRED = [(), (0,), (0, 1, 2, 3)]
"""Which dimensions of the inputs are not known."""
ENOUGH = 3
SHAPED = {"shape": [2, 3], "seed": [1, 2]}
MORE: dict[str, list[dict[str, Any]]] = {
    "tf.concat": [{"values": [tf.zeros([2, 3]), tf.ones([2, 4])], "axis": -1}],
    "tf.image.rot90": [{"image": tf.zeros([4, 6, 3]), "k": 2}, {"image": tf.zeros([4, 6, 3])}],
    "tf.ones": [{"shape": [2, 3]}, {"shape": [], "dtype": tf.int64}],
    "tf.random.normal": [{"shape": [2, 3]}],
    "tf.random.stateless_normal": [SHAPED],
    "tf.random.stateless_truncated_normal": [SHAPED],
    "tf.random.stateless_uniform": [SHAPED],
    "tf.random.truncated_normal": [{"shape": [2, 3], "dtype": tf.float64}],
    "tf.random.uniform": [{"shape": [2, 3], "maxval": 9, "dtype": tf.int64}],
    "tf.range": [{"start": tf.constant(3)}, {"start": tf.constant(3), "dtype": tf.int64}],
    "tf.stack": [{"values": [tf.zeros([2, 3]), tf.ones([2, 3])], "axis": 1}],
    "tf.split": [
        {"value": tf.zeros([4, 6]), "num_or_size_splits": 3, "axis": 1},
        {"value": tf.zeros([4, 6]), "num_or_size_splits": [1, 3]},
    ],
    "tf.zeros": [{"shape": [2, 3]}, {"shape": 4}],
}
"""Calls beside those that test_ops_tensorflow tries."""


def _constant(value: Any) -> Any:
    if isinstance(value, tf.DType):
        return value.name
    if isinstance(value, dict):
        return {key: _feature(inner) for key, inner in value.items()}
    return value


def _feature(value: Any) -> FeatureSpec:
    given = {key: inner for key, inner in value._asdict().items() if key in ("shape", "dtype")}
    return FeatureSpec(type(value).__name__, {key: _constant(inner) for key, inner in given.items()})


def _spec(value: Any, blurred: tuple[int, ...]) -> Any:
    spec = tf.type_spec_from_value(value)
    if not isinstance(spec, tf.TensorSpec):
        return spec
    return tf.TensorSpec([None if at in blurred else size for at, size in enumerate(spec.shape)], spec.dtype)


def _cases(called: Function) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Specs of inputs and constants that TensorFlow takes, as test_ops_tensorflow tries them."""
    for given, blurred in itertools.product(
        [*MORE.get(called.name, []), *itertools.islice(_calls(called), 30)], BLURRED
    ):
        inputs = {key: value for key, value in given.items() if _is_input(value)}
        constants = {key: value for key, value in given.items() if key not in inputs}
        yield {key: _specs(value, blurred) for key, value in inputs.items()}, constants


def _specs(value: Any, blurred: tuple[int, ...]) -> Any:
    return tuple(_spec(one, blurred) for one in value) if isinstance(value, list) else _spec(value, blurred)


def _traced(called: Function, inputs: dict[str, Any], constants: dict[str, Any]) -> Any:
    """What TensorFlow says comes out; None if it refuses."""

    def run(given: dict[str, Any]) -> Any:
        return resolve(called.name)(**given, **constants)

    try:
        if all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(inputs)):
            # A graph takes a tenth of the time of a function.
            with tf.Graph().as_default():
                placeholders = {key: tf.nest.map_structure(_placeholder, spec) for key, spec in inputs.items()}
                result = tf.nest.map_structure(tf.convert_to_tensor, run(placeholders))
        else:
            result = tf.function(run, autograph=False).get_concrete_function(inputs).structured_outputs
    except (TypeError, ValueError, AttributeError, IndexError, tf.errors.OpError):
        return None
    return tuple(result) if isinstance(result, list) else result


def _equal(static: Any, traced: Any) -> bool:
    """Whether everything that is said is so."""
    if static is None:
        return True
    if isinstance(static, Mapping):
        return static.keys() == traced.keys() and all(_equal(static[key], traced[key]) for key in static)
    if isinstance(static, tuple):
        return len(static) == len(traced) and all(map(_equal, static, traced))
    described = _described(traced if isinstance(traced, tf.TypeSpec) else tf.type_spec_from_value(traced))
    if static.dtype != described.dtype or static.kind != described.kind:
        return False
    if static.shape is None or described.shape is None:
        return static.shape is None
    sizes = zip(static.shape, described.shape, strict=False)
    return len(static.shape) == len(described.shape) and all(one in (None, other) for one, other in sizes)


@pytest.mark.parametrize("module", FUNCTIONS)
def test_rules_say_what_tensorflow_says(module: str) -> None:
    differences = {called.name: found for called in FUNCTIONS[module] if (found := _difference(called)) is not None}
    assert differences == {}


def _difference(called: Function) -> object:
    """The first case in which the rule and TensorFlow differ; ``None`` where they agree in several."""
    compared = 0
    for inputs, constants in _cases(called):
        given = Arguments(
            {key: _described(spec) for key, spec in inputs.items()},
            {key: _constant(value) for key, value in constants.items()},
            lambda _: None,
            strict=True,
        )
        try:
            found = rules()[called.name](given)
        except CannotInfer:
            continue
        traced = _traced(called, inputs, constants) if found is not None else None
        if traced is None:
            continue
        if not _equal(found, traced):
            return inputs, constants, found, traced
        compared += 1
        if compared == ENOUGH:
            break
    return None if compared else "nothing to compare"


@pytest.mark.parametrize("name", SPECS)
def test_says_what_tensorflow_says(name: str, made: Path) -> None:
    path = made / "spec.yaml"
    path.write_text("version: 1\n" + DATA + textwrap.dedent(SPECS[name]))
    _compare(load_spec(path), made, {address for spec, address in UNKNOWN if spec == name})


def _write_photos(folder: Path, count: int, size: tuple[int, int]) -> None:
    for index in range(count):
        path = folder / f"class_{index % 2}" / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(tf.io.encode_jpeg(tf.zeros([size[1], size[0], 3], tf.uint8)).numpy()))


def test_recipes_fill_in_what_comes_out(made: Path) -> None:
    path = made / "spec.yaml"
    stages = """
        source: {list_files: {file_pattern: "data:photos/*/*.jpg"}}
        stages:
          - map: {ops: [tf.io.read_file, tf.io.decode_jpeg]}
          - batch: {batch_size: 5}
    """
    path.write_text("version: 1\n" + DATA + textwrap.dedent(stages))
    _write_photos(made / "made" / "photos", 12, (64, 48))
    loaded = load_spec(path)
    context = BuildContext(loaded.base_dir, {"photos": made / "made" / "photos"})
    batches = list(build(loaded.spec, context))

    found = element_specs(loaded.spec, loaded.base_dir)["stages.1"]

    assert found.cardinality == len(batches) == 3
    assert found.structure.shape == tuple(batches[0].shape) == (5, 48, 64, 3)
