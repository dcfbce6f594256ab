"""A filter before maps, with the calls that it reads: the same pipeline by the spec's data and by the graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import BuiltStage, build, builder
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.edits.edits import MoveFilter
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.graph.edit.apply import apply_edits
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.models import Spec

PIPELINES = 100
PAIRS = {"a": [1, 2, 3, 4, 5, 6], "b": [6, 5, 4, 3, 2, 1], "c": [2, 7, 1, 8, 2, 8]}
ONE_INPUT: tuple[dict[str, Any], ...] = (
    {"tf.add": {"y": 1}},
    {"tf.multiply": {"y": 3}},
    {"tf.negative": {}},
    {"tf.square": {}},
)
KINDS = ("call", "call", "call", "two", "new", "select", "some", "drop", "rename", "copy", "tuple", "dict")


def source(rng: Random) -> tuple[dict[str, Any], Any]:
    """Elements that are a mapping, a tuple or a number, and their fields."""
    kind = rng.choice(("mapping", "tuple", "number"))
    if kind == "number":
        return {"from_tensor_slices": {"tensors": PAIRS["a"]}}, None
    if kind == "mapping":
        return {"from_tensor_slices": {"tensors": PAIRS}}, ["a", "b", "c"]
    sides = [{"source": {"from_tensor_slices": {"tensors": values}}} for values in PAIRS.values()]
    return {"zip": {"datasets": sides}}, [0, 1, 2]


def called(rng: Random, fields: Any) -> tuple[Any, Any]:
    """A call of a map, and the fields after it."""
    name, arguments = next(iter(rng.choice(ONE_INPUT).items()))
    if fields is None:
        if rng.random() < 0.7:
            return {name: arguments} if arguments else name, None
        return ({"to_dict": ["a"]}, ["a"]) if rng.random() < 0.5 else ({"to_tuple": [None, None]}, [0, 1])
    named = isinstance(fields[0], str)
    field, other = rng.choice(fields), rng.choice(fields)
    kind = rng.choice(
        ("call", "call", "call", "two", "new", "select", "some", "drop", "rename", "copy", "tuple", "dict")
    )
    if kind == "two":
        return {"tf.add": {"on": [field, other], "to": rng.choice(fields)}}, fields
    if kind == "new" and named:
        return {name: {**arguments, "on": field, "to": "n"}}, [*fields, "n"] if "n" not in fields else fields
    if kind == "select":
        return {"select": field}, None
    some = sorted(rng.sample(fields, rng.randint(1, len(fields))))
    if kind == "some":
        return {"select": some}, some if named else list(range(len(some)))
    if kind == "drop" and len(fields) > 1:
        return {"drop": [field]}, [one for one in fields if one != field] if named else fields[:-1]
    if kind == "rename" and named and "m" not in fields:
        return {"rename": {field: "m"}}, ["m" if one == field else one for one in fields]
    if kind == "copy" and named:
        return {"copy": {"on": field, "to": "k"}}, [*fields, "k"] if "k" not in fields else fields
    if kind == "tuple":
        return {"to_tuple": [field, other]}, [0, 1]
    if kind == "dict":
        return {"to_dict": {"a": field, "z": other}}, ["a", "z"]
    return {name: {**arguments, "on": field}}, fields


def predicate(rng: Random, fields: Any) -> list[Any]:
    if fields is None:
        return [{"tf.math.greater": {"y": 4}}]
    field, other = rng.choice(fields), rng.choice(fields)
    return rng.choice(
        [
            [{"tf.math.greater": {"y": 4, "on": field}}],
            [{"select": field}, {"tf.math.greater": {"y": 4}}],
            [{"select": field}, {"tf.multiply": {"y": 2}}, {"tf.math.greater": {"y": 7}}],
            [{"tf.math.greater": {"on": [field, other]}}],
            [{"tf.multiply": {"y": 2, "on": field}}, {"tf.math.less": {"on": {"x": field, "y": other}}}],
        ]
    )


def pipeline(rng: Random) -> tuple[dict[str, Any], str, str]:
    """A spec's data, the address of a filter and that of the first map that it is to move over."""
    made, fields = source(rng)
    stages: list[Any] = []
    for number in range(rng.randint(1, 3)):
        calls = []
        for _ in range(rng.randint(1, 4)):
            call, fields = called(rng, fields)
            calls.append(call)
        stages.append({"map": {"ops": calls, "num_parallel_calls": 2} if number else {"ops": calls}})
        if rng.random() < 0.2:
            stages.append({"prefetch": {"buffer_size": 2}})
    stages.append({"filter": {"ops": predicate(rng, fields)}})
    maps = [index for index, stage in enumerate(stages) if "map" in stage]
    return {"version": 1, "source": made, "stages": stages}, f"stages.{len(stages) - 1}", f"stages.{rng.choice(maps)}"


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def made(data: dict[str, Any], built: dict[str, BuiltStage] | None = None) -> Any:
    return build(Spec.model_validate(data), BuildContext(base_dir=Path()), built)


def test_a_filter_moves_over_maps_in_the_spec_as_in_the_graph(tf: Any) -> None:
    building = builder(BuildContext(base_dir=Path()))
    ends: Counter[str] = Counter()
    for seed in range(PIPELINES):
        data, at, before = pipeline(Random(seed))
        edits = [MoveFilter(at, before)]
        built: dict[str, BuiltStage] = {}
        try:
            dataset = made(data, built)
        except BuildError:
            ends["not built"] += 1
            continue
        try:
            changed = apply_to_data(data, edits)
        except EditError:
            ends["refused"] += 1
            continue
        expected = made(changed)
        ops = {address: stage.op for address, stage in built.items()}
        shapes = {address: stage.element_spec for address, stage in built.items()}
        found = apply_edits(dataset, edits, building=building, ops=ops, elements=shapes)
        assert list(expected.as_numpy_iterator()) == list(dataset.as_numpy_iterator()), f"{data}\n{changed}"
        assert compare(GraphPair(tf, found, 0), GraphPair(tf, expected, 0)) == ([], []), f"{data}\n{changed}"
        ends["same"] += 1
    assert ends["same"] >= PIPELINES * 0.7, ends
