"""Times of stages that only the trace has."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.attribution.from_trace import from_trace
from pipeprof.profiles.time.attribution.stage_time import StageTime
from pipeprof.profiles.time.attribution.trace_work import Work


def part(number: int, elements: int | None, line: int = 37) -> StageTime:
    place = Location(file="train.py", line=line, column=9)
    return StageTime(
        row=Stage(id=f"parts.{number}", op="map", origin="written", elements=elements, location=place, body="load")
    )


def test_parts_that_the_trace_saw_stand_for_those_of_the_same_line():
    read = StageTime(row=Stage(id="batch", op="batch", origin="written", elements=10), inside_ms=1.0, timed_by="model")
    times = (part(0, 10), part(1, 10), part(2, 10), part(3, 10, line=52), read)
    work = {"parts.0": Work(at_work=4.0, elements=2.0), "parts.1": Work(at_work=2.0, elements=1.0)}
    found = {time.row.id: time for time in from_trace(times, work, batches=10)}
    # Two milliseconds for an element, and one element for each batch that was measured.
    assert [found[f"parts.{number}"].inside_ms for number in range(3)] == pytest.approx([2.0, 2.0, 2.0])
    assert found["parts.2"].timed_by == "trace"
    assert found["parts.3"].inside_ms is None
    assert found["batch"].inside_ms == 1.0


def test_a_glimpse_of_one_part_stands_for_no_other():
    read = StageTime(row=Stage(id="batch", op="batch", origin="written", elements=10), inside_ms=1.0, timed_by="model")
    work = {"parts.0": Work(at_work=4.0, elements=0.01)}
    found = from_trace((part(0, None), part(1, 1000), read), work, batches=10)
    assert found[1].inside_ms is None
