"""The tables of sources, stages, options and functions against the installed TensorFlow."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry  # the only place that knows which ops have state

from pipeprof.pipelines.ops import options as options_module
from pipeprof.pipelines.ops.base import Op, Source, sources, stages
from pipeprof.pipelines.ops.functions import Function, function, refusal, split_signature, table
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.signatures import WRITTEN_FOR, resolve, signature

WRITTEN_FOR_THIS = tf.__version__.startswith(WRITTEN_FOR + ".")

# Ops with state of their own that a function of the allowlist may still use: they draw random numbers, read one file or
# stop the pipeline when a value is wrong. None of them writes, talks to the outside or runs Python.
STATEFUL_ALLOWED = {
    "Assert", "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2", "RandomShuffle",
    "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "SampleDistortedBoundingBoxV2", "TruncatedNormal",
    "If", "While", "StatefulPartitionedCall",
}  # fmt: skip
FORBIDDEN_WORDS = (
    "PyFunc", "Write", "Print", "Save", "Restore", "Send", "Recv", "Rpc", "Summary", "Socket", "Delete", "Rename",
)  # fmt: skip

JPEG = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8))
PNG = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8))
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
]

# Arguments that a parameter of this name takes in every function that requires it.
BY_NAME: dict[str, Any] = {
    "axis": 0, "shape": [2, 2], "size": [4, 4], "dtype": tf.float32, "out_type": tf.float32, "repeats": 2,
    "target_height": 4, "target_width": 4, "offset_height": 1, "offset_width": 1, "central_fraction": 0.5,
    "delta": 0.1, "max_delta": 0.2, "contrast_factor": 1.5, "saturation_factor": 1.5, "lower": 0.5, "upper": 1.5,
    "seed": [1, 2], "min_jpeg_quality": 50, "max_jpeg_quality": 90, "jpeg_quality": 70, "num_buckets": 10,
    "pattern": "a", "rewrite": "b", "input_encoding": "UTF-8", "output_encoding": "UTF-8", "key": [1, 2],
    "ngram_width": 2, "depth": 3, "multiples": [1, 1], "paddings": [[0, 0], [0, 0]], "clip_value_min": 0.0,
    "clip_value_max": 1.0, "clip_norm": 1.0, "num_segments": 2, "frame_length": 4, "frame_step": 2,
}  # fmt: skip

IMAGE = INPUTS[0]
BATCH = INPUTS[11]
VECTOR = INPUTS[1]
MATRIX = INPUTS[2]
BOXES = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
STFT = tf.zeros([3, 5], tf.complex64)
SEQUENCE_FEATURES = {"s": tf.io.FixedLenSequenceFeature([], tf.int64)}

# Whole calls of functions whose arguments fit nothing else.
SAMPLES: dict[str, dict[str, Any]] = {
    "tf.audio.decode_wav": {"contents": tf.audio.encode_wav(tf.zeros([4, 1]), 8000)},
    "tf.audio.encode_wav": {"audio": tf.zeros([4, 1]), "sample_rate": 8000},
    "tf.bitcast": {"input": VECTOR, "type": tf.int32},
    "tf.constant": {"value": [1, 2]},
    "tf.fill": {"dims": [2], "value": 1.0},
    "tf.gather_nd": {"params": MATRIX, "indices": [[0, 1]]},
    "tf.image.crop_and_resize": {"image": BATCH, "boxes": BOXES[0], "box_indices": [0], "crop_size": [2, 2]},
    "tf.image.extract_patches": {
        "images": BATCH, "sizes": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "rates": [1, 1, 1, 1], "padding": "VALID",
    },
    "tf.image.grayscale_to_rgb": {"images": IMAGE[..., :1]},
    "tf.image.pad_to_bounding_box": {
        "image": IMAGE, "offset_height": 1, "offset_width": 1, "target_height": 12, "target_width": 12,
    },
    "tf.image.sample_distorted_bounding_box": {"image_size": [8, 8, 3], "bounding_boxes": BOXES},
    "tf.image.stateless_random_saturation": {"image": IMAGE, "lower": 0.5, "upper": 1.5, "seed": [1, 2]},
    "tf.image.stateless_sample_distorted_bounding_box": {
        "image_size": [8, 8, 3], "bounding_boxes": BOXES, "seed": [1, 2],
    },
    "tf.io.decode_and_crop_jpeg": {"contents": JPEG, "crop_window": [0, 0, 4, 4]},
    "tf.io.decode_csv": {"records": "1,2", "record_defaults": [0.0, 0.0]},
    "tf.io.parse_example": {"serialized": tf.constant([EXAMPLE]), "features": FEATURES},
    "tf.io.parse_single_example": {"serialized": tf.constant(EXAMPLE), "features": FEATURES},
    "tf.io.parse_sequence_example": {"serialized": tf.constant([SEQUENCE]), "sequence_features": SEQUENCE_FEATURES},
    "tf.io.parse_single_sequence_example": {
        "serialized": tf.constant(SEQUENCE), "sequence_features": SEQUENCE_FEATURES,
    },
    "tf.math.in_top_k": {"targets": [0, 1], "predictions": MATRIX, "k": 1},
    "tf.nn.avg_pool": {"input": BATCH, "ksize": 2, "strides": 2, "padding": "VALID"},
    "tf.nn.max_pool": {"input": BATCH, "ksize": 2, "strides": 2, "padding": "VALID"},
    "tf.nn.moments": {"x": MATRIX, "axes": [0]},
    "tf.random.categorical": {"logits": MATRIX, "num_samples": 1},
    "tf.random.gamma": {"shape": [2], "alpha": 1.0},
    "tf.random.stateless_categorical": {"logits": MATRIX, "num_samples": 1, "seed": [1, 2]},
    "tf.reverse_sequence": {"input": MATRIX, "seq_lengths": [1, 2], "seq_axis": 1},
    "tf.scatter_nd": {"indices": [[0]], "updates": [1.0], "shape": [2]},
    "tf.signal.inverse_stft": {"stfts": STFT, "frame_length": 8, "frame_step": 4},
    "tf.slice": {"input_": MATRIX, "begin": [0, 0], "size": [1, 1]},
    "tf.sparse.fill_empty_rows": {"sp_input": SPARSE, "default_value": 0.0},
    "tf.sparse.slice": {"sp_input": SPARSE, "start": [0, 0], "size": [1, 1]},
    "tf.strided_slice": {"input_": MATRIX, "begin": [0, 0], "end": [1, 1]},
    "tf.strings.join": {"inputs": ["a", "b"]},
    "tf.strings.substr": {"input": "abc", "pos": 0, "len": 1},
    "tf.tensor_scatter_nd_add": {"tensor": VECTOR, "indices": [[0]], "updates": [1.0]},
    "tf.tensor_scatter_nd_update": {"tensor": VECTOR, "indices": [[0]], "updates": [1.0]},
    "tf.tensordot": {"a": MATRIX, "b": MATRIX, "axes": 1},
}  # fmt: skip


def _calls(called: Function) -> Iterator[dict[str, Any]]:
    """Keyword arguments to try, one call after the other."""
    given = SAMPLES.get(called.name, {})
    required = [parameter.name for parameter in called.parameters if parameter.required]
    missing = [name for name in required if name not in given]
    if not missing:
        yield given
    for value in INPUTS:
        first = [value, value] if called.takes_list else value
        named = {name: BY_NAME.get(name, value) for name in missing}
        yield given | named | ({missing[0]: first} if missing else {})
        yield given | dict.fromkeys(missing, value) | ({missing[0]: first} if missing else {})


def _trace(called: Function, arguments: dict[str, Any]) -> Any:
    """The graph of one call, with its tensors as the graph's inputs."""
    tensors = {name: value for name, value in arguments.items() if tf.is_tensor(value) and name != "key"}
    constants = {name: value for name, value in arguments.items() if name not in tensors}

    @tf.function(autograph=False)
    def run(inputs: dict[str, Any]) -> Any:
        return resolve(called.name)(**inputs, **constants)

    return run.get_concrete_function(tensors).graph


