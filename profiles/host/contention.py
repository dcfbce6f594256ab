"""What other processes on the machine took from the worker while it was measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.host import processes
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.limits import allowed_cores
from pipeprof.profiles.host.machine import SystemTimes, cores_use, stalled_by_files, system_times
from pipeprof.profiles.host.procfs import PROC, ThreadTimes, thread_times


@dataclass
class _ThreadTimeSum:
    """Time that threads ran and waited, summed over looks: a thread counts until the last look that saw it."""

    seen: dict[tuple[int, int], ThreadTimes] = field(default_factory=dict)
    run_ns: int = 0
    wait_ns: int = 0

    def look(self, pids: Sequence[int], proc: Path, *, first: bool = False) -> None:
        now: dict[tuple[int, int], ThreadTimes] = {}
        for pid in pids:
            for thread, times in thread_times(pid, proc).items():
                now[pid, thread] = times
        for key, times in now.items():
            before = self.seen.get(key, ThreadTimes(0, 0))
            if times.run_ns < before.run_ns or times.wait_ns < before.wait_ns:
                before = ThreadTimes(0, 0)  # the id was reused for a new thread
            if not first:
                self.run_ns += times.run_ns - before.run_ns
                self.wait_ns += times.wait_ns - before.wait_ns
        self.seen = now

    def wait_share(self) -> float | None:
        busy = self.run_ns + self.wait_ns
        return self.wait_ns / busy if busy else None


SHORTEST_SECONDS: Final = 0.2
"""Shortest window in seconds for a number of cores.

The kernel counts CPU time in steps of 10 ms; one step more or less at each end is a tenth of a core."""


@dataclass(frozen=True)
class _Counters:
    """What has been counted until a moment, in seconds but for the system's."""

    time: float
    system: SystemTimes | None
    throttled: float | None
    stalled: float | None
    worker: float | None
    own: float


class ContentionProbe:
    """Interference by other processes between :meth:`start` and :meth:`stop`.

    Args:
        own_cpu: CPU seconds of this process, excluded from the time of others.
        allowed: Numbers of the cores that the worker may run on: what others do on the rest is not in its way.
    """

    def __init__(
        self,
        pid: int,
        cgroup: Cgroup,
        *,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
        own_cpu: Callable[[], float] = time.process_time,
        allowed: Callable[[], Collection[int]] = allowed_cores,
    ) -> None:
        self._pid = pid
        self._cgroup = cgroup
        self._proc = proc
        self._clock = clock
        self._own_cpu = own_cpu
        self._allowed = allowed
        self._threads = _ThreadTimeSum()
        self._before: _Counters | None = None

    def start(self) -> None:
        """Begin or restart the measurement."""
        self._threads = _ThreadTimeSum()
        self._before = self._read(first=True)

    def stop(self) -> Contention:
        """Return the values since :meth:`start`; ``None`` for those that the system lacks or of a dead worker."""
        before, now = self._before, self._read()
        if before is None:
            raise RuntimeError("it was not started")
        seconds, use = now.time - before.time, cores_use(before.system, now.system)
        worker_seconds = _difference(before.worker, now.worker)
        worker = worker_seconds / seconds if worker_seconds is not None and seconds >= SHORTEST_SECONDS else None
        others = stalled = None
        if use is not None and worker is not None:
            others = max(0.0, use.busy_of(self._allowed()) - worker - (now.own - before.own) / seconds)
        if use is not None and seconds > 0 and (waited := _difference(before.stalled, now.stalled)) is not None:
            # The kernel's is a mean over cores, weighted by the time in which they are not idle. A core on which tasks
            # wait for a share `s` of the time is not idle for `s` at least: of `n` cores that were not idle it brings
            # the mean to `s * s / n` or more.
            stalled = min(1.0, math.sqrt(waited / seconds * (use.busy + use.waiting)))
        return Contention(
            runnable_wait_share=self._threads.wait_share(),
            steal_share=None if use is None else use.stolen_share,
            throttled_seconds=_difference(before.throttled, now.throttled),
            stalled_by_files_share=stalled,
            worker_cores=worker,
            others_cores=others,
        )

    def _read(self, *, first: bool = False) -> _Counters:
        worker = processes.family(self._pid)
        self._threads.look([process.pid for process in worker], self._proc, first=first)
        return _Counters(
            time=self._clock(),
            system=system_times(self._proc),
            throttled=self._cgroup.throttled_seconds(),
            stalled=stalled_by_files(self._proc),
            worker=processes.cpu_seconds(worker),
            own=self._own_cpu(),
        )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)
