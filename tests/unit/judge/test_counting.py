"""Which pairs of a session count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.turns import BEYOND_USUAL
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
