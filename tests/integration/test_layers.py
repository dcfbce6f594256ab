"""Keras layers and lookup tables: signatures, and what runs when they are called."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.test_ops_tensorflow import FORBIDDEN_WORDS, STATEFUL_ALLOWED, WRITTEN_FOR_THIS, is_stateful, operations

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.ops.functions.catalog import split_signature
from pipeprof.pipelines.ops.functions.layers import layer_table, layers
from pipeprof.pipelines.spec.models import Spec

pytestmark = pytest.mark.usefixtures("without_autograph")

# Random layers count their draws in a variable; tables are resources.
STATE = {
    "AssignAddVariableOp", "AssignVariableOp", "HashTableV2", "LookupTableFindV2", "LookupTableImportV2",
    "LookupTableSizeV2", "MutableHashTableV2", "ReadVariableOp", "VarHandleOp",
}  # fmt: skip
INSTALLED = [name for name in layer_table() if hasattr(tf.keras.layers, name.rpartition(".")[2])]
IMAGE = {"array": {"shape": [8, 8, 3], "dtype": "float32"}}
BATCH = {"images": {"array": {"shape": [2, 8, 8, 3]}}, "labels": {"array": {"shape": [2, 4]}}}
WORDS = {"a": ["x", "y"]}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "height": {"height": 4}, "width": {"width": 4}, "factor": {"factor": 0.5}, "num_bins": {"num_bins": 5},
    "bin_boundaries": {"bin_boundaries": [0.5]}, "mean": {"mean": [0.0, 1.0, 2.0]},
    "variance": {"variance": [1.0, 1.0, 4.0]},
    "height_factor": {"height_factor": 0.1}, "width_factor": {"width_factor": 0.1}, "scale": {"scale": 0.5},
    "vocabulary": {"vocabulary": ["x", "z"]}, "max_number": {"max_number": 3},
}  # fmt: skip
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
    spec = Spec.model_validate(
        {"version": 1, "source": {"from_tensors": {"tensors": tensors}}, "stages": [{"map": {"ops": list(ops)}}]}
    )
    context = BuildContext(folder or Path())
    load_arrays(spec, context)
    return build(spec, context)


@pytest.mark.parametrize("name", INSTALLED)
def test_layers_have_keras_signatures(name: str) -> None:
    layer = getattr(tf.keras.layers, name.rpartition(".")[2])
    parameters = list(inspect.signature(layer.__init__).parameters.values())[1:]
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    theirs = [
        each.name if each.default is each.empty else f"{each.name}={each.default!r}"
        for each in parameters
        if each.kind not in kinds
    ]
    if WRITTEN_FOR_THIS and tf.keras.__version__.startswith("3.15."):
        assert split_signature(layer_table()[name]) == theirs
    else:
        required = {part for part in split_signature(layer_table()[name]) if "=" not in part}
        assert {part for part in theirs if "=" not in part} == required


@pytest.mark.parametrize("name", INSTALLED)
def test_layers_write_nothing_and_run_no_python(name: str) -> None:
    tensors, given = SAMPLES.get(name.rpartition(".")[2], (IMAGE, {}))
    required = {each.name for each in layers()[name].parameters if each.required} - given.keys()
    arguments = {key: value for each in required for key, value in ARGUMENTS[each].items()}
    dataset = made(tensors, {name: arguments | given})
    assert next(iter(dataset)) is not None
    for operation in operations(_map_graph(dataset).as_graph_def()):
        assert not any(word in operation for word in FORBIDDEN_WORDS), operation
        assert not is_stateful(operation) or operation in STATEFUL_ALLOWED | STATE, operation


def _map_graph(dataset: Any) -> Any:
    """The graph of the function of a dataset's last stage."""
    return dataset._map_func.function.graph  # TensorFlow shows it nowhere else


def test_several_layers_with_words_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("b\na\n")
    words: dict[str, Any] = {"a": "a b a", "b": "a b a", "c": ["b"]}
    dataset = made(
        words,
        {"tf.keras.layers.TextVectorization": {"vocabulary": ["a", "b"], "on": "a"}},
        {"tf.keras.layers.TextVectorization": {"vocabulary": ["b", "a"], "output_sequence_length": 4, "on": "b"}},
        {"tf.keras.layers.StringLookup": {"vocabulary": "words.txt", "on": "c"}},
        folder=tmp_path,
    )
    found = {key: value.tolist() for key, value in next(dataset.as_numpy_iterator()).items()}
    assert found == {"a": [2, 3, 2], "b": [3, 2, 3, 0], "c": [1]}


def test_random_layers_follow_the_seed() -> None:
    def drawn(seed: int) -> list[bytes]:
        spec = Spec.model_validate(
            {
                "version": 1,
                "source": {"from_tensors": {"tensors": IMAGE}},
                "stages": [
                    {"repeat": {}},
                    {"map": {"ops": [{"tf.keras.layers.RandomFlip": {"mode": "horizontal", "training": True}}]}},
                ],
            }
        )
        context = BuildContext(Path(), seed=seed)
        load_arrays(spec, context)
        return [value.tobytes() for value in build(spec, context).take(20).as_numpy_iterator()]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 2


def test_training_decides_whether_layers_draw() -> None:
    dataset = made(
        IMAGE,
        {"to_tuple": [None, None]},
        {"tf.keras.layers.RandomFlip": {"mode": "horizontal", "on": 0, "training": False}},
    )
    before, after = next(dataset.repeat(1).as_numpy_iterator())
    assert (before == after).all()
