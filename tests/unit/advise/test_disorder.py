"""How well a shuffle mixes: the formula against all orders that a buffer can give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest

from pipeprof.profiles.advise.facts.byte_gate import describe_order, order_entropy


def orders(buffer: list[int], rest: list[int], chance: float) -> Iterator[tuple[tuple[int, ...], float]]:
    """All orders of a shuffle with what is in its buffer, each with its chance."""
    if not buffer:
        yield (), chance
    for place, drawn in enumerate(buffer):
        left = [*buffer[:place], *buffer[place + 1 :], *rest[:1]]
        for order, each in orders(left, rest[1:], chance / len(buffer)):
            yield (drawn, *order), each


@pytest.mark.parametrize(("buffer", "elements"), [(1, 5), (2, 4), (2, 6), (3, 6), (5, 5), (9, 5)])
def test_the_formula_is_the_entropy_of_the_order(buffer: int, elements: int) -> None:
    chances: Counter[tuple[int, ...]] = Counter()
    for order, chance in orders(list(range(min(buffer, elements))), list(range(buffer, elements)), 1.0):
        chances[order] += chance  # type: ignore[assignment]
    entropy = -sum(chance * math.log2(chance) for chance in chances.values())
    assert order_entropy(buffer, elements) == pytest.approx(entropy / math.log2(math.factorial(elements)))
    ahead = max(element - place for order in chances for place, element in enumerate(order))
    assert ahead == min(buffer, elements) - 1


def test_batches_that_are_shuffled_whole_keep_their_neighbours() -> None:
    assert order_entropy(10, 320, 32) == pytest.approx(math.lgamma(11) / math.lgamma(321))
    assert "by at most 288 of 320 places" in describe_order(10, 320, 32)
    shares = [order_entropy(buffer, 1000) for buffer in (1, 10, 100, 1000, 5000)]
    assert shares == sorted(shares)
    assert shares[-2:] == [1.0, 1.0]


def test_without_a_number_of_elements_only_the_distance_is_known() -> None:
    assert describe_order(100, None) == "an element moves ahead by at most 99 places"
    assert next(number for number in count(1) if describe_order(number, 5).startswith("a full shuffle")) == 5
