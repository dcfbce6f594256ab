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
from pipeprof.profiles.memory.predict.execution import ADDED
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.memory.predict.what_if import what_ifs
from pipeprof.profiles.view.view import ComponentView, StageView
from pipeprof.profiles.wording import size as in_words

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


def test_golden(golden: Callable[[str, str], None]) -> None:
    inner = stage("stages.0.stages.0", "shuffle", element=ROW, elements=5000, owner="stages.0")
    nested = (
        stage("stages.0", "interleave", element=ROW, elements=10_000, arguments={"cycle_length": 4}),
        stage("stages.0.source", "range", element=ROW, elements=5000, owner="stages.0"),
        replace(inner, arguments={"buffer_size": 200}),
    )
    asked = {
        "too large": (generated(), above("shuffle", buffer_size=2000)),
        "may grow": (generated(), above("shuffle", buffer_size=100)),
        "all elements fit": (generated(500), above("shuffle", 500, buffer_size=100_000)),
        "cache fits": (generated(900), above("cache", 900)),
        "cache nearly fits": (generated(1050), above("cache", 1050)),
        "cache too large": (generated(1300), above("cache", 1300)),
        "cache of unknown length": (generated(None), above("cache", None)),
        "in open copies": (generated(10), *nested),
        "prefetch": (generated(), above("prefetch", buffer_size=2000)),
    }
    lines = [f"{name}: {one.sentence}\n" for name, stages in asked.items() for one in answers(1001 * MB, *stages)]
    golden("memory/what-ifs.txt", "".join(lines))


def test_how_large_a_shuffle_may_be() -> None:
    (answer,) = answers(1001 * MB, generated(), above("shuffle", buffer_size=2000))

    assert (answer.fits, answer.most) == (False, 1000)


def test_a_shuffle_that_fits_may_grow() -> None:
    (answer,) = answers(1001 * MB, generated(), above("shuffle", buffer_size=100))

    assert (answer.fits, answer.most) == (True, 1000)


def test_any_buffer_fits_where_all_elements_do() -> None:
    (answer,) = answers(1001 * MB, generated(500), above("shuffle", 500, buffer_size=100_000))

    assert answer.fits


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


def test_a_prefetch_is_answered_where_it_holds_much() -> None:
    few, many = (answers(1001 * MB, generated(), above("prefetch", buffer_size=count)) for count in (2, 2000))

    assert few == []
    assert [(one.fits, one.most) for one in many] == [(False, 1001)]


def test_a_cache_of_unknown_length_has_room_for_so_many() -> None:
    (answer,) = answers(1001 * MB, generated(None), above("cache", None))

    assert answer.fits is None
    assert answer.most == 1000


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
    assert "unknown (" in answer.sentence


@pytest.mark.parametrize(
    ("limit", "fits", "says"),
    [
        (-1, False, "does not fit"),
        (409, False, "does not fit"),
        (411, None, "may be a fifth too low"),
        (512, None, "may not fit"),
        (513, True, "fits; "),
    ],
)
def test_everything_together_is_answered_without_a_buffer(limit: int, fits: bool | None, says: str) -> None:
    element = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=element, elements=1000, source_bytes=100 * MB)

    (together,) = all_answers(limit * MB, rows)

    assert (together.stage, together.fits) == (None, fits)
    assert says in together.sentence


def test_memory_that_is_used_again_is_not_counted_twice() -> None:
    element = (tensor("float32", 16, 16384),)
    rows = stage("source", "from_tensor_slices", element=element, elements=300, source_bytes=300 * MB)
    doubled = stage("stages.0", "map", element=element, elements=300)
    cache = stage("stages.1", "cache", element=element, elements=300)
    view = pipeline(rows, doubled, cache)
    memory = memory_prediction(view)

    together, _ = what_ifs(view, memory, round((1 + RESERVE) * memory.peak_bytes) + RUNTIME_BYTES)
    _, answer = what_ifs(view, memory, round((1 + RESERVE) * memory.running_bytes) + RUNTIME_BYTES)

    assert together.fits
    assert answer.fits


def tuned(limit: int, *stages: StageView, options: Mapping[str, Any] | None = None) -> list[LimitAnswer]:
    """Answers for a pipeline as it is written; `limit` leaves so much beside the reserve."""
    view = replace(pipeline(*stages, options=options or {}), unseen=True)
    return what_ifs(view, memory_prediction(view), RUNTIME_BYTES + round((1 + RESERVE) * limit))


MIXED = above("shuffle", INFINITE, buffer_size=100)
ENDLESS = generated(INFINITE)


