"""What a prediction of memory cannot count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import pipeline, stage, tensor

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.profiles.memory.predict.autotuned_buffers import not_predicted
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.view.view import StageView

ROW = (tensor("uint8", 1_000_000),)
BATCH = (tensor("uint8", 16, 1_000_000),)
SOURCE = stage("source", "from_generator", element=ROW, elements=INFINITE)


def above(op: str, element: Any = ROW, index: int = 0, elements: int = INFINITE, **arguments: Any) -> StageView:
    return stage(f"stages.{index}", op, element=element, elements=elements, arguments=arguments)


def told(*stages: StageView, unseen: bool = False) -> list[str]:
    view = replace(pipeline(*stages), unseen=unseen)
    return not_predicted(view, memory_prediction(view))


@pytest.mark.parametrize(("size", "count"), [(AUTOTUNE, 1), (3, 0)])
def test_how_far_a_tuned_prefetch_grows(size: Any, count: int) -> None:
    found = told(SOURCE, above("prefetch", buffer_size=size))

    assert len(found) == count
    assert all(
        "the buffer of prefetch, which AUTOTUNE chooses: 2 elements are counted, 977 KiB each" in one for one in found
    )


def test_the_prefetch_that_is_added() -> None:
    (found,) = told(SOURCE, above("batch", BATCH, batch_size=16), unseen=True)

    assert "the buffer of the prefetch that TensorFlow adds" in found


def test_how_many_batches_a_map_fills() -> None:
    batch = above("batch", BATCH, index=1, batch_size=16)
    fused = told(SOURCE, above("map", num_parallel_calls=2), batch, above("prefetch", BATCH, index=2, buffer_size=2))

    assert fused == ["the batches that map fills at a time, at most 16: 2 are counted, 15.3 MiB each"]


def test_growth_beside_which_the_rest_is_large_or_that_is_small_itself_is_not_told() -> None:
    def taken(elements: int) -> list[str]:
        take = above("take", index=1, elements=elements, count=elements)
        return told(SOURCE, above("shuffle", buffer_size=1000), take, above("prefetch", index=2, buffer_size=AUTOTUNE))

    assert (len(taken(400)), len(taken(100))) == (1, 0)
    numbers = (tensor("int64"),)
    assert told(stage("source", "range", element=numbers), above("prefetch", numbers, buffer_size=AUTOTUNE)) == []
