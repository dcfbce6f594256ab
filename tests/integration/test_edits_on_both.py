"""An edit of a spec's data and the same edit of its recorded calls give the same pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tensorflow as tf
from integration.changed_datasets import edited, first, written

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build
from pipeprof.pipelines.build.pinned import BuildError
from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.operations import placed

pytestmark = pytest.mark.usefixtures("recording")

PIPELINES = 16
NUMBERS = {"from_tensor_slices": {"tensors": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]}}
PAIRS = {"from_tensor_slices": {"tensors": {"x": [1, 2, 3, 4, 5, 6], "y": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]}}}
PLAIN = (
    {"map": {"ops": [{"tf.add": {"y": 1}}]}},
    {"map": {"ops": [{"tf.multiply": {"y": 3}}, "tf.abs"], "num_parallel_calls": 2}},
    {"map": {"ops": [{"tf.cast": {"dtype": "float32"}}, {"tf.cast": {"dtype": "int32"}}]}},
    {"filter": {"ops": [{"tf.math.greater": {"y": 2}}]}},
)
FIELDS = (
    {"map": {"ops": [{"tf.add": {"on": "x", "y": 1, "to": "x"}}]}},
    {"map": {"ops": [{"tf.one_hot": {"on": "x", "depth": 4, "to": "z"}}]}},
    {"filter": {"ops": [{"tf.math.greater": {"on": "x", "y": 2}}]}},
)
NESTED = {"interleave": {"source": {"from_tensors": {}}, "stages": [{"repeat": {"count": 2}}], "cycle_length": 2}}
ANYWHERE = (
    {"shuffle": {"buffer_size": 4, "seed": 3}},
    {"prefetch": {"buffer_size": 2}},
    {"cache": {}},
    {"repeat": {"count": 2}},
    {"take": {"count": 5}},
    {"skip": {"count": 1}},
    {"batch": {"batch_size": 2}},
    {"batch": {"batch_size": 3, "drop_remainder": True}},
)
VALUES: dict[str, tuple[tuple[str, tuple[Any, ...]], ...]] = {
    "map": (("num_parallel_calls", (2, "AUTOTUNE", None)), ("deterministic", (True, False, None))),
    "interleave": (("cycle_length", (1, 3, None)), ("block_length", (1, 2, None)), ("deterministic", (False, None))),
    "shuffle": (
        ("buffer_size", (2, 9, None)),
        ("seed", (5, 6, None)),
        ("reshuffle_each_iteration", (False, True, None)),
    ),
    "prefetch": (("buffer_size", (1, "AUTOTUNE", None)),),
    "repeat": (("count", (3, None)),),
    "take": (("count", (3, None)),),
    "skip": (("count", (2, None)),),
    "batch": (
        ("batch_size", (1, 4, None)),
        ("drop_remainder", (True, False, None)),
        ("num_parallel_calls", (2, "AUTOTUNE", None)),
        ("deterministic", (False, None)),
    ),
}


def pipeline(rng: Random) -> dict[str, Any]:
    """A spec's data: a source and up to five stages that mostly fit each other."""
    pairs = rng.random() < 0.4
    own = [*(FIELDS if pairs else PLAIN), *(() if pairs else (NESTED,))]
    stages = [rng.choice(own if rng.random() < 0.55 else ANYWHERE) for _ in range(rng.randint(1, 5))]
    data: dict[str, Any] = {"version": 1, "source": PAIRS if pairs else NUMBERS, "stages": stages}
    if rng.random() < 0.2:
        data["options"] = {"deterministic": False}
    return data


def op_of(stage: dict[str, Any]) -> str:
    return next(iter(stage))


def new(rng: Random) -> tuple[str, dict[str, Any]]:
    return next(iter(rng.choice(ANYWHERE).items()))


