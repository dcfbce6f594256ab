"""Comparison of the first batches of two pipelines."""

from __future__ import annotations

from dataclasses import replace

from pipeprof.profiles.protocol.turn_messages import Built
from pipeprof.profiles.protocol.turns import BatchDigest
from pipeprof.profiles.verify.judging.same_data import check_data


def batches(*rows: str, spec: str = "int64") -> list[BatchDigest]:
    """A batch for each word; its letters are the elements."""
    return [BatchDigest(word, list(word), spec) for word in rows]


def built(*rows: str, ended: bool = False, spec: str = "int64") -> Built:
    return Built(batches(*rows, spec=spec), ended, 1, 0.0, 0.0)


def test_the_same_bytes() -> None:
    found = check_data(built("abc", "def"), built("abc", "def"), built("abc", "def"), "same")
    assert (found.level, found.same) == ("bytes", True)
    assert found.words == "the first 2 batches are equal byte by byte"


def test_another_order_is_another_value_for_the_class_same() -> None:
    found = check_data(built("abc"), built("abc"), built("acb"), "same")
    assert (found.same, found.words) == (False, "batch 1 has other values than before")


def test_a_pipeline_that_differs_from_itself_demands_only_what_it_reproduces() -> None:
    shuffled = check_data(built("abc", "def"), built("def", "cba"), built("fed", "abc"), "same")
    assert (shuffled.level, shuffled.same) == ("elements", True)
    lost = check_data(built("abc", "def"), built("def", "cba"), built("fed", "abb"), "same")
    assert (lost.level, lost.same) == ("elements", False)
    random = check_data(built("abc"), built("xyz"), built("uvw"), "same")
    assert (random.level, random.same) == ("types", True)
    for check in (shuffled, random):
        assert check.words.endswith("; two processes of the pipeline itself differ in more than that")


def test_a_new_order_keeps_the_elements_of_a_whole_epoch() -> None:
    before = built("abc", "def", ended=True)
    assert check_data(before, before, built("fde", "bca", ended=True), "order").level == "elements"
    assert not check_data(before, before, built("fde", "bcx", ended=True), "order").same
    # Of an epoch that goes on, other elements may come first.
    assert check_data(built("abc"), built("abc"), built("xyz"), "order").same


def test_types_counts_and_lengths_of_epochs_are_always_compared() -> None:
    before = built("abc", "def", ended=True)
    other_types = built("abc", "def", ended=True, spec="float32")
    assert check_data(before, before, other_types, "randomness").words == "batch 1 has other types or ranks than before"
    smaller = built("ab", "def", ended=True)
    assert check_data(before, before, smaller, "order").words == "batch 1 has 2 elements instead of 3"
    longer = replace(before, ended=False)
    assert check_data(before, before, longer, "order").words == "an epoch has more than 2 batches instead of 2"
