"""Calls of their own form: what is accepted, what is refused and where, and what is known about them."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from unit.ops.call_samples import BAD_CALLS, GOOD_CALLS
from unit.ops.spec_samples import ops

from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.element import parse_call
from pipeprof.pipelines.ops.calls.items import SliceBounds, parse_key
from pipeprof.pipelines.ops.calls.opcall import walk_calls
from pipeprof.pipelines.ops.calls.seeds import drawing
from pipeprof.pipelines.ops.functions.layers import layers
from pipeprof.pipelines.ops.values.fields import FieldError, place
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import leaves
from pipeprof.pipelines.spec.schema.schema import spec_schema


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(spec_schema())


@pytest.mark.parametrize("name", GOOD_CALLS)
def test_good_calls(validator: jsonschema.Draft7Validator, name: str) -> None:
    data = ops(GOOD_CALLS[name])
    Spec.model_validate(data)
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_where_and_what(validator: jsonschema.Draft7Validator, name: str) -> None:
    call, below, part, visible = BAD_CALLS[name]
    with pytest.raises(ValidationError) as caught:
        Spec.model_validate(ops("tf.identity", call))
    found = caught.value.errors(include_url=False)
    assert [each["loc"] for each in found] == [("stages", 0, "map", "ops", 1, *below)]
    assert part in found[0]["msg"]
    assert not visible or not validator.is_valid(ops("tf.identity", call))


def test_every_kind_of_call_is_sampled_and_described() -> None:
    sampled = {name for call in GOOD_CALLS.values() for name in (call if isinstance(call, dict) else [call])}
    assert special_calls().keys() <= sampled
    for kind in special_calls().values():
        assert "is equivalent to" in (kind.__doc__ or ""), kind.call
        assert all(field.description for field in kind.model_fields.values()), kind.call


def test_all_errors_of_a_branch_come_out_in_one_pass() -> None:
    branch = ["tf.nothing", {"tf.cast": {"dtype": "nothing"}}]
    with pytest.raises(ValidationError) as caught:
        parse_call({"tf.cond": {"probability": 2, "true_fn": branch, "on": -1}})
    assert [each["loc"][1:] for each in caught.value.errors(include_url=False)] == [
        ("on",),
        ("probability",),
        ("true_fn", 0),
        ("true_fn", 1, "tf.cast", "dtype"),
    ]


def test_calls_know_their_chains_and_fields() -> None:
    call = parse_call(
        {"tf.switch_case": {"branch_fns": [["tf.abs"], []], "branch_index": [{"select": "b"}], "on": ["a", "c"]}}
    )
    assert {name: [inner.name for inner in chain] for name, chain in call.chains.items()} == {
        "branch_fns.0": ["tf.abs"],
        "branch_fns.1": [],
        "branch_index": ["select"],
    }
    assert call.target == ("a", "c")
    assert [path for path, _ in walk_calls([call])] == [(0,), (0, "branch_fns.0", 0), (0, "branch_index", 0)]
    named = parse_call({"tf.math.subtract": {"on": {"y": "a"}, "x": 1, "to": "b"}})
    assert (named.inputs(), named.read(), named.target) == (["y"], ("a",), "b")


def test_draws_are_numbered_in_written_order() -> None:
    flip = "tf.image.stateless_random_flip_left_right"
    call: Any = {
        "for_each": {
            "on": ["a", "b"],
            "ops": [
                "tf.abs",
                {"tf.cond": {"probability": 0.5, "true_fn": [flip], "false_fn": ["tf.abs", flip]}},
                {"tf.image.stateless_random_crop": {"size": [1, 1, 3], "seed": [1, 2]}},
                {"random_order": {"fns": [[flip], []]}},
                {"tf.switch_case": {"branch_fns": [[], []], "branch_index": [{"tf.constant": {"value": 1}}]}},
            ],
        }
    }
    assert drawing(parse_call(call).chains["ops"]) == {
        (1,): 0,
        (1, "true_fn", 0): 1,
        (1, "false_fn", 1): 2,
        (3,): 3,
        (3, "fns.0", 0): 4,
    }


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("..., :3", (Ellipsis, SliceBounds(None, 3, None))),
        ("1:-1", (SliceBounds(1, -1, None),)),
        (" ::2 , 0", (SliceBounds(None, None, 2), 0)),
        ("start:crop.stop, None", (SliceBounds("start", "crop.stop", None), None)),
        (-1, (-1,)),
    ],
)
def test_keys_of_getitem(text: Any, items: tuple[Any, ...]) -> None:
    key = parse_key(text)
    assert key.items == items
    assert parse_key(str(key)) == key


def test_a_key_becomes_what_python_takes() -> None:
    fields = {"start": 1, "stop": 3}
    assert list(range(5))[parse_key("start:stop").python(fields.__getitem__)] == [1, 2]
    assert parse_key("..., 0").python(fields.__getitem__) == (Ellipsis, 0)


def test_results_are_taken_apart() -> None:
    assert place({"a": 1}, ("b", "c"), [2, 3]) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(FieldError, match="3 results for the 2 fields"):
        place({}, ("b", "c"), [1, 2, 3])
    with pytest.raises(FieldError, match="a single result"):
        place({}, ("b", "c"), 1)


def test_python_and_files_are_found_inside_of_chains() -> None:
    inner = [{"python": "f.py:g"}, {"tf.keras.layers.StringLookup": {"vocabulary": "words.txt"}}]
    spec = Spec.model_validate(ops({"tf.cond": {"probability": 0.5, "true_fn": inner}}))
    found = {leaf.place: str(leaf.value) for leaf in leaves(spec)}
    chain = ("stages", 0, "map", "ops", 0, "tf.cond", "true_fn")
    assert found == {
        (*chain, 0, "python", "function"): "f.py:g",
        (*chain, 1, "tf.keras.layers.StringLookup", "vocabulary"): "words.txt",
    }


def test_layers_name_what_they_would_learn() -> None:
    required = {p.name for p in layers()["tf.keras.layers.Normalization"].parameters if p.required}
    assert required == {"mean", "variance"}
    assert "training" in layers()["tf.keras.layers.Resizing"].names()