def _operations(graph: Any) -> set[str]:
    """Types of all ops, those in functions included."""
    found = {node.op for node in graph.as_graph_def().node}
    for inner in graph.as_graph_def().library.function:
        found |= {node.op for node in inner.node_def}
    return found


def _traced(called: Function) -> Any:
    problems = []
    for arguments in itertools.islice(_calls(called), 40):
        try:
            return _trace(called, arguments)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, tf.errors.OpError) as problem:
            problems.append(f"{type(problem).__name__}: {str(problem)[:200]}")
    pytest.fail(f"{called.name}: no sample fits: {problems[:3]}")


@pytest.mark.parametrize("name", sorted(table()))
def test_functions_write_nothing_open_nothing_and_run_no_python(name: str) -> None:
    called = function(name)
    assert called is not None
    operations = _operations(_traced(called))
    for operation in operations:
        assert not any(word in operation for word in FORBIDDEN_WORDS), operation
        assert not _is_stateful(operation) or operation in STATEFUL_ALLOWED, operation


def _is_stateful(operation: str) -> bool:
    described = op_def_registry.get(operation)
    return described is not None and described.is_stateful


def test_the_check_sees_what_it_forbids() -> None:
    @tf.function(autograph=False)
    def writes(text: Any) -> Any:
        tf.io.write_file("out", text)
        return tf.numpy_function(lambda value: value, [text], tf.string)

    found = _operations(writes.get_concrete_function(tf.TensorSpec([], tf.string)).graph)
    assert {"WriteFile", "PyFunc"} <= found
    assert all(any(word in operation for word in FORBIDDEN_WORDS) for operation in ("WriteFile", "PyFunc"))
    assert _is_stateful("WriteFile")


