"""Which changes go together, and which of several to take: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.changes.edits import are_alternatives
from pipeprof.profiles.advise.proposal import SEMANTICS, Proposal, effort, most_redrawn, strongest
from pipeprof.profiles.experiment.decision import LEAST_GAIN, SPEED_FLOOR
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.tries.race import RaceResult

COMBINED = "combined"
"""The rule of several changes together."""
CLEARLY_MORE = 1.2
"""Predicted over measured speed, from which another way to the same end is tried as well."""


Taken: TypeAlias = Literal["taken", "behind", "rejected", "unclear", "not-tried"]
"""`behind`: it helps, another one of the race helps more."""


@dataclass(frozen=True)
class Contender:
    """A change that may enter a race, on its base or as a version of its own; with a replay, an upper bound."""

    proposal: Proposal
    replay: Replay | None = None
    version: Version | None = None

    def on(self, base: Version) -> Version:
        """The pipeline with it; raises PipeprofError where its edits do not apply to the base."""
        return self.version or base.then(self.proposal.edits)

    @property
    def is_bound(self) -> bool:
        """Whether it shows what stages cost, and is no change."""
        return self.replay is not None


@dataclass(frozen=True)
class TriedChange:
    """A contender and what it is; those of one race were measured side by side."""

    contender: Contender
    result: RaceResult
    race: int

    @property
    def proposal(self) -> Proposal:
        """What was tried."""
        return self.contender.proposal

    @property
    def is_kept(self) -> bool:
        """Whether it is a change that helps."""
        return self.result.status == "kept" and not self.contender.is_bound

    @property
    def gain(self) -> float:
        """Steps per second over those of the base; 0 where nothing was measured."""
        return self.result.change.value if self.result.change is not None else 0.0


@dataclass(frozen=True)
class SearchStep:
    """What a search has made of a change that it tried."""

    tried: TriedChange
    result: Taken
    reason: str = ""


def together(proposals: Sequence[Proposal], title: str = "All changes that helped, together") -> Proposal:
    """Several changes as one."""
    return Proposal(
        title,
        "; ".join(one.change or one.title for one in proposals),
        tuple(edit for one in proposals for edit in one.edits),
        strongest(one.semantics for one in proposals),
        redrawn=most_redrawn(one.redrawn for one in proposals),
        family="speed" if any(one.family == "speed" for one in proposals) else "memory",
        rule=COMBINED,
        in_spec=all(one.in_spec for one in proposals),
        cache=next((one.cache for one in proposals if one.cache is not None), None),
    )


def that_go_together(kept: Iterable[TriedChange]) -> list[TriedChange]:
    """The changes that can be made together, the fastest of each group of alternatives first."""
    chosen: list[TriedChange] = []
    for one in sorted(kept, key=lambda one: -one.gain):
        if not any(are_alternatives(one.proposal.edits, other.proposal.edits) for other in chosen):
            chosen.append(one)
    return chosen


def combined(kept: Iterable[TriedChange]) -> Iterator[tuple[Proposal, list[TriedChange]]]:
    """All that was kept together, and its parts: first without caches, which gain in later epochs alone."""
    every = that_go_together(kept)
    lasting = [one for one in every if not one.proposal.caches]
    for parts in [lasting, every] if len(lasting) < len(every) else [every]:
        if len(parts) > 1:
            yield together([one.proposal for one in parts]), parts


def on_top_of(best: Proposal, others: Sequence[Proposal], most: int) -> list[tuple[Proposal, Proposal]]:
    """What else held in a race, on what was taken: all of it, then less; what is added, and the whole."""
    others = [one for one in others if not are_alternatives(one.edits, best.edits)]
    found = []
    for many in range(len(others), 0, -1):
        for parts in combinations(others, many):
            if not any(are_alternatives(one.edits, other.edits) for one, other in combinations(parts, 2)):
                found.append((together(parts) if many > 1 else parts[0], together([best, *parts])))
    return found[:most]


def best_of(kept: Sequence[TriedChange], *, for_memory: bool = False) -> TriedChange | None:
    """The change to take: the fastest; where memory is the aim, the one that saves most. None without one.

    A cache is taken where nothing without one is faster. Of several that are about as fast it is one of the pipeline
    rather than of its threads, the one that changes less of the data, then the simplest: without memory for data,
    without new stages, with the fewest edits.
    """
    faster = [one for one in kept if not one.proposal.for_memory]
    if for_memory or not faster:
        return max(kept, key=lambda one: one.result.saved_bytes or 0, default=None)
    faster = [one for one in faster if not one.proposal.caches] or faster
    most = max(one.gain for one in faster)
    near = [one for one in faster if one.gain * LEAST_GAIN >= most]

    def key(one: TriedChange) -> tuple[object, ...]:
        tunes, *simple = effort(one.proposal.edits)
        return tunes, SEMANTICS.index(one.proposal.effect), simple, -one.gain

    return min(near, key=key)


def is_better(whole: RaceResult, parts: Iterable[RaceResult]) -> bool:
    """Whether several changes together are faster than each of them alone, or save more, for certain.

    They were measured against the same base in other rounds: the halves of both intervals add up as squares.
    """
    return all(_is_faster(whole, part) or _saves_more(whole, part) for part in parts)


def _is_faster(one: RaceResult, other: RaceResult) -> bool:
    if one.change is None or other.change is None:
        return False
    apart = one.change.mean - other.change.mean
    return apart - math.hypot(one.change.half(), other.change.half()) > SPEED_FLOOR


def _saves_more(one: RaceResult, other: RaceResult) -> bool:
    if one.change is None or other.change is None or one.change.mean + SPEED_FLOOR < other.change.mean:
        return False
    return (one.saved_bytes or 0) - (other.saved_bytes or 0) >= MEMORY_BYTES


def is_worth_a_try(proposal: Proposal, kept: Iterable[TriedChange]) -> bool:
    """Whether nothing that was kept changes the same, or the change is expected to give clearly more than that."""
    others = [one.gain for one in kept if are_alternatives(proposal.edits, one.proposal.edits)]
    return all((proposal.speedup or 0.0) > CLEARLY_MORE * gain for gain in others)
