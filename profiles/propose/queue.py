"""The order in which proposals are tried: what each is expected to gain per second of measuring; pure functions.

What was measured changes the order of the rest: a stage whose first change gave far less than predicted, or far more,
was read wrongly, and so were the predictions of its other changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeprof.profiles.propose.proposal import Proposal, effort, value_of

UNKNOWN_GAIN = 1.1
"""Factor that a change is taken to give where no prediction knows it: what is predicted to help more comes before."""
LIKE = 1.15
"""Ratio of two gains per second up to which they are alike, and the simpler change comes first."""
FAR = 2.0
"""Times the predicted gain, or the part of it, from which a stage's other changes are scaled as well."""
MOST_SCALED = 4.0
"""One measurement scales the expectations of a stage by this factor at most."""

T = TypeVar("T")


@dataclass(frozen=True)
class Tried:
    """A proposal that was measured.

    Attributes:
        speedup: Steps per second with it over without.
    """

    proposal: Proposal
    speedup: float


def in_order(
    waiting: Sequence[T],
    seconds: Callable[[T], float],
    tried: Iterable[Tried] = (),
    *,
    proposal: Callable[[T], Proposal],
) -> list[T]:
    """Return what waits in the order in which it is tried; what is equal in everything keeps its place.

    Args:
        seconds: How long a trial takes, with the filling of caches and the starts of processes.
        tried: What was measured on the same pipeline, in the order of the trials.
        proposal: What something proposes that waits.
    """
    scales = _scales(tried)

    def key(one: T) -> tuple[float, tuple[bool, bool, bool, float]]:
        known = proposal(one)
        rate = expected(known) / max(seconds(one), 1e-3)
        return -(_step(rate) + scales.get(known.stage, 0.0)), effort(known.edits)

    return sorted(waiting, key=key)


def expected(proposal: Proposal) -> float:
    """What a change is expected to gain, on the scale of `value_of`; a little where nothing is known of its speed."""
    predicted = proposal.predicted
    saved = -(predicted.peak_rss_delta_bytes or 0) if predicted is not None else 0
    speedup = UNKNOWN_GAIN if proposal.speedup is None and not proposal.for_memory else proposal.speedup
    return value_of(speedup, saved)


def _scales(tried: Iterable[Tried]) -> dict[str | None, float]:
    """Steps by which the changes of a stage move, from its first one that was predicted and measured."""
    found: dict[str | None, float] = {}
    for one in tried:
        stage, predicted = one.proposal.stage, value_of(one.proposal.speedup, 0)
        if stage is None or stage in found or not predicted:
            continue
        ratio = min(max(value_of(one.speedup, 0) / predicted, 1 / MOST_SCALED), MOST_SCALED)
        found[stage] = 0.0 if 1 / FAR < ratio < FAR else _step(ratio)
    return found


def _step(factor: float) -> float:
    """A factor in whole steps of `LIKE`: within one of them, values are alike."""
    return round(math.log(factor) / math.log(LIKE)) if factor > 0 else -math.inf
