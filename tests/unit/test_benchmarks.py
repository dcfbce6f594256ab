"""What benchmarks conclude from their measurements: decided early, late, or not on a noisy machine."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest
from source_trees import script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))


sequential, run = script("benchmarks/overhead/sequential.py"), script("benchmarks/run.py")
PAIRS = 200


def pairs(ratio: float, noise: float) -> list[list[float]]:
    """Blocks of a hundred steps in about a second, of which ours take longer by `ratio`."""
    chance = Random(3)
    return [[100, chance.gauss(1.0, noise), 100, chance.gauss(1.0, noise) / ratio] for _ in range(PAIRS)]


def measured(raw: list[list[float]], limit: float) -> int:
    return next(n for n in range(1, PAIRS + 1) if sequential.is_decided(raw[:n], limit, PAIRS))


def test_a_clear_ratio_is_decided_at_the_first_look() -> None:
    assert sequential.looks(PAIRS) == [40, 80, 120, 160, 200]
    for ratio, outcome in ((0.999, "holds"), (0.97, "does not hold")):
        raw = pairs(ratio, 0.003)
        assert measured(raw, 0.99) == 40
        assert sequential.outcome(raw[:40], 0.99, PAIRS) == outcome


@pytest.mark.parametrize("ratio", [0.99, 0.985])
def test_a_machine_noisier_than_the_margin_cannot_tell(ratio: float) -> None:
    raw = pairs(ratio, 0.1)
    assert measured(raw, 0.99) == PAIRS
    assert sequential.outcome(raw, 0.99, PAIRS) == "cannot tell"


def test_pairs_without_their_cores_do_not_count_and_too_few_of_the_others_tell_nothing():
    assert [sequential.counts(stolen) for stolen in (None, 0.0, 0.01, 0.02, 0.5)] == [True, True, True, False, False]
    assert not sequential.are_all(199, 60, PAIRS)
    assert sequential.are_all(200, 0, PAIRS)
    assert sequential.are_all(100, 180, PAIRS)
    raw = pairs(0.99, 0.003)
    assert sequential.outcome(raw, 0.99, PAIRS) == "does not hold"
    assert sequential.outcome(raw, 0.99, 2 * len(raw)) == "cannot tell"


def test_a_fix_is_held_against_the_best_of_the_grid_and_against_autotune() -> None:
    judging = script("benchmarks/fix/judging.py")
    steady = {"as it is": [10.0, 10.1, 9.9], "calls=2": [20.0, 20.2, 19.8], "AUTOTUNE everywhere": [19.0, 19.2, 18.8]}
    assert judging.best_of_grid(steady) == "calls=2"
    found = judging.judge("calls=2", {**steady, "fix": [19.6, 19.79, 19.41]})
    assert (found["best"], found["rounds"], found["outcome"]) == ("calls=2", 3, "holds")
    assert found["gain"][0] == 1.96
    assert found["share_of_best"][0] == 0.98
    assert judging.judge("calls=2", {**steady, "fix": [15.0, 15.2, 14.8]})["outcome"] == "does not hold"
    # It is near the best, and slower than AUTOTUNE everywhere.
    tuned = {**steady, "AUTOTUNE everywhere": [20.4, 20.61, 20.19]}
    assert judging.judge("calls=2", {**tuned, "fix": [19.6, 19.79, 19.41]})["outcome"] == "does not hold"
    # Nothing was changed: the pipeline as it is stands for the result.
    assert judging.judge("as it is", {"as it is": [10.0, 10.1]})["outcome"] == "holds"
    assert judging.judge("calls=2", {**steady, "fix": [12.0, 30.0, 17.0]})["outcome"] == "cannot tell"
    # Two processes of each count as one pipeline.
    both = judging.as_one({"A1": [4.0], "A2": [9.0], "calls=2 #1": [2.0], "calls=2 #2": [8.0]})
    assert {name: round(found[0], 6) for name, found in both.items()} == {"as it is": 6.0, "calls=2": 4.0}
    assert [judging.block_seconds(ms / 1e3) for ms in (1, 20, 100)] == pytest.approx([0.1, 0.2, 0.6])


def test_a_case_is_measured_again_where_it_was_disturbed_and_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "wait_until_quiet", lambda: None)
    for each, measured in (
        ([(True, False)], 1),
        ([(True, True)], 1),
        ([(False, False)], 1),
        ([(False, True), (True, False)], 2),
        ([(False, True), (False, False)], 2),
        ([(False, True)] * 4, 3),
    ):
        left = iter([({"holds": held, "disturbed": noisy}, number) for number, (held, noisy) in enumerate(each)])
        found = run.until_undisturbed(lambda left=left: next(left))
        assert (found["raw"], len(found["figures"]["disturbed_tries"])) == (measured - 1, measured - 1)
        assert (found["figures"]["holds"], found["figures"]["disturbed"]) == each[measured - 1]
        assert found["outcome"] == run.outcome_of(found["figures"])


def test_only_a_disturbed_case_cannot_tell_and_all_together_hold_only_if_each_does() -> None:
    outcomes = [run.outcome_of({"holds": holds, "disturbed": True}) for holds in (True, False)]
    assert [*outcomes, run.outcome_of({"holds": False})] == ["holds", "cannot tell", "does not hold"]
    assert run.together(["holds", "holds"]) == "holds"
    assert run.together(["holds", None]) == run.together(["holds", "cannot tell"]) == run.together([]) == "cannot tell"
    assert run.together(["holds", "does not hold", None]) == "does not hold"
