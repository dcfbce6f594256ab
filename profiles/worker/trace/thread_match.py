"""Matching of a trace's threads with those of the operating system.

TensorFlow's trace numbers threads in its own way (the system's ids in older versions, hashes of its own today), and the
system does not know the names of most of them, so a thread is recognised by when it computes. A pair of threads is as
good as the likelihood of the looks at the one, with a rate of computing for each thing that the other did and a low
one for the time when it did nothing, against the low one throughout. The best pairs are taken first. Two traced threads
that could be exchanged at little cost in likelihood are not recognised, unless both of the system's compute as much.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np

IDLE_RATE: Final = 0.05
"""Assumed rate of computing while the trace shows no work of a thread."""
SURE: Final = 4.0
"""Likelihood ratio in nats from which two traced threads cannot be confused."""
ALIKE: Final = 0.2
"""Difference of running shares up to which threads may be confused."""

Timeline = tuple[Any, Any, Any]
"""Sorted starts, their ends and the numbers (from 1) of the work in them; arrays of shape (spans,)."""
States = tuple[Any, Any]
"""Times and whether the thread was running; arrays of shape (looks,)."""


def at_work(timeline: Timeline, times: Any) -> Any:
    """Return the number of a traced thread's work at each time, 0 for none; shape (times,)."""
    starts, ends, kinds = timeline
    index = np.searchsorted(starts, times, side="right") - 1
    inside = (index >= 0) & (ends[index] >= times)
    return np.where(inside, kinds[index], 0)


def explained(kinds: Any, running: Any) -> float:
    """Return the log-likelihood ratio, in nats, of the states given the thread's work against no work."""
    total, hits = np.bincount(kinds), np.bincount(kinds, weights=running)
    rates = hits / np.maximum(total, 1)
    rates[0] = IDLE_RATE
    return float(np.sum(_likelihood(hits, total, rates) - _likelihood(hits, total, np.full(len(rates), IDLE_RATE))))


def _likelihood(hits: Any, total: Any, rates: Any) -> Any:
    """Return the log-likelihood; a rate of 0 or 1 is impossible with any sample to the contrary."""
    inner = np.clip(rates, 1e-9, 1 - 1e-9)
    return hits * np.log(inner) + (total - hits) * np.log(1 - inner)


def match(
    timelines: Mapping[int, Timeline],
    states: Mapping[int, States],
    known: Mapping[int, int] | None = None,
    others: Collection[int] = (),
) -> dict[int, int]:
    """Return the system's id of each traced thread that was matched.

    Args:
        timelines: Of the trace, by its own numbers.
        states: By the system's ids, on the trace's clock.
        others: The system's ids of threads that cannot be in the trace.
    """
    if all(thread in states for thread in timelines):
        return {thread: thread for thread in timelines}
    found = {traced: thread for traced, thread in (known or {}).items() if traced in timelines and thread in states}
    free = [thread for thread in states if thread not in others and thread not in found.values()]
    score = {
        (traced, thread): explained(at_work(timeline, states[thread][0]), states[thread][1])
        for traced, timeline in timelines.items()
        if traced not in found
        for thread in free
    }
    paired: dict[int, int] = {}
    for traced, thread in sorted(score, key=lambda pair: score[pair], reverse=True):
        if traced not in paired and thread not in paired.values():
            paired[traced] = thread
    unsure = set()
    for (one, mine), (other, theirs) in combinations(paired.items(), 2):
        lost = score[one, mine] + score[other, theirs] - score[one, theirs] - score[other, mine]
        if lost < SURE and abs(states[mine][1].mean() - states[theirs][1].mean()) > ALIKE:
            unsure |= {one, other}
    return {**found, **{traced: thread for traced, thread in paired.items() if traced not in unsure}}
