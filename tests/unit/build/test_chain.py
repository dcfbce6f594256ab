"""Calls of `ops:` that are refused before TensorFlow sees them; `integration/call_cases.yaml` has the results."""

import pytest

from pipeprof.pipelines.build.allowlist import parameters
from pipeprof.pipelines.build.fields import STRUCTURE, FieldError, index_of, pick, put
from pipeprof.pipelines.errors import PlainError

ELEMENT = {"a.b": 1, "c": {"d": (2, 3)}}


def test_fields_of_elements():
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


@pytest.mark.parametrize(
    ("call", "written"), [("select", ["z"]), ("drop", "z"), ("rename", {"a": "b"}), ("to_dict", ["x", "y", "z"])]
)
def test_structures_that_do_not_fit(call, written):
    with pytest.raises(FieldError):
        STRUCTURE[call]({"a": 1, "b": 2}, written)


@pytest.mark.parametrize("text", ["", "f()", "0] + x[1", "'a'", "1.5", "True", "n + 1"])
def test_keys_hold_no_code(text):
    with pytest.raises(PlainError, match=r"expected an index|no field"):
        index_of(text, {"n": 5})


def test_layers_take_a_dtype_and_training():
    assert {"scale", "dtype", "training"} <= parameters("tf.keras.layers.Rescaling").keys()
