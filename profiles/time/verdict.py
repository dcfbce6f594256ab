"""The verdict's decisions: what the training loop was bound by, what limits the pipeline, and what to say first.

Everything here is a number, a stage or a choice; the sentences are in `words`. The two marks on the share of waiting
are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of the step it calls a program not
input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.lines import lines_of
from pipeprof.profiles.time.limit import FoundLimit, find_limit
from pipeprof.profiles.time.resources import MemoryProblem, disturbed_share, find_memory_problem
from pipeprof.profiles.time.top_stage import MOST_FROM, Dropped, Groups, find_dropped, top_groups

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Stage

SLOW_DELETE = "slow-delete"
"""Code of the warning that finished iterators were slow to delete."""
SLOW_START_SECONDS = 10.0
"""From here on the time until the first batch is stated in any case."""
NOTICED_START_SECONDS = 2.0
"""From here on it is stated where it is longer than the measured window."""
OWNER_FROM = 0.25
"""Share of the pipeline's work from which a stage is named for it alone."""
FEW = 3
"""Stages with about as much work that are named where they have most of it together."""
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


@dataclass(frozen=True)
class Remedy:
    """What makes restarts cheaper.

    Attributes:
        kind: ``skip``: make nothing that `stage` drops; ``fill``: less work for the buffer of `stage`; ``repeat``: a
            dataset that goes on by itself.
        costly: The stage that does the work before `stage`.
    """

    kind: Literal["skip", "fill", "repeat"]
    stage: Stage | None = None
    costly: Stage | None = None


@dataclass(frozen=True)
class Decisions:
    """What a run shows.

    Attributes:
        bound: `None` where the wait of the steps is not known.
        limit: What limits the pipeline, where it is what steps wait for.
        owners: The stages with most of the work, where no limit is known and they are worth being named.
        disturbed: Share of the time in which the worker wanted a core and had none, where others took many.
        free: Preloaded batches came no faster: a free pipeline would gain nothing.
        restarts: The starts of epochs belong into the headline.
        gain: Times as fast as the pipeline that costs nothing; infinite where it is not known.
        memory_first: Memory comes before the speed.
        slow_start: The time until the first batch is worth a line.
    """

    steps: Steps | None = None
    bound: Bound | None = None
    limit: FoundLimit | None = None
    owners: Groups = ()
    disturbed: float | None = None
    free: bool = False
    restarts: bool = False
    remedy: Remedy | None = None
    dropped: Dropped | None = None
    gain: float = math.inf
    memory: MemoryProblem | None = None
    memory_first: bool = False
    slow_start: bool = False


def decide(profile: Profile) -> Decisions:
    """Decide what a run shows."""
    steps = profile.steps if profile.steps and profile.steps.count else None
    memory, slow_start = find_memory_problem(profile), _starts_slowly(profile)
    if steps is None:
        return Decisions(memory=memory, slow_start=slow_start)
    free = is_free(profile)
    bound = _bound(profile, steps)
    # The device waits for nothing but restarts of the dataset.
    between = steps.dispatch is not None and restarts_are_costly(steps) and wait_within_epochs(steps) < STEP_BOUND_BELOW
    waits = bound in ("input", "balanced")
    # Limits are found in what the loop was seen to wait for.
    limit = find_limit(profile) if waits else None
    if limit is not None and limit.limit != "memory" and (free or between):
        limit = None
    return Decisions(
        steps=steps,
        bound=bound,
        limit=limit,
        owners=_owners(profile, steps) if limit is None and bound != "step" and not free and not between else (),
        disturbed=disturbed_share(profile.contention, profile.host),
        free=free,
        restarts=restarts_are_costly(steps, profile.stages),
        remedy=find_remedy(steps, profile.stages),
        dropped=find_dropped(profile.stages or ()) if bound != "step" and not free else None,
        gain=most_gain(profile),
        memory=memory,
        memory_first=memory is not None and (memory.critical or (_is_quick(profile, steps, bound) and memory.matters)),
        slow_start=slow_start,
    )


