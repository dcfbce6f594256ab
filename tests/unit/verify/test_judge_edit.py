"""What a finding is after its edit was tried, from made-up blocks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from pipeprof.profiles.experiment.evidence import BASELINES, EDITED, Evidence
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.schedule import order_of
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded
from pipeprof.profiles.verify.judge_edit import Judgement, judge
from pipeprof.profiles.verify.trials import ROUND
from tests.unit.intervals import interval

MIB = 1 << 20
BATCHES = [BatchDigest(f"data{number}", [f"row{number}.{row}" for row in range(4)], "int64") for number in range(3)]
BUILT = Built(BATCHES, ended=False, runtime_bytes=400 * MIB, build_seconds=0.1, first_seconds=0.1)


def evidence(
    speedup: float,
    *,
    rounds: int = 6,
    noise: float = 0.01,
    drift: float = 0.0,
    again: float = 1.0,
    peaks: tuple[int, int] = (900, 900),
    edited: Built = BUILT,
    second: float | None = None,
    seed: int = 1,
) -> Evidence:
    """Blocks of a machine that slows down by `drift` in each round; A2 runs at `again` times the rate of A1."""
    draw = random.Random(seed)
    rates = {"A1": 100.0, "A2": 100.0 * again, "B1": 100.0 * speedup, "B2": 100.0 * again * (second or speedup)}
    found = Evidence({**dict.fromkeys(BASELINES, BUILT), **dict.fromkeys(EDITED, edited)})
    for number in range(rounds):
        blocks = {}
        for place, name in enumerate(order_of(number, ROUND)):
            slower = 1 - drift * (number + place / 4)
            steps = rates[name] * slower * draw.gauss(1, noise)
            peak = peaks[0] if name in BASELINES else peaks[1]
            blocks[name] = TurnEnded(round(1000 * steps), 1000.0, None, 0.0, peak * MIB)
        found.rounds.append(blocks)
    return found


def speed(found: Evidence) -> Judgement:
    return judge(found, "same", for_memory=False)


def test_a_gain_is_kept_from_the_first_look_on() -> None:
    assert speed(evidence(1.5, rounds=2)).status == "unverified"
    found = speed(evidence(1.5))
    assert (found.status, found.settled) == ("kept", True)
    assert found.speedup is not None
    assert found.speedup.low <= 1.5 <= found.speedup.high


@pytest.mark.parametrize(
    ("rounds", "before", "status"),
    [
        (6, 10, "kept"),
        (7, 10, "kept"),
        (7, 12, "unverified"),
        (10, 12, "kept"),
        (16, 28, "kept"),
        (16, 30, "unverified"),
    ],
)
def test_a_planned_look_is_taken_once_also_where_the_pairs_pass_it_at_once(
    rounds: int, before: int, status: str
) -> None:
    """Rounds that seemed disturbed count again as soon as others were as much."""
    found = judge(evidence(1.5, rounds=rounds), "same", for_memory=False, before=before)
    assert found.status == status


@pytest.mark.parametrize(
    ("speedup", "rounds", "status", "settled"),
    [(1.5, 2, "unverified", False), (1.5, 3, "kept", True), (1.1, 3, "rejected", True), (0.7, 3, "rejected", True)],
)
def test_a_few_pairs_are_enough_for_an_upper_bound(speedup: float, rounds: int, status: str, settled: bool) -> None:
    found = judge(evidence(speedup, rounds=rounds), None, for_memory=False)
    assert (found.status, found.settled) == (status, settled)


def test_an_upper_bound_that_is_not_decided_after_12_pairs_is_measured_no_more() -> None:
    open_ones = [judge(evidence(1.4, rounds=one, noise=0.4), None, for_memory=False) for one in (3, 6)]
    assert [(one.status, one.settled) for one in open_ones] == [("unverified", False), ("unverified", True)]


def test_what_an_edit_cannot_change_is_never_its_fault() -> None:
    other = replace(BUILT, batches=[BatchDigest("other", ["other"], "int64"), *BATCHES[1:]])
    found = evidence(1.5, edited=other)
    assert speed(found).status == "rejected"
    judged = judge(found, "nothing", for_memory=False)
    assert judged.status == "kept"
    assert judged.data is not None
    assert (judged.data.same, judged.data.reproduced) == (True, False)
    assert "which this change cannot cause: the pipeline does not give the same data twice" in judged.data.words
    assert judge(evidence(1.5), "nothing", for_memory=False).data == speed(evidence(1.5)).data


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_the_same_pipeline_is_not_kept_where_the_time_is_over(noise: float) -> None:
    for seed in range(100):
        found = evidence(1.0, rounds=3, noise=noise, seed=seed)
        assert judge(found, "same", for_memory=False, last=True).status != "kept"


@pytest.mark.parametrize(("rounds", "least"), [(3, 1.0), (5, 1.0), (6, 1.03), (14, 1.03)])
def test_no_more_pairs_are_measured_of_what_is_no_gain(rounds: int, least: float) -> None:
    seen = set()
    for seed in range(60):
        for again in (1.0, 1.1):
            found = speed(evidence(1.01, rounds=rounds, noise=0.08, again=again, seed=seed))
            assert found.speedup is not None
            if found.speedup.high < 1.03 or found.status == "kept":
                continue
            assert found.settled is (found.speedup.value < least)
            seen.add((found.settled, found.status))
    assert seen == {(True, "unverified"), (False, "unverified")}


def test_it_is_given_up_early_where_there_is_no_gain() -> None:
    found = speed(evidence(0.9, rounds=3))
    assert (found.status, found.settled) == ("rejected", True)
    assert found.reason.startswith("no gain: 0.9")


def test_a_gain_below_the_floor_is_not_kept() -> None:
    assert speed(evidence(1.02, rounds=15, noise=0.001)).status == "rejected"


def test_a_drift_of_the_machine_is_no_gain() -> None:
    assert speed(evidence(1.0, drift=0.02)).status != "kept"
    assert speed(evidence(1.3, drift=0.02)).status == "kept"


def test_processes_of_one_pipeline_that_differ_leave_it_open() -> None:
    found = speed(evidence(1.08, again=1.1))
    assert (found.status, found.settled) == ("unverified", False)
    assert ", processes of this pipeline may differ by up to 1" in found.reason


def test_a_gain_larger_than_what_the_same_pipeline_shows_is_kept() -> None:
    assert speed(evidence(3.0, again=0.5)).status == "kept"
    assert speed(evidence(1.5, again=0.5)).status == "unverified"


def test_a_gain_in_one_pair_of_processes_alone_is_not_kept() -> None:
    assert speed(evidence(1.3, second=1.0)).status == "unverified"


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_the_same_pipeline_is_never_kept(noise: float) -> None:
    kept = 0
    for seed in range(400):
        whole = evidence(1.0, rounds=15, noise=noise, seed=seed)
        looks = [replace(whole, rounds=whole.rounds[: pairs // 2]) for pairs in QUICK.looks]
        kept += any(speed(found).status == "kept" for found in looks)
    assert kept <= 4  # 1 %


def test_an_edit_that_changes_the_data_is_rejected_however_fast() -> None:
    other = replace(BUILT, batches=[*BATCHES[:2], replace(BATCHES[2], data="changed")])
    found = speed(evidence(3.0, edited=other))
    assert (found.status, found.settled) == ("rejected", True)
    assert found.reason == "the edit changes the data: batch 3 has different values than before"


def test_the_change_of_memory_is_the_smaller_fall_of_two_pairs() -> None:
    found = evidence(2.0, peaks=(900, 910))
    block = found.rounds[-1]["A2"]
    found.rounds[-1]["A2"] = replace(block, peak_bytes=(block.peak_bytes or 0) + 8 * MIB)
    assert judge(found, "same", for_memory=False).saved_bytes == -10 * MIB


@pytest.mark.parametrize(
    ("peaks", "status", "saved"),
    [
        ((900, 700), "kept", 200),
        ((900, 890), "rejected", 10),
        ((2000, 1900), "rejected", 100),
        ((900, 950), "rejected", -50),
    ],
)
def test_memory_counts_where_it_is_a_tenth_of_the_pipelines_own(
    peaks: tuple[int, int], status: str, saved: int
) -> None:
    found = judge(evidence(0.8, peaks=peaks), "same", for_memory=True)
    assert (found.status, found.saved_bytes) == (status, saved * MIB)
    assert found.speedup is not None
    assert found.speedup.high < 1


@pytest.mark.parametrize(
    ("value", "low", "pairs", "expected"),
    [
        (1.70, 1.61, 6, True),
        (1.70, 1.61, 2, True),
        (1.70, 1.61, 12, False),
        (1.08, 1.01, 4, True),
        (1.08, 1.01, 2, False),
        (1.08, 0.99, 6, False),
        (1.04, 1.01, 6, False),
    ],
)
def test_a_gain_that_half_of_its_pairs_show_gets_the_time_for_the_other_half(
    value: float, low: float, pairs: int, expected: bool
) -> None:
    judgement = Judgement("unverified", "", interval(value, low, pairs), None, None, settled=False)
    assert judgement.is_promising is expected
