"""Sets of times as sorted arrays of begins and ends that do not touch, in nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Times = NDArray[np.int64]
    Flags = NDArray[np.bool_]


def union(begins: Times, ends: Times) -> tuple[Times, Times]:
    """Return the times that any of some intervals cover; those without a length cover none."""
    some = ends > begins
    begins, ends = begins[some], ends[some]
    if not len(begins):
        return begins, ends
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], np.maximum.accumulate(ends[order])
    first = np.concatenate(([True], begins[1:] > ends[:-1]))
    last = np.concatenate((first[1:], [True]))
    return begins[first], ends[last]


def distinct(values: Times) -> Times:
    """Return values in order, each once; ``np.unique`` takes ten times as long for a million of them."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def clip(begins: Times, ends: Times, low: int, high: int) -> tuple[Times, Times]:
    """Return the parts of intervals between two times."""
    begins, ends = np.maximum(begins, low), np.minimum(ends, high)
    some = ends > begins
    return begins[some], ends[some]


def complement(begins: Times, ends: Times, low: int, high: int) -> tuple[Times, Times]:
    """Return the times between two times that a set does not cover."""
    begins, ends = clip(begins, ends, low, high)
    free_begins, free_ends = np.concatenate(([low], ends)), np.concatenate((begins, [high]))
    some = free_ends > free_begins
    return free_begins[some].astype(np.int64), free_ends[some].astype(np.int64)


def length(begins: Times, ends: Times) -> int:
    """Return how long all intervals are together."""
    return int((ends - begins).sum())


def covers(begins: Times, ends: Times, times: Times) -> Flags:
    """Return which times a set covers; its ends are outside."""
    if not len(begins):
        return np.zeros(len(times), np.bool_)
    at = np.searchsorted(begins, times, side="right") - 1
    found: Flags = (at >= 0) & (times < ends[np.maximum(at, 0)])
    return found


def covered(begins: Times, ends: Times, lows: Times, highs: Times) -> Times:
    """Return for how long a set covers each of some other intervals, which may overlap."""
    lengths = np.concatenate(([0], np.cumsum(ends - begins)))

    def until(times: Times) -> Times:
        """Return how long the set is before some times."""
        whole = np.searchsorted(ends, times)
        inside = np.append(begins, np.iinfo(np.int64).max)[whole]
        found: Times = lengths[whole] + np.where(times > inside, times - inside, 0)
        return found

    return until(highs) - until(lows)


def overlap(begins: Times, ends: Times, other_begins: Times, other_ends: Times) -> int:
    """Return for how long two sets cover the same times."""
    inside = length(begins, ends) + length(other_begins, other_ends)
    return inside - length(*union(np.concatenate((begins, other_begins)), np.concatenate((ends, other_ends))))
