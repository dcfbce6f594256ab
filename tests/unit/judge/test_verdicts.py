"""What rows of metrics are called: both errors at the floor, mirror, scaling, several metrics together."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.experiment import decision as decide
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME, METRICS
from pipeprof.profiles.judge.verdicts.result import PairValues
from pipeprof.profiles.judge.verdicts.tabulate import rows_of, rows_of_arms

STEP = BY_NAME["step_ms"]
VALUES = st.floats(0.01, 1e6)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=15)
OPPOSITE = {
    "slower": "faster",
    "faster": "slower",
    "more": "less",
    "less": "more",
    "no difference": "no difference",
    "cannot tell": "cannot tell",
}


def judged(metric, a, b):
    return Comparison(estimate(metric.changes(a, b))), metric.on_scale()


def pair(a: float, b: float, again: float) -> PairValues:
    return PairValues(order=[], a={"step_ms": a}, b={"step_ms": b}, again={"step_ms": again})


@given(PAIRS)
def test_swapping_the_sides_mirrors_the_words(pairs):
    a, b = zip(*pairs, strict=True)
    for metric in METRICS:
        one, floor = judged(metric, a, b)
        other, _ = judged(metric, b, a)
        assert metric.words_of(other, floor) == OPPOSITE[metric.words_of(one, floor)]


# Powers of two: their products are exact.
@given(PAIRS, st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_both_sides_changes_no_relative_verdict(pairs, factor):
    a, b = zip(*pairs, strict=True)
    one, floor = judged(STEP, a, b)
    other, _ = judged(STEP, [value * factor for value in a], [value * factor for value in b])
    assert one.change == other.change
    assert decide.verdict_of(one, floor) == decide.verdict_of(other, floor)


@given(st.lists(VALUES, min_size=2, max_size=15))
def test_identical_numbers_never_fail(values):
    for metric in METRICS:
        found, floor = judged(metric, values, values)
        assert decide.verdict_of(found, floor) == "not regressed"
        assert metric.words_of(found, floor) == "no difference"


def test_one_pair_says_nothing():
    found, floor = judged(STEP, [10.0], [99.0])
    assert decide.verdict_of(found, floor) == "cannot tell"
    assert STEP.words_of(found, floor) == "cannot tell"
    assert decide.pairs_to_settle(found.change, floor) is None


def test_sides_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        STEP.changes([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("factor", "verdict", "words"),
    [
        (1.10, "regressed", "slower"),
        (0.90, "not regressed", "faster"),
        (1.00, "not regressed", "no difference"),
        (1.03, "cannot tell", "cannot tell"),
    ],
)
def test_each_verdict(factor, verdict, words):
    a, b = [10.0, 10.1, 9.9, 10.0, 10.0], [factor * one for one in (10.0, 10.0, 10.0, 10.1, 9.9)]
    found, floor = judged(STEP, a, b)
    assert (decide.verdict_of(found, floor), STEP.words_of(found, floor)) == (verdict, words)


def test_throughput_regresses_downwards():
    metric = BY_NAME["elements_per_second"]
    found, floor = judged(metric, [100.0, 101.0, 99.0], [80.0, 81.0, 80.5])
    assert decide.verdict_of(found, floor) == "regressed"
    assert metric.words_of(found, floor) == "slower"
    assert metric.as_change(found.change.mean) == pytest.approx(0.805, abs=0.01)


def test_a_difference_is_judged_where_zero_is_usual():
    metric = BY_NAME["wait_ms"]
    found, floor = judged(metric, [0.0, 0.0, 0.0], [5.0, 5.1, 4.9])
    assert metric.as_change(found.change.mean) == pytest.approx(5.0)
    assert metric.words_of(found, floor) == "more"


def test_more_judged_metrics_ask_for_more():
    floor = STEP.on_scale()
    # Beyond the floor by 4 standard errors: enough for one metric (3.75), not for the clearest of five.
    found = Comparison(Interval(floor + 0.04, 0.01, 4, 5))
    alone = decide.verdicts({"a": (found, floor)})
    still = Comparison(Interval(0.0, 0.001, 4, 5))
    others = dict.fromkeys("bcde", (still, floor))
    together = decide.verdicts({"a": (found, floor), **others})
    assert alone["a"] == "regressed"
    assert together["a"] == "cannot tell"
    assert all(together[name] == "not regressed" for name in others)


def test_the_number_of_pairs_that_would_settle_it_does():
    draw = random.Random(5)
    worse = [0.06 + draw.gauss(0, 0.03) for _ in range(5)]
    found, floor = estimate(worse), STEP.on_scale()
    assert decide.verdict_of(Comparison(found), floor) == "cannot tell"
    needed = decide.pairs_to_settle(found, floor)
    error = found.error * math.sqrt(found.pairs) / math.sqrt(needed)
    same = Interval(found.mean, error, needed - 1, needed)
    assert decide.verdict_of(Comparison(same), floor) != "cannot tell"


def sessions(true: float, spread: float, noisier: float, count: int):
    """Of made-up processes: what the gate says of each, in its looks."""
    draw = random.Random(f"{true} {spread} {noisier}")
    floor = STEP.on_scale()
    for _ in range(count):
        worse, same = [], []
        for _ in range(GATE.most):
            one, other = draw.gauss(0, spread), draw.gauss(0, spread)
            worse.append(math.log1p(true) + draw.gauss(0, noisier * spread) - (one + other) / 2)
            same.append(one - other)
        for look in GATE.looks:
            found = Comparison(estimate(worse[:look], same[:look]), estimate(same[:look]))
            verdict = decide.verdict_of(found, floor)
            if verdict != "cannot tell":
                break
        yield verdict


# With less noise it is never near one in a hundred.
@pytest.mark.parametrize(
    ("true", "wrong", "noisier", "count"),
    [(0.0, "regressed", 1.0, 500), (0.0, "regressed", 2.0, 4000), (0.10, "not regressed", 2.0, 500)],
)
def test_a_gate_is_wrong_in_one_of_a_hundred_at_most(true, wrong, noisier, count):
    assert sum(verdict == wrong for verdict in sessions(true, 0.05, noisier, count)) <= count / 100


@pytest.mark.parametrize("noisier", [0.3, 3.0])
def test_a_change_of_the_floor_itself_is_rarely_called(noisier):
    verdicts = list(sessions(STEP.floor, 0.03, noisier, count=400))
    assert sum(verdict == "regressed" for verdict in verdicts) <= 20
    assert sum(verdict == "not regressed" for verdict in verdicts) <= 20


def test_ten_percent_are_found():
    assert sum(verdict == "regressed" for verdict in sessions(0.10, 0.025, 1.0, count=400)) >= 380


def test_rows_compare_b_with_both_processes_of_a():
    rows = rows_of([pair(10.0, 12.0, 10.2), pair(10.1, 12.1, 10.0), pair(10.0, 12.0, 10.0)])
    (row,) = rows
    assert row.name == "step_ms"
    assert row.change == pytest.approx(1.197, abs=0.002)
    assert row.verdict == "regressed"
    assert 0.03 < row.resolution < 0.2


def test_a_metric_that_a_process_lacks_is_left_out():
    one = pair(10.0, 12.0, 10.0)
    one.b.pop("step_ms")
    assert rows_of([pair(10.0, 12.0, 10.0), one]) == []


def test_every_arm_is_compared_with_the_first():
    def of(b: float, c: float) -> PairValues:
        one = pair(10.0, b, 10.1)
        one.further = {"c": {"step_ms": c}}
        return one

    rows = rows_of_arms([of(12.0, 8.0), of(12.1, 8.0), of(12.0, 8.1), of(12.0, 8.1)], ["b", "c"])
    assert {arm: row.words for arm, (row,) in rows.items()} == {"b": "slower", "c": "faster"}
    assert rows["c"][0].change == pytest.approx(0.801, abs=0.003)


@given(PAIRS, st.lists(st.floats(-0.3, 0.3), max_size=15))
def test_the_outcome_is_mirrored_whatever_the_copies_of_the_base_do(pairs, same):
    a, b = zip(*pairs, strict=True)
    own = estimate(same)
    one, other = (Comparison(estimate(STEP.changes(*sides)), own) for sides in ((a, b), (b, a)))
    assert one.mirrored().mirrored() == one
    assert other.outcome() == one.mirrored().outcome()
    assert one.outcome() == {"above": "below", "below": "above"}.get(other.outcome(), other.outcome())
