"""Traces of a CPU as those of a device: the threads that compute stand for it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from pipeprof.profiles.gaps.trace import KERNEL, NO_CORRELATION, DeviceTrace, DeviceWork, HostEvents


def as_device(trace: DeviceTrace, computes: str) -> DeviceTrace:
    """The trace with threads whose names match a pattern as a device, without launches."""
    host = trace.host
    workers = np.array([bool(re.fullmatch(computes, thread.name, re.IGNORECASE)) for thread in trace.threads])
    assert workers.any(), [thread.name for thread in trace.threads]
    mine = workers[host.thread]
    count = int(mine.sum())
    work = DeviceWork(
        device=np.zeros(count, np.int64),
        stream=host.thread[mine],
        kind=np.full(count, KERNEL),
        begin=host.begin[mine],
        end=host.end[mine],
        correlation=np.full(count, NO_CORRELATION),
    )
    rest = [column[~mine] for column in (host.kind, host.thread, host.begin, host.end, host.correlation)]
    # Calls on these threads nest, as no work of one stream of a GPU does.
    outer = np.concatenate([_outermost(work, stream) for stream in np.unique(work.stream)])
    work = DeviceWork(*(column[outer] for column in vars(work).values()))
    return replace(trace, devices=["GPU 0"], work=work, host=HostEvents(host.names, host.causes, *rest))


def _outermost(work: DeviceWork, stream: int) -> np.ndarray:
    which = np.flatnonzero(work.stream == stream)
    which = which[np.lexsort((-work.end[which], work.begin[which]))]
    before = np.concatenate(([-1], np.maximum.accumulate(work.end[which])[:-1]))
    return which[work.begin[which] >= before]
