"""The part of chains that a predicate after them reads."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.changes.filters_at_random import PAIRS, pipeline

from pipeprof.pipelines.build.chain import STRUCTURE, call_arguments, call_of, pick, place
from pipeprof.pipelines.changes.in_spec import CannotSplitError, part_of_chains

FUNCTIONS = {
    "copy": lambda x: x,
    "tf.add": lambda x, y: x + y,
    "tf.multiply": lambda x, y: x * y,
    "tf.negative": lambda x: -x,
    "tf.square": lambda x: x * x,
    "tf.math.greater": lambda x, y: x > y,
    "tf.math.less": lambda x, y: x < y,
}
LESS = {"tf.math.less": {"y": 3}}
LABEL = {"tf.math.less": {"y": 3, "on": "label"}}
DECODE = {"tf.io.decode_jpeg": {"on": "image"}}


def called(chain: Sequence[Any], element: Any, *, answers: bool = False) -> Any:
    """What a chain gives, on numbers instead of tensors."""
    for index, call in enumerate(chain):
        name, written = call_of(call)
        if name in STRUCTURE:
            element = STRUCTURE[name](element, written)
            continue
        arguments = call_arguments(name, written)
        on, to = arguments.pop("on", None), arguments.pop("to", None)
        if isinstance(on, dict):
            result = FUNCTIONS[name](**{key: pick(element, field) for key, field in on.items()}, **arguments)
        else:
            inputs = (
                [pick(element, one) for one in on]
                if isinstance(on, list)
                else [element if on is None else pick(element, on)]
            )
            result = FUNCTIONS[name](*inputs, **arguments)
        alone = answers and index == len(chain) - 1
        target = on if to is None and not alone and isinstance(on, str | int) else to
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
    element = called([call for chain in chains[:start] for call in chain], first_of(data["source"]))
    after = called([call for chain in chains[start:] for call in chain], element)
    part = part_of_chains(chains[start:], predicate)
    assert called(part, element, answers=True) == called(predicate, after, answers=True)
    assert len(part) <= sum(map(len, chains[start:])) + len(predicate)


@pytest.mark.parametrize(
    ("chain", "predicate", "part"),
    [
        pytest.param(
            [DECODE, {"to_tuple": ["image", "label"]}],
            [{"select": 1}, LESS],
            [{"to_tuple": ["image", "label"]}, {"select": 1}, LESS],
            id="what it does not read is left out",
        ),
        pytest.param([{"tf.image.random_crop": {"size": [8, 8, 3], "on": "image"}}], [LABEL], [LABEL], id="all of it"),
        pytest.param(
            [{"rename": {"image": "x"}}, {"tf.io.decode_jpeg": {"on": "x"}}, {"tf.square": {"on": "label"}}],
            [LABEL],
            [{"rename": {"image": "x"}}, {"tf.square": {"on": "label"}}, LABEL],
            id="through names",
        ),
        pytest.param(
            [{"tf.shape": {"on": "image", "to": "size"}}, {"to_tuple": ["size", "label"]}],
            [{"tf.math.less": {"y": 3, "on": 1}}],
            [
                {"tf.shape": {"on": "image", "to": "size"}},
                {"to_tuple": ["size", "label"]},
                {"tf.math.less": {"y": 3, "on": 1}},
            ],
            id="a field that is named later on stays",
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
        ([{"tf.keras.layers.Rescaling": {"scale": 2.0}}], [LESS], "tf.keras.layers.Rescaling has no part"),
    ],
)
def test_what_has_no_part(chain: list[Any], predicate: list[Any], words: str) -> None:
    with pytest.raises(CannotSplitError, match=words):
        part_of_chains([chain], predicate)
