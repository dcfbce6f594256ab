"""What a memory limit allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.views import pipeline, stage, tensor

from pipeprof.profiles.advise.memory import memory_prediction
from pipeprof.profiles.advise.view import INFINITE, StageView
from pipeprof.profiles.advise.what_if import RESERVE, RUNTIME_BYTES, WhatIf, what_ifs

MB = 1_000_000
ROW = (tensor("uint8", MB),)


def generated(elements: int | None = 5000) -> StageView:
    return stage("source", "from_generator", element=ROW, elements=elements)


def above(op: str, elements: int | None = 5000, index: int = 0, **arguments: Any) -> StageView:
    return stage(f"stages.{index}", op, element=ROW, elements=elements, arguments=arguments)


def answers(limit: int, *stages: StageView) -> list[WhatIf]:
    """Those for single stages, of a limit that leaves so much beside the reserve."""
    return [one for one in all_answers(round((1 + RESERVE) * limit), *stages) if one.stage is not None]


def all_answers(limit: int, *stages: StageView) -> list[WhatIf]:
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
    close = answers(1001 * MB, generated(1050), above("cache", 1050))
    too_large = answers(1001 * MB, generated(1300), above("cache", 1300))

    assert [one.fits for one in (*fitting, *close, *too_large)] == [True, None, False]
    assert "less than a fifth in reserve" in close[0].sentence
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


def test_a_nested_shuffle_is_answered_for_each_of_its_copies() -> None:
    inner = [
        stage("stages.0.source", "range", element=ROW, elements=5000, owner="stages.0"),
        stage("stages.0.stages.0", "shuffle", element=ROW, elements=5000, owner="stages.0"),
    ]
    inner[1] = replace(inner[1], arguments={"buffer_size": 200})
    outer = stage("stages.0", "interleave", element=ROW, elements=10_000, arguments={"cycle_length": 4})

    (answer,) = answers(401 * MB, generated(10), outer, *inner)

    assert (answer.fits, answer.most) == (False, 100)
    assert "in each of 4 at a time" in answer.sentence


def test_a_prefetch_is_answered_where_it_holds_much() -> None:
    few, many = (answers(1001 * MB, generated(), above("prefetch", buffer_size=count)) for count in (2, 2000))

    assert few == []
    assert [(one.fits, one.most) for one in many] == [(False, 1001)]


def test_a_cache_of_unknown_length_has_room_for_so_many() -> None:
    (answer,) = answers(1001 * MB, generated(None), above("cache", None))

    assert answer.fits is None
    assert answer.most == 1000
    assert "room for 1,000 elements" in answer.sentence


def test_a_cache_without_end_fits_nowhere() -> None:
    together, cache = all_answers(1001 * MB, generated(INFINITE), above("cache", INFINITE))

    assert (together.fits, cache.fits) == (False, False)


def test_what_is_not_known_is_said() -> None:
    unknown = (tensor("uint8", None),)
    source = stage("source", "from_generator", element=unknown, elements=10)
    shuffle = stage("stages.0", "shuffle", element=unknown, elements=10, arguments={"buffer_size": 5})

    together, answer = all_answers(1001 * MB, source, shuffle)

    assert (together.fits, answer.fits, answer.most) == (None, None, None)
    assert "as far as sizes are known" in together.sentence
    assert "cannot be told" in answer.sentence


@pytest.mark.parametrize(("limit", "fits"), [(299, False), (310, True)])
def test_everything_together_is_answered_without_a_buffer(limit: int, fits: bool) -> None:
    element = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=element, elements=1000, source_bytes=100 * MB)

    (together,) = all_answers(limit * MB + 105 * MB, rows)

    assert (together.stage, together.fits) == (None, fits)


def test_memory_that_is_used_again_is_not_counted_twice() -> None:
    element = (tensor("float32", 16, 16384),)
    rows = stage("source", "from_tensor_slices", element=element, elements=300, source_bytes=300 * MB)
    doubled = stage("stages.0", "map", element=element, elements=300)
    cache = stage("stages.1", "cache", element=element, elements=300)
    view = pipeline(rows, doubled, cache)
    memory = memory_prediction(view)

    together, _ = what_ifs(view, memory, memory.peak_bytes + RUNTIME_BYTES)
    _, answer = what_ifs(view, memory, round((1 + RESERVE) * memory.running_bytes) + RUNTIME_BYTES)

    assert together.fits
    assert answer.fits
