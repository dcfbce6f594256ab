"""The tables of sources, stages, options and functions against the installed TensorFlow."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import tensorflow as tf
from integration.function_samples import BY_NAME, INPUTS, SAMPLES, modules_of_functions
from tensorflow.python.framework import op_def_registry  # the only place that knows which ops have state

from pipeprof.pipelines.build.signatures import WRITTEN_FOR, UnknownFunctionError, resolve, signature
from pipeprof.pipelines.ops.base import Op, Source, sources, stages
from pipeprof.pipelines.ops.functions.catalog import Function, function, refusal, split_signature, table
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.values import options as options_module

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


def _is_input(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_input, value))
    return tf.is_tensor(value) or isinstance(value, tf.SparseTensor | tf.RaggedTensor)


def _placeholder(spec: tf.TensorSpec | tf.Tensor) -> tf.Tensor:
    return tf.compat.v1.placeholder(spec.dtype, spec.shape)


def _graph_of(function: Any, inputs: dict[str, Any], constants: dict[str, Any]) -> Any:
    """The graph of a call; of tensors alone without a function, which takes ten times as long."""
    if not all(isinstance(one, tf.Tensor) for one in tf.nest.flatten(inputs)):
        traced = tf.function(lambda given: function(**given, **constants), autograph=False)
        return traced.get_concrete_function(inputs).graph.as_graph_def()
    with tf.Graph().as_default() as graph:
        function(**tf.nest.map_structure(_placeholder, inputs), **constants)
    return graph.as_graph_def()


def operations(graph: Any) -> set[str]:
    """Types of all ops, those in functions included."""
    return {node.op for nodes in (graph.node, *(one.node_def for one in graph.library.function)) for node in nodes}


@cache
def _traced(name: str) -> frozenset[str]:
    """The ops of the first call that TensorFlow takes."""
    called = function(name)
    assert called is not None, name
    problems = []
    for given in itertools.islice(_calls(called), 40):
        inputs = {key: value for key, value in given.items() if _is_input(value) and key != "key"}
        constants = {key: value for key, value in given.items() if key not in inputs}
        try:
            return frozenset(operations(_graph_of(resolve(name), inputs, constants)))
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, tf.errors.OpError) as problem:
            problems.append(f"{type(problem).__name__}: {str(problem)[:200]}")
    pytest.fail(f"{name}: no sample fits: {problems[:3]}")


def _is_there(name: str) -> bool:
    try:
        return callable(resolve(name))
    except UnknownFunctionError:
        return False


INSTALLED = sorted(name for name in table() if _is_there(name))
MODULES = {
    module: [name for name in names if name in set(INSTALLED)] for module, names in modules_of_functions().items()
}


def test_only_an_older_tensorflow_lacks_functions() -> None:
    missing = table().keys() - set(INSTALLED)
    assert not missing or not WRITTEN_FOR_THIS
    assert len(missing) < 20


@pytest.mark.parametrize("module", MODULES)
def test_functions_write_nothing_open_nothing_and_run_no_python(module: str) -> None:
    refused = {name: found for name in MODULES[module] if (found := _refused_operations(name))}
    assert refused == {}


def _refused_operations(name: str) -> list[str]:
    return [
        operation
        for operation in sorted(_traced(name))
        if any(word in operation for word in FORBIDDEN_WORDS)
        or (is_stateful(operation) and operation not in STATEFUL_ALLOWED)
    ]


def is_stateful(operation: str) -> bool:
    described = op_def_registry.get(operation)
    return described is not None and described.is_stateful


def test_the_check_sees_what_it_forbids() -> None:
    @tf.function(autograph=False)
    def writes(text: Any) -> Any:
        tf.io.write_file("out", text)
        return tf.numpy_function(lambda value: value, [text], tf.string)

    found = operations(writes.get_concrete_function(tf.TensorSpec([], tf.string)).graph.as_graph_def())
    assert {"WriteFile", "PyFunc"} <= found
    assert all(any(word in operation for word in FORBIDDEN_WORDS) for operation in ("WriteFile", "PyFunc"))
    assert is_stateful("WriteFile")


@pytest.mark.parametrize("module", MODULES)
def test_functions_have_tensorflows_signatures(module: str) -> None:
    assert [name for name in MODULES[module] if refusal(name) is not None] == []
    if WRITTEN_FOR_THIS:
        assert {name: signature(name) for name in MODULES[module]} == {name: table()[name] for name in MODULES[module]}
        return
    for name in MODULES[module]:
        installed = {part.partition("=")[0] for part in split_signature(signature(name))}
        called = function(name)
        assert called is not None, name
        assert {parameter.name for parameter in called.parameters if parameter.required} <= installed, name


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
    assert set(OURS["python"].model_fields) == {"name", "function", "without"}


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
