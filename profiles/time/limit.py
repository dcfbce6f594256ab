"""What limits a pipeline: the verdict's `limit` and its stage; decisions without words.

Memory and a tf.data service come first: they explain the rest. Else it is the resource that takes longest by the model
(`flow`), from `LIMIT_FROM` of the measured step on: what the upper bounds and predictions are worked out from. Where
stages on threads are the longest and are blocked for most of their time, the limit is what they wait for. Where no
resource is full, other processes that took cores are the limit, if they did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.profiles.document.stages import Causes
from pipeprof.profiles.time.read_flow import measured_flow
from pipeprof.profiles.time.resources import disturbed_share
from pipeprof.profiles.time.top_stage import (
    Groups,
    StageGroup,
    busiest_groups,
    top_cpu_groups,
    top_groups,
    unknown_stages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.base import Limit
    from pipeprof.profiles.document.measured import Disk
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Contention, Steps
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Trace
    from pipeprof.profiles.time.flow import Flow, Part, Term

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
    computing_ms = sum(flow.by_id[name].computing_ms for name in term.parts)
    return term.ms >= LOCK_FROM * running_ms and computing_ms >= LIMIT_FROM * running_ms


def _lost_ms(term: Term, flow: Flow, waited: float | None) -> float:
    """What a thread waited for a core that others had: it would do all of its work on free cores as well."""
    if term.resource != "serial" or waited is None or waited >= OTHERS_FROM:
        return 0.0
    return sum(flow.by_id[name].starved_ms for name in term.parts)


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
    if slowest.waiting_ms < max(BLOCKED_FROM * slowest.held_ms, BLOCKED_FROM * waiting_ms) or not slowest.waiting_ms:
        return None
    interval_ms = profile.steps.running_ms if profile.steps is not None else slowest.waiting_ms
    rate = profile.causes.disk_bytes_per_second if profile.causes is not None else None
    seen = profile.contention.stalled_by_files_share if profile.contention is not None else None
    stalled = min(1.0, seen / min(1.0, slowest.waiting_ms / interval_ms)) if seen is not None else None
    reads = rate is None or rate >= READ_FROM
    io = stalled >= STALLED_FROM if stalled is not None else rate is not None and rate >= DISK_FROM
    share = slowest.waiting_ms / slowest.held_ms
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