def test_a_prefetch_that_tensorflow_adds_may_grow_out_of_the_limit() -> None:
    together, shuffle, prefetch = tuned(1003 * MB, ENDLESS, MIXED)

    assert [together.fits, shuffle.fits, prefetch.fits] == [None, None, None]
    assert "fits with its prefetch bounded" in together.sentence
    assert "fits: 1,000 with its prefetch bounded" in shuffle.sentence
    assert "`prefetch: {buffer_size: 2}` as last stage bounds it" in prefetch.sentence
    assert "by 1.91 GiB (2,048 elements) and more" in prefetch.sentence


@pytest.mark.parametrize("size", [AUTOTUNE, -1])
def test_a_written_prefetch_is_tuned_as_well(size: Any) -> None:
    written = above("prefetch", INFINITE, index=1, buffer_size=size)

    together, shuffle, prefetch = tuned(1004 * MB, ENDLESS, MIXED, written)

    assert [together.fits, shuffle.fits, prefetch.fits] == [None, None, None]
    assert prefetch.stage == "stages.1"
    assert prefetch.sentence.endswith("`buffer_size: 2` bounds it")


@pytest.mark.parametrize("size", [2, 16])
def test_with_a_prefetch_of_its_own_the_answer_has_no_condition(size: int) -> None:
    together, shuffle, *_ = tuned((1002 + size) * MB, ENDLESS, MIXED, above("prefetch", INFINITE, 1, buffer_size=size))

    assert (together.fits, shuffle.fits) == (True, True)
    assert "bounded" not in together.sentence + shuffle.sentence


def test_where_there_is_room_for_it_a_tuned_prefetch_is_counted_as_it_may_grow() -> None:
    together, shuffle = tuned(20_000 * MB, generated(5000), above("shuffle", 5000, buffer_size=100))

    assert (together.fits, shuffle.fits) == (True, True)
    assert "1.91 GiB of it for its prefetch to grow to 2,048 elements" in together.sentence
    assert " may need " in together.sentence
    assert shuffle.most == pytest.approx((1.25 * 20_000 - 2048) / 1.25, abs=10)


def test_it_grows_no_further_than_there_are_elements() -> None:
    together, shuffle = tuned(1004 * MB, generated(500), above("shuffle", 500, buffer_size=100))
    few, _, prefetch = tuned(404 * MB, generated(390), above("shuffle", 390, buffer_size=100))

    assert (together.fits, shuffle.fits) == (True, True)
    assert "2,048" not in together.sentence
    assert few.fits is None
    assert "by 370 MiB;" in prefetch.sentence


@pytest.mark.parametrize(("size", "fits"), [(100, (True, True)), (900, (None, False)), (1300, (False, False))])
def test_a_budget_of_memory_bounds_it(size: int, fits: tuple[bool | None, bool]) -> None:
    mixed = above("shuffle", INFINITE, buffer_size=size)

    together, shuffle = tuned(1004 * MB, ENDLESS, mixed, options={"autotune.ram_budget": 400 * MB})

    assert (together.fits, shuffle.fits, shuffle.most) == (*fits, 681)
    assert "381 MiB of it for its prefetch to grow" in together.sentence
    assert "2,048" not in together.sentence


def test_little_growth_is_counted_even_where_the_rest_does_not_fit() -> None:
    few = stage("stages.1", "take", element=ROW, elements=150)

    together, shuffle = tuned(1004 * MB, generated(), above("shuffle", buffer_size=2000), few)

    assert (together.fits, shuffle.fits, shuffle.most) == (False, False, 883)
    assert "bounded" not in together.sentence + shuffle.sentence


def test_a_budget_beyond_the_limit_bounds_nothing() -> None:
    together, _, prefetch = tuned(1004 * MB, ENDLESS, MIXED, options={"autotune.ram_budget": 1300 * MB})

    assert together.fits is None
    assert "by 1.21 GiB;" in prefetch.sentence


def test_without_autotune_no_budget_bounds_a_tuned_prefetch() -> None:
    options = {"autotune.enabled": False, "autotune.ram_budget": 100 * MB}
    written = above("prefetch", INFINITE, index=1, buffer_size=AUTOTUNE)

    together, _, prefetch = tuned(1004 * MB, ENDLESS, MIXED, written, options=options)

    assert together.fits is None
    assert "1.91 GiB (2,048 elements) and more" in prefetch.sentence


def test_several_tuned_prefetches_grow_together() -> None:
    two = [above("prefetch", INFINITE, index=index, buffer_size=AUTOTUNE) for index in (1, 2)]

    together, *_, last = tuned(1006 * MB, ENDLESS, MIXED, *two)

    assert "its prefetches bounded" in together.sentence
    assert last.stage == "stages.2"
    assert tuned(25_000 * MB, ENDLESS, MIXED, *two)[1].most == pytest.approx((1.25 * 25_000 - 2 * 2048) / 1.25, abs=10)


