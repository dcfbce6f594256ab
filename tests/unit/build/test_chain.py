"""Calls of `ops:`, as far as they need no TensorFlow: fields, structures, the allowlist."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.build.allowlist import functions, inputs, layers, parameters
from pipeprof.pipelines.build.chain import OWN_CALLS, STRUCTURE, FieldError, _key, pick, place, put
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import why_not

ELEMENT = {"a.b": 1, "c": {"d": (2, 3)}}


def test_fields_of_elements() -> None:
    assert pick(ELEMENT, "a.b") == 1
    assert pick(ELEMENT, "c.d.1") == 3
    assert put(ELEMENT, "c.d.0", 9) == {"a.b": 1, "c": {"d": (9, 3)}}
    assert put((1, 2), 1, 5) == (1, 5)
    assert ELEMENT == {"a.b": 1, "c": {"d": (2, 3)}}
    for wrong in ("e", "c.e.f", "c.d.2", 0):
        with pytest.raises(FieldError, match="the element is"):
            pick(ELEMENT, wrong)
    for wrong in ("e.f", "c.d.2"):
        with pytest.raises(FieldError):
            put(ELEMENT, wrong, 1)


def test_several_results_go_to_as_many_fields() -> None:
    assert place({"a": 1}, ("b", "c"), (2, 3)) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(FieldError, match="2 results for the 1 fields"):
        place({"a": 1}, ("b",), (2, 3))


@pytest.mark.parametrize(
    ("call", "element", "written", "expected"),
    [
        ("select", {"a": 1, "b": 2, "c": 3}, ["c", "a"], {"c": 3, "a": 1}),
        ("select", (1, 2, 3), [0, 2], (1, 3)),
        ("select", {"a": (1, 2)}, "a.1", 2),
        ("drop", {"a": 1, "b": 2}, ["a"], {"b": 2}),
        ("drop", (1, 2, 3), 1, (1, 3)),
        ("rename", {"a": 1, "b": 2}, {"a": "c"}, {"c": 1, "b": 2}),
        ("to_tuple", {"a": 1, "b": 2}, ["b", {"x": "a"}, None], (2, {"x": 1}, {"a": 1, "b": 2})),
        ("to_dict", (1, 2), {"a": 1, "b": [0]}, {"a": 2, "b": (1,)}),
        ("to_dict", 7, ["a"], {"a": 7}),
    ],
)
def test_structures(call: str, element: Any, written: Any, expected: Any) -> None:
    assert STRUCTURE[call](element, written) == expected


@pytest.mark.parametrize(
    ("call", "written"), [("select", ["z"]), ("drop", "z"), ("rename", {"a": "b"}), ("to_dict", ["x", "y", "z"])]
)
def test_structures_that_do_not_fit(call: str, written: Any) -> None:
    with pytest.raises(FieldError):
        STRUCTURE[call]({"a": 1, "b": 2}, written)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("..., :3", (..., slice(None, 3))),
        (0, 0),
        ("tf.newaxis, ::2", (None, slice(None, None, 2))),
        (":n", slice(None, 5)),
        ("m.n", 6),
    ],
)
def test_keys_of_getitem(text: Any, key: Any) -> None:
    assert _key(text, {"n": 5, "m": {"n": 6}}) == key


@pytest.mark.parametrize("text", ["", "f()", "0] + x[1", "'a'", "1.5", "True", "n + 1"])
def test_keys_hold_no_code(text: str) -> None:
    with pytest.raises(PlainError, match=r"expected an index|no field"):
        _key(text, {"n": 5})


def test_inputs_go_to_the_free_parameters() -> None:
    assert inputs("tf.math.less", {"y"}, 1) == ["x"]
    assert inputs("tf.math.less", {"x"}, 1) == ["y"]
    assert inputs("tf.math.less", set(), 2) == ["x", "y"]
    assert inputs("tf.stack", set(), 3) == ["values"]
    assert inputs("tf.einsum", {"equation"}, 1) == ["inputs"]
    with pytest.raises(PlainError, match=r"2 inputs for tf\.abs"):
        inputs("tf.abs", set(), 2)


@pytest.mark.parametrize(
    "name",
    ["tf.cond", "for_each", "tf.numpy_function", "tf.io.write_file", "tf.data.Dataset.range", "tf.raw_ops.WriteFile"],
)
def test_other_names_are_refused(name: str) -> None:
    assert not {name} & {*functions(), *layers(), *OWN_CALLS}
    assert why_not(name)


def test_layers_take_a_dtype_and_training() -> None:
    assert {"scale", "dtype", "training"} <= parameters("tf.keras.layers.Rescaling").keys()