@pytest.mark.parametrize("name", sorted(table()))
def test_functions_have_tensorflows_signatures(name: str) -> None:
    assert refusal(name) is None
    if WRITTEN_FOR_THIS:
        assert signature(name) == table()[name]
    else:
        installed = {part.partition("=")[0] for part in split_signature(signature(name))}
        called = function(name)
        assert called is not None
        assert {parameter.name for parameter in called.parameters if parameter.required} <= installed


def _parameters(name: str, kind: type[Op]) -> dict[str, Any]:
    """TensorFlow's parameters of a source or stage with their defaults."""
    if name == "range":
        # TensorFlow takes these by position, through *args.
        return {"start": 0, "stop": inspect.Parameter.empty, "step": 1, "output_type": None, "name": None}
    if name == "zip":
        # And these as either *args or a keyword.
        return {"datasets": inspect.Parameter.empty, "name": None}
    if name == "concatenate" and issubclass(kind, Source):
        return {"datasets": inspect.Parameter.empty, "name": None}
    holder = tf
    for part in kind.holder.split(".")[1:]:
        holder = getattr(holder, part)
    called = getattr(holder, name)
    parameters = inspect.signature(called.__init__ if isinstance(called, type) else called).parameters
    return {
        key: parameter.default.name if isinstance(parameter.default, tf.DType) else parameter.default
        for key, parameter in parameters.items()
        if key != "self"
    }


# Functions, which pipeprof has a second way to write.
WRITTEN_BY_US = ("name", "map_func", "predicate", "generator", "scan_func", "transformation_func")


# tfds.load of tensorflow_datasets 4.9, which need not be installed; decoders and the like are Python objects.
TFDS = {"name", "split", "data_dir", "batch_size", "shuffle_files", "download", "as_supervised", "read_config"}
OURS = {name: kind for name, kind in sources().items() if not kind.holder.startswith("tf.")}


