"""Edits that are two ways to the same end."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
    are_alternatives,
)

EIGHT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
ELSEWHERE = SetArgument("stages.2", "map", "num_parallel_calls", 8)
WHOLE_BATCHES = VectoriseMap("stages.0", "stages.1")
POOL = SetOption("threading.private_threadpool_size", 8)
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")
GONE = ReplaceStages(("stages.0",))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (EIGHT, SetArgument("stages.0", "map", "num_parallel_calls", -1), True),
        (EIGHT, ELSEWHERE, False),
        (MoveStage("stages.1", "batch", "stages.0"), WHOLE_BATCHES, True),
        (EIGHT, WHOLE_BATCHES, False),
        (POOL, SetOption("threading.private_threadpool_size", 16), True),
        (POOL, EIGHT, False),
        (AHEAD, InsertStage("prefetch", {"buffer_size": -1}, "stages.0"), True),
        (AHEAD, InsertStage("cache", {}, "stages.0"), False),
        (GONE, EIGHT, True),
        (GONE, AHEAD, True),
        (GONE, ELSEWHERE, False),
    ],
)
def test_alternatives_change_the_same_thing(one: PipelineEdit, other: PipelineEdit, same: bool) -> None:
    assert are_alternatives([one], [other]) is same
    assert are_alternatives([SetOption("deterministic", False), other], [one]) is same
