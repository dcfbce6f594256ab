"""What the graph says of a shuffle."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.graph.stages import Node
from pipeprof.profiles.time.stage_table import _shuffle


def node(op: str, given: dict[str, Any]) -> Node:
    return Node("a", op, None, None, (), None, 0, (), (), given, None, stateful=False, files=False)


UNSEEDED = {"seed": 0, "seed2": 0, "reshuffle_each_iteration": True}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([{"buffer_size": 9, **UNSEEDED}], (9, False, True)),
        ([{"buffer_size": 9, **UNSEEDED, "seed": 87654321, "seed2": 3}], (9, True, True)),
        ([{"buffer_size": 9, "seed": 0, "seed2": 3, "reshuffle_each_iteration": False}], (9, True, False)),
        ([{"buffer_size": 9}], (9, None, None)),
        ([{"buffer_size": -1, **UNSEEDED}], (None, False, True)),
        ([{"buffer_size": size, **UNSEEDED} for size in (2, 3)], (None, False, True)),
    ],
)
def test_what_the_graph_says(arguments, expected):
    found = _shuffle([node("ShuffleDatasetV3", given) for given in arguments])
    assert found is not None
    assert (found.buffer_size, found.seeded, found.reshuffles) == expected
    assert _shuffle([node("MapDataset", {})]) is None
