"""The verdict's decisions: what the training loop was bound by, what limits the pipeline, and what to say first.

Everything here is a number, a stage or a choice; the sentences are in `words`. The two marks on the share of waiting
are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of the step it calls a program not
input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.stages import Causes
from pipeprof.profiles.lines import lines_of
from pipeprof.profiles.time.flow import MemoryProblem, disturbed_share, find_memory_problem
from pipeprof.profiles.time.read_flow import measured_flow
from pipeprof.profiles.time.top_stage import (
    MOST_FROM,
    Dropped,
    Groups,
    StageGroup,
    busiest_groups,
    find_dropped,
    top_cpu_groups,
    top_groups,
    unknown_stages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.base import Bound, Limit
    from pipeprof.profiles.document.memory import Disk
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Contention, Steps
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Trace
    from pipeprof.profiles.time.flow import Flow, Part, Term


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


LIMIT_FROM = 0.80
"""Share of the measured step from which a resource is its limit (SPDL and xprof call a host saturated well before 100 %
of its cores)."""
LOCK_FROM = 0.50
"""Share of the time inside Python functions with the lock taken; seen are 0.93 to 1 of those that compute in Python,
0.02 to 0.05 of those that sleep or leave the work to NumPy."""
MEMORY_FROM = 0.90
"""Share of the memory limit."""
REMOTE_FROM = 0.50
"""Share of the waiting that is a service's, from which nothing else of this process is named as the limit."""
BLOCKED_FROM = 0.50
"""Share of the time of stages on threads."""
DISK_FROM = 5e6
"""Bytes per second from the disk from which a blocked thread is assumed to wait for it, where waits are not counted."""
READ_FROM = 1e5
"""Bytes per second below which no disk is read: a quarter of what one gives that finds a page in 10 ms."""
STALLED_FROM = 0.50
"""Share of the blocked time in which something waited for a disk or a file system."""
OTHERS_FROM = 0.50
"""Share of the time in which threads wait for a core from which other processes cost more than calls one by one do."""
EXPLAINED_BELOW = 0.30
"""Share of the waiting that all other stages together may account for, so that one of unknown cost has the rest."""


@dataclass(frozen=True)
class FoundLimit:
    """What limits the pipeline.

    Attributes:
        limit: `None` for threads that compute, of which there are too few, and where only the stage is known.
        groups: The stages that it is about, those with most of the work first.
        term: The term of `Flow` that limits; `None` where the limit is not a time.
        blocked: Share of their time that the stages are blocked, of ``io`` and ``latency``; of ``remote``, of a step's.
        stalled: Of the blocked time, the part in which anything may have waited for files; `None` where not counted.
    """

    limit: Limit | None
    groups: Groups = ()
    term: Term | None = None
    parts: tuple[Part, ...] = ()
    blocked: float = 0.0
    stalled: float | None = None

    @property
    def stage(self) -> Stage | None:
        """The stage with most of the work among them."""
        return self.groups[0].stage if self.groups else None


