"""Lengths of a race, and how many pipelines have room in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.tries.pace import RacePace, pace_of, room_for

GIB = 1 << 30


def profiled(recorded: Callable[[str], Profile], interval_ms: float) -> Profile:
    found = recorded("input-bound")
    found.steps.interval_ms.mean = interval_ms
    found.steps.restart_share = 0.0
    return found


@pytest.mark.parametrize(
    ("interval_ms", "seconds", "steps"),
    [(1.0, 0.1, 4), (20.0, 0.2, 4), (100.0, 0.4, 4), (400.0, 0.8, 2), (1500.0, 1.5, 1)],
)
def test_short_steps_have_short_blocks_and_very_long_ones_few(
    recorded: Callable[[str], Profile], interval_ms: float, seconds: float, steps: int
) -> None:
    pace = pace_of(profiled(recorded, interval_ms), 60.0, None)
    assert (pace.block_seconds, pace.block.steps) == (pytest.approx(seconds), steps)
    assert pace.block.seconds == pytest.approx(min(seconds, 0.25)), "a faster pipeline has shorter blocks"


def test_where_restarts_count_a_block_is_whole_epochs(recorded: Callable[[str], Profile]) -> None:
    found = profiled(recorded, 1.0)
    found.steps.restart_share, found.steps.epochs = 0.05, 40
    for stage in found.stages or ():
        stage.cardinality = 70
    pace = pace_of(found, 60.0, None)
    assert (pace.block_seconds, pace.block.steps, pace.block.settle_seconds) == (pytest.approx(0.14), 140, 0.0)
    assert pace.one_by_one("").block == TurnRequest("block", 2.0, 2100, 0.0)


@pytest.mark.parametrize(
    ("limit", "most"), [(None, 4), (16 * GIB, 4), (int(7.3 * GIB), 4), (int(4.7 * GIB), 2), (int(3.2 * GIB), 0)]
)
def test_so_many_have_room_beside_both_copies_of_the_base(
    recorded: Callable[[str], Profile], limit: int | None, most: int
) -> None:
    found = recorded("input-bound")
    found.memory.peak_bytes, found.host.gpus = GIB, []
    assert room_for(found, limit)[0] == most
    pace = pace_of(found, 60.0, limit)
    assert (pace.alone is None, pace.most) == (most > 0, most or 4)


def test_one_process_at_a_time_has_one_long_block() -> None:
    pace = RacePace(TurnRequest("block", 0.25, 4, 0.05), TurnRequest("warm", 1.0), 0.25, 1.5, 1.0)
    alone = pace.one_by_one("no room")
    assert (alone.block.seconds, alone.block.steps) == (2.0, 32)
    assert alone.seconds_of(1) > pace.seconds_of(1)


def test_what_a_race_takes_grows_with_its_entrants_and_a_living_base_saves_its_start() -> None:
    pace = RacePace(TurnRequest("block", 0.25, 4, 0.05), TurnRequest("warm", 1.0), 0.25, 1.5, 1.0, made_by=2.0)
    assert pace.seconds_of(4) > pace.seconds_of(1) > pace.seconds_of(1, fresh=False) > 0
    measuring = pace.measuring()
    # Six warm-ups, three rounds of six blocks, and a second process: a warm-up and two rounds of three blocks.
    assert measuring.seconds_of(4) == pytest.approx(6 * 1.0 + 18 * 0.3 + 1.0 + 6 * 0.3)
