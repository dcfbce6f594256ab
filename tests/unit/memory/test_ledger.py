"""Owners of the peak, on readings of planted pipelines: each owner as large as its absence makes the peak smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from unit.view.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.document.memory import LedgerEntry, Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import PhaseName
from pipeprof.profiles.memory.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger import LedgerInput, account
from pipeprof.profiles.memory.predict import memory_prediction
from pipeprof.profiles.protocol.messages import MemoryReading, MemoryReport
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView

MB = 1_000_000
IMAGE = (tensor("uint8", 500_000),)
OWNER, REST = 0.25, 0.15
"""Bounds: of an owner of 100 MB and more, and of what nobody owns in the peak."""


def reading(
    name: str, rss: float, live: float | None = 0, most: float | None = None, free: float = 0.0, peak: float = 0.0
) -> MemoryReading:
    most = live if most is None else most
    return MemoryReading(
        name=name,
        rss=round(rss * MB),
        peak=round(max(rss, peak) * MB),
        file=0,
        live=None if live is None else round(live * MB),
        live_peak=None if most is None else round(most * MB),
        heap=80 * MB,
        heap_free=round(free * MB),
    )


def report(*readings: MemoryReading, arrays: int = 0, batch: float | None = None) -> MemoryReport:
    usual = (
        reading("import", 500),
        reading("build", 501),
        reading("iterator", 502),
        reading("first", 600, 100),
        reading("warmup", 710, 200),
        reading("measure", 710, 200),
    )
    return MemoryReport(readings=list(readings or usual), looks=[], arrays=arrays, batch_bytes=batch)


def accounted(
    seen: PipelineView, *looks: Look, phase: PhaseName = "measure", of: MemoryReport | None = None, **more: Any
) -> tuple[Profile, list[str]]:
    profile = seen.profile
    assert profile is not None
    of = of or report()
    peak = more.pop("peak", max(one.peak or 0 for one in of.readings))
    profile.memory = Memory(baseline_bytes=of.readings[0].rss, peak_bytes=peak, peak_phase=phase)
    messages = account(profile, LedgerInput(of, looks, seen, origin=0.0, predicted=memory_prediction(seen), **more))
    return profile, [one.code for one in messages]


def owned(profile: Profile, owner: str) -> int:
    return sum(one.bytes for one in profile.memory.ledger or () if one.owner == owner)


def entry(profile: Profile, owner: str) -> LedgerEntry:
    (found,) = [one for one in profile.memory.ledger or () if one.owner == owner]
    return found


def shuffled(
    element: tuple[ComponentView, ...], *more: StageView, source: str = "from_generator", **facts: Any
) -> PipelineView:
    """A shuffle of 400 of 5,000 elements, and what is above it."""
    first = stage("source", source, element=element, elements=5000, **facts)
    mixed = stage("stages.0", "shuffle", element=element, elements=5000, arguments={"buffer_size": 400})
    return measured(pipeline(first, mixed, *more))


def look(
    held: float, elements: float, live: float | None = None, phase: PhaseName = "measure", rss: int | None = None
) -> Look:
    by_stage = {"stages.0": Buffered("shuffle", round(held * MB), elements)}
    return Look(1.0, phase, 1, 0, None if live is None else round(live * MB), by_stage, rss=rss)


@dataclass(frozen=True)
class Planted:
    """A planted pipeline as it was read; `truth` is by what a plain loop's peak is smaller without the owner, in MB."""

    stages: tuple[StageView, ...]
    readings: tuple[MemoryReading, ...]
    held: dict[str, Buffered]
    truth: dict[str, float]
    phase: PhaseName = "measure"


def generated(element: ComponentView, **facts: Any) -> StageView:
    return stage("stages.0", "map", element=(element,), function=function("Fill"), **facts)