def find_limit(profile: Profile) -> FoundLimit | None:
    """Return what limits the pipeline; `None` where nothing that was measured does."""
    peak, most = profile.memory.peak_bytes, profile.host.memory_limit_bytes
    if peak is not None and most is not None and peak >= MEMORY_FROM * most:
        return FoundLimit("memory")
    steps, stages = profile.steps, profile.stages or []
    if steps is None:
        return None
    waiting_ms = max(0.0, steps.known_wait_ms - steps.restart_ms)
    remote = max((stage for stage in stages if stage.service is not None), key=waits_ms, default=None)
    if remote is not None and waits_ms(remote) >= REMOTE_FROM * waiting_ms > 0:
        return FoundLimit(
            "remote", (StageGroup((remote,)),), blocked=min(1.0, waits_ms(remote) / steps.interval_ms.mean)
        )
    if (flow := measured_flow(profile)) is None:
        return None
    terms = [term for term in flow.terms() if term.resource not in ("step", "loop")]
    waited = disturbed_share(profile.contention, profile.host)
    own_ms = {term: term.ms - term.fixed_ms + _lost_ms(term, flow, waited) for term in terms}
    full = [term for term in terms if own_ms[term] >= LIMIT_FROM * (steps.running_ms - term.fixed_ms)]
    # More calls of a stage that fills a thread would only take turns where Python's lock is as good as full.
    full.sort(key=lambda term: (term.resource != "lock", -own_ms[term] - term.fixed_ms))
    if not full and _take_turns(profile.causes):
        full = [term for term in terms if term.resource == "lock" and _is_as_good_as_full(term, flow, steps.running_ms)]
    threads = [term for term in terms if term.resource in ("serial", "calls", "pool") and term.parts]
    found = _by_term(full[0], flow, stages, profile.causes) if full else None
    if found is None or found.term in threads:
        found = _blocked(profile, flow, threads[0], stages, waiting_ms) or found if threads else found
    return found or _disturbed(profile, steps) or _unread(steps, stages, waiting_ms)


def _take_turns(causes: Causes | None) -> bool:
    """Whether Python functions run nearly all of the time and hold the lock for most of it.

    Then it is never full, since NumPy gives it back for moments in which the next call wakes up: 72 % were seen with
    three calls in progress, which computed on 1.2 cores.
    """
    if causes is None or causes.python_share is None or causes.python_lock_share is None:
        return False
    return causes.python_share >= LIMIT_FROM and causes.python_lock_share >= LOCK_FROM


def _is_as_good_as_full(term: Term, flow: Flow, running_ms: float) -> bool:
    """Whether one of the functions that hold the lock computes at any time; sleeping ones gain by more calls."""
    computing_ms = sum(flow.by_id[name].times.computing_ms for name in term.parts)
    return term.ms >= LOCK_FROM * running_ms and computing_ms >= LIMIT_FROM * running_ms


def _lost_ms(term: Term, flow: Flow, waited: float | None) -> float:
    """What a thread waited for a core that others had: it would do all of its work on free cores as well."""
    if term.resource != "serial" or waited is None or waited >= OTHERS_FROM:
        return 0.0
    return sum(flow.by_id[name].times.starved_ms for name in term.parts)


def waits_ms(stage: Stage) -> float:
    """Time per batch that the threads inside it were blocked, all of it where their states are not known."""
    return stage.blocked_ms_per_batch if stage.blocked_ms_per_batch is not None else stage.inside_ms or 0.0


def _by_term(term: Term, flow: Flow, stages: Sequence[Stage], causes: Causes | None) -> FoundLimit:
    parts = tuple(part for part in flow.parts if part.id in term.parts)
    ids = {one.id for part in parts for one in (part, *part.inside)}
    own = [stage for stage in stages if stage.id in ids]
    limits: dict[str, Limit] = {"cores": "cpu", "lock": "gil", "serial": "serial-stage"}
    limit = limits.get(term.resource)
    if limit == "gil" and causes is not None and (causes.python_lock_share or 0.0) < LOCK_FROM:
        # A lock of a library, as h5py has one.
        limit = "latency"
    groups = (top_cpu_groups(own) if term.resource == "cores" else ()) or busiest_groups(own)
    return FoundLimit(limit, groups, term, parts)


def _blocked(profile: Profile, flow: Flow, term: Term, stages: Sequence[Stage], waiting_ms: float) -> FoundLimit | None:
    """The stage on threads that takes longest, if it is blocked for most of its time: by files, or by all else."""
    found = _by_term(term, flow, stages, profile.causes)
    slowest = max(found.parts, key=lambda part: part.held_ms)
    blocked_ms = slowest.times.waiting_ms
    if blocked_ms < max(BLOCKED_FROM * slowest.held_ms, BLOCKED_FROM * waiting_ms) or not blocked_ms:
        return None
    interval_ms = profile.steps.running_ms if profile.steps is not None else blocked_ms
    rate = profile.causes.disk_bytes_per_second if profile.causes is not None else None
    seen = profile.contention.stalled_by_files_share if profile.contention is not None else None
    stalled = min(1.0, seen / min(1.0, blocked_ms / interval_ms)) if seen is not None else None
    reads = rate is None or rate >= READ_FROM
    io = stalled >= STALLED_FROM if stalled is not None else rate is not None and rate >= DISK_FROM
    share = blocked_ms / slowest.held_ms
    return replace(found, limit="io" if io and reads else "latency", blocked=share, stalled=stalled)


