"""What starts of epochs cost, and what makes them cheaper; no TensorFlow, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.view.views import same

from pipeprof.profiles.document.shared import Steps, Training
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.verdict import Remedy, find_remedy, restarts_are_costly
from pipeprof.profiles.time.words import describe_remedy


def steps(share: float, **more: Any) -> Steps:
    """Ten restarts in 10 s, 400 batches of 24.3 ms each with a step."""
    ms = same(24.3)
    given = {"count": 400, "dispatch": "sync", "seconds": 10.0, "epochs": 10, "restart_share": share, **more}
    return Steps(interval_ms=ms, wait_ms=ms, fetch_ms=ms, wait_share=1.0, **given)


def stage(id_: str, op: str, elements: int | None = None, **more: Any) -> Stage:
    return Stage.model_validate({"id": id_, "origin": "written", "op": op, "elements": elements, **more})


def filled(source: str = "map", buffered: int = 512, **more: Any) -> list[Stage]:
    """A stage of 20 ms a batch of 32 before a shuffle: 512 elements are 16 batches."""
    return [
        stage("stages.0", source, 12_800, name="load", cpu_ms_per_batch=20.0, **more),
        stage("stages.1", "shuffle", 12_800, buffered_elements=buffered),
        stage("stages.2", "batch", 400),
    ]


SKIPS = [stage("stages.0", "map", 13_200, name="load"), stage("stages.1", "skip", 1320)]
CACHED = [stage("stages.0", "batch"), stage("stages.1", "map"), stage("stages.2", "cache")]
REMEDIES: dict[str, tuple[list[Stage], str]] = {
    "nothing that fills": ([stage("stages.0", "batch")], "repeat"),
    "after a cache": (CACHED, "repeat"),
    "the work that fills a shuffle": (filled(), "fill"),
    "a cache between them": ([*filled()[:1], stage("stages.9", "cache"), *filled()[1:]], "fill"),
    "a buffer too small for it": (filled(buffered=8), "repeat"),
    "a generator, one call at a time": (filled("from_generator", 256, threads=3.0), "fill"),
    "readers on three threads": (filled("tfrecord", 256, threads=3.0), "repeat"),
    "elements that are skipped": (SKIPS, "skip"),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_what_a_restart_does_first_says_what_makes_it_cheaper(name: str) -> None:
    stages, kind = REMEDIES[name]
    found = find_remedy(steps(0.3), stages)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(("share", "costly", "advised"), [(0.04, False, False), (0.06, True, False), (0.1, True, True)])
def test_restarts_are_worth_advice_from_a_tenth_of_the_time_on(share: float, costly: bool, advised: bool) -> None:
    assert (restarts_are_costly(steps(share)), find_remedy(steps(share), None) is not None) == (costly, advised)


@pytest.mark.parametrize(
    ("dispatch", "interval_ms", "epochs", "stated"),
    [("sync", 0.2, 464, True), (None, 0.2, 464, False), (None, 0.2, 2, True), (None, 8.0, 464, True)],
)
def test_restarts_that_no_step_notices_are_not_costly(dispatch, interval_ms, epochs, stated):
    made = steps(0.22, dispatch=dispatch, epochs=epochs, seconds=3.0)
    made.interval_ms.mean = interval_ms
    assert restarts_are_costly(made) is stated
    # Without a step the work that fills a buffer is that of the epoch.
    assert restarts_are_costly(steps(0.3, dispatch=dispatch), filled()) is (dispatch is not None)


def test_golden(golden: Callable[[str, str], None]) -> None:
    texts = []
    for name, (stages, _) in REMEDIES.items():
        remedy = find_remedy(steps(0.3), stages) or Remedy("repeat")
        for how in (None, Training(consumer="fit"), Training(consumer="loop")):
            texts.append(f"{name}, {how.consumer if how is not None else 'no script'}:")
            texts.append(f"  {describe_remedy(remedy, stages, how)}")
    golden("verdict/restarts.txt", "\n".join(texts) + "\n")
