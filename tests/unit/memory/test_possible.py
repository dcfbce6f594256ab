"""No stage is said to have held more than the process had, nor more than its elements take."""

from __future__ import annotations

import random

import pytest
from unit.memory.test_account import MB, report
from unit.view.views import measured, pipeline, stage, tensor

from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.memory.ledger.account import LedgerInput, account
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger.held import forget_impossible, possible_looks
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.view.view import ComponentView, PipelineView

IMAGE = (tensor("uint8", 500_000),)
ROWS = (tensor("float32", None, 16),)


def shuffled(element: tuple[ComponentView, ...], source: str = "from_generator") -> PipelineView:
    return measured(
        pipeline(
            stage("source", source, element=element, elements=5000),
            stage("stages.0", "shuffle", element=element, elements=5000, arguments={"buffer_size": 400}),
        )
    )


def look(nbytes: int, elements: float = 400.0, rss: int | None = 700 * MB) -> Look:
    return Look(1.0, "measure", 1, 0, 150 * MB, {"stages.0": Buffered("shuffle", nbytes, elements)}, rss=rss)


def accounted(seen: PipelineView, *looks: Look, peak: int = 710) -> Profile:
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=peak * MB, peak_phase="measure")
    account(profile, LedgerInput(report(), looks, seen, origin=0.0, predicted=memory_prediction(seen)))
    return profile


def test_slices_that_the_model_counts_as_whole_tensors_are_as_large_as_their_shape_says() -> None:
    """400 rows of an array of 1 GB each count as the array in TensorFlow's model: 400 GB."""
    (found,) = possible_looks(shuffled(IMAGE), [look(400_000 * MB)], 710 * MB)

    one = found.by_stage["stages.0"]
    assert (one.bytes, one.elements, one.counted) == (200 * MB, 400, True)


@pytest.mark.parametrize("nbytes", [400_000 * MB, -(5 << 40), 701 * MB])
def test_where_shapes_do_not_tell_an_impossible_count_is_unknown(nbytes: int) -> None:
    (found,) = possible_looks(shuffled(ROWS), [look(nbytes)], 710 * MB)

    one = found.by_stage["stages.0"]
    assert (one.bytes, one.elements, one.counted) == (0, 400, False)


def test_a_buffer_of_unknown_bytes_gets_what_was_measured_of_it() -> None:
    profile = accounted(shuffled(ROWS), look(400_000 * MB))

    (entry,) = [one for one in profile.memory.ledger or () if one.owner == "shuffle"]
    assert entry.how == "measured"
    assert 100 * MB < entry.bytes < 210 * MB
    (row,) = [one for one in profile.stages or () if one.id == "stages.0"]
    assert row.buffered_bytes == entry.bytes


def test_bytes_of_rows_that_no_look_set_right_are_unknown_too() -> None:
    profile = shuffled(ROWS).profile
    assert profile is not None
    profile.memory = Memory(peak_bytes=574 << 20)
    (row,) = [one for one in profile.stages or () if one.id == "stages.0"]
    row.buffered_bytes, row.bytes_per_element = 383 << 30, float(1 << 40)

    forget_impossible(profile)

    assert (row.buffered_bytes, row.bytes_per_element) == (None, None)


def test_no_bytes_of_a_profile_exceed_what_the_process_had() -> None:
    """Whatever the model says: too much, too little, less than nothing."""
    draw = random.Random(7)
    for _ in range(150):
        element = draw.choice([IMAGE, ROWS, (tensor("string"),), (tensor("variant"),)])
        seen = shuffled(element, draw.choice(["from_generator", "from_tensor_slices", "range"]))
        rows = seen.profile.stages if seen.profile is not None else None
        for row in rows or ():
            row.buffered_bytes = draw.choice([None, draw.randint(-(1 << 50), 1 << 50)])
            row.bytes_per_element = draw.choice([None, draw.random() * 2**50])
        looks = [
            look(
                draw.randint(-(1 << 45), 1 << draw.randint(1, 45)), draw.uniform(-5, 500), draw.choice([None, 600 * MB])
            )
            for _ in range(3)
        ]
        profile = accounted(seen, *looks)
        memory, most = profile.memory, 710 * MB
        cells = [entry.bytes for entry in memory.ledger or ()]
        cells += [row.buffered_bytes or 0 for row in profile.stages or ()]
        cells += [round(row.bytes_per_element or 0) for row in profile.stages or ()]
        cells += [one.bytes for one in memory.grew or ()]
        assert memory.series is not None
        cells += [one or 0 for held in memory.series.stages.values() for one in held]
        assert all(0 <= one <= most for one in cells), cells


def test_what_a_bound_of_unknown_data_would_take_is_no_prediction() -> None:
    """A shuffle of at most a million elements of 400 kB, of which there are who knows how many."""
    image = (tensor("uint8", 411_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=image),
            stage("stages.0", "shuffle", element=image, arguments={"buffer_size": 1_000_000}),
        )
    )

    profile = accounted(seen, look(100 * 411_000, 100))

    assert [one.predicted_bytes for one in profile.memory.ledger or () if one.owner == "shuffle"] == [None]
    assert profile.memory.predicted_bytes is None


def test_a_shuffle_that_no_look_found_full_was_full_at_the_peak() -> None:
    """Its epochs are so short that every look found it while it emptied."""
    profile = accounted(shuffled(IMAGE), look(150 * MB, 300))

    (entry,) = [one for one in profile.memory.ledger or () if one.owner == "shuffle"]
    assert entry.bytes == pytest.approx(200 * MB, rel=0.01)
    (row,) = [one for one in profile.stages or () if one.id == "stages.0"]
    assert (row.buffered_bytes, row.buffered_elements) == (entry.bytes, 400)
