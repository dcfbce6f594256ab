"""Which pairs of a session count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.turns import BEYOND_USUAL
from pipeprof.profiles.judge.metrics import rows_of
from pipeprof.profiles.judge.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdict import counted, has_seen_enough, mark

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def pairs_of(shares: list[float | None]) -> list[PairValues]:
    found = [PairValues(order=[], a={}, b={}, stolen_share=share) for share in shares]
    mark(found)
    return found


@pytest.mark.parametrize(
    ("shares", "count"),
    [
        ([0.0, 0.02, 0.05, 0.36], [True] * 4),
        ([0.0, 0.02, 0.05, 0.36, 0.01], [True, True, True, False, True]),
        ([0.36, 0.0, 0.02, 0.36, 0.05, 0.0], [False, True, True, False, True, True]),
        ([0.4, 0.41, 0.45, 0.4], [True] * 4),
        ([0.4], [True]),
        ([0.0, None, 0.6], [True] * 3),
    ],
)
def test_pairs_from_which_other_machines_took_the_cores_do_not_count(shares, count):
    assert [pair.counts for pair in pairs_of(shares)] == count


@given(SHARES)
def test_four_pairs_count_in_any_case(shares):
    pairs = pairs_of(shares)
    assert len(counted(pairs)) >= min(4, len(pairs))
    quietest = min(shares)
    assert all(pair.counts for pair in pairs if (pair.stolen_share or 0.0) <= quietest + BEYOND_USUAL)


@given(SHARES, st.integers(1, 15))
def test_a_gate_never_measures_more_pairs_than_it_may(shares, most):
    found = Result(kind="gate", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"), pairs=pairs_of(shares))
    assert has_seen_enough(found, most) or len(shares) < most


def test_a_gate_counts_the_pairs_that_count():
    def value(step: float) -> dict[str, float]:
        return {"step_ms": step, "peak_bytes": 1e9}

    steps = [(10.0, 10.01), (10.01, 10.0), (10.0, 17.0), (10.02, 10.01), (9.99, 10.0)]
    pairs = [
        PairValues(order=[], a=value(a), b=value(b), again=value(a + 0.01), stolen_share=0.4 if b > 11 else 0.01)
        for a, b in steps
    ]
    mark(pairs)
    found = Result(kind="gate", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"), pairs=pairs[:4])
    found.metrics = rows_of(counted(found.pairs))
    assert not has_seen_enough(found, 15)
    assert has_seen_enough(found, 4)
    found.pairs, found.verdict = pairs, "not regressed"
    found.metrics = rows_of(counted(found.pairs))
    assert has_seen_enough(found, 15)
    assert len(counted(found.pairs)) == 4
