"""A race with made-up workers: lengths, turns, who leaves when, second processes, failures, little memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.tries.workers import JOB, MB, PACE, SLOW, Workers, base, built, race, racing

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError
from pipeprof.profiles.protocol.turns import TurnRequest, TurnsJob
from pipeprof.profiles.tries.pace import pace_of, room_for
from pipeprof.profiles.tries.race import BaseLostError, Entrant

ALONE = PACE.one_by_one("no room")


def test_rounds_begin_and_end_with_the_base_and_run_backwards_every_other_time() -> None:
    workers = Workers({**SLOW, "C1": 20.0, "C2": 21.0})
    race(workers, "C1", "C2")
    assert workers.blocks_of()[:8] == ["A1", "C1", "C2", "A2", "A2", "C2", "C1", "A1"]
    assert [name for name, _ in workers.turns[:4]] == ["A1", "A2", "C1", "C2"], "warm-ups, one by one"


def test_a_clear_gain_is_kept_after_three_rounds_and_two_of_a_second_process() -> None:
    workers = Workers({**SLOW, "C1": 15.0})
    found = race(workers, "C1")["C1"]
    assert found.status == "kept"
    assert found.change.value == pytest.approx(1.5, rel=0.02)
    assert (found.change.pairs, found.change.freedom) == (3, 4)
    assert workers.started == ["A1", "A2", "C1", "C1+"]
    assert workers.blocks_of("C1", "C1+") == ["C1"] * 3 + ["C1+"] * 2
    assert workers.ended[:2] == ["C1", "C1+"], "the first one does not wait for the second"


@pytest.mark.parametrize(
    ("rates", "facts", "status", "late", "why"),
    [
        pytest.param({"C1": 15.0, "C1+": 10.1}, {}, "undecided", False, "a second process", id="a gain seen once"),
        pytest.param({"C1": [8.0, 11.5, 9.0]}, {}, "undecided", False, "", id="what seems slower"),
        pytest.param({"C1": [8.0, 14.0, 12.0]}, {"left": lambda: 0.0}, "undecided", True, "", id="no time is left"),
        pytest.param({"C1": 15.0}, {"left": lambda: 0.0}, "kept", False, "", id="a gain has its second process"),
        pytest.param({"C1": [10.0, 11.5]}, {"disturbed": lambda number: number % 3 > 0}, "undecided", False,
            "other processes disturbed", id="seven rounds that are disturbed"),
        pytest.param({"A1": [10.0, 13.0], "A2": [10.1, 13.0], "C1": [11.7, 15.3]}, {"pace": ALONE}, "undecided", False,
            "", id="alone, a gain is beyond what the processes of the base differ by"),
        pytest.param({"C1": 20.0}, {"pace": ALONE, "left": lambda: 0.0}, "undecided", True, "", id="one pass alone"),
    ],
)  # fmt: skip
def test_what_ends_a_race(rates: dict[str, Any], facts: dict[str, Any], status: str, late: bool, why: str) -> None:
    workers = Workers({**SLOW, **rates}, room=1 if "pace" in facts else 8)
    found = race(workers, "C1", **facts)["C1"]
    assert (found.status, found.late, found.why.startswith(why)) == (status, late, True)
    assert "pace" in facts or len(workers.blocks_of("C1")) >= 3


def test_what_is_slower_leaves_after_three_rounds_and_the_others_go_on() -> None:
    workers = Workers({**SLOW, "C1": 8.0, "C2": [10.9, 11.1, 10.2, 11.6]}, noise=0.02)
    found = race(workers, "C1", "C2")
    assert (found["C1"].status, len(workers.blocks_of("C1"))) == ("no gain", 3)
    assert len(workers.blocks_of("C2")) > 3


def test_a_second_process_runs_in_the_rounds_of_those_that_are_open() -> None:
    workers = Workers({**SLOW, "C1": 20.0, "C2": [10.2, 11.5, 10.3, 11.6, 10.1, 11.5]})
    race(workers, "C1", "C2")
    assert workers.blocks_of()[12:20] == ["A2", "C2", "C1+", "A1", "A1", "C1+", "C2", "A2"]


def test_a_close_answer_leaves_time_for_others_after_six_rounds() -> None:
    for others, rounds in ((0.0, 8), (100.0, 6)):
        workers = Workers({**SLOW, "C1": [10.2, 11.5, 10.3, 11.6, 10.1, 11.5, 10.9]})
        running = racing(workers, left=lambda: 50.0)
        found = running.run(base, {"C1": Entrant(JOB, "same")}, others)["C1"]
        assert len(workers.blocks_of("C1")) >= rounds
        assert found.late == (others > 0)


def test_rounds_that_something_else_disturbed_do_not_count() -> None:
    workers = Workers({**SLOW, "C1": [15.0, 99.0, 15.1, 14.9]})
    found = race(workers, "C1", disturbed=lambda number: number == 1)["C1"]
    assert found.change.value == pytest.approx(1.5, rel=0.02)
    assert workers.blocks_of("C1") == ["C1"] * 4
    assert len(found.evidence.rounds) == 3


BOOM = MemberFailedError("C1", "raised: boom")
KILLED = MemberFailedError("C1", "was killed", outside=True)
CHANGED = "it changes the data: batch 1 has different values"


@pytest.mark.parametrize(
    ("at", "outcome", "status", "why"),
    [
        ("start", BOOM, "failed", "raised: boom"),
        ("start", MemberFailedError("C1", "captures a tf.Variable", refused=True), "refused", "captures"),
        ("start", KILLED, "refused", "was killed"),
        ("start", built("other"), "other data", CHANGED),
        ("turn", BOOM, "failed", "raised: boom"),
        ("second start", MemberFailedError("C1+", "was killed", outside=True), "undecided", ""),
        ("second start", built("other"), "other data", CHANGED),
    ],
)
def test_one_that_cannot_race_leaves_the_others(at: str, outcome: Any, status: str, why: str) -> None:
    starts = {"C1+" if at == "second start" else "C1": outcome} if at != "turn" else {}
    workers = Workers({**SLOW, "C1": 20.0, "C2": 20.0}, starts, fails={"C1": outcome} if at == "turn" else {})
    found = race(workers, "C1", "C2")
    assert (found["C1"].status, found["C2"].status) == (status, "kept")
    assert found["C1"].why.startswith(why)
    assert at != "start" or "C1" not in workers.blocks_of()


def test_last_digits_are_other_data_where_they_may_not_differ() -> None:
    digests = [replace(built().batches[0], data=name, sums=[(1.0, 1e-3)]) for name in ("x", "y")]
    usual, other = (replace(built(), batches=[digest]) for digest in digests)
    for rounding, status in ((True, "kept"), (False, "other data")):
        workers = Workers({**SLOW, "C1": 20.0}, {"A1": usual, "A2": usual, "C1": other, "C1+": other})
        found = racing(workers).run(base, {"C1": Entrant(JOB, "same", rounding=rounding)})["C1"]
        assert found.status == status


def test_a_base_that_cannot_run_several_times_ends_the_race() -> None:
    failed = MemberFailedError("A2", "the pipeline writes files (cache)", refused=True)
    with pytest.raises(BaseLostError, match="writes files"):
        race(Workers({**SLOW, "C1": 20.0}, {"A2": failed}), "C1")


def test_the_base_lives_on_until_there_is_another_one() -> None:
    workers = Workers({**SLOW, "C1": 8.0, "C2": 8.0})
    running = racing(workers)
    for name in ("C1", "C2"):
        running.run(base, {name: Entrant(JOB, "same")})
    assert (workers.started, running.is_fresh) == (["A1", "A2", "C1", "C2"], False)
    running.rebase()
    assert (workers.alive, running.is_fresh) == (set(), True)


def test_one_that_fails_beside_an_old_base_is_tried_once_more_beside_a_new_one() -> None:
    workers = Workers({**SLOW, "C1": 8.0, "C2": 20.0, "C3": 8.0}, {"C2": built("other")})
    running = racing(workers)
    running.run(base, {"C1": Entrant(JOB, "same")})
    found = running.run(base, {"C2": Entrant(JOB, "same"), "C3": Entrant(JOB, "same")})
    assert workers.started == ["A1", "A2", "C1", "C2", "C3", "A1", "A2", "C2"]
    assert (found["C2"].status, found["C3"].status) == ("other data", "no gain")


def test_a_change_for_memory_is_kept_where_both_processes_need_less() -> None:
    peaks = {"C1": 900 * MB, "C2": 900 * MB, "C2+": 1000 * MB, "C3": 990 * MB}
    workers = Workers({**SLOW, "C1": 9.9, "C2": 9.9, "C3": 30.0}, peaks=peaks)
    entrants = {name: Entrant(JOB, "same", for_memory=True) for name in ("C1", "C2", "C3")}
    found = racing(workers).run(base, entrants)
    assert {name: one.status for name, one in found.items()} == {"C1": "kept", "C2": "undecided", "C3": "no gain"}
    assert (found["C1"].saved_bytes, found["C2"].saved_bytes) == (100 * MB, 0)
    assert found["C1"].peak_bytes == 900 * MB


def test_an_upper_bound_takes_few_rounds_and_no_second_process() -> None:
    workers = Workers({**SLOW, "C1": 20.0, "C2": 11.0, "C3": [9.0, 16.0, 14.0]})
    found = race(workers, "C1", "C2", "C3", bounds=("C1", "C2", "C3"))
    assert {name: one.status for name, one in found.items()} == {"C1": "kept", "C2": "no gain", "C3": "undecided"}
    assert max(len(workers.blocks_of(name)) for name in found) == 6
    assert workers.started == ["A1", "A2", "C1", "C2", "C3"]


def test_what_is_known_is_there_if_the_user_wants_an_end() -> None:
    end = InterruptedVerificationError()
    running = racing(Workers({**SLOW, "C1": 12.0}, stops=lambda one: end if len(one.blocks_of()) == 7 else None))
    with pytest.raises(InterruptedVerificationError):
        running.run(base, {"C1": Entrant(JOB, "same")})
    assert (running.results["C1"].status, running.results["C1"].change.pairs) == ("undecided", 2)


def test_only_the_first_process_compares_epochs() -> None:
    workers = Workers({**SLOW, "C1": 20.0})
    racing(workers).run(base, {"C1": Entrant(replace(JOB, turns=TurnsJob(compare_epochs=True)), "same")})
    turns = {name: job.turns for name, job in workers.jobs.items()}
    assert [one.compare_epochs for name in ("C1", "C1+") if (one := turns[name]) is not None] == [True, False]


def test_where_memory_is_short_each_process_runs_alone_and_each_pipeline_twice() -> None:
    rates = {**SLOW, "C1": 20.0, "C2": 10.0, "C3": 20.0}
    workers = Workers(rates, {"C3": built("other")}, room=1)
    found = race(workers, "C1", "C2", "C3", pace=ALONE)
    assert workers.blocks_of() == ["A1", "C1", "C2", "C3", "A2", "A2", "C2", "C1", "A1"]
    assert workers.ended == workers.blocks_of()
    assert {name: one.status for name, one in found.items()} == {"C1": "kept", "C2": "no gain", "C3": "other data"}
    assert len(found["C1"].evidence.ratios()) == 2


def test_alone_memory_is_saved_in_both_processes() -> None:
    """They are alone where they took too much memory together."""
    workers = Workers({**SLOW, "C1": 10.0}, peaks={"C1": 900 * MB}, room=2)
    running = racing(workers)
    found = running.run(base, {"C1": Entrant(JOB, "same", for_memory=True)})["C1"]
    assert running.pace.alone is not None
    assert (found.status, found.saved_bytes) == ("kept", 100 * MB)


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


def test_what_a_race_takes_grows_with_its_entrants_and_a_living_base_saves_its_start() -> None:
    assert (ALONE.block.seconds, ALONE.block.steps) == (2.0, 32)
    assert ALONE.seconds_of(1) > PACE.seconds_of(1)
    pace = replace(PACE, made_by=2.0)
    assert pace.seconds_of(4) > pace.seconds_of(1) > pace.seconds_of(1, fresh=False) > 0
    measuring = pace.measuring()
    # Six warm-ups, three rounds of six blocks, and a second process: a warm-up and two rounds of three blocks.
    assert measuring.seconds_of(4) == pytest.approx(6 * 1.0 + 18 * 0.3 + 1.0 + 6 * 0.3)