def test_a_prefetch_of_views_does_not_grow() -> None:
    row = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=row, elements=1000, source_bytes=64_000)
    written = stage("stages.0", "prefetch", element=row, elements=1000, arguments={"buffer_size": AUTOTUNE})

    assert [one.fits for one in tuned(10 * MB, rows, written)] == [True]


def test_of_two_prefetches_only_that_of_new_tensors_grows() -> None:
    row = (tensor("float32", 16),)
    rows = stage("source", "from_tensor_slices", element=row, elements=1000, source_bytes=64_000)
    views = stage("stages.0", "prefetch", element=row, elements=1000, arguments={"buffer_size": AUTOTUNE})
    large = stage("stages.1", "map", element=ROW, elements=1000)

    together, prefetch = tuned(600 * MB, rows, views, large)

    assert "its prefetch bounded" in together.sentence
    assert prefetch.stage == ADDED


def test_a_nested_prefetch_grows_in_each_of_its_copies() -> None:
    outer = stage("stages.0", "interleave", element=ROW, elements=INFINITE, arguments={"cycle_length": 4})
    inner = [
        stage("stages.0.source", "range", element=ROW, elements=100, owner="stages.0"),
        stage("stages.0.stages.0", "prefetch", element=ROW, elements=100, owner="stages.0"),
    ]
    inner[1] = replace(inner[1], arguments={"buffer_size": AUTOTUNE})
    fixed = above("prefetch", INFINITE, index=1, buffer_size=1)

    together, *_ = tuned(10_000 * MB, generated(10), outer, *inner, fixed)

    assert f"{in_words(4 * 98 * MB)} of it for its prefetch to grow" in together.sentence


def test_a_cache_fits_once_the_prefetch_is_bounded() -> None:
    mixed = above("repeat", INFINITE, index=1)
    doubled = stage("stages.2", "map", element=ROW, elements=INFINITE)

    answers = tuned(1006 * MB, generated(500), above("cache", 500), mixed, doubled)

    cache = next(one for one in answers if one.stage == "stages.0")
    assert cache.fits is None
    assert "fits with its prefetch bounded" in cache.sentence


BATCHED = [stage("stages.1", "map", element=ROW, elements=INFINITE, arguments={"num_parallel_calls": 2})]
BATCHED += [stage("stages.2", "batch", element=(tensor("uint8", 10, MB),), elements=INFINITE)]
BATCHED[1] = replace(BATCHED[1], arguments={"batch_size": 10})


@pytest.mark.parametrize(("limit", "size", "fits"), [(1000, 100, True), (1000, 823, True), (600, 600, None)])
def test_a_map_that_fills_batches_may_take_up_to_sixteen(limit: int, size: int, fits: bool | None) -> None:
    mixed = above("shuffle", INFINITE, buffer_size=size)

    together, shuffle = tuned(limit * MB, ENDLESS, mixed, *BATCHED)

    assert (together.fits, shuffle.most) == (fits, limit - 140 / 1.25 - 41 - 24)
    assert "134 MiB of it for batches that map may fill ahead" in together.sentence


@pytest.mark.parametrize(("limit", "says"), [(200, "fits with its batches bounded"), (161, "may be a fifth too low")])
def test_batches_that_a_map_fills_may_be_too_many(limit: int, says: str) -> None:
    mixed = above("shuffle", INFINITE, buffer_size=100)

    together, shuffle, batches = tuned(limit * MB, ENDLESS, mixed, *BATCHED)

    assert (together.fits, shuffle.most, batches.stage) == (None, limit - 16 - 41 - 24, "stages.1")
    assert says in together.sentence
    assert shuffle.fits is (None if limit == 200 else False)
    assert "for batches that" not in together.sentence
    assert "may fill 16 batches ahead, 134 MiB more" in batches.sentence
    assert batches.sentence.endswith("`prefetch: {buffer_size: 2}` as last stage bound it")


def test_below_another_stage_batches_are_bounded_by_themselves() -> None:
    batches = BATCHED[1].element
    mixed = stage("stages.3", "shuffle", element=batches, elements=INFINITE, arguments={"buffer_size": 3})

    together, prepared, shuffle, prefetch = tuned(100 * MB, ENDLESS, above("repeat", INFINITE), *BATCHED, mixed)

    assert "with its batches and its prefetch bounded" in together.sentence + shuffle.sentence
    assert prepared.sentence.endswith("map_and_batch_fusion: false` bounds it")
    assert prefetch.stage == ADDED


def test_there_may_be_room_for_batches_that_take_more_than_a_fifth() -> None:
    mixed = above("shuffle", INFINITE, buffer_size=10)

    together, shuffle = tuned(200 * MB, ENDLESS, mixed, *BATCHED)

    assert (together.fits, shuffle.fits, shuffle.most) == (True, True, 200 - 112 - 41 - 24)


