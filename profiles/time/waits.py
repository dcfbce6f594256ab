"""How long steps wait for data: the marks, and what the starts of epochs are of it; decisions without words.

The two marks on the share of waiting are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of
the step it calls a program not input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pipeprof.pipelines.meaning.traits import traits

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Stage

STEP_BOUND_BELOW = 0.05
"""Share of waiting below which the step sets the pace."""
HEADSPACE_FROM = 0.05
"""Share of a step's time that cached batches must save to be more than the noise of a run."""
INPUT_BOUND_FROM = 0.20
"""Share of waiting from which the pipeline sets the pace."""
RESTARTS_FROM = 0.05
"""Share of the time from which restarts alone make a loop wait that else would be bound by its step."""
ADVICE_FROM = 0.1
"""Share of the time that restarts take from which there is something to gain by avoiding them."""
NOTICED_MS = 1.0
"""Milliseconds by which restarts make the mean interval longer, from which some step notices them."""
PAUSE_MS = 50.0
"""Milliseconds of one restart, from which a training notices it at the end of each epoch."""
MOSTLY = 0.5
"""Of the time of a restart, from which the work that fills a buffer is its cause."""


def classify_wait(wait_share: float) -> Bound:
    """Classify a share of waiting between 0 and 1.

    Example:
        >>> classify_wait(0.01), classify_wait(0.05), classify_wait(0.20)
        ('step', 'balanced', 'input')
    """
    if wait_share < STEP_BOUND_BELOW:
        return "step"
    return "input" if wait_share >= INPUT_BOUND_FROM else "balanced"


def wait_within_epochs(steps: Steps) -> float:
    """Return the share of waiting without the restarts of the dataset; 0 where the wait is not known."""
    restart = steps.restart_share or 0.0
    return max(0.0, (steps.wait_share or 0.0) - restart) / (1 - restart) if restart < 1 else 0.0


def restarts_are_costly(steps: Steps, stages: list[Stage] | None = None) -> bool:
    """Whether restarts take so much of the time that they belong into the verdict.

    Without a step, those do not that no step would notice, nor the work that fills a buffer: it is that of the epoch.
    """
    share = steps.restart_share or 0.0
    if not steps.epochs or share < RESTARTS_FROM or (steps.dispatch is None and _filled(steps, stages or [])):
        return False
    return steps.dispatch is not None or share * steps.interval_ms.mean >= NOTICED_MS or restart_ms(steps) >= PAUSE_MS


def restart_ms(steps: Steps) -> float:
    """Return how long one restart takes."""
    return (steps.restart_share or 0.0) * 1e3 * steps.seconds / steps.epochs if steps.epochs else 0.0


@dataclass(frozen=True)
class Remedy:
    """What makes restarts cheaper.

    Attributes:
        kind: ``skip``: make nothing that `stage` drops; ``fill``: less work for the buffer of `stage`; ``repeat``: a
            dataset that goes on by itself.
        stage: `None` for ``repeat``.
        costly: The stage that does the work before it.
    """

    kind: Literal["skip", "fill", "repeat"]
    stage: Stage | None = None
    costly: Stage | None = None


def find_remedy(steps: Steps, stages: list[Stage] | None) -> Remedy | None:
    """Find what makes restarts cheaper, by what they do first; `None` where they take little of the time."""
    if (steps.restart_share or 0.0) < ADVICE_FROM or not restarts_are_costly(steps, stages):
        return None
    for before, stage in pairwise(_main_line(stages or [])):
        if traits(stage.op).cardinality == "rest" and (before.elements or 0) > (stage.elements or 0):
            return Remedy("skip", stage, before)
    return _filled(steps, stages or []) or Remedy("repeat")


def _main_line(stages: list[Stage]) -> list[Stage]:
    return [stage for stage in stages if stage.depth == 0 and stage.origin == "written"]


def _filled(steps: Steps, stages: list[Stage]) -> Remedy | None:
    """The shuffle that fills its buffer in most of the time of a restart, and the costliest stage before it.

    The time that this takes is the work of the stages before it on their threads, for its elements and a first batch.
    """
    for shuffle in _main_line(stages):
        per_batch = (shuffle.elements or 0) / steps.count if steps.count else 0.0
        if not traits(shuffle.op).shuffles or not per_batch or not shuffle.buffered_elements:
            continue
        before = stages[: stages.index(shuffle)]
        # A generator runs on the threads of others, one call at a time.
        threads = [1.0 if traits(stage.op).wrapped else max(1.0, stage.threads or 1.0) for stage in before]
        costs = [(stage.active_ms or 0.0) / many for stage, many in zip(before, threads, strict=True)]
        if sum(costs) * (shuffle.buffered_elements / per_batch + 1) >= MOSTLY * restart_ms(steps):
            return Remedy("fill", shuffle, before[costs.index(max(costs))])
    return None