def test_sources_that_are_not_tensorflows() -> None:
    assert OURS.keys() == {"tfds.load", "python"}
    assert set(OURS["tfds.load"].model_fields) == TFDS
    assert set(OURS["python"].model_fields) == {"name", "function"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name, kind in (*sources().items(), *stages().items()) if kind not in OURS.values()],
)
def test_sources_and_stages_have_tensorflows_arguments(name: str, kind: type[Op]) -> None:
    theirs = _parameters(name, kind)
    ours = kind.model_fields
    additions = {"name", "ops", "python", "source", "stages", "on"} - theirs.keys()
    assert kind.takes_name == ("name" in theirs)
    assert set(theirs) - {"name"} <= set(ours)
    if WRITTEN_FOR_THIS:
        assert set(ours) - additions == set(theirs) - {"name"} | ({"name"} & theirs.keys())
        for key, default in theirs.items():
            written_by_us = key in WRITTEN_BY_US
            field = ours[key]
            if not written_by_us:
                assert field.is_required() == (default is inspect.Parameter.empty), key
                assert field.is_required() or field.default == default, key


# Methods and static methods that make no dataset, or are no part of a pipeline.
NO_STAGES = {
    "as_numpy_iterator", "cardinality", "element_spec", "fingerprint", "get_single_element", "options", "reduce",
    "save",
}  # fmt: skip
# Names that tf.data has moved to Dataset, and functions that take a dataset and give none.
NOT_FOR_A_SPEC = {
    "Counter", "RandomDataset", "at", "bucket_by_sequence_length", "cardinality", "choose_from_datasets",
    "dense_to_ragged_batch", "dense_to_sparse_batch", "distributed_save", "enable_debug_mode", "enumerate_dataset",
    "from_list", "from_variant", "get_model_proto", "get_next_as_optional", "get_single_element", "get_structure",
    "group_by_reducer", "group_by_window", "ignore_errors", "index_table_from_dataset", "load",
    "make_saveable_from_iterator", "map_and_batch", "parallel_interleave", "rejection_resample",
    "sample_from_datasets", "save", "scan", "shuffle_and_repeat", "snapshot", "table_from_dataset", "take_while",
    "to_variant", "unbatch", "unique",
}  # fmt: skip


def test_every_method_that_makes_a_dataset_is_a_source_or_stage() -> None:
    known = {**sources(), **stages()}
    theirs = {name for name in dir(tf.data.Dataset) if not name.startswith("_")}
    assert theirs - NO_STAGES <= known.keys()
    mine = {name for name, kind in known.items() if kind.holder == "tf.data.Dataset"}
    if WRITTEN_FOR_THIS:
        assert mine <= theirs
        experimental = {name for name in dir(tf.data.experimental) if callable(getattr(tf.data.experimental, name))}
        functions = {name for name in experimental if name[0].islower() or name.endswith("Dataset")}
        assert functions - NOT_FOR_A_SPEC == {
            name for name, kind in known.items() if kind.holder == "tf.data.experimental"
        }


def test_options_are_tensorflows() -> None:
    left_out = {"experimental_deterministic", "experimental_threading", "experimental_service"}
    newer = {"min_parallelism"}

    def properties(options: Any) -> set[str]:
        return {name for name, value in vars(type(options)).items() if isinstance(value, property)}

    def compare(model: type[Closed], options: Any) -> None:
        theirs = properties(options) - left_out
        ours = set(model.model_fields)
        assert ours == theirs if WRITTEN_FOR_THIS else ours - newer <= theirs

    options = tf.data.Options()
    compare(options_module.Options, options)
    compare(options_module.Autotune, options.autotune)
    compare(options_module.Threading, options.threading)
    compare(options_module.Optimization, options.experimental_optimization)
    compare(options_module.Distribute, options.experimental_distribute)
