"""What a memory limit allows."""

from __future__ import annotations

from typing import Any

from unit.advise.views import pipeline, stage, tensor

from pipeprof.profiles.advise.memory import memory_prediction
from pipeprof.profiles.advise.view import StageView
from pipeprof.profiles.advise.what_if import RUNTIME_BYTES, WhatIf, what_ifs

MB = 1_000_000
ROW = (tensor("uint8", MB),)


def generated(elements: int | None = 5000) -> StageView:
    return stage("source", "from_generator", element=ROW, elements=elements)


def above(op: str, elements: int | None = 5000, index: int = 0, **arguments: Any) -> StageView:
    return stage(f"stages.{index}", op, element=ROW, elements=elements, arguments=arguments)


def answers(limit: int, *stages: StageView) -> list[WhatIf]:
    view = pipeline(*stages)
    return what_ifs(view, memory_prediction(view), RUNTIME_BYTES + limit)


def test_how_large_a_shuffle_may_be() -> None:
    (answer,) = answers(1001 * MB, generated(), above("shuffle", buffer_size=2000))

    assert (answer.fits, answer.most) == (False, 1000)
    assert "at most 1,000" in answer.sentence
    assert "it is 2,000" in answer.sentence


def test_a_shuffle_that_fits_may_grow() -> None:
    (answer,) = answers(1001 * MB, generated(), above("shuffle", buffer_size=100))

    assert (answer.fits, answer.most) == (True, 1000)


def test_any_buffer_fits_where_all_elements_do() -> None:
    (answer,) = answers(1001 * MB, generated(500), above("shuffle", 500, buffer_size=100_000))

    assert answer.fits
    assert "any buffer_size fits" in answer.sentence


def test_what_the_rest_takes_is_not_free() -> None:
    below = above("cache", 600, index=0)
    mixing = above("shuffle", 10_000, index=2, buffer_size=5)
    doubled = stage("stages.1", "map", element=ROW, elements=10_000)

    cache, shuffle = answers(1001 * MB, generated(600), below, doubled, mixing)

    assert cache.fits
    assert shuffle.most == 400


def test_whether_a_cache_fits() -> None:
    fitting = answers(1001 * MB, generated(900), above("cache", 900))
    too_large = answers(1001 * MB, generated(1100), above("cache", 1100))

    assert ([one.fits for one in fitting], [one.fits for one in too_large]) == ([True], [False])
    assert "too large" in too_large[0].sentence


def test_no_limit_is_too_small_for_views() -> None:
    rows = stage("source", "from_tensor_slices", element=(tensor("float32", 16),), elements=1000, source_bytes=64_000)
    shuffle = stage("stages.0", "shuffle", element=(tensor("float32", 16),), arguments={"buffer_size": 1000})

    (answer,) = answers(0, rows, shuffle)

    assert answer.fits
    assert answer.most is None


def test_there_is_no_room_at_all() -> None:
    (answer,) = answers(-RUNTIME_BYTES, generated(), above("shuffle", buffer_size=10))

    assert (answer.fits, answer.most) == (False, 0)