ROW, SLICE = tensor("float32", 250_000), tensor("float32", 1024)
NUMBER = tensor("int64")
PLANTED = {
    "an array, a shuffle of results and prefetched batches": Planted(
        (
            stage("source", "from_tensor_slices", element=(ROW,), elements=120, source_bytes=120 * MB),
            stage("stages.0", "repeat", element=(ROW,)),
            stage("stages.1", "map", element=(ROW,), function=function("AddV2")),
            stage("stages.2", "shuffle", element=(ROW,), arguments={"buffer_size": 250}),
            stage("stages.3", "batch", element=(tensor("float32", 4, 250_000),), arguments={"batch_size": 4}),
            stage("stages.4", "prefetch", element=(tensor("float32", 4, 250_000),), arguments={"buffer_size": 40}),
        ),
        (
            reading("import", 586, free=3),
            reading("build", 714, 134, free=2, peak=951),
            reading("iterator", 838, 134, 268, free=2),
            reading("first", 988, 393, 397, free=3),
            reading("warmup", 1168, 549, 561, free=3),
            reading("measure", 1170, 550, 562, free=3),
        ),
        {
            "stages.4": Buffered("prefetch", 160 * MB, 40),
            "stages.2": Buffered("shuffle", 249 * MB, 249),
            "stages.1": Buffered("parallel", 2 * MB, 2),
        },
        {"source": 130, "shuffle": 250, "prefetch": 175},
    ),
    "an array alone, while it is made": Planted(
        (stage("source", "from_tensor_slices", element=(tensor("float32", 400, 400),), source_bytes=320 * MB),),
        (
            reading("import", 586),
            reading("build", 907, 321, peak=1546),
            reading("iterator", 1228, 321, 642, peak=1582),
            reading("first", 1229, 321),
            reading("measure", 1229, 321),
        ),
        {},
        {"source": 986},
        "first_element",
    ),
    "a shuffle of numbers": Planted(
        (
            stage("source", "range", element=(NUMBER,)),
            stage("stages.0", "shuffle", element=(NUMBER,), arguments={"buffer_size": 1_500_000}),
        ),
        (reading("import", 586), reading("iterator", 590), reading("measure", 924, free=11)),
        {"stages.0": Buffered("shuffle", 12 * MB, 1_500_000)},
        {"shuffle": 299},
    ),
    "rows of tensors that a shuffle keeps": Planted(
        (
            stage("source", "range", element=(NUMBER,)),
            generated(tensor("float32", 500, 1024)),
            stage("stages.1", "flat_map", element=(SLICE,)),
            stage("stages.1.source", "from_tensor_slices", element=(SLICE,), elements=500),
            stage("stages.2", "shuffle", element=(SLICE,), arguments={"buffer_size": 6000}),
        ),
        (reading("import", 586), reading("iterator", 590), reading("measure", 802, 185, 205)),
        {"stages.2": Buffered("shuffle", 25 * MB, 5999), "stages.0": Buffered("parallel", 4 * MB, 2)},
        {"shuffle": 182},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_each_owner_of_a_planted_pipeline_is_as_large_as_its_absence_shows(name: str) -> None:
    planted = PLANTED[name]
    looks = [Look(1.0, "measure", 1, 0, None, planted.held)]
    profile, _ = accounted(
        measured(pipeline(*planted.stages)), *looks, phase=planted.phase, of=report(*planted.readings)
    )
    memory = profile.memory

    for owner, truth in planted.truth.items():
        assert owned(profile, owner) / MB == pytest.approx(truth, rel=OWNER), owner
    assert memory.unexplained_bytes is not None
    assert memory.peak_bytes is not None
    assert 0 <= memory.unexplained_bytes <= REST * memory.peak_bytes
    assert sum(one.bytes for one in memory.ledger or ()) + memory.unexplained_bytes == memory.peak_bytes


@pytest.mark.parametrize(
    "looks",
    [
        [look(300, 600, phase="warmup"), look(100, 200), look(200, 400), look(150, 300)],
        # Its epochs are so short that every look found it while it emptied.
        [look(150, 300)],
    ],
    ids=["the fullest look of the peak's phase", "full at the peak though no look found it full"],
)
def test_what_a_shuffle_held_at_the_peak_has_the_prediction_beside_it(looks: list[Look]) -> None:
    profile, _ = accounted(shuffled(IMAGE), *looks)
    found = entry(profile, "shuffle")
    # 400 elements with some bytes beside their values.
    assert found.bytes == pytest.approx(200 * MB, rel=0.01)
    assert (found.stage, found.how) == ("stages.0", "model")
    assert found.predicted_bytes == pytest.approx(200 * MB, rel=0.01)
    assert profile.memory.predicted_bytes == pytest.approx(200 * MB, rel=0.01)
    (row,) = [one for one in profile.stages or () if one.id == "stages.0"]
    assert (row.buffered_bytes, row.buffered_elements) == (
        found.bytes,
        max(one.by_stage["stages.0"].elements for one in looks if one.phase == "measure"),
    )


RAGGED, NAME, PICTURE = (tensor("variant"),), (tensor("string"),), (tensor("uint8", 100_000),)
SIZED = {
    "elements times their measured size": (shuffled(RAGGED, bytes_per_element=450_000.0), look(1, 400), None, 180),
    "of ragged ones their part of the batch in the step": (
        shuffled(RAGGED, stage("stages.1", "batch", element=RAGGED, elements=1250, arguments={"batch_size": 4}),
                 bytes_per_element=64.0),
        look(0.01, 400), 1.4, 140),
    "names before a map that reads the files are no part of the batch that is made of them": (
        shuffled(NAME, stage("stages.1", "map", element=PICTURE, elements=5000, function=function("ReadFile")),
                 stage("stages.2", "batch", element=PICTURE, elements=1250, arguments={"batch_size": 4}),
                 source="list_files", bytes_per_element=60.0),
        look(0.01, 400), 0.4, 0.0464),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZED)
def test_what_the_model_does_not_size_is_measured(name: str) -> None:
    seen, there, batch, expected = SIZED[name]
    profile, _ = accounted(seen, there, of=report(batch=batch and batch * MB))
    found = entry(profile, "shuffle")
    assert found.bytes == pytest.approx(expected * MB, rel=0.01)
    assert (found.how, found.what) == ("measured", "about")


def test_tensors_of_the_pool_that_are_no_stages_are_in_flight_and_freed_ones_are_kept() -> None:
    of = report(
        reading("import", 500, free=10), reading("iterator", 502, 0, 90), reading("measure", 800, 200, 260, free=60)
    )
    profile, _ = accounted(shuffled(IMAGE), look(200, 400), of=of)
    assert owned(profile, "parallel") == pytest.approx(60 * MB, rel=0.01)
    kept = {one.what: one.bytes for one in profile.memory.ledger or () if one.owner == "slack"}
    # 35 MB were left of the peak.
    assert kept == {"glibc's heap": pytest.approx(40 * MB, rel=0.05)}


def test_what_children_hold_is_theirs() -> None:
    profile, _ = accounted(shuffled(IMAGE), look(200, 400), peak=900 * MB, children=True)
    assert (entry(profile, "python").bytes, entry(profile, "python").what) == (190 * MB, "child processes")


ARRAY = stage(
    "source", "from_tensor_slices", element=(tensor("float32", 100_000),), elements=600, source_bytes=240 * MB
)


@pytest.mark.parametrize(("arrays", "copies"), [(240 * MB, 2.1), (0, 1.05)])
def test_a_source_is_no_more_than_what_the_process_grew_by(arrays: int, copies: float) -> None:
    seen = measured(pipeline(ARRAY))
    made = (reading("import", 500), reading("iterator", 1300, 240, 480), reading("measure", 1300, 240))
    profile, _ = accounted(seen, of=report(*made, arrays=arrays))
    assert owned(profile, "source") == pytest.approx(copies * 240 * MB, rel=0.01)
    less = (reading("import", 500), reading("iterator", 600, 240, 480), reading("measure", 600, 240))
    profile, _ = accounted(seen, of=report(*less, arrays=arrays))
    assert owned(profile, "source") == 100 * MB


def test_what_a_bound_of_unknown_data_would_take_is_no_prediction() -> None:
    """A shuffle of at most a million elements of 400 kB, of which there are who knows how many."""
    image = (tensor("uint8", 411_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=image),
            stage("stages.0", "shuffle", element=image, arguments={"buffer_size": 1_000_000}),
        )
    )
    profile, _ = accounted(seen, look(41, 100))
    assert entry(profile, "shuffle").predicted_bytes is None
    assert profile.memory.predicted_bytes is None


@pytest.mark.parametrize("readings", [(reading("measure", 710),), (reading("import", 500),)])
def test_without_tensorflows_own_memory_or_the_peaks_reading_there_is_no_ledger(readings):
    profile, _ = accounted(shuffled(IMAGE), look(200, 400), of=report(*readings))
    assert profile.memory.ledger is None
    assert profile.memory.series is not None


@pytest.mark.parametrize(("limit", "exceeds"), [(1500, True), (3000, False)])
def test_a_budget_that_autotune_may_fill_beyond_the_limit_is_told(limit: int, exceeds: bool) -> None:
    element = (tensor("uint8", 4_000_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=element, elements=5000),
            stage("stages.0", "prefetch", element=element, arguments={"buffer_size": -1}, tunable=True),
        )
    )
    assert seen.profile is not None
    seen.profile.host.memory_limit_bytes = limit * MB
    held = Look(1.0, "measure", 1, 0, None, {"stages.0": Buffered("prefetch", 40 * MB, 10)}, ram_budget=2000 * MB)
    profile, _ = accounted(seen, held)
    assert profile.memory.autotune is not None
    assert profile.memory.autotune.exceeds_limit is exceeds
