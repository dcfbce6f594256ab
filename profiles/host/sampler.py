"""Sampler of the worker's memory over a run, from outside, and what other processes took from it meanwhile.

:class:`Sampler` turns readings into what the profile keeps: a bounded series, the largest memory of each phase, the
growth at the end, and the time to the limit. It owns no thread and no clock. :class:`SamplerThread` drives it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, Final, Protocol

from pipeprof.profiles.document.shared import Contention, PhaseName
from pipeprof.profiles.host import run_family
from pipeprof.profiles.host.limits import Cgroup, SystemTimes, allowed_cores, cores_use, stalled_by_files, system_times
from pipeprof.profiles.host.procfs import PROC, ThreadTimes, thread_times
from pipeprof.profiles.host.run_family import FamilyReading

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import Series


INTERVAL = 0.05
MEASURE_INTERVAL = 0.2
"""While steps are measured: a sample costs 0.3 ms of a core, and each phase's peak is the kernel's high-water mark."""
SOAK_INTERVAL = 2.0
"""The same over hours, in the warm-up as well: it may last as long."""
SOAK_LOOK_SHARE = 0.0001
"""Of a core for searches of child processes over hours: they read a file for each thread."""
FAST_INTERVAL = 0.005
MAX_POINTS = 2000
NEAR_LIMIT = 0.8
LOOK_AHEAD = 0.5
GROWTH_WINDOW = 3.0
FAR = 86_400.0

_LEAST_SPAN = 0.2
_LATEST = 0.2
_LEAST_PAUSE = 0.001


class Reader(Protocol):
    """Reader of a process and its descendants."""

    def read(self) -> FamilyReading | None:
        """Return the reading now; ``None`` once the process has ended."""


@dataclass(frozen=True)
class MemorySample:
    """One reading and when it was taken, in seconds since the sampler's start."""

    t: float
    used_bytes: int
    children: int
    phase: PhaseName


@dataclass(frozen=True)
class _Point:
    """A stretch of the series: its end, and the largest memory in it."""

    t: float
    rss_bytes: int
    phase: PhaseName
    samples: int = 1


@dataclass
class _Curve:
    """Points of so many samples at most; a peak stays in its phase."""

    points: list[_Point] = field(default_factory=list)
    samples: int = 1

    def add(self, point: _Point) -> None:
        last = self.points[-1] if self.points else None
        if last is not None and last.phase == point.phase and last.samples + point.samples <= self.samples:
            most, samples = max(last.rss_bytes, point.rss_bytes), last.samples + point.samples
            self.points[-1] = replace(point, rss_bytes=most, samples=samples)
        else:
            self.points.append(point)

    def coarser(self) -> _Curve:
        """Return the same with twice the samples in a point."""
        curve = _Curve(samples=2 * self.samples)
        for point in self.points:
            curve.add(point)
        return curve


def slope(points: list[tuple[float, int]]) -> float | None:
    """Return least-squares slope in bytes per second; ``None`` for fewer than three points or less than 0.2 s."""
    if len(points) < 3 or points[-1][0] - points[0][0] < _LEAST_SPAN:
        return None
    return linear_regression(*zip(*points, strict=True)).slope