def edit(rng: Random, data: dict[str, Any]) -> PipelineEdit:
    stages = data["stages"]
    at = rng.randrange(len(stages))
    address, op = f"stages.{at}", op_of(stages[at])
    batch = next((n for n in range(at + 1, len(stages)) if op_of(stages[n]) == "batch"), None)
    kind = rng.choice(("insert", "set", "set", "set", "move", "replace", "remove", "option", "vectorise"))
    if kind == "vectorise" and op == "map" and batch is not None:
        return VectoriseMap(address, f"stages.{batch}")
    if kind == "move" and at:
        return MoveStage(address, op, f"stages.{rng.randrange(at)}")
    if kind == "replace":
        return ReplaceStages((address,), (NewStage(*new(rng)),))
    if kind == "remove" and traits(op).same_components and not traits(op).nests:
        return ReplaceStages((address,))
    if kind == "option":
        return rng.choice((SetOption("threading.private_threadpool_size", 2), SetOption("autotune.enabled", False)))
    if kind == "set" and op in VALUES:
        argument, values = rng.choice(VALUES[op])
        return SetArgument(address, op, argument, rng.choice(values))
    after = rng.choice((None, "source", *(f"stages.{index}" for index in range(len(stages)))))
    return InsertStage(*new(rng), after=after)


def made(data: dict[str, Any]) -> Any:
    return build(data, BuildContext(base_dir=Path()))


def wanted(data: dict[str, Any], edits: Sequence[PipelineEdit]) -> Any:
    """The dataset of the edited spec; None where the edits have no sense there."""
    try:
        return made(apply_to_data(data, edits))
    except (EditError, BuildError, ValueError):
        return None


def is_as_exact(found: Any, expected: Any) -> bool:
    """Whether elements are the same, or known better: in TensorFlow, batches of endless data are known to be full."""
    tf.nest.assert_same_structure(found, expected)
    pairs = zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True)
    return all(one.is_subtype_of(other) for one, other in pairs)


def test_an_edit_of_the_graph_is_that_of_the_spec() -> None:
    ends: Counter[str] = Counter()
    for seed in range(PIPELINES):
        rng = Random(seed)
        data = pipeline(rng)
        edits = [edit(rng, data) for _ in range(rng.choice((1, 1, 2)))]
        if rng.random() < 0.2:
            edits += [InsertStage(*new(rng), after="stages.0") for _ in range(2)]
        try:
            dataset = made(data)
        except BuildError:
            ends["not built"] += 1
            continue
        expected = wanted(data, edits)
        ops = {one.address: one.op for one in placed(data)}
        try:
            found = edited(dataset, *edits, ops=ops)
        except CannotChangeError:
            ends["refused" if expected is not None else "refused by both"] += 1
            continue
        assert expected is not None, f"{data}\n{edits}"
        assert written(found) == written(expected), f"{data}\n{edits}"
        assert first(found) == first(expected), f"{data}\n{edits}"
        assert is_as_exact(found.element_spec, expected.element_spec), f"{data}\n{edits}"
        ends["same"] += 1
    assert ends["same"] >= PIPELINES * 0.6, ends


def test_caches_of_joined_datasets_are_those_of_the_spec() -> None:
    side = {"source": {"from_tensor_slices": {"tensors": [7, 8, 9]}}, "stages": [{"repeat": {}}, PLAIN[0]]}
    other = {"source": NUMBERS, "stages": [PLAIN[1], PLAIN[3], {"repeat": {}}]}
    mixed = {"sample_from_datasets": {"datasets": [side, other], "weights": [0.5, 0.5], "seed": 3}}
    data = {"version": 1, "source": mixed, "stages": [{"take": {"count": 40}}]}
    first, second = "source.datasets.0", "source.datasets.1"
    edits = [
        ReplaceStages((f"{first}.stages.0",)),
        InsertStage("cache", {}, f"{first}.stages.1"),
        InsertStage("repeat", {}, f"{first}.stages.1"),
        InsertStage("cache", {}, f"{second}.stages.1"),
    ]
    dataset, expected = made(data), wanted(data, edits)
    ops = {one.address: one.op for one in placed(data)}
    found = edited(dataset, *edits, ops=ops)
    assert written(found) == written(expected)
    assert list(found.as_numpy_iterator()) == list(dataset.as_numpy_iterator())
