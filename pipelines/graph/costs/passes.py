"""Number of elements per pass of a dataset that another one repeats; a pure function.

What the repeating dataset has taken, less what its present input has given, are whole passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

_MOST_PARTS = 12
"""Passes that the shortest stretch between two readings may be."""
_OFF = 1
"""Elements by which a reading may be off: the two datasets are not read at the same time."""
_LEAST_PASS = 8
_BY_CHANCE = 0.01
"""Probability from which readings that fit a part of the shortest stretch are taken to fit it by chance."""


def elements_of_pass(readings: Iterable[int]) -> int | None:
    """Return the elements of a pass; None where it did not end while it was read, or passes differ.

    Args:
        readings: Elements of all passes that have ended, at several times.

    Example:
        >>> elements_of_pass([0, 0, 100, 300, 300]), elements_of_pass([0, 200, 300]), elements_of_pass([0, 0])
        (100, 100, None)
        >>> elements_of_pass([0, 100, 217, 301]) is None
        True
    """
    seen = _apart(readings)
    steps = [after - before for before, after in pairwise([0, *seen])]
    for parts in range(1, _MOST_PARTS + 1) if seen else ():
        each = min(steps) / parts
        if each < _LEAST_PASS:
            return None
        # The longest stretch says it best.
        each = seen[-1] / round(seen[-1] / each)
        fits = all(abs(one - round(one / each) * each) <= 2 * _OFF for one in seen)
        if fits and (parts == 1 or parts * ((4 * _OFF + 1) / each) ** (len(seen) - 1) < _BY_CHANCE):
            return round(each)
    return None


def _apart(readings: Iterable[int]) -> Sequence[int]:
    """The readings after the first pass, once each; those that differ by no more than they may be off are one."""
    found: list[int] = []
    for reading in sorted(readings):
        if reading - (found[-1] if found else 0) > 2 * _OFF:
            found.append(reading)
    return found