def _disturbed(profile: Profile, steps: Steps) -> FoundLimit | None:
    """Other processes took cores: how much any stage computes at a time, and waits for others, is their doing."""
    if disturbed_share(profile.contention, profile.host) is None:
        return None
    return FoundLimit("cpu", top_groups(profile.stages, steps.epochs, steps.interval_ms.mean))


def _unread(steps: Steps, stages: Sequence[Stage], waiting_ms: float) -> FoundLimit | None:
    """The one stage of unknown cost (its iterators had ended), where the known ones account for little of the wait."""
    unknown = unknown_stages(list(stages), steps.epochs)
    known = sum(stage.inside_ms or 0.0 for stage in stages)
    if len(unknown) != 1 or known >= EXPLAINED_BELOW * waiting_ms:
        return None
    return FoundLimit(None, (StageGroup((unknown[0],)),))


def collect_causes(
    contention: Contention | None, disk: Disk | None, steps: Steps | None, stages: Sequence[Stage], trace: Trace | None
) -> Causes | None:
    """Collect the named measurements of a run.

    ``blocked_share`` compares the wall time inside the stages with the CPU time of the whole worker: a lower bound.
    """
    if contention is None or steps is None or not steps.count:
        return None
    cores, waiting = contention.worker_cores, contention.runnable_wait_share
    demanded = cores / (1 - waiting) if cores is not None and waiting is not None and waiting < 1 else cores
    inside = sum(stage.inside_ms or 0.0 for stage in stages)
    blocked = max(0.0, 1 - demanded * steps.interval_ms.mean / inside) if demanded is not None and inside > 0 else None
    found = Causes(worker_cores=cores, blocked_share=blocked)
    if disk is not None and disk.bytes is not None and steps.seconds:
        found.disk_bytes_per_second = disk.bytes / steps.seconds
    if trace is not None and trace.seconds:
        seen = sum(function.seconds for function in trace.functions)
        # The trace window has no step: what fills it may be short compared with a measured interval, the median one,
        # because a few long ones mean nothing for the others.
        found.python_share = min(1.0, trace.python_seconds / trace.seconds)
        if trace.batches and steps.interval_ms.p50 > 0:
            each = 1e3 * trace.python_seconds / trace.batches / steps.interval_ms.p50
            found.python_share = min(found.python_share, each)
        taken = sum(function.taken_seconds for function in trace.functions)
        found.python_lock_share = taken / seen if seen else None
    return found


def bound_blocked(stages: Sequence[Stage], causes: Causes) -> None:
    """Give stages their blocked time where no trace has the states of their threads.

    ``blocked_share`` is a lower bound for all of them together, and counts from half of their time on: the times of
    TensorFlow's model are a fifth too long at most. It is not known which of them were blocked, so all were alike.
    """
    share = causes.blocked_share
    if share is None or share < BLOCKED_FROM or any(stage.blocked_ms_per_batch is not None for stage in stages):
        return
    # What waits for a service's workers is judged by what these do.
    if any(stage.remote or stage.service is not None for stage in stages):
        return
    for stage in stages:
        if stage.inside_ms is not None:
            stage.blocked_ms_per_batch = share * stage.inside_ms
            if stage.cpu_ms_per_batch is not None:
                stage.cpu_ms_per_batch = min(stage.cpu_ms_per_batch, stage.inside_ms - stage.blocked_ms_per_batch)
