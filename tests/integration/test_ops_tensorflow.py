"""The tables of sources, stages, options and functions against the installed TensorFlow."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
from integration.function_samples import BY_NAME, INPUTS, SAMPLES, modules_of_functions
from tensorflow.python.framework import op_def_registry  # the only place that knows which ops have state

from pipeprof.pipelines.build.allowlist import TAKES_LIST, WRITTEN_FOR, UnknownFunctionError, parameters, resolve
from pipeprof.pipelines.spec.operations import functions, mappings, parameters_of, sources, stages
from pipeprof.pipelines.tables import read_table

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


def _calls(name: str) -> Iterator[dict[str, Any]]:
    """Keyword arguments to try, one call after the other."""
    given = SAMPLES.get(name, {})
    missing = [key for key, default in parameters(name).items() if default is None and key not in given]
    if not missing:
        yield given
    for value in INPUTS:
        first = [value, value] if name in TAKES_LIST else value
        named = {key: BY_NAME.get(key, value) for key in missing}
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


def traced(name: str) -> frozenset[str]:
    """The ops of the first call that TensorFlow takes."""
    problems = []
    for given in _calls(name):
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


INSTALLED = sorted(name for name in functions() if _is_there(name))
MODULES = {
    module: [name for name in names if name in set(INSTALLED)] for module, names in modules_of_functions().items()
}


def test_only_an_older_tensorflow_lacks_functions() -> None:
    missing = functions().keys() - set(INSTALLED)
    assert not missing or not WRITTEN_FOR_THIS
    assert len(missing) < 20


def is_refused(operation: str) -> bool:
    described = op_def_registry.get(operation)
    stateful = described is not None and described.is_stateful
    return any(word in operation for word in FORBIDDEN_WORDS) or (stateful and operation not in STATEFUL_ALLOWED)


@pytest.mark.parametrize("module", MODULES)
def test_functions_write_nothing_open_nothing_and_run_no_python(module: str) -> None:
    refused = {name: sorted(filter(is_refused, traced(name))) for name in MODULES[module]}
    assert {name: found for name, found in refused.items() if found} == {}


def test_the_check_sees_what_it_forbids() -> None:
    @tf.function(autograph=False)
    def writes(text: Any) -> Any:
        tf.io.write_file("out", text)
        return tf.numpy_function(lambda value: value, [text], tf.string)

    found = operations(writes.get_concrete_function(tf.TensorSpec([], tf.string)).graph.as_graph_def())
    assert {"WriteFile", "PyFunc"} <= set(filter(is_refused, found))
    # Though its name holds no forbidden word.
    assert is_refused("RandomDataset")


def _text(value: Any) -> str:
    dtype = getattr(value, "as_numpy_dtype", None)
    return f"tf.{value.name}" if dtype is not None else repr(value)


def _signature(function: Any) -> dict[str, str | None]:
    """The parameters of a function with their defaults as text, without those whose default is a function."""
    found: dict[str, str | None] = {}
    called = function.__init__ if isinstance(function, type) else function
    for parameter in inspect.signature(called).parameters.values():
        default = parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name == "self":
            continue
        if default is parameter.empty:
            found[parameter.name] = None
        elif not callable(default) or hasattr(default, "name"):
            found[parameter.name] = _text(default)
    return found


def assert_signature(name: str, written: dict[str, str | None], installed: dict[str, str | None]) -> None:
    """A newer TensorFlow may have more parameters than the tables say, and other defaults."""
    if WRITTEN_FOR_THIS:
        assert [*installed.items()] == [*written.items()], name
    else:
        assert {key for key, default in written.items() if default is None} <= installed.keys(), name


@pytest.mark.parametrize("module", MODULES)
def test_functions_have_tensorflows_signatures(module: str) -> None:
    for name in MODULES[module]:
        called = resolve(name)
        bound = "self" in inspect.signature(called).parameters and not isinstance(called, type)
        assert_signature(name, parameters(name), {**({"self": None} if bound else {}), **_signature(called)})


# TensorFlow takes these by position, through *args; and tfds.load need not be installed.
NOT_BY_SIGNATURE = {("sources", "range"), ("sources", "zip"), ("sources", "concatenate"), ("sources", "tfds.load")}


def test_sources_and_stages_have_tensorflows_signatures() -> None:
    for section, rows in (("sources", sources()), ("stages", stages())):
        table = read_table("pipeprof.pipelines.spec", "operations")[section]
        for op, row in rows.items():
            if row.holder and (section, op) not in NOT_BY_SIGNATURE:
                installed = _signature(operator.attrgetter(f"{row.holder}.{op}".removeprefix("tf."))(tf))
                assert_signature(op, parameters_of(table[op]["signature"]), installed)


# Methods and static methods that make no dataset, or are no part of a pipeline.
NO_STAGES = {
    "as_numpy_iterator", "cardinality", "element_spec", "fingerprint", "get_single_element", "options", "reduce",
    "save",
}  # fmt: skip


def test_every_method_that_makes_a_dataset_is_a_source_or_stage() -> None:
    theirs = {name for name in dir(tf.data.Dataset) if not name.startswith("_")}
    assert theirs - NO_STAGES <= {**sources(), **stages()}.keys()


def test_options_and_features_are_tensorflows() -> None:
    left_out = {"experimental_deterministic", "experimental_threading", "experimental_service"}
    options = tf.data.Options()
    parts = {
        "options": options,
        "autotune": options.autotune,
        "threading": options.threading,
        "optimization": options.experimental_optimization,
        "distribute": options.experimental_distribute,
    }
    for name, part in parts.items():
        theirs = {key for key, value in vars(type(part)).items() if isinstance(value, property)} - left_out
        ours = set(mappings()[name])
        assert ours == theirs if WRITTEN_FOR_THIS else ours - {"min_parallelism"} <= theirs
    for name in ("FixedLenFeature", "VarLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature"):
        assert set(mappings()[name]) <= inspect.signature(getattr(tf.io, name)).parameters.keys()
