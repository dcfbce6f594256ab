"""Walks along stages by their addresses: lines, what they join, and what is inside what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import inside, is_outside_functions, line_of, lines_of, main_line, reader_of

Recorded = Callable[[str], Profile]
ADDRESSES = (
    "source", "source.choice_dataset.source", "source.datasets.0.source", "source.datasets.0.stages.0",
    "source.datasets.0.stages.0.source", "source.datasets.1.source", "stages.0", "stages.0.functions.1.source",
    "stages.1",
)  # fmt: skip


def run_of(recorded: Recorded, *addresses: str) -> Profile:
    found = recorded("input-bound").model_copy(deep=True)
    added = Stage(id="injected.0", op="prefetch", origin="injected")
    found.stages = [*(Stage(id=address, op="map", origin="written") for address in addresses), added]
    return found


def ids(line: list[Stage]) -> list[str]:
    return [stage.id for stage in line]


def test_each_written_stage_is_in_one_line(recorded: Recorded) -> None:
    run = run_of(recorded, *ADDRESSES)
    lines = lines_of(run.stages or ())
    assert sorted(name for line in lines.values() for name in ids(line)) == sorted(ADDRESSES)
    assert ids(main_line(run)) == ids(lines[""]) == ["source", "stages.0", "stages.1"]
    for line in lines.values():
        assert all(line_of(run, stage.id) == line for stage in line)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stage_is_outside_functions_if_all_around_it_are_inputs(address: str) -> None:
    assert is_outside_functions(address) == (address not in ADDRESSES[4:5] + ADDRESSES[7:8])


def test_a_function_reads_no_further_input() -> None:
    assert [reader_of(one) for one in ("stages.0.functions.1", "stages.0.reduce_func", "")] == [None] * 3


def test_what_is_inside_a_stage_is_everything_below_its_address(recorded: Recorded) -> None:
    run = run_of(recorded, *ADDRESSES, "stages.10", "stages.10.source")
    (stage,) = [one for one in run.stages or () if one.id == "stages.1"]
    assert not inside(run, stage)
    assert ids(inside(run, main_line(run)[0])) == list(ADDRESSES[1:6])
