"""Calls of their own form inside of chains, as TensorFlow runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.graph.error_stage import call_path
from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.spec.models import Spec

FUNCTIONS = """
import numpy as np
import tensorflow as tf

def positive(x):
    if tf.reduce_sum(x) > 0:
        return x * 2
    return x

def both(a, b):
    return a + b, a - b

def named(low, high):
    return high - low

def triple(x):
    return (x * 3).astype(np.float32)

def broken(x):
    raise ValueError("no such thing")
"""
IMAGE = {"array": {"shape": [6, 6, 3], "dtype": "float32", "fill": "random"}}
ADD = {"tf.math.add": {"y": 1}}
TENFOLD = {"tf.math.multiply": {"y": 10}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Python functions and a vocabulary."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "words.txt").write_text("a\nb\nc\n")
    return tmp_path


def dataset(folder: Path, tensors: Any, *ops: Any, seed: int | None = None, **arguments: Any) -> Any:
    spec = Spec.model_validate(
        {
            "version": 1,
            "source": {"from_tensors": {"tensors": tensors}},
            "stages": [{"repeat": {}}, {"map": {"ops": list(ops), **arguments}}],
        }
    )
    context = BuildContext(folder, seed=seed)
    load_arrays(spec, context)
    return build(spec, context)


def first(folder: Path, tensors: Any, *ops: Any) -> Any:
    return next(dataset(folder, tensors, *ops).as_numpy_iterator())


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(inner) for inner in value)
    return value.tolist() if hasattr(value, "tolist") else value


RESULTS: dict[str, tuple[Any, list[Any], Any]] = {
    "by name": ({"a": 1, "b": 3}, [{"tf.math.subtract": {"on": {"x": "b", "y": "a"}, "to": "d"}}, {"select": "d"}], 2),
    "several results": (
        {"a": [1, 2]},
        [{"tf.split": {"num_or_size_splits": 2, "on": "a", "to": ["p", "q"]}}],
        {"a": [1, 2], "p": [1], "q": [2]},
    ),
    "a list becomes a tuple": ([1, 2], [{"tf.unstack": {"num": 2}}], (1, 2)),
    "a list inside of a mapping": (
        {"a": [1, 2]},
        [{"tf.unstack": {"num": 2, "on": "a"}}, {"to_dict": {"b": "a.1"}}],
        {"b": 2},
    ),
    "select": ({"a": 1, "b": 2, "c": 3}, [{"select": ["c", "a"]}], {"c": 3, "a": 1}),
    "select indices": ([IMAGE, 1, 2], [{"select": [2, 1]}], (2, 1)),
    "select one": ({"a": {"b": 5}}, [{"select": "a.b"}], 5),
    "drop": ({"a": 1, "b": 2}, [{"drop": ["a"]}], {"b": 2}),
    "drop an index": ([IMAGE, 1, 2], [{"drop": 0}], (1, 2)),
    "rename": ({"a": 1, "b": 2}, [{"rename": {"a": "b", "b": "a"}}], {"b": 1, "a": 2}),
    "to_tuple": ({"a": 1, "b": 2}, [{"to_tuple": ["b", {"x": ["a"]}]}], (2, {"x": (1,)})),
    "the element twice": (7, [{"to_tuple": [None, None]}], (7, 7)),
    "to_dict": ({"a": 1, "b": 2}, [{"to_dict": {"x": {"y": "b"}}}], {"x": {"y": 2}}),
    "to_dict of a tuple": ({"a": 1, "b": 2}, [{"to_tuple": ["a", "b"]}, {"to_dict": ["x", "y"]}], {"x": 1, "y": 2}),
    "to_dict of a tensor": (7, [{"to_dict": ["x"]}], {"x": 7}),
    "copy": ({"a": 1}, [{"copy": {"on": "a", "to": "b"}}, {"tf.math.add": {"y": 1, "on": "b"}}], {"a": 1, "b": 2}),
    "getitem": ([[1, 2, 3], [4, 5, 6]], [{"getitem": "..., :2"}], [[1, 2], [4, 5]]),
    "getitem by fields": ({"a": [1, 2, 3], "n": 2}, [{"getitem": {"key": ":n", "on": "a"}}, {"select": "a"}], [1, 2]),
    "getitem with a new axis": ([1, 2], [{"getitem": "tf.newaxis, ::-1"}], [[2, 1]]),
    "einsum": (
        {"a": [[1, 2], [3, 4]], "b": [1, 10]},
        [{"tf.einsum": {"equation": "ij,j->i", "on": ["a", "b"], "to": "c"}}, {"select": "c"}],
        [21, 43],
    ),
    "einsum of one": ([[1, 2], [3, 4]], [{"tf.einsum": {"equation": "ij->ji"}}], [[1, 3], [2, 4]]),
    "meshgrid": (
        {"x": [1, 2], "y": [3]},
        [{"tf.meshgrid": {"on": ["x", "y"], "indexing": "ij", "to": ["x", "y"]}}],
        {"x": [[1], [2]], "y": [[3], [3]]},
    ),
    "cond by a field": (
        {"a": 1, "b": 2},
        [{"tf.cond": {"pred": [{"tf.equal": {"on": "b", "y": 2}}], "on": "a", "true_fn": [TENFOLD]}}],
        {"a": 10, "b": 2},
    ),
    "cond always": (1, [{"tf.cond": {"probability": 1, "true_fn": [ADD], "false_fn": [TENFOLD]}}], 2),
    "cond never": (1, [{"tf.cond": {"probability": 0, "true_fn": [ADD], "false_fn": [TENFOLD]}}], 10),
    "cond on two fields": (
        {"a": 1, "b": 2},
        [{"tf.cond": {"probability": 1, "on": ["a", "b"], "true_fn": [{"to_tuple": [1, 0]}]}}],
        {"a": 2, "b": 1},
    ),
    "switch_case": (
        {"a": 1, "b": 2},
        [{"tf.switch_case": {"branch_index": [{"select": "b"}], "on": "a", "branch_fns": [[], [ADD], [TENFOLD]]}}],
        {"a": 10, "b": 2},
    ),
    "map_fn": (["1", "2"], [{"tf.map_fn": {"fn": ["tf.strings.to_number"], "fn_output_signature": "float32"}}], [1, 2]),
    "map_fn to several": (
        [1, 2],
        [{"tf.map_fn": {"fn": [{"to_tuple": [None, None]}], "fn_output_signature": ["int32", "int32"]}}],
        ([1, 2], [1, 2]),
    ),
    "vectorized_map": ([[1, 2], [3, 4]], [{"tf.vectorized_map": {"fn": ["tf.reduce_sum"]}}], [3, 7]),
    "map_flat_values": (
        "b a",
        ["tf.strings.bytes_split", {"tf.expand_dims": {"axis": 0}}, {"tf.RaggedTensor.from_tensor": {}},
         {"tf.ragged.map_flat_values": {"op": ["tf.strings.upper"]}}, "tf.RaggedTensor.to_tensor"],
        [[b"B", b" ", b"A"]],
    ),
    "python": ([1.0, 2.0], [{"python": "functions.py:positive"}], [2, 4]),
    "python on fields": (
        {"a": 3, "b": 1},
        [{"python": {"function": "functions.py:both", "on": ["a", "b"], "to": ["c", "d"]}}, {"select": ["c", "d"]}],
        {"c": 4, "d": 2},
    ),
    "python by name": (
        {"a": 3, "b": 1},
        [{"python": {"function": "functions.py:named", "on": {"high": "a", "low": "b"}, "to": "c"}}, {"select": "c"}],
        2,
    ),
    "numpy_function": ([1.0, 2.0], [{"tf.numpy_function": {"func": "functions.py:triple", "Tout": "float32"}}], [3, 6]),
    "py_function": (
        {"a": 3, "b": 1},
        [{"tf.py_function": {"func": "functions.py:both", "Tout": ["int32"] * 2, "on": ["a", "b"], "to": ["a", "b"]}}],
        {"a": 4, "b": 2},
    ),
    "StaticHashTable": (
        ["b", "z"],
        [{"tf.lookup.StaticHashTable": {"keys": ["a", "b"], "values": [5, 6], "default_value": -1}}],
        [6, -1],
    ),
    "StaticHashTable of texts": (
        ["b", "z"],
        [{"tf.lookup.StaticHashTable": {"keys": ["a", "b"], "values": ["x", "y"], "default_value": "?"}}],
        [b"y", b"?"],
    ),
    "StaticHashTable of a file": (
        ["b", "z"],
        [{"tf.lookup.StaticHashTable": {"filename": "words.txt", "default_value": -1}}],
        [1, -1],
    ),
    "StaticVocabularyTable": (
        ["c", "z"],
        [{"tf.lookup.StaticVocabularyTable": {"filename": "words.txt", "num_oov_buckets": 1}}],
        [2, 3],
    ),
    "StaticVocabularyTable of keys": (
        ["b", "z"],
        [{"tf.lookup.StaticVocabularyTable": {"keys": ["a", "b"], "num_oov_buckets": 1}}],
        [1, 2],
    ),
    "random_order": (3, [{"random_order": {"fns": [[ADD], [ADD]]}}], 5),
    "for_each": (
        {"a": IMAGE, "b": IMAGE},
        [{"for_each": {"on": ["a", "b"], "ops": [{"tf.image.stateless_random_crop": {"size": [2, 2, 3]}}]}},
         {"tf.math.subtract": {"on": ["a", "b"], "to": "d"}}, {"select": "d"}, "tf.abs", "tf.reduce_sum"],
        0.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_first_elements(folder: Path, name: str) -> None:
    tensors, ops, expected = RESULTS[name]
    assert plain(first(folder, tensors, *ops)) == expected


def test_every_kind_of_call_runs_somewhere() -> None:
    used = {key for _, ops, _ in RESULTS.values() for call in ops if isinstance(call, dict) for key in call}
    assert special_calls().keys() <= used


DRAWS: dict[str, tuple[Any, list[Any], set[Any]]] = {
    "cond": (1, [{"tf.cond": {"probability": 0.5, "true_fn": [TENFOLD]}}], {1, 10}),
    "switch_case": (1, [{"tf.switch_case": {"branch_fns": [[], [TENFOLD], [ADD]]}}], {1, 10, 2}),
    "random_order": (1, [{"random_order": {"fns": [[ADD], [TENFOLD]]}}], {11, 20}),
    "for_each": (
        {"a": 1, "b": 1},
        [
            {
                "for_each": {
                    "on": ["a", "b"],
                    "ops": [
                        {"tf.cond": {"probability": 0.5, "true_fn": [{"tf.math.add": {"y": 100}}]}},
                        {"tf.switch_case": {"branch_fns": [[], [{"tf.math.add": {"y": 1000}}]]}},
                        {"random_order": {"fns": [[ADD], [TENFOLD]]}},
                    ],
                }
            },
            {"to_tuple": ["a", "b"]},
        ],
        {(n, n) for base in (1, 101, 1001, 1101) for n in (base * 10 + 1, (base + 1) * 10)},
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_are_drawn_for_each_element(folder: Path, name: str) -> None:
    tensors, ops, possible = DRAWS[name]
    drawn = [plain(value) for value in dataset(folder, tensors, *ops, seed=5).take(200).as_numpy_iterator()]
    assert set(drawn) == possible
    again = [plain(value) for value in dataset(folder, tensors, *ops, seed=5).take(200).as_numpy_iterator()]
    other = [plain(value) for value in dataset(folder, tensors, *ops, seed=6).take(200).as_numpy_iterator()]
    assert drawn == again
    assert drawn != other


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("tf.io.decode_jpeg", "ops.1"),
        (
            {
                "tf.cond": {
                    "probability": 1,
                    "true_fn": ["tf.identity", "tf.io.decode_jpeg"],
                    "false_fn": ["tf.io.decode_png"],
                }
            },
            "ops.1.true_fn.1",
        ),
        ({"tf.switch_case": {"branch_fns": [["tf.io.decode_jpeg"]] * 2}}, "ops.1.branch_fns."),
        ({"tf.numpy_function": {"func": "functions.py:broken", "Tout": "float32"}}, "ops.1"),
    ],
)
def test_what_fails_while_it_runs_names_its_call(folder: Path, call: Any, path: str) -> None:
    failing = dataset(folder, "no picture", "tf.identity", call)
    with pytest.raises(tf.errors.OpError) as caught:
        next(iter(failing))
    assert call_path("stages_1", str(caught.value)).startswith(path)


def _refusal(folder: Path, *ops: Any) -> str:
    with pytest.raises(BuildError) as caught:
        dataset(folder, IMAGE, *ops)
    assert (caught.value.address, caught.value.op_path) == ("stages.1", "ops.0")
    return caught.value.message


def test_what_an_older_tensorflow_lacks_is_said_in_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rot90(image: Any, name: str | None = None) -> Any:
        return image if name is None else name

    monkeypatch.setattr(tf.image, "rot90", rot90)
    version = tf.__version__
    assert f"TensorFlow {version} does not support k for rot90" in _refusal(folder, {"tf.image.rot90": {"k": 2}})
    monkeypatch.delattr(tf.image, "rot90")
    assert f"TensorFlow {version} does not have tf.image.rot90" in _refusal(folder, "tf.image.rot90")


def test_for_each_draws_anew_for_every_element(folder: Path) -> None:
    crop = {"for_each": {"on": ["a", "b"], "ops": [{"tf.image.stateless_random_crop": {"size": [2, 2, 3]}}]}}
    crops = list(dataset(folder, {"a": IMAGE, "b": IMAGE}, crop, seed=1).take(20).as_numpy_iterator())
    assert all(np.array_equal(each["a"], each["b"]) for each in crops)
    assert len({each["a"].tobytes() for each in crops}) > 1


def test_tables_and_layers_are_made_once_also_in_nested_pipelines(folder: Path) -> None:
    lookup = {"tf.lookup.StaticVocabularyTable": {"filename": "words.txt", "num_oov_buckets": 1}}
    layer = {"tf.keras.layers.Rescaling": {"scale": 0.5}}
    spec = Spec.model_validate(
        {
            "version": 1,
            "source": {"from_tensor_slices": {"tensors": [["a", "b"], ["c", "z"]]}},
            "stages": [
                {
                    "interleave": {
                        "source": {"from_tensor_slices": {}},
                        "stages": [{"map": {"ops": [lookup, {"tf.cast": {"dtype": "float32"}}, layer]}}],
                        "cycle_length": 1,
                    }
                }
            ],
        }
    )
    values = list(build(spec, BuildContext(folder)).as_numpy_iterator())
    assert values == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize(
    ("ops", "path", "part"),
    [
        ([{"select": ["a"]}, {"select": "b"}], "ops.1", "no field 'b': the element is a mapping with a"),
        ([{"drop": "c"}], "ops.0", "no field 'c'"),
        ([{"rename": {"a": "b"}}], "ops.0", "new name 'b' exists already"),
        ([{"to_dict": ["x", "y", "z"]}], "ops.0", "3 names"),
        ([{"tf.unstack": {"num": 2, "on": "b", "to": ["x", "y", "z"]}}], "ops.0", "2 results for the 3 fields"),
        (
            [{"tf.cond": {"probability": 0.5, "on": "a", "true_fn": ["tf.abs", "tf.strings.lower"]}}],
            "ops.0.true_fn.1",
            "ops[0].true_fn[1] tf.strings.lower: TypeError",
        ),
        (
            [{"tf.switch_case": {"on": "a", "branch_fns": [[], [{"random_order": {"fns": [["tf.strings.lower"]]}}]]}}],
            "ops.0.branch_fns.1.0.fns.0.0",
            "ops[0].branch_fns.1[0].fns.0[0]",
        ),
        ([{"tf.cond": {"pred": [{"select": "a"}], "on": "b", "true_fn": ["tf.abs"]}}], "ops.0", "`pred` returns"),
        ([{"for_each": {"on": ["a", "c"], "ops": ["tf.abs"]}}], "ops.0", "no field 'c'"),
        ([{"tf.keras.layers.Resizing": {"height": 2, "width": 2, "interpolation": "x", "on": "a"}}], "ops.0", "Error"),
        ([{"tf.map_fn": {"fn": ["tf.strings.lower"], "on": "b"}}], "ops.0.fn.0", "StringLower"),
    ],
)  # fmt: skip
def test_what_tensorflow_refuses_is_pinned_inside_of_chains(folder: Path, ops: Any, path: str, part: str) -> None:
    with pytest.raises(BuildError) as caught:
        dataset(folder, {"a": 1, "b": [1, 2]}, *ops)
    assert (caught.value.address, caught.value.op_path, caught.value.kind) == ("stages.1", path, "spec")
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ({"map": {"map_func": {"ops": ["tf.strings.lower"]}}}, "map_func.ops.0"),
        (
            {
                "group_by_window": {
                    "key_func": {"ops": ["tf.identity", "tf.strings.lower"]},
                    "reduce_func": {"stages": [{"batch": {"batch_size": 2}}]},
                    "window_size": 2,
                }
            },
            "key_func.ops.1",
        ),
    ],
)
def test_errors_say_under_which_argument_the_chain_stands(folder: Path, stage: Any, path: str) -> None:
    spec = Spec.model_validate({"version": 1, "source": {"range": {"stop": 4}}, "stages": [stage]})
    with pytest.raises(BuildError) as caught:
        build(spec, BuildContext(folder))
    assert caught.value.op_path == path


def test_errors_of_python_in_a_chain_show_the_users_lines(folder: Path) -> None:
    with pytest.raises(BuildError) as caught:
        dataset(folder, 1, "tf.identity", {"python": "functions.py:broken"})
    assert (caught.value.op_path, caught.value.kind) == ("ops.1", "python")
    assert "no such thing" in caught.value.message
    assert 'in broken: raise ValueError("no such thing")' in caught.value.lines[-1]


def test_errors_at_run_time_carry_the_call(folder: Path) -> None:
    branch = ["tf.identity", "tf.strings.to_number", "tf.strings.as_string"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="stages_1/ops_0/true_fn/ops_1/"):
        first(folder, "a word", {"tf.cond": {"probability": 1, "true_fn": branch}})
