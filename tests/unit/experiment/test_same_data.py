"""Comparison of the first batches of two pipelines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.protocol.turns import BatchDigest, Built
from pipeprof.profiles.worker.turns import inexact


def built(*rows: str, ended: bool = False, spec: str = "int64") -> Built:
    """A batch for each word; its letters are the elements."""
    return Built([BatchDigest(word, list(word), spec) for word in rows], ended, 1, 0.0, 0.0)


def test_another_order_is_another_value_for_the_class_same() -> None:
    before = built("abc", "def")
    found = check_data(before, before, before, "same")
    words = "the first 2 batches are equal byte by byte"
    assert (found.level, found.same, found.words) == ("bytes", True, words)
    found = check_data(before, before, built("acb", "def"), "same")
    assert (found.same, found.words) == (False, "batch 1 has different values")


def test_a_pipeline_that_differs_from_itself_demands_only_what_it_reproduces() -> None:
    shuffled = check_data(built("abc", "def"), built("def", "cba"), built("fed", "abc"), "same")
    assert (shuffled.level, shuffled.same) == ("elements", True)
    lost = check_data(built("abc", "def"), built("def", "cba"), built("fed", "abb"), "same")
    assert (lost.level, lost.same) == ("elements", False)
    random = check_data(built("abc"), built("xyz"), built("uvw"), "same")
    assert (random.level, random.same) == ("types", True)
    for check in (shuffled, random):
        assert check.words.endswith("; two processes of the pipeline itself differ in more than that")


def test_random_numbers_that_calls_draw_at_a_time_agree_by_chance() -> None:
    before = replace(built("abc", "def", ended=True), racing=True)
    for semantics in ("same", "order"):
        found = check_data(before, before, built("abc", "dex", ended=True), semantics)
        assert (found.level, found.same, found.reproduced) == ("types", True, False)
    assert check_data(before, before, before, "same").level == "bytes"
    # What they are made of is no chance.
    assert not check_data(before, before, built("abc", "de", ended=True), "same").same


def test_a_new_order_keeps_the_elements_of_a_whole_epoch() -> None:
    before = built("abc", "def", ended=True)
    assert check_data(before, before, built("fde", "bca", ended=True), "order").level == "elements"
    assert not check_data(before, before, built("fde", "bcx", ended=True), "order").same
    # Of an epoch that goes on, other elements may come first.
    assert check_data(built("abc"), built("abc"), built("xyz"), "order").same


def test_types_counts_and_lengths_of_epochs_are_always_compared() -> None:
    before = built("abc", "def", ended=True)
    for other, words in (
        (built("abc", "def", ended=True, spec="float32"), "batch 1 has different types or ranks"),
        (built("ab", "def", ended=True), "batch 1 has 2 elements instead of 3"),
        (replace(before, ended=False), "an epoch has more than 2 batches instead of 2"),
    ):
        assert [check_data(before, before, other, one).words for one in ("order", "randomness")] == [words] * 2


def numbers(*values: float, exact: str = "") -> Built:
    """A batch of floating-point numbers."""
    _, sums = inexact([np.array(values, np.float32)])
    return Built([BatchDigest(str(values), [], "float32", exact, sums)], False, 1, 0.0, 0.0)


def test_the_last_digits_of_numbers_may_be_rounded_otherwise() -> None:
    before = numbers(1.0, 1e6, -3.0)
    found = check_data(before, before, numbers(1.0000001, 1e6, -3.0000002), "same")
    assert (found.level, found.same) == ("rounding", True)
    assert found.words == "the first batch is equal but for the last digits of floating-point numbers"
    for other in (numbers(1.0, 1e6 + 30, -3.0), numbers(1e6, 1.0, -3.0), numbers(1.0, 1e6, -3.0000002, exact="other")):
        assert not check_data(before, before, other, "same").same


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=300), st.integers(0, 299))
def test_rounding_is_told_from_other_numbers(values: list[float], place: int) -> None:
    array = np.array(values, np.float32)
    rounded = np.nextafter(array, np.float32(2e3))
    assert np.abs(array).max() < 1e-30 or _all_close(array, rounded)
    other = array.copy()
    other[place % len(values)] += 1.0 + np.abs(array).sum() / 1000
    assert not _all_close(array, other)


def _all_close(array: Any, other: Any) -> bool:
    (exact, sums), (exact_too, sums_too) = inexact([array]), inexact([other])
    slacks = zip(sums, sums_too, strict=True)
    return exact == exact_too and all(abs(one[0] - two[0]) <= max(one[1], two[1]) for one, two in slacks)


def test_what_is_no_number_must_be_the_same() -> None:
    plain = np.array([1.0, np.nan, np.inf]), np.array([b"a"], object), np.array([1, 2])
    assert inexact([*plain])[0] == inexact([plain[0] * (1 + 1e-16), *plain[1:]])[0]
    for place, other in enumerate((np.array([1.0, np.inf, np.nan]), np.array([b"b"], object), np.array([2, 1]))):
        changed = [*plain[:place], other, *plain[place + 1 :]]
        assert inexact([*plain])[0] != inexact(changed)[0]
    assert inexact([np.float32(2.0), None])[1] == [(2.0 * weight(), pytest.approx(2.0 * 16 * np.finfo(np.float32).eps))]


def weight() -> float:
    """The weight of the first number of a block."""
    return inexact([np.float64(1.0)])[1][0][0]