def _is_quick(profile: Profile, steps: Steps, bound: Bound | None) -> bool:
    """Whether no step waits for data, and nothing was found to make it faster."""
    waits = bound in ("input", "balanced") and steps.dispatch is not None
    return not waits and all(finding.family in {"memory", "correctness"} for finding in profile.findings or ())


def is_free(profile: Profile) -> bool:
    """Whether preloaded batches came no faster: a free pipeline would gain nothing."""
    return profile.headspace is not None and profile.headspace.share < STEP_BOUND_BELOW


def _bound(profile: Profile, steps: Steps) -> Bound | None:
    if steps.dispatch is None:
        return "input"
    if steps.wait_share is None:
        return None
    if is_free(profile):
        return "step"
    whole = (steps.restart_share or 0.0) >= STEP_BOUND_BELOW
    return classify_wait(steps.wait_share if whole else wait_within_epochs(steps))


def _owners(profile: Profile, steps: Steps) -> Groups:
    top = top_groups(profile.stages, steps.epochs, steps.interval_ms.mean)
    if not top or top[0].share is None:
        return top
    few = len(top) <= FEW and sum(group.share or 0.0 for group in top) > MOST_FROM
    return top if top[0].share >= OWNER_FROM or few else ()


def _starts_slowly(profile: Profile) -> bool:
    """Whether the time until the first batch is long; importing TensorFlow and synthesising data are not part of it."""
    seconds = {phase.name: phase.seconds for phase in profile.phases if phase.seconds is not None}
    building, first = seconds.get("build"), seconds.get("first_element")
    if building is None or first is None:
        return False
    window = profile.steps.seconds if profile.steps is not None and profile.steps.count else math.inf
    return building + first >= SLOW_START_SECONDS or building + first > max(NOTICED_START_SECONDS, window)


def most_gain(profile: Profile) -> float:
    """Return the speed-up of a pipeline that costs nothing, as the verdict states it; infinite where it states none.

    With other processes on the machine, preloaded batches that came faster than the wait explains show these, and not
    the pipeline: the two are measured one after the other.
    """
    headspace, steps = profile.headspace, profile.steps
    if headspace is None or steps is None:
        return math.inf
    disturbed = disturbed_share(profile.contention, profile.host) is not None
    if disturbed and headspace.share > wait_within_epochs(steps) + STEP_BOUND_BELOW:
        return math.inf
    if is_free(profile) or steps.dispatch is None:
        return headspace.speedup
    share = savable_share(profile) or 0.0
    return min(headspace.speedup, 1 / (1 - share) if share < 1 else math.inf)


def savable_share(profile: Profile) -> float | None:
    """Return the share of the time that a pipeline without any cost would save at most; None if unknown.

    Preloaded batches may come through a step that then does less than it did in the run: what it was busy there stays.
    """
    share, steps = profile.headspace.share if profile.headspace is not None else None, profile.steps
    if share is None or steps is None or steps.busy_ms is None or not steps.interval_ms.mean:
        return share
    return min(share, max(0.0, 1 - steps.busy_ms.mean / steps.interval_ms.mean))


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


def find_remedy(steps: Steps, stages: list[Stage] | None) -> Remedy | None:
    """Find what makes restarts cheaper, by what they do first; `None` where they take little of the time."""
    if (steps.restart_share or 0.0) < ADVICE_FROM or not restarts_are_costly(steps, stages):
        return None
    for before, stage in pairwise(lines_of(stages or []).get("", [])):
        if traits(stage.op).cardinality == "rest" and (before.elements or 0) > (stage.elements or 0):
            return Remedy("skip", stage, before)
    return _filled(steps, stages or []) or Remedy("repeat")


def _filled(steps: Steps, stages: list[Stage]) -> Remedy | None:
    """The shuffle that fills its buffer in most of the time of a restart, and the costliest stage before it.

    The time that this takes is the work of the stages before it on their threads, for its elements and a first batch.
    """
    for shuffle in lines_of(stages).get("", []):
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
