"""What a race says about each step, and which one is taken: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeprof.profiles.experiment.decision import LEAST_GAIN, SPEED_FLOOR, Outcome, outcomes
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES, saves_memory
from pipeprof.profiles.experiment.purposes import RACE
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.fix.candidates import EVERYWHERE
from pipeprof.profiles.fix.race import Raced
from pipeprof.profiles.propose.proposal import Proposal, effort
from pipeprof.profiles.wording import significant, size

Kind = Literal["faster", "smaller", "no-gain", "unclear", "failed", "refused"]


@dataclass(frozen=True)
class Decision:
    """What a step is."""

    kind: Kind
    reason: str


@dataclass(frozen=True)
class Aim:
    """What counts.

    Attributes:
        limit_bytes: Memory that the pipeline may take; None for any.
        memory: Memory is what it has too little of.
    """

    limit_bytes: int | None = None
    memory: bool = False


def decide_all(raced: Mapping[str, Raced], steps: Mapping[str, Proposal], aim: Aim) -> dict[str, Decision]:
    """Decide what the steps of a race are; all that are called faster are so together (Holm).

    Args:
        raced: What was measured of each step.
    """
    tests = {name: (one.compared, SPEED_FLOOR) for name, one in raced.items() if one.compared is not None}
    known = outcomes(tests)
    return {name: decide(one, steps[name], aim, known.get(name, "unclear")) for name, one in raced.items()}


def decide(raced: Raced, candidate: Proposal, aim: Aim, outcome: Outcome) -> Decision:
    """Decide what a step is, from what its speed is."""
    if raced.failure is not None:
        return Decision("refused" if raced.refused else "failed", raced.failure)
    ratio = raced.ratio
    if ratio is None or ratio.pairs < RACE.early:
        return Decision("unclear", "too few rounds were measured")
    over = aim.limit_bytes is not None and raced.peak_bytes is not None and raced.peak_bytes > aim.limit_bytes
    saved = saved_bytes(raced)
    before, after = raced.base_peak_bytes, raced.peak_bytes
    saves = before is not None and after is not None and saves_memory(before, after, raced.runtime_bytes or 0)
    words = in_words(ratio)
    memory = f", {_saved_words(saved)}" if saved is not None and abs(saved) >= MEMORY_BYTES else ""
    if over and not (aim.memory and saves):
        limit, peak = size(aim.limit_bytes or 0), size(raced.peak_bytes or 0)
        found = Decision("no-gain", f"needs {peak}, the limit is {limit}; speed {words}")
    elif saves and (aim.memory or (candidate.for_memory and ratio.value >= 1 / LEAST_GAIN)):
        found = Decision("smaller", f"{_saved_words(saved)}; speed {words}")
    elif candidate.for_memory and saves:
        found = Decision("no-gain", f"{_saved_words(saved)}, but slower: {words}")
    elif aim.memory:
        found = Decision("no-gain", f"saves no memory that counts; speed {words}")
    elif outcome == "above":
        found = Decision("faster", f"{words}{memory}")
    elif raced.compared is not None and raced.compared.falls_short():
        found = Decision("no-gain", f"no gain: {words}{memory}")
    else:
        found = Decision("unclear", f"cannot tell: {words}{memory}")
    return found


def best_of(
    decisions: Mapping[str, Decision], raced: Mapping[str, Raced], aim: Aim, steps: Mapping[str, Proposal]
) -> str | None:
    """The step to take: the fastest; where memory counts, the one that saves most. None without one.

    A cache is taken where nothing without one is faster: on top of that, it is tried again.

    Of several that are about as fast, it is AUTOTUNE everywhere if that is one of them, which needs no number for this
    machine, and else the simplest one: without memory for data, without new stages, with the fewest edits.

    Args:
        decisions: About the steps of a race, by name.
    """
    faster = [name for name, decision in decisions.items() if decision.kind == "faster"]
    smaller = [name for name, decision in decisions.items() if decision.kind == "smaller"]
    if aim.memory or not faster:
        return max(smaller, key=lambda name: saved_bytes(raced[name]) or 0, default=None)
    faster = [name for name in faster if not steps[name].caches] or faster
    most = max(_value(raced[name]) for name in faster)
    near = [name for name in faster if is_near(raced[name], most)]
    return min(near, key=lambda name: (_effort(steps[name]), -_value(raced[name])))


def is_promising(decision: Decision, raced: Raced) -> bool:
    """Whether a step that a race could not decide about is probably faster: more measuring may prove it."""
    ratio = raced.ratio
    return decision.kind == "unclear" and ratio is not None and ratio.low > 1.0 and ratio.pairs >= RACE.early


def is_near(raced: Raced, speedup: float) -> bool:
    """Whether a step is about as fast as one with that speed-up, or faster."""
    return _value(raced) * LEAST_GAIN >= speedup


def saved_bytes(raced: Raced) -> int | None:
    """Fall of the peak; negative where it rose."""
    if raced.peak_bytes is None or raced.base_peak_bytes is None:
        return None
    return raced.base_peak_bytes - raced.peak_bytes


def in_words(ratio: Interval) -> str:
    """A factor with its interval.

    Example:
        >>> in_words(Interval(0.5844, 0.01, 11, 6))
        '1.79× (1.75–1.84)'
    """
    if ratio.pairs < RACE.early:
        return f"{significant(ratio.value)}×"
    return f"{significant(ratio.value)}× ({significant(ratio.low)}–{significant(ratio.high)})"


def _saved_words(saved: int | None) -> str:
    return f"{size(saved)} less memory" if saved is not None and saved > 0 else f"{size(-(saved or 0))} more memory"


def _effort(step: Proposal) -> tuple[bool, bool, bool, float]:
    return (False, False, False, 0) if step.title == EVERYWHERE else effort(step.edits)


def _value(raced: Raced) -> float:
    return raced.ratio.value if raced.ratio is not None else 0.0
