"""What a trace cannot show: a guard withholds only what it spoils, and says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.profiles.gaps.intervals import length, union
from pipeprof.profiles.gaps.names import CAPTURE_BEGINS, CAPTURE_ENDS, GRAPH_LAUNCHES, KERNEL_LAUNCHES, plain
from pipeprof.profiles.gaps.sentences import Reason, reason
from pipeprof.profiles.gaps.trace import KERNEL, NO_CORRELATION
from pipeprof.profiles.wording import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeprof.profiles.gaps.attribution import Attribution
    from pipeprof.profiles.gaps.trace import DeviceTrace

    Times = NDArray[np.int64]

MOST_BEFORE_LAUNCH: Final = 0.001
"""Share of kernels that may begin before their launch; in 19 public traces none does."""
MOST_LOST: Final = 0.01
"""Share of launches that may have no kernel in the trace: some are lost where a window begins and ends."""
MOST_OVERLAP: Final = 0.05
"""Share of a stream's time in which two of its events run; a stream runs one at a time."""
MOST_CROSSED: Final = 0.02
"""Share of the host's events inside of one before on their thread that may end after it: calls nest. In 23 public
traces it is at most 0.0013."""
LEAST_CROSSED: Final = 10
"""Fewer of them are a profiler's own."""
FEW_KERNELS: Final = 2
"""Fewer of them in most launches of graphs: the profiler records graphs, not what they run."""


@dataclass
class Withheld:
    """What cannot be said, each with the reasons.

    Attributes:
        idle: Why the idle time may be less than what is seen.
        work: Why it may also be more: the work is not that of one device.
        causes: Why causes cannot be given.
    """

    idle: list[Reason] = field(default_factory=list)
    work: list[Reason] = field(default_factory=list)
    causes: list[Reason] = field(default_factory=list)


def guard_trace(trace: DeviceTrace, attribution: Attribution) -> Withheld:
    """Return what holds for all devices of a trace."""
    found = Withheld()
    if trace.partial_work:
        found.idle.append(reason("device-unread"))
    found.idle += trace.lost
    if not len(trace.host.begin):
        found.causes.append(reason("no-host"))
    elif trace.partial_host:
        found.causes.append(reason("host-unread"))
    if trace.hosts > 1:
        found.causes.append(reason("several-hosts", trace.hosts))
    elif not trace.partial_host:
        found.causes += _crossed(trace)
    found.idle += [*_launches_lost(trace), *_graphs_unseen(trace)]
    found.causes += _clocks_disagree(trace, attribution)
    return found


def _crossed(trace: DeviceTrace) -> list[Reason]:
    """Return why the events of a thread are not those of one host; nothing where they nest, as calls do."""
    host = trace.host
    order = np.lexsort((-host.end, host.begin, host.thread))
    thread, begin, end = host.thread[order], host.begin[order], host.end[order]
    inside = (thread[1:] == thread[:-1]) & (begin[1:] < end[:-1])
    crossed, count = int((inside & (end[1:] > end[:-1])).sum()), int(inside.sum())
    many = crossed >= LEAST_CROSSED and crossed > MOST_CROSSED * count
    return [reason("calls-cross", crossed, count)] if many else []


def _calls(trace: DeviceTrace, names: frozenset[str]) -> Times:
    """Return the indices of the host's calls of these names that have a correlation."""
    wanted = np.array([plain(name) in names for name in trace.host.names], np.bool_)
    if not wanted.any():
        return np.zeros(0, np.int64)
    return np.flatnonzero(wanted[trace.host.kind] & (trace.host.correlation != NO_CORRELATION))


def _launches_lost(trace: DeviceTrace) -> list[Reason]:
    calls = _calls(trace, KERNEL_LAUNCHES)
    begin = trace.host.begin[calls]
    seen = np.isin(trace.host.correlation[calls], trace.work.correlation)
    counts = ~_captured(trace, begin)
    if (ran := seen & counts).any():
        # Before the first and after the last one whose work was seen, the profiler may not have recorded the device.
        counts &= (begin >= begin[ran].min()) & (begin <= begin[ran].max())
    lost, count = int((~seen & counts).sum()), int(counts.sum())
    return [reason("launches-lost", lost, count)] if lost > MOST_LOST * count else []


def _captured(trace: DeviceTrace, times: Times) -> NDArray[np.bool_]:
    """Return at which times a graph is captured, by whichever threads: kernels that are launched then do not run."""
    counts = []
    for names in (CAPTURE_BEGINS, CAPTURE_ENDS):
        wanted = np.array([plain(name) in names for name in trace.host.names], np.bool_)
        which = wanted[trace.host.kind] if len(wanted) else np.zeros(0, np.bool_)
        counts.append(np.searchsorted(np.sort(trace.host.begin[which]), times))
    found: NDArray[np.bool_] = counts[0] > counts[1]
    return found


def _graphs_unseen(trace: DeviceTrace) -> list[Reason]:
    calls = _calls(trace, GRAPH_LAUNCHES)
    keys, counts = np.unique(trace.work.correlation, return_counts=True)
    recorded = keys[counts >= FEW_KERNELS]
    few = int((~np.isin(trace.host.correlation[calls], recorded)).sum())
    return [reason("graphs-unseen", few, len(calls), FEW_KERNELS)] if few * 2 > len(calls) else []


def _clocks_disagree(trace: DeviceTrace, attribution: Attribution) -> list[Reason]:
    work = trace.work
    kernels = np.flatnonzero((work.kind == KERNEL) & (work.correlation != NO_CORRELATION))
    launch = attribution.launches_of(work.correlation[kernels])
    known = launch >= 0
    early, count = int((work.begin[kernels[known]] < trace.host.begin[launch[known]]).sum()), int(known.sum())
    return [reason("clocks-disagree", early, count)] if early > MOST_BEFORE_LAUNCH * count else []


def guard_device(trace: DeviceTrace, device: int) -> Withheld:
    """Return what holds for one device."""
    found = Withheld()
    work = trace.work
    mine = np.flatnonzero(work.device == device)
    both = total = 0
    for stream in np.unique(work.stream[mine]):
        one = mine[work.stream[mine] == stream]
        begin, end = work.begin[one], work.end[one]
        # Little of the work of a program in graphs is outside of them: what overlaps there is a part of all work.
        total += length(*union(begin, end))
        graphs = _of_graphs(work.correlation[one])
        begin, end = begin[~graphs], end[~graphs]
        both += length(begin, end) - length(*union(begin, end))
    if both > MOST_OVERLAP * total:
        found.work.append(reason("streams-overlap", percent(both / total)))
    return found


def _of_graphs(correlation: Times) -> NDArray[np.bool_]:
    """Return which events were launched together with others: parts of a graph may run at the same time."""
    keys, inverse, counts = np.unique(correlation, return_inverse=True, return_counts=True)
    found: NDArray[np.bool_] = (counts[inverse] > 1) & (keys[inverse] != NO_CORRELATION)
    return found
