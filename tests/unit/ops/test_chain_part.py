"""The part of chains that a predicate after them reads."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ops.filters_at_random import PAIRS, pipeline

from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.element import parse_call
from pipeprof.pipelines.ops.chain_part import CannotSplitError, part_of_chains
from pipeprof.pipelines.ops.values.fields import pick, place

FUNCTIONS = {
    "tf.add": lambda x, y: x + y,
    "tf.multiply": lambda x, y: x * y,
    "tf.negative": lambda x: -x,
    "tf.square": lambda x: x * x,
    "tf.math.greater": lambda x, y: x > y,
    "tf.math.less": lambda x, y: x < y,
}
LESS = {"tf.math.less": {"y": 3}}
PARSE = {"tf.io.parse_single_example": {"features": {"label": {"FixedLenFeature": {"shape": [], "dtype": "int64"}}}}}


def called(chain: Sequence[Any], element: Any, *, answers: bool = False) -> Any:
    """What a chain gives, on numbers instead of tensors."""
    for index, written in enumerate(chain):
        call = parse_call(written)
        on = call.on
        if on is None:
            given: Any = element
        elif isinstance(on, dict):
            given = {name: pick(element, field) for name, field in on.items()}
        else:
            given = tuple(pick(element, one) for one in on) if isinstance(on, tuple) else pick(element, on)
        if call.name in special_calls():
            result = special_calls()[call.name].run(call, given, element, None)  # type: ignore[arg-type]
        elif isinstance(on, dict):
            result = FUNCTIONS[call.name](**given, **call.arguments)
        else:
            inputs = given if isinstance(on, tuple) else (given,)
            result = FUNCTIONS[call.name](*inputs, **call.arguments)
        target = call.to if answers and index == len(chain) - 1 else call.target
        element = result if target is None else place(element, target, result)
    return element


def first_of(source: dict[str, Any]) -> Any:
    """An element of a source of `pipeline`."""
    ((op, arguments),) = source.items()
    if op == "zip":
        return tuple(values[0] for values in PAIRS.values())
    tensors = arguments["tensors"]
    return {name: values[0] for name, values in tensors.items()} if isinstance(tensors, dict) else tensors[0]


@settings(max_examples=100, deadline=None)
@given(rng=st.integers(0, 1 << 32).map(Random))
def test_it_answers_on_the_element_before_as_the_predicate_after(rng: Random) -> None:
    data, _, before = pipeline(rng)
    *stages, last = data["stages"]
    chains = [stage["map"]["ops"] for stage in stages if "map" in stage]
    start = [index for index, stage in enumerate(stages) if "map" in stage].index(int(before.rpartition(".")[2]))
    predicate = last["filter"]["ops"]
    element = first_of(data["source"])
    for chain in chains[:start]:
        element = called(chain, element)
    try:
        part = part_of_chains(chains[start:], predicate)
    except CannotSplitError:
        return
    after = element
    for chain in chains[start:]:
        after = called(chain, after)
    assert called(part, element, answers=True) == called(predicate, after, answers=True)
    calls = sum(map(len, chains[start:])) + len(predicate)
    assert len(part) <= calls


@pytest.mark.parametrize(
    ("chain", "predicate", "part"),
    [
        pytest.param(
            [PARSE, {"tf.io.decode_jpeg": {"on": "image"}}, {"to_tuple": ["image", "label"]}],
            [{"select": 1}, LESS],
            [PARSE, {"tf.math.less": {"y": 3, "on": "label"}}],
            id="what it does not read is left out, and what rearranges",
        ),
        pytest.param(
            [{"tf.image.random_crop": {"size": [8, 8, 3], "on": "image"}}],
            [{"tf.math.less": {"y": 3, "on": "label"}}],
            [{"tf.math.less": {"y": 3, "on": "label"}}],
            id="it reads nothing of the map",
        ),
        pytest.param(
            [{"tf.shape": {"on": "image", "to": "size"}}, {"drop": ["image"]}],
            [{"getitem": {"key": "0", "on": "size"}}, {"select": "size"}, LESS],
            [
                {"tf.shape": {"on": "image", "to": "size"}},
                {"getitem": {"key": "0", "on": "size"}},
                {"tf.math.less": {"y": 3, "on": "size"}},
            ],
            id="a field that the map makes",
        ),
        pytest.param(
            [{"rename": {"x": "label"}}, {"to_dict": {"a": {"b": "label"}}}],
            [{"tf.math.less": {"y": 3, "on": "a.b"}}],
            [{"tf.math.less": {"y": 3, "on": "x"}}],
            id="through names and nested fields",
        ),
        pytest.param(
            [{"tf.math.less": {"y": 3, "on": "label", "to": "wanted"}}, {"tf.io.decode_jpeg": {"on": "image"}}],
            [{"select": "wanted"}],
            [{"tf.math.less": {"y": 3, "on": "label", "to": "wanted"}}, {"select": "wanted"}],
            id="a field that is the answer",
        ),
        pytest.param(
            [{"tf.strings.split": {"sep": ","}}, {"to_dict": {"id": 0, "text": 1}}],
            [{"tf.strings.length": {"on": "text"}}, {"select": "text"}, LESS],
            [{"tf.strings.split": {"sep": ","}}, {"tf.strings.length": {"on": 1}}, {"tf.math.less": {"y": 3, "on": 1}}],
            id="a part of what a function returns",
        ),
    ],
)
def test_the_part(chain: list[Any], predicate: list[Any], part: list[Any]) -> None:
    assert part_of_chains([chain], predicate) == part
    assert part_of_chains([chain[:1], chain[1:]], predicate) == part


@pytest.mark.parametrize(
    ("chain", "predicate", "words"),
    [
        (
            [{"tf.random.uniform": {"shape": [], "on": [], "to": "u"}}],
            [{"tf.math.less": {"y": 0.5, "on": "u"}}],
            "draws",
        ),
        ([{"python": {"function": "f.py:fn", "on": "x"}}], [{"tf.math.less": {"y": 3, "on": "x"}}], "runs Python"),
        (
            [{"tf.cond": {"probability": 0.5, "true_fn": ["tf.square"], "on": "x"}}],
            [{"tf.math.less": {"y": 3, "on": "x"}}],
            "tf.cond has no part",
        ),
        ([{"tf.keras.layers.Rescaling": {"scale": 2.0}}], [LESS], "tf.keras.layers.Rescaling has no part"),
        (
            [{"getitem": {"key": ":n", "on": "x"}}],
            [{"tf.math.less": {"y": 3, "on": "x"}}],
            "a field that its key names",
        ),
        (
            [{"to_tuple": ["x", "x"]}, {"tf.square": {"on": 0}}],
            [{"tf.math.less": {"on": [0, 1]}}],
            "tf.square would replace 1, which is read after it",
        ),
        ([{"to_tuple": ["x", "y"]}], [{"tf.stack": {}}, {"tf.reduce_sum": {}}, LESS], "put together by to_tuple"),
        ([{"select": ["1", "0"]}], [{"tf.math.less": {"y": 3, "on": "1"}}], "1 is put together by select"),
        ([{"rename": {"x": "a.b"}}], [{"tf.math.less": {"y": 3, "on": "a.b"}}], "a.b is put together by rename"),
        ([{"to_tuple": [None, None]}], [{"tf.math.less": {"on": [0, 1]}}], "0 is the whole element before"),
        ([{"to_tuple": [None, None]}], [{"select": 0}], "the predicate calls no function"),
    ],
)
def test_what_has_no_part(chain: list[Any], predicate: list[Any], words: str) -> None:
    with pytest.raises(CannotSplitError, match=words):
        part_of_chains([chain], predicate)


def test_what_may_differ_is_left_out_where_it_is_not_read() -> None:
    chain = [
        {"python": {"function": "f.py:fn", "on": "x"}},
        {"tf.cond": {"probability": 0.5, "true_fn": ["tf.square"], "on": "x"}},
    ]
    assert part_of_chains([chain], [{"tf.math.less": {"y": 3, "on": "z"}}]) == [{"tf.math.less": {"y": 3, "on": "z"}}]
