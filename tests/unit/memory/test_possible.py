"""No stage is said to have held more than the process had, nor more than its elements take."""

from __future__ import annotations

import random

import pytest
from unit.memory.test_ledger import IMAGE, MB, accounted, shuffled
from unit.view.views import tensor

from pipeprof.profiles.memory.buffers import Buffered, Look, sized_looks

ROWS = (tensor("float32", None, 16),)


def look(nbytes: int, elements: float = 400.0, rss: int | None = 700 * MB) -> Look:
    return Look(1.0, "measure", 1, 0, 150 * MB, {"stages.0": Buffered("shuffle", nbytes, elements)}, rss=rss)


def test_slices_that_the_model_counts_as_whole_tensors_are_as_large_as_their_shape_says() -> None:
    """400 rows of an array of 1 GB each count as the array in TensorFlow's model: 400 GB."""
    (found,) = sized_looks(shuffled(IMAGE), [look(400_000 * MB)], None, 710 * MB)
    one = found.by_stage["stages.0"]
    assert one.bytes == pytest.approx(200 * MB, rel=0.01)
    assert (one.elements, one.counted) == (400, True)


@pytest.mark.parametrize("nbytes", [400_000 * MB, -(5 << 40), 701 * MB])
def test_where_shapes_do_not_tell_an_impossible_count_is_none(nbytes: int) -> None:
    (found,) = sized_looks(shuffled(ROWS), [look(nbytes)], None, 710 * MB)
    one = found.by_stage["stages.0"]
    assert (one.bytes < MB, one.elements, one.counted) == (True, 400, False)


def test_no_bytes_of_a_profile_exceed_what_the_process_had() -> None:
    """Whatever the model says: too much, too little, less than nothing."""
    draw = random.Random(7)
    for _ in range(150):
        element = draw.choice([IMAGE, ROWS, (tensor("string"),), (tensor("variant"),)])
        seen = shuffled(element, source=draw.choice(["from_generator", "from_tensor_slices", "range"]))
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
        profile, _ = accounted(seen, *looks)
        memory, most = profile.memory, 710 * MB
        cells = [entry.bytes for entry in memory.ledger or ()]
        cells += [row.buffered_bytes or 0 for row in profile.stages or ()]
        cells += [round(row.bytes_per_element or 0) for row in profile.stages or ()]
        assert memory.series is not None
        cells += [one or 0 for held in memory.series.stages.values() for one in held]
        assert all(0 <= one <= most for one in cells), cells
