"""What a memory limit allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import pipeline, stage, tensor

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.profiles.constants import RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.limit_answers import what_ifs
from pipeprof.profiles.memory.predict import ADDED, memory_prediction
from pipeprof.profiles.view.view import ComponentView, StageView

MB = 1_000_000
ROW = (tensor("uint8", MB),)


def generated(elements: int | None = 5000) -> StageView:
    return stage("source", "from_generator", element=ROW, elements=elements)


def above(op: str, elements: int | None = 5000, index: int = 0, **arguments: Any) -> StageView:
    return stage(f"stages.{index}", op, element=ROW, elements=elements, arguments=arguments)


def answers(limit: int, *stages: StageView) -> list[LimitAnswer]:
    """Those for single stages, of a limit that leaves so much beside the reserve."""
    return [one for one in all_answers(round((1 + RESERVE) * limit), *stages) if one.stage is not None]


def all_answers(limit: int, *stages: StageView) -> list[LimitAnswer]:
    view = pipeline(*stages)
    return what_ifs(view, memory_prediction(view), RUNTIME_BYTES + limit)


def tuned(limit: int, *stages: StageView, options: Mapping[str, Any] | None = None) -> list[LimitAnswer]:
    """Answers for a pipeline as it is written; `limit` leaves so much beside the reserve."""
    view = replace(pipeline(*stages, options=options or {}), unseen=True)
    return what_ifs(view, memory_prediction(view), RUNTIME_BYTES + round((1 + RESERVE) * limit))


MIXED = above("shuffle", INFINITE, buffer_size=100)
ENDLESS = generated(INFINITE)
NESTED = (
    stage("stages.0", "interleave", element=ROW, elements=10_000, arguments={"cycle_length": 4}),
    stage("stages.0.source", "range", element=ROW, elements=5000, owner="stages.0"),
    replace(
        stage("stages.0.stages.0", "shuffle", element=ROW, elements=5000, owner="stages.0"),
        arguments={"buffer_size": 200},
    ),
)


def test_golden(golden: Callable[[str, str], None]) -> None:
    asked = {
        "too large": (generated(), above("shuffle", buffer_size=2000)),
        "may grow": (generated(), above("shuffle", buffer_size=100)),
        "all elements fit": (generated(500), above("shuffle", 500, buffer_size=100_000)),
        "cache fits": (generated(900), above("cache", 900)),
        "cache nearly fits": (generated(1050), above("cache", 1050)),
        "cache too large": (generated(1300), above("cache", 1300)),
        "cache of unknown length": (generated(None), above("cache", None)),
        "in open copies": (generated(10), *NESTED),
        "prefetch": (generated(), above("prefetch", buffer_size=2000)),
    }
    lines = [f"{name}: {one.sentence}\n" for name, stages in asked.items() for one in answers(1001 * MB, *stages)]
    grown = {
        "tuned prefetch": tuned(1004 * MB, ENDLESS, MIXED),
        "no room": answers(0, generated(), above("shuffle", buffer_size=2000)),
        "room to grow": tuned(20_000 * MB, generated(), above("shuffle", buffer_size=100)),
    }
    lines += [f"{name}: {one.sentence}\n" for name, found in grown.items() for one in found]
    golden("memory/what-ifs.txt", "".join(lines))


@pytest.mark.parametrize(("size", "fits"), [(2000, False), (100, True)])
def test_how_large_a_shuffle_may_be(size: int, fits: bool) -> None:
    (answer,) = answers(1001 * MB, generated(), above("shuffle", buffer_size=size))

    assert (answer.fits, answer.most) == (fits, 1000)


def test_any_buffer_fits_where_all_elements_do() -> None:
    (answer,) = answers(1001 * MB, generated(500), above("shuffle", 500, buffer_size=100_000))

    assert answer.fits


def test_what_the_rest_takes_is_not_free() -> None:
    mixing = above("shuffle", 10_000, index=2, buffer_size=5)
    doubled = stage("stages.1", "map", element=ROW, elements=10_000)

    cache, shuffle = answers(1001 * MB, generated(600), above("cache", 600), doubled, mixing)

    assert cache.fits
    assert shuffle.most == 400


def test_whether_a_cache_fits() -> None:
    found = [answers(1001 * MB, generated(count), above("cache", count))[0] for count in (900, 1050, 1300)]

    assert [one.fits for one in found] == [True, None, False]


def test_no_limit_is_too_small_for_views() -> None:
    rows = stage("source", "from_tensor_slices", element=(tensor("float32", 16),), elements=1000, source_bytes=64_000)
    shuffle = stage("stages.0", "shuffle", element=(tensor("float32", 16),), arguments={"buffer_size": 1000})

    (answer,) = answers(0, rows, shuffle)

    assert (answer.fits, answer.most) == (True, None)


def test_there_is_no_room_at_all() -> None:
    (answer,) = answers(-RUNTIME_BYTES, generated(), above("shuffle", buffer_size=10))

    assert (answer.fits, answer.most) == (False, 0)


def test_a_nested_shuffle_is_answered_for_each_of_its_copies() -> None:
    (answer,) = answers(401 * MB, generated(10), *NESTED)

    assert (answer.fits, answer.most) == (False, 100)


def test_a_prefetch_is_answered_where_it_holds_much() -> None:
    few, many = (answers(1001 * MB, generated(), above("prefetch", buffer_size=count)) for count in (2, 2000))

    assert few == []
    assert [(one.fits, one.most) for one in many] == [(False, 1001)]


def test_a_cache_of_unknown_length_has_room_for_so_many() -> None:
    (answer,) = answers(1001 * MB, generated(None), above("cache", None))

    assert (answer.fits, answer.most) == (None, 1000)


def test_a_cache_without_end_fits_nowhere() -> None:
    together, cache = all_answers(1001 * MB, generated(INFINITE), above("cache", INFINITE))

    assert (together.fits, cache.fits) == (False, False)


@pytest.mark.parametrize("element", [(*ROW, tensor("uint8", None)), (tensor("uint8", None),)])
def test_what_is_not_known_is_said(element: tuple[ComponentView, ...]) -> None:
    source = stage("source", "from_generator", element=element, elements=10)
    shuffle = stage("stages.0", "shuffle", element=element, elements=10, arguments={"buffer_size": 5})

    together, answer = all_answers(1001 * MB, source, shuffle)

    assert (together.fits, answer.fits) == (None, None)


@pytest.mark.parametrize(("limit", "fits"), [(-1, False), (409, False), (411, None), (512, None), (513, True)])
def test_everything_together_is_answered_without_a_buffer(limit: int, fits: bool | None) -> None:
    element = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=element, elements=1000, source_bytes=100 * MB)

    (together,) = all_answers(limit * MB, rows)

    assert (together.stage, together.fits) == (None, fits)


def test_a_prefetch_that_tensorflow_adds_may_grow_out_of_the_limit() -> None:
    together, shuffle, prefetch = tuned(1004 * MB, ENDLESS, MIXED)

    assert [together.fits, shuffle.fits, prefetch.fits] == [None, None, None]
    assert (shuffle.most, prefetch.stage) == (1001, ADDED)


@pytest.mark.parametrize("size", [AUTOTUNE, -1])
def test_a_written_prefetch_is_tuned_as_well(size: Any) -> None:
    together, shuffle, prefetch = tuned(1004 * MB, ENDLESS, MIXED, above("prefetch", INFINITE, 1, buffer_size=size))

    assert [together.fits, shuffle.fits, prefetch.fits] == [None, None, None]
    assert prefetch.stage == "stages.1"


def test_with_a_prefetch_of_its_own_the_answer_has_no_condition() -> None:
    together, shuffle, *_ = tuned(1020 * MB, ENDLESS, MIXED, above("prefetch", INFINITE, 1, buffer_size=16))

    assert (together.fits, shuffle.fits) == (True, True)


def test_where_there_is_room_for_it_a_tuned_prefetch_is_counted_as_it_may_grow() -> None:
    together, shuffle = tuned(20_000 * MB, generated(), above("shuffle", buffer_size=100))

    assert (together.fits, shuffle.fits) == (True, True)
    assert shuffle.most == pytest.approx((1.25 * 20_000 - 2048) / 1.25, abs=10)


def test_it_grows_no_further_than_there_are_elements() -> None:
    together, shuffle = tuned(1004 * MB, generated(500), above("shuffle", 500, buffer_size=100))

    assert (together.fits, shuffle.fits) == (True, True)


def test_a_budget_of_memory_bounds_it_unless_autotune_is_off() -> None:
    budget = {"autotune.ram_budget": 400 * MB}
    prefetch = above("prefetch", INFINITE, 1, buffer_size=AUTOTUNE)

    together, shuffle = tuned(1004 * MB, ENDLESS, MIXED, options=budget)
    without, *_ = tuned(1004 * MB, ENDLESS, MIXED, prefetch, options=budget | {"autotune.enabled": False})

    assert (together.fits, shuffle.fits, without.fits) == (True, True, None)


def test_a_prefetch_of_views_does_not_grow() -> None:
    row = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=row, elements=1000, source_bytes=64_000)
    written = stage("stages.0", "prefetch", element=row, elements=1000, arguments={"buffer_size": AUTOTUNE})

    assert [one.fits for one in tuned(10 * MB, rows, written)] == [True]


def test_what_needs_too_much_at_most_may_fit() -> None:
    together, *_ = all_answers(1000 * MB, generated(None), above("shuffle", None, buffer_size=2000))

    assert together.fits is None
