"""What a memory limit allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import pipeline, stage, tensor

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.profiles.constants import RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.ledger import what_ifs
from pipeprof.profiles.memory.predict import memory_prediction
from pipeprof.profiles.view.view import ComponentView, StageView

MB = 1_000_000
ROW = (tensor("uint8", MB),)
SMALL = (tensor("float32", 16),)


def generated(elements: int | None = 5000) -> StageView:
    return stage("source", "from_generator", element=ROW, elements=elements)


def above(op: str, elements: int | None = 5000, index: int = 0, **arguments: Any) -> StageView:
    return stage(f"stages.{index}", op, element=ROW, elements=elements, arguments=arguments)


def all_answers(limit: int, *stages: StageView, unseen: bool = False, options: Any = None) -> list[LimitAnswer]:
    view = replace(pipeline(*stages, options=options or {}), unseen=unseen)
    return what_ifs(view, memory_prediction(view), RUNTIME_BYTES + limit)


def answers(limit: int, *stages: StageView) -> list[LimitAnswer]:
    """Those for single stages, of a limit that leaves so much beside the reserve."""
    return [one for one in all_answers(round((1 + RESERVE) * limit), *stages) if one.stage is not None]


def tuned(limit: int, *stages: StageView, options: Any = None) -> list[LimitAnswer]:
    """Answers for a pipeline as it is written; `limit` leaves so much beside the reserve."""
    return all_answers(round((1 + RESERVE) * limit), *stages, unseen=True, options=options)


MIXED = above("shuffle", INFINITE, buffer_size=100)
ENDLESS = generated(INFINITE)
VIEWS = stage("source", "from_tensor_slices", element=SMALL, elements=1000, source_bytes=64_000)
NESTED = (
    stage("stages.0", "interleave", element=ROW, elements=10_000, arguments={"cycle_length": 4}),
    stage("stages.0.source", "range", element=ROW, elements=5000, owner="stages.0"),
    stage("stages.0.stages.0", "shuffle", element=ROW, elements=5000, owner="stages.0", arguments={"buffer_size": 200}),
)
ROOM = 1001 * MB
ASKED: dict[str, tuple[int, tuple[StageView, ...], list[tuple[bool | None, int | None]]]] = {
    "too large": (ROOM, (generated(), above("shuffle", buffer_size=2000)), [(False, 1000)]),
    "may grow": (ROOM, (generated(), above("shuffle", buffer_size=100)), [(True, 1000)]),
    "all elements fit": (ROOM, (generated(500), above("shuffle", 500, buffer_size=100_000)), [(True, 1000)]),
    "in open copies": (ROOM, (generated(10), *NESTED), [(True, 250)]),
    "in less room for open copies": (401 * MB, (generated(10), *NESTED), [(False, 100)]),
    "prefetch": (ROOM, (generated(), above("prefetch", buffer_size=2000)), [(False, 1001)]),
    "prefetch that holds little": (ROOM, (generated(), above("prefetch", buffer_size=2)), []),
    "what the rest takes is not free": (
        ROOM,
        (generated(600), above("cache", 600), stage("stages.1", "map", element=ROW, elements=10_000),
         above("shuffle", 10_000, index=2, buffer_size=5)),
        [(True, 400)]),
    "views take nothing": (
        0, (VIEWS, stage("stages.0", "shuffle", element=SMALL, arguments={"buffer_size": 1000})), []),
    "the largest of several": (
        ROOM, (generated(), above("shuffle", buffer_size=5), above("shuffle", index=1, buffer_size=2000)),
        [(False, 995)]),
    "no room at all": (-RUNTIME_BYTES, (generated(), above("shuffle", buffer_size=10)), [(False, 0)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_what_fits_of_single_stages(name: str) -> None:
    limit, stages, expected = ASKED[name]
    assert [(one.fits, one.most) for one in answers(limit, *stages)] == expected


def test_golden(golden: Callable[[str, str], None]) -> None:
    asked = {name: answers(limit, *stages) for name, (limit, stages, _) in ASKED.items() if limit == ROOM}
    asked |= {
        "tuned prefetch": tuned(1004 * MB, ENDLESS, MIXED),
        "no room": answers(0, generated(), above("shuffle", buffer_size=2000)),
        "room to grow": tuned(20_000 * MB, generated(), above("shuffle", buffer_size=100)),
    }
    lines = [f"{name}: {one.sentence}\n" for name, found in asked.items() for one in found]
    golden("memory/what-ifs.txt", "".join(lines))


def test_a_cache_without_end_fits_nowhere_and_what_needs_too_much_at_most_may_fit() -> None:
    found = all_answers(ROOM, generated(INFINITE), above("cache", INFINITE))
    assert [one.fits for one in found] == [False]
    together, *_ = all_answers(1000 * MB, generated(None), above("shuffle", None, buffer_size=2000))
    assert together.fits is None


@pytest.mark.parametrize("element", [(*ROW, tensor("uint8", None)), (tensor("uint8", None),)])
def test_what_is_not_known_is_said(element: tuple[ComponentView, ...]) -> None:
    source = stage("source", "from_generator", element=element, elements=10)
    shuffle = stage("stages.0", "shuffle", element=element, elements=10, arguments={"buffer_size": 5})
    assert {one.fits for one in all_answers(ROOM, source, shuffle)} == {None}


@pytest.mark.parametrize(("limit", "fits"), [(-1, False), (409, False), (411, None), (512, None), (513, True)])
def test_everything_together_is_answered_without_a_buffer(limit: int, fits: bool | None) -> None:
    rows = stage("source", "from_tensor_slices", element=SMALL, elements=1000, source_bytes=100 * MB)
    (together,) = all_answers(limit * MB, rows)
    assert (together.stage, together.fits) == (None, fits)


def tuned_prefetch(size: Any) -> StageView:
    return above("prefetch", INFINITE, 1, buffer_size=size)


BUDGET = {"autotune.ram_budget": 400 * MB}
TUNED: dict[str, tuple[int, tuple[StageView, ...], Any, bool | None]] = {
    "one that TensorFlow adds may grow out of the limit": (1004, (ENDLESS, MIXED), None, None),
    "a written one as well": (1004, (ENDLESS, MIXED, tuned_prefetch(AUTOTUNE)), None, None),
    "one of -1": (1004, (ENDLESS, MIXED, tuned_prefetch(-1)), None, None),
    "one of its own has no condition": (1020, (ENDLESS, MIXED, tuned_prefetch(16)), None, True),
    "it grows no further than there are elements": (
        1004, (generated(500), above("shuffle", 500, buffer_size=100)), None, True),
    "a budget of memory bounds it": (1004, (ENDLESS, MIXED), BUDGET, True),
    "but not where autotune is off": (
        1004, (ENDLESS, MIXED, tuned_prefetch(AUTOTUNE)), {**BUDGET, "autotune.enabled": False}, None),
    "one of views does not grow": (
        10, (VIEWS, stage("stages.0", "prefetch", element=SMALL, elements=1000, arguments={"buffer_size": AUTOTUNE})),
        None, True),
}  # fmt: skip


@pytest.mark.parametrize("name", TUNED)
def test_what_a_prefetch_that_tensorflow_tunes_leaves_of_the_limit(name: str) -> None:
    limit, stages, options, fits = TUNED[name]
    assert {one.fits for one in tuned(limit * MB, *stages, options=options)[:2]} == {fits}


def test_where_there_is_room_for_it_a_tuned_prefetch_is_counted_as_it_may_grow() -> None:
    together, shuffle = tuned(20_000 * MB, generated(), above("shuffle", buffer_size=100))
    assert (together.fits, shuffle.fits) == (True, True)
    assert shuffle.most == pytest.approx((1.25 * 20_000 - 2048) / 1.25, abs=10)