class Sampler:
    """Samples reduced to the values of a report. May be used from several threads.

    Args:
        max_points: Length of the series at which its resolution is halved.
        interval: Seconds between two samples far from the limit; ``None`` for an interval that depends on the phase.
        calm: Seconds between two samples while steps are measured.

    Attributes:
        started: When the samples' time line began, by the sampler's clock.
        had_children: Whether the worker had a child process at any sample; while traced it has one of pipeprof's own.
        last: The latest sample.
    """

    def __init__(
        self,
        reader: Reader,
        clock: Callable[[], float] = time.monotonic,
        limit_bytes: int | None = None,
        max_points: int = MAX_POINTS,
        *,
        interval: float | None = None,
        calm: float = MEASURE_INTERVAL,
    ) -> None:
        self.limit_bytes = limit_bytes
        self._reader = reader
        self._clock = clock
        self._max_points = max_points
        self._interval = interval
        self._calm = calm
        self.started = clock()
        self._lock = threading.Lock()
        self._phase: PhaseName = "import"
        self._curve = _Curve()
        self._recent: deque[tuple[float, int]] = deque()
        self._peaks: dict[PhaseName, int] = {}
        self._ends: dict[PhaseName, MemorySample] = {}
        self.had_children = False
        self.last: MemorySample | None = None

    def enter_phase(self, phase: PhaseName) -> None:
        """Assign further samples to this phase; call :meth:`sample` before, for the end of the last one."""
        with self._lock:
            self._phase = phase

    def sample(self) -> MemorySample | None:
        """Read the worker now; ``None``, and nothing kept, once it has ended."""
        with self._lock:
            now = self._clock() - self.started
            reading = self._reader.read()
            if reading is None:
                return None
            self.last = MemorySample(now, reading.bytes, reading.children, self._phase)
            self._keep(self.last)
            return self.last

    def _keep(self, taken: MemorySample) -> None:
        used, phase = taken.used_bytes, taken.phase
        self.had_children |= taken.children > 0 and phase != "trace"
        self._peaks[phase] = max(self._peaks.get(phase, 0), used)
        self._ends[phase] = taken
        self._recent.append((taken.t, used))
        while self._recent[-1][0] - self._recent[0][0] > GROWTH_WINDOW:
            self._recent.popleft()
        self._curve.add(_Point(taken.t, used, phase))
        if len(self._curve.points) > self._max_points:
            self._curve = self._curve.coarser()

    def elapsed(self) -> float:
        """Return seconds since the start, on the samples' time line."""
        return self._clock() - self.started

    def peaks(self) -> dict[PhaseName, int]:
        """Return the largest sampled memory of each phase, in bytes."""
        with self._lock:
            return dict(self._peaks)

    def ends(self) -> dict[PhaseName, int]:
        """Return the last sampled memory of each phase, in bytes."""
        with self._lock:
            return {phase: sample.used_bytes for phase, sample in self._ends.items()}

    def ended_with_children(self) -> set[PhaseName]:
        """Return the phases whose last sample saw a child process."""
        with self._lock:
            return {phase for phase, sample in self._ends.items() if sample.children}

    def over_limit(self, sample: MemorySample | None = None) -> bool:
        """Return whether a sample, by default the last one, exceeds the limit."""
        one = sample or self.last
        return one is not None and self.limit_bytes is not None and one.used_bytes > self.limit_bytes

    def growth(self) -> float | None:
        """Return bytes per second over the last 3 s, by least squares: the last sample may be of a dying process."""
        with self._lock:
            recent = list(self._recent)
        return slope(recent)

    def seconds_to_limit(self) -> float | None:
        """Return seconds until the limit at the current growth, 0 above it; ``None`` without growth or above a day."""
        last, growth = self.last, self.growth()
        if last is None or self.limit_bytes is None:
            return None
        room = self.limit_bytes - last.used_bytes
        if room < 0:
            return 0.0
        return room / growth if growth is not None and growth > room / FAR else None

    def next_interval(self) -> float:
        """Return seconds to the next sample: short when the limit is near in bytes or in time."""
        with self._lock:
            is_calm = self._phase == "measure" or (self._phase == "warmup" and self._calm >= SOAK_INTERVAL)
            calm = self._interval or (self._calm if is_calm else INTERVAL)
            if self.last is None or self.limit_bytes is None:
                return calm
            used = self.last.used_bytes
            soon = used + self._latest_rate() * LOOK_AHEAD > self.limit_bytes
            return FAST_INTERVAL if soon or used > NEAR_LIMIT * self.limit_bytes else calm

    def _latest_rate(self) -> float:
        """Return bytes per second over the last 0.2 s, sooner than the 3 s of :meth:`growth` would show them."""
        t, used = self._recent[-1]
        early = (pair for pair in reversed(self._recent) if t - pair[0] >= _LATEST)
        earlier_t, earlier = next(early, self._recent[0])
        return (used - earlier) / (t - earlier_t) if t > earlier_t else 0.0

    def series(self, most: int | None = None) -> Series:
        """Return the series so far: about ``max_points`` and one for each phase, or about `most` points."""
        with self._lock:
            curve = replace(self._curve, points=list(self._curve.points))
        while most is not None and most < len(curve.points) > len((coarser := curve.coarser()).points):
            curve = coarser
        # The worker imports this module, and may have no pydantic.
        from pipeprof.profiles.document.memory import Series

        return Series(
            seconds=[round(point.t, 4) for point in curve.points],
            rss_bytes=[point.rss_bytes for point in curve.points],
            phase=[point.phase for point in curve.points],
        )


class SamplerThread:
    """Thread that samples at 20 Hz, at 5 Hz while steps are measured, faster near the limit, until stopped.

    Args:
        on_over_limit: Called once, from the thread, with the first sample above the limit.

    Attributes:
        cpu_seconds: CPU time that the thread has used so far.
    """

    def __init__(self, sampler: Sampler, on_over_limit: Callable[[MemorySample], None] | None = None) -> None:
        self.sampler = sampler
        self._on_over_limit = on_over_limit
        self._wake = threading.Condition()
        self._stopping = False
        self.cpu_seconds = 0.0
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pipeprof-sampler", daemon=True)

    def start(self) -> None:
        """Start sampling; the first sample is taken at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it. Raises the exception that ended it early."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # raised again in `stop`: it cannot be raised here
            self._error = error

    def _loop(self) -> None:
        due = time.monotonic()
        reported = False
        while True:
            taken = self.sampler.sample()
            if taken is not None and not reported and self.sampler.over_limit(taken):
                reported = True
                if self._on_over_limit is not None:
                    self._on_over_limit(taken)
            self.cpu_seconds = time.thread_time()
            # Deadlines do not drift; after a stall the missed ones are not made up for.
            now = time.monotonic()
            due = max(due + self.sampler.next_interval(), now + _LEAST_PAUSE)
            with self._wake:
                if self._wake.wait_for(lambda: self._stopping, timeout=due - now):
                    return


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
        worker = run_family.family(self._pid)
        self._threads.look([process.pid for process in worker], self._proc, first=first)
        return _Counters(
            time=self._clock(),
            system=system_times(self._proc),
            throttled=self._cgroup.throttled_seconds(),
            stalled=stalled_by_files(self._proc),
            worker=run_family.cpu_seconds(worker),
            own=self._own_cpu(),
        )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)
