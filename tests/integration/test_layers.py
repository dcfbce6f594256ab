"""Keras layers: signatures, and what runs when they are called."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.test_ops_tensorflow import WRITTEN_FOR_THIS, is_refused, operations

from pipeprof.pipelines.build.allowlist import parameters
from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.operations import layers, parameters_of

pytestmark = pytest.mark.usefixtures("without_autograph")

# Random layers count their draws in a variable; tables are resources.
STATE = {
    "AssignAddVariableOp", "AssignVariableOp", "HashTableV2", "LookupTableFindV2", "LookupTableImportV2",
    "LookupTableSizeV2", "MutableHashTableV2", "ReadVariableOp", "VarHandleOp",
}  # fmt: skip
INSTALLED = [name for name in layers() if hasattr(tf.keras.layers, name.rpartition(".")[2])]
IMAGE = {"array": {"shape": [8, 8, 3], "dtype": "float32"}}
BATCH = {"images": {"array": {"shape": [2, 8, 8, 3]}}, "labels": {"array": {"shape": [2, 4]}}}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "height": {"height": 4}, "width": {"width": 4}, "factor": {"factor": 0.5}, "num_bins": {"num_bins": 5},
    "bin_boundaries": {"bin_boundaries": [0.5]}, "mean": {"mean": [0.0, 1.0, 2.0]},
    "variance": {"variance": [1.0, 1.0, 4.0]},
    "height_factor": {"height_factor": 0.1}, "width_factor": {"width_factor": 0.1}, "scale": {"scale": 0.5},
    "vocabulary": {"vocabulary": ["x", "z"]}, "max_number": {"max_number": 3},
}  # fmt: skip
LEARNED = {"bin_boundaries", "mean", "variance", "vocabulary"}
"""What `adapt` would find in data."""
SAMPLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "CategoryEncoding": ([0, 2], {"num_tokens": 4}),
    "CutMix": (BATCH, {"training": True}),
    "Discretization": ([0.1, 0.7], {}),
    "HashedCrossing": ({"a": ["x", "y"], "b": ["z", "x"]}, {"on": ["a", "b"], "to": "c"}),
    "Hashing": (["x", "y"], {}),
    "IntegerLookup": ([1, 2], {"vocabulary": [2, 3]}),
    "MelSpectrogram": ({"array": {"shape": [4000]}}, {}),
    "MixUp": (BATCH, {"training": True}),
    "RandomColorJitter": (IMAGE, {"brightness_factor": 0.2}),
    "RandomPosterization": (IMAGE, {"factor": 4}),
    "StringLookup": (["x", "y"], {}),
    "TextVectorization": (["x y", "y"], {}),
}


def made(tensors: Any, *ops: Any, folder: Path | None = None) -> Any:
    spec = {"version": 1, "source": {"from_tensors": {"tensors": tensors}}, "stages": [{"map": {"ops": list(ops)}}]}
    context = BuildContext(folder or Path())
    load_arrays(spec, context)
    return build(spec, context)


@pytest.mark.parametrize("name", INSTALLED)
def test_layers_have_keras_signatures(name: str) -> None:
    layer = getattr(tf.keras.layers, name.rpartition(".")[2])
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    installed = {
        one.name: None if one.default is one.empty else repr(one.default)
        for one in list(inspect.signature(layer.__init__).parameters.values())[1:]
        if one.kind not in kinds
    }
    written = parameters_of(layers()[name])
    if WRITTEN_FOR_THIS and tf.keras.__version__.startswith("3.15."):
        assert written == installed
    else:
        assert {key for key, default in written.items() if default is None} <= installed.keys()


@pytest.mark.parametrize("name", INSTALLED)
def test_layers_write_nothing_and_run_no_python(name: str) -> None:
    tensors, given = SAMPLES.get(name.rpartition(".")[2], (IMAGE, {}))
    needed = [each for each, default in parameters(name).items() if default is None or each in LEARNED]
    arguments = {key: value for each in needed if each not in given for key, value in ARGUMENTS[each].items()}
    dataset = made(tensors, {name: arguments | given})
    assert next(iter(dataset)) is not None
    # TensorFlow shows the graph of a stage's function nowhere else.
    for operation in operations(dataset._map_func.function.graph.as_graph_def()):
        assert operation in STATE or not is_refused(operation), operation
