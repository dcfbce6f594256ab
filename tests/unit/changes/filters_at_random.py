"""Pipelines at random with a filter after maps, whose calls read, write and rearrange the fields of their elements."""

from __future__ import annotations

from random import Random
from typing import Any

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
