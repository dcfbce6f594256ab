"""Pipelines with a None in their elements: it is no component."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import edited, first, replayed

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, VectoriseMap
from pipeprof.pipelines.changes.replay import Replay
from pipeprof.pipelines.graph.observe.build_watch import component_keys

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")

ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


def make() -> tf.data.Dataset:
    rows = tf.data.Dataset.from_tensor_slices({"x": ROWS, "none": None})
    named = rows.map(lambda row: {**row, "pair": (row["x"][0], None, (None, row["x"][1]))})
    return named.map(lambda row: {**row, "x": row["x"] * 2.0}).batch(2)


def alone() -> tf.data.Dataset:
    return tf.data.Dataset.range(6).map(lambda x: (None, x)).map(lambda none, x: (none, None, x * 2)).batch(2)


@pytest.mark.parametrize("function", [make, alone])
@pytest.mark.parametrize(
    "edit",
    [
        InsertStage("cache", {}, after="stages.0"),
        InsertStage("prefetch", {"buffer_size": 2}, after=None),
        SetArgument("stages.1", "map", "num_parallel_calls", 2),
        VectoriseMap("stages.1", "stages.2"),
    ],
)
def test_edits_keep_it(function: Any, edit: PipelineEdit) -> None:
    dataset = function()
    found = edited(dataset, edit)
    assert found.element_spec == dataset.element_spec
    assert first(found) == first(dataset)


def test_a_replay_has_it() -> None:
    assert first(replayed(make(), Replay(("stages.0", "stages.1"))).dataset) == first(make())


def test_it_has_no_name() -> None:
    assert component_keys(make().element_spec) == ["pair.0", "pair.2.1", "x"]
