"""Datasets that a script is handed instead of its own."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from pipeprof.profiles.worker.script.hand_out import HandOut


class Dataset:
    """Has a number of elements, and what was made of it."""

    element_spec = "x"

    def __init__(self, length: int = 5, words: str = "own") -> None:
        self.length, self.words = length, words
        self.of: Dataset | None = None

    def cardinality(self) -> int:
        return self.length

    def take(self, count: int) -> Dataset:
        made = Dataset(count, f"{self.words}, taken {count}")
        made.of = self
        return made


def test_an_object_gets_one_dataset_with_as_many_elements() -> None:
    hand_out = HandOut(lambda dataset: Dataset(-1, f"changed {dataset.words}"))
    own, other = Dataset(5), Dataset(-1, "other")
    first = hand_out.of(own)
    assert hand_out.of(own) is first
    assert (first.words, first.cardinality()) == ("changed own, taken 5", 5)
    assert hand_out.of(other).words == "changed other"


@pytest.mark.parametrize("make", [lambda dataset: dataset, lambda dataset: dataset.take(2)], ids=["own", "made of it"])
def test_datasets_of_the_script_are_not_kept_alive(make: Any) -> None:
    gc.freeze()  # all that there was before, which takes seconds to look through
    own = Dataset()
    HandOut(make).of(own)
    known = weakref.ref(own)
    del own
    gc.collect()
    assert known() is None
