"""The length of a pass, from what had passed at several times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.graph.costs.stretches import elements_of_pass


@given(
    each=st.integers(100, 1_000_000),
    passes=st.lists(st.integers(0, 12), min_size=1, max_size=30).map(sorted),
    off=st.lists(st.integers(-1, 1), min_size=30, max_size=30),
)
def test_readings_are_whole_passes_even_if_they_are_off_by_one(each: int, passes: list[int], off: list[int]) -> None:
    found = elements_of_pass(number * each + wrong for number, wrong in zip(passes, off, strict=False))
    if not any(passes):
        assert found is None
    else:
        steps = {after - before for before, after in zip([0, *passes], passes, strict=False)} - {0}
        # What was seen of no single pass may be taken for a longer one.
        assert 1 not in steps or (found is not None and abs(found - each) <= 2)
        assert found is None or abs(found / each - round(found / each)) < 0.05


def test_passes_that_differ_have_no_length() -> None:
    assert elements_of_pass([103, 190, 305, 371]) is None
    assert elements_of_pass([1, 2, 1]) is None


def test_readings_in_step_with_passes_tell_no_length() -> None:
    begun = [20 + 290 * number for number in range(10)]
    assert elements_of_pass([6000 * number for number in range(11)], begun) is None
    # One pass of another number of halves shows that these are whole ones.
    assert elements_of_pass([*(6000 * number for number in range(10)), 57_000], begun) == 3000
