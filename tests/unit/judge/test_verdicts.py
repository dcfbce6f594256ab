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
from pipeprof.profiles.judge.metrics import BY_NAME, METRICS, rows_of_arms
from pipeprof.profiles.judge.result import PairValues

STEP = BY_NAME["step_ms"]
VALUES = st.floats(0.01, 1e6)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=15)


def words_of(metric, compared, floor):
    return metric.words(compared.outcome(floor))


def judged(metric, a, b):
    return Comparison(estimate(metric.changes(a, b))), metric.on_scale()


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
        assert words_of(metric, found, floor) == "no difference"


def test_one_pair_says_nothing():
    found, floor = judged(STEP, [10.0], [99.0])
    assert decide.verdict_of(found, floor) == "cannot tell"
    assert words_of(STEP, found, floor) == "cannot tell"
    assert decide.pairs_to_settle(found.change, floor) is None


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict", "words"),
    [
        ("step_ms", 10.0, 11.0, "regressed", "slower"),
        ("step_ms", 10.0, 9.0, "not regressed", "faster"),
        ("step_ms", 10.0, 10.0, "not regressed", "no difference"),
        ("step_ms", 10.0, 10.3, "cannot tell", "cannot tell"),
        # Less throughput is worse, and 0 is a usual wait.
        ("elements_per_second", 100.0, 80.0, "regressed", "slower"),
        ("wait_ms", 0.0, 5.0, "regressed", "more"),
    ],
)
def test_each_verdict(name, a, b, verdict, words):
    noise = (1.0, 1.01, 0.99, 1.0, 1.0)
    found, floor = judged(BY_NAME[name], [a * one for one in noise], [b * one for one in reversed(noise)])
    assert (decide.verdict_of(found, floor), words_of(BY_NAME[name], found, floor)) == (verdict, words)


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


def test_every_arm_is_compared_with_the_first():
    def steps(b, c):
        a, again, further = {"step_ms": 10.0}, {"step_ms": 10.1}, {"c": {"step_ms": c}}
        return PairValues(order=[], a=a, b={"step_ms": b}, again=again, further=further)

    rows = rows_of_arms([steps(12.0, 8.0), steps(12.1, 8.0), steps(12.0, 8.1), steps(12.0, 8.1)], ["b", "c"])
    assert {arm: row.words for arm, (row,) in rows.items()} == {"b": "slower", "c": "faster"}
    assert rows["c"][0].change == pytest.approx(0.801, abs=0.003)


@given(PAIRS, st.lists(st.floats(-0.3, 0.3), max_size=15))
def test_the_outcome_is_mirrored_whatever_the_copies_of_the_base_do(pairs, same):
    a, b = zip(*pairs, strict=True)
    own = estimate(same)
    one, other = (Comparison(estimate(STEP.changes(*sides)), own) for sides in ((a, b), (b, a)))
    assert one.mirrored().mirrored() == one
    assert other.outcome() == one.mirrored().outcome()
    opposite = {"above": "below", "below": "above"}
    assert one.outcome() == opposite.get(other.outcome(), other.outcome())