def test_below_what_tensorflow_takes_nothing_is_said_of_batches() -> None:
    assert [one.stage for one in tuned(-100 * MB, ENDLESS, MIXED, *BATCHED)] == [None, "stages.0"]


def test_maps_in_open_pipelines_fill_ahead_in_each_of_them() -> None:
    outer = stage("stages.0", "interleave", element=BATCHED[1].element, arguments={"cycle_length": 4})
    nested = [
        stage("stages.0.source", "range", element=ROW, elements=5000),
        stage("stages.0.stages.0", "map", element=ROW, elements=5000, arguments={"num_parallel_calls": 2}),
        stage("stages.0.stages.1", "batch", element=outer.element, elements=500, arguments={"batch_size": 10}),
    ]
    view = pipeline(generated(10), outer, *nested, above("prefetch", index=1, buffer_size=1))

    together, *_ = what_ifs(view, memory_prediction(view), 10_000 * MB)

    assert f"{in_words(4 * 14 * 10 * MB)} of it for batches" in together.sentence

    _, batches, prefetch = what_ifs(view, memory_prediction(view), RUNTIME_BYTES + 400 * MB)

    assert (prefetch.stage, batches.stage) == ("stages.1", "stages.0.stages.0")
    assert prefetch.most == 12


def test_what_needs_too_much_at_most_may_fit() -> None:
    together, *_ = all_answers(1000 * MB, generated(None), above("shuffle", None, buffer_size=2000))

    assert together.fits is None
    assert "may not fit" in together.sentence


def test_it_fills_no_more_batches_than_there_are() -> None:
    ten = [BATCHED[0], replace(BATCHED[1], elements=3)]

    together, _ = tuned(200 * MB, generated(30), above("shuffle", 30, buffer_size=10), *ten)

    assert "9.54 MiB of it for batches" in together.sentence


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([generated(500), above("shuffle", 500, buffer_size=5000)], "any buffer_size fits with its prefetch bounded"),
        ([generated(None), above("cache", None)], "elements of 977 KiB fit with its prefetch bounded"),
    ],
)
def test_the_condition_is_in_every_answer(stages: list[StageView], says: str) -> None:
    end = stage("stages.1", "map", element=ROW, elements=INFINITE)

    _, answer, prefetch = tuned(700 * MB, *stages, end)

    assert says in answer.sentence
    assert (answer.fits, prefetch.stage) == (None, ADDED)


@pytest.mark.parametrize("element", [(*ROW, tensor("uint8", None)), (tensor("uint8", None),), None])
@pytest.mark.parametrize("written", [True, False])
def test_sizes_that_are_not_known_leave_the_condition(element: tuple[ComponentView, ...] | None, written: bool) -> None:
    known = element is not None and len(element) > 1
    end = [stage("stages.1", "map", element=element, elements=INFINITE)]
    if written:
        size = {"buffer_size": AUTOTUNE}
        end.append(stage("stages.2", "prefetch", element=element, elements=INFINITE, arguments=size))

    together, shuffle, prefetch = tuned(700 * MB, ENDLESS, MIXED, *end)

    assert (together.fits, shuffle.fits, prefetch.fits) == (None, None, None)
    assert "as far as sizes are known, with its prefetch bounded; " in together.sentence
    assert ("may let it grow; " in prefetch.sentence) == (not known)


def test_an_element_of_which_only_a_part_is_known_has_an_upper_bound() -> None:
    element = (*ROW, tensor("uint8", None))
    source = stage("source", "from_generator", element=element, elements=5000)

    few, many = (
        answers(1001 * MB, source, stage("stages.0", "shuffle", element=element, arguments={"buffer_size": size}))[0]
        for size in (10, 2000)
    )

    small = replace(source, elements=5)
    few_cached = answers(1001 * MB, small, stage("stages.0", "cache", element=element, elements=5))[0]

    window = stage("stages.1", "group_by_window", element=ROW, elements=5000)
    below_unknown, *_ = answers(1001 * MB, generated(), above("shuffle", buffer_size=100), window)

    assert (few.fits, many.fits, few_cached.fits, below_unknown.fits) == (None, False, None, None)
    assert "must be less than 1,000" in below_unknown.sentence
    assert "must be less than 1,000" in few.sentence


@pytest.mark.parametrize("elements", [INFINITE, None])
def test_below_what_tensorflow_takes_nothing_is_said_of_growth(elements: int | None) -> None:
    together, shuffle = tuned(-100 * MB, generated(elements), above("shuffle", elements, buffer_size=100))

    assert (together.fits, shuffle.fits, shuffle.most) == (False, False, 0)
