"""Restarts in the verdict: what beginning an ended dataset again costs, and what avoids it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.wording import milliseconds, percent, stage_label, stage_name

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import Steps, Training
    from pipeprof.profiles.document.stages import Stage

RESTARTS_FROM = 0.05
"""Share of the time from which restarts alone make a loop wait that else would be bound by its step."""

ADVICE_FROM = 0.1
"""Share of the time that restarts take from which there is something to gain by avoiding them."""
NOTICED_MS = 1.0
"""Milliseconds by which restarts make the mean interval longer, from which some step notices them."""
_END = "which then ends the epochs"
MOSTLY = 0.5
"""Of the time of a restart, from which the work that fills a buffer is its cause."""
_ONCE = "build the dataset once, before the epochs, if they can share it"
PAUSE_MS = 50.0
"""Milliseconds of one restart, from which a training notices it at the end of each epoch."""


def restarts_are_costly(steps: Steps, stages: list[Stage] | None = None) -> bool:
    """Whether restarts take so much of the time that they belong into the verdict.

    Without a step, those do not that no step would notice, nor the work that fills a buffer: it is that of the epoch.
    """
    share = steps.restart_share or 0.0
    if not steps.epochs or share < RESTARTS_FROM or (steps.dispatch is None and _filled(steps, stages)):
        return False
    return steps.dispatch is not None or share * steps.interval_ms.mean >= NOTICED_MS or _each_ms(steps) >= PAUSE_MS


def _each_ms(steps: Steps) -> float:
    return (steps.restart_share or 0.0) * 1e3 * steps.seconds / steps.epochs


def _filled(steps: Steps, stages: list[Stage] | None) -> tuple[Stage, Stage] | None:
    """The shuffle that fills its buffer in most of the time of a restart, and the costliest stage before it.

    The time that this takes is the work of the stages before it on their threads, for its elements and a first batch.
    """
    stages = stages or []
    line = [stage for stage in stages if stage.depth == 0 and stage.origin == "written"]
    for shuffle in line:
        per_batch = (shuffle.elements or 0) / steps.count if steps.count else 0.0
        if not traits(shuffle.op).shuffles or not per_batch or not shuffle.buffered_elements:
            continue
        before = stages[: stages.index(shuffle)]
        # A generator runs on the threads of others, one call at a time.
        threads = [1.0 if traits(stage.op).wrapped else max(1.0, stage.threads or 1.0) for stage in before]
        costs = [(stage.active_ms or 0.0) / many for stage, many in zip(before, threads, strict=True)]
        if sum(costs) * (shuffle.buffered_elements / per_batch + 1) >= MOSTLY * _each_ms(steps):
            return shuffle, before[costs.index(max(costs))]
    return None


def wait_within_epochs(steps: Steps) -> float:
    """Return the share of waiting without the restarts of the dataset; 0 where the wait is not known."""
    restart = steps.restart_share or 0.0
    return max(0.0, (steps.wait_share or 0.0) - restart) / (1 - restart) if restart < 1 else 0.0


def restart_clause(steps: Steps, stages: list[Stage] | None, idle: float = 1.0) -> str:
    """Return what the headline adds about restarts; empty where they cost little.

    Args:
        idle: Share of the cores that is not used. Where the cores are the limit, more than that is not lost: while the
            loop waits for the first batch, they do the work of later ones.
    """
    share = min(steps.restart_share or 0.0, idle)
    costly = share >= RESTARTS_FROM and restarts_are_costly(steps, stages)
    rest = "take {} of the time" if share == steps.restart_share else "leave {} of the cores' time unused"
    return f"; restarts of the dataset {rest.format(percent(share))}" if costly else ""


def describe_restarts(
    steps: Steps, stages: list[Stage] | None, training: Training | None = None, idle: float = 1.0
) -> str:
    """State how often the dataset restarted, and what avoids it; empty where nothing is to be done about it.

    A training loop with as little data restarts as often: then the dataset has to go on by itself. Where the data are
    only a part of those of the training, the measurement needs more of them.

    Args:
        idle: As `restart_clause` has it.
    """
    advice = restart_advice(steps, stages, training) if idle >= ADVICE_FROM else ""
    if not advice:
        return ""
    each = milliseconds(_each_ms(steps))
    often = f"1 restart of {each}" if steps.epochs == 1 else f"{steps.epochs:,} restarts, {each} each"
    return f"{often}; {advice}"


def restart_advice(steps: Steps, stages: list[Stage] | None, training: Training | None = None) -> str:
    """Return what makes restarts cheaper, by what they do first; empty where they take little of the time."""
    if (steps.restart_share or 0.0) < ADVICE_FROM or not restarts_are_costly(steps, stages):
        return ""
    for before, stage in pairwise([stage for stage in stages or [] if stage.depth == 0 and stage.origin == "written"]):
        if traits(stage.op).cardinality == "rest" and (before.elements or 0) > (stage.elements or 0):
            name = stage_name(before)
            # Their number is not that of the counters: a buffer may have begun another epoch.
            return (
                f"each first makes the elements of {name} that {stage_label(stage)} drops: "
                f"skip before {name}, or keep the two parts in files of their own"
            )
    if (filled := _filled(steps, stages)) is not None:
        shuffle, costly = filled
        can_move = costly.depth == 0 and traits(costly.op).one_to_one
        remedy = "a smaller `buffer_size` begins sooner, and mixes less"
        if any(traits(stage.op).stores for stage in _between(stages or [], costly, shuffle)):
            # Before a cache, one order would be kept for all epochs.
            again = training is not None and any(
                use.main and use.cached_in_memory and use.caches_again for use in training.datasets
            )
            remedy = f"{_ONCE}, as its cache starts empty each time" if again else remedy
        elif can_move:
            remedy = f"shuffle before {stage_name(costly)}"
        first = f"each first fills {stage_label(shuffle)} with {shuffle.buffered_elements:,.0f} elements"
        return f"{first}: {remedy}"
    return _go_on(stages, training)


def _between(stages: list[Stage], first: Stage, last: Stage) -> list[Stage]:
    return stages[stages.index(first) + 1 : stages.index(last)]


def _is_rebuilt(training: Training | None) -> bool:
    return training is not None and any(use.main and use.datasets > 1 for use in training.datasets)


def _go_on(stages: list[Stage] | None, training: Training | None) -> str:
    """Return how a dataset goes on by itself, by how its batches are taken."""
    if training is None:
        more = "measure more data or, if training has no more,"
        return f"{more} {_repeat(stages)} and give `fit` `steps_per_epoch`, {_END}"
    once = f"{_ONCE}, " if _is_rebuilt(training) else ""
    if training.consumer in {"fit", "fit-executions"}:
        return f"{once}{_repeat(stages)} and give `fit` `steps_per_epoch`, {_END}"
    return f"{once}{_repeat(stages)} and count the steps of an epoch in the loop, {_END}"


def _repeat(stages: list[Stage] | None) -> str:
    """Name the change that keeps a dataset going: what runs ahead then does so across epochs."""
    written = [stage for stage in stages or [] if stage.depth == 0 and stage.origin == "written"]
    batches = [number for number, stage in enumerate(written) if traits(stage.op).batches is not None]
    # A cache of what never ends is never complete.
    kept = [number for number, stage in enumerate(written) if traits(stage.op).stores]
    place = ""
    if len(batches) == 1:
        batch = written[batches[0]]
        inside = batch.library is not None and batch.location is not None
        # A call of the library makes the batches: nothing can be written before them.
        place = f" after `{batch.location.call}(…)`" if inside and batch.location else " before `batch`"
    if kept and (not batches or kept[-1] > batches[0]):
        place = f" after `{written[kept[-1]].op}`"
    return f"add `repeat()`{place}"
