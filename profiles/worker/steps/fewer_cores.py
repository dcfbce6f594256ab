"""Whether the cores set the pipeline's pace: it runs on half of them, then on all again.

The CPU time that a pipeline takes does not show it. One that keeps 1.5 of 2 cores busy may be twice as fast with two
as with one, or faster with one: elements that pass from thread to thread cost CPU time as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.kind import BatchConsumer
from pipeprof.profiles.document.shared import CoreScaling
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.host import ContentionProbe
from pipeprof.profiles.host.limits import allowed_cores, cores
from pipeprof.profiles.host.proc_texts import PROC, read_text
from pipeprof.profiles.host.process_readers import system_reader
from pipeprof.profiles.worker.steps.loop import Feed, HandedOver, NoSizes, take_steps
from pipeprof.profiles.worker.steps.statistics import StepReading, StepStatistics

USED_FROM = 0.50
"""Share of the cores in use from which they may be the limit."""
WAITING_FROM = 0.05
"""Share of the time that a step waits from which a faster pipeline would matter."""
WINDOW_SECONDS = 2.0
"""A shorter measurement says too little to be compared with anything."""
SETTLE_SECONDS = 0.2
"""Left out at first: elements in buffers were made with the other number of cores."""
SECONDS = 0.7
ENOUGH = 30
"""Steps from which these seconds are enough."""
LONGEST_SECONDS = 2.0
AT_LEAST = 6
UNSTEADY = 1.25
"""Ratio of the two intervals with all cores from which their mean says nothing."""
CONTRADICTS = 1.5
"""Ratio of an interval with all cores to the measured one from which threads may have stayed on few of them."""
TRIES = 2
"""Blocks with fewer cores, each between two with all, until these agree."""
CHECK_NS = 10_000_000
ALIVE_NS = 1_000_000_000
STEAL_FROM = 0.05
"""Share of the time stolen by the hypervisor from which a block says nothing."""
OTHERS_FROM = 0.10
"""Share of the cores that others use from which a block says nothing."""
_MOVES = 2
_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Loop:
    """The loop whose steps are counted.

    Attributes:
        alive: Called each second while steps pass.
    """

    feed: Feed
    step: BatchConsumer | None
    stop: Callable[[], bool]
    alive: Callable[[], object] = lambda: None


def on_fewer_cores(steps: Loop, seen: StepStatistics, cpu_ns: int | None) -> CoreScaling | None:
    """Measure steps with half of the cores, then with all, where so many were in use that they may be the limit.

    Args:
        seen: What was measured before.
        cpu_ns: CPU time of the process in that measurement.

    Returns:
        `None` where cores cannot be the limit or are one only, where child processes compute that would not have fewer
        of them, where the system does not let a process choose them, where steps are too long to be counted, where
        other processes or other machines took a part of the cores meanwhile, and where the pipeline is not as fast with
        all cores as it was before: twice, or by far.
    """
    allowed, usable = allowed_cores(), cores(Cgroup())
    fewer = half_of(allowed, usable)
    if not fewer or cpu_ns is None or seen.seconds < WINDOW_SECONDS or cpu_ns / 1e9 < USED_FROM * usable * seen.seconds:
        return None
    if steps.step is not None and seen.waits.total_ns < WAITING_FROM * seen.intervals.total_ns:
        return None
    if not (PROC / "self" / "task").is_dir() or procfs.descendants(os.getpid()):
        return None
    before = measured = ((seen.intervals.total_ns - (seen.restart_ns or 0)) / seen.count / 1e6, seen.count)
    for _ in range(TRIES):
        with only_on(fewer, allowed):
            with_fewer = measure_block(steps, len(fewer))
        again = measure_block(steps, usable) if with_fewer is not None else None
        if with_fewer is None or again is None or _differ(measured, again, CONTRADICTS):
            break
        if not _differ(before, again, UNSTEADY):
            return CoreScaling.of(len(fewer), with_fewer, ((before[0] + again[0]) / 2, before[1] + again[1]))
        if again[1] < ENOUGH:
            # Another try would take too long.
            break
        before = again
    return None


def _differ(one: tuple[float, int], other: tuple[float, int], times: float) -> bool:
    """Whether the longer of two intervals is more than so many times the shorter."""
    return max(one[0], other[0]) > times * min(one[0], other[0])


def half_of(allowed: Collection[int], usable: float, folder: Path = _CPUS) -> frozenset[int]:
    """Choose half of the cores that a process can keep busy; both hardware threads of a core, or none.

    A second thread of a core adds a third to its rate or so: with one of them the rate does not halve.

    Args:
        allowed: Numbers of the cores that the scheduler may put it on.
        usable: How many it can keep busy, if a quota allows it less.
        folder: Where the kernel lists what threads a core has.

    Returns:
        Their numbers; empty where there is only one core.
    """
    first = {number: _first_sibling(number, folder) for number in allowed}
    if usable < len(first):
        # Under a quota there is a core for each thread.
        return frozenset(sorted(allowed, key=lambda number: (number != first[number], number))[: int(usable / 2)])
    ordered = sorted(allowed, key=lambda number: (first[number], number))
    count = len(ordered) // 2
    while 0 < count < len(ordered) and first[ordered[count - 1]] == first[ordered[count]]:
        count -= 1
    return frozenset(ordered[:count])


def _first_sibling(number: int, folder: Path) -> int:
    """Return the first thread of the core that has this one."""
    listed = read_text(f"{folder}/cpu{number}/topology/thread_siblings_list") or ""
    digits = listed.replace("-", ",").partition(",")[0].strip()
    return int(digits) if digits.isdigit() else number


@contextmanager
def only_on(chosen: Collection[int], allowed: Collection[int], proc: Path = PROC) -> Iterator[None]:
    """Keep all threads of this process on the chosen cores in the body; a thread that has a choice of its own keeps it.

    Args:
        chosen: Numbers of cores.
        allowed: Those that threads without a choice of their own may run on; again after the body.
        proc: Where the kernel lists threads.
    """
    others = _move_threads(allowed, chosen, proc)
    try:
        yield
    finally:
        # Those that began in the body as well, and those that these begin meanwhile.
        for _ in range(_MOVES):
            _move_threads(chosen, allowed, proc, others)


def _move_threads(
    before: Collection[int], after: Collection[int], proc: Path, but: Collection[int] = ()
) -> frozenset[int]:
    """Move the threads with one choice of cores to another, but for some; return those that have one of their own."""
    others = set()
    for task in (proc / "self" / "task").iterdir():
        # It may have ended.
        with suppress(OSError):
            number = int(task.name)
            if number in but or os.sched_getaffinity(number) != set(before):
                others.add(number)
            else:
                os.sched_setaffinity(number, after)
    return frozenset(others)


class Block(HandedOver):
    """A window of the step loop that drops its first steps and those that begin an epoch, and counts the rest.

    Attributes:
        ns: Nanoseconds that they took.
    """

    def __init__(self, steps: Loop) -> None:
        self.sizes = NoSizes()
        self.steps = 0
        self.ns = 0
        self._loop = steps
        self._epoch = steps.feed.ended
        self._last: int | None = None
        self._to_settle = SETTLE_SECONDS * 1e9
        now = time.perf_counter_ns()
        self._alive_at = now
        self._until = now + round((SETTLE_SECONDS + LONGEST_SECONDS) * 1e9)
        self.check_at = now + CHECK_NS

    def most(self) -> int | None:
        """Take any number of steps."""
        return None

    def drained(self, base: int, times: list[int]) -> bool:
        """Take steps without a device."""
        if times:
            first = [0] if self._loop.feed.ended != self._epoch else []
            self._epoch = self._loop.feed.ended
            self._add([base, *times], first)
        return self._is_over()

    def followed(self, readings: Sequence[StepReading], restarts: list[int]) -> bool:
        """Take steps with a device."""
        got = [reading.got for reading in readings]
        if self._last is None:
            self._add(got, [index - 1 for index in restarts])
        else:
            self._add([self._last, *got], restarts)
        self._last = got[-1]
        return self._is_over()

    def _add(self, times: list[int], restarts: Collection[int]) -> None:
        for index, (before, after) in enumerate(pairwise(times)):
            if self._to_settle > 0:
                self._to_settle -= after - before
            elif index not in restarts:
                self.steps += 1
                self.ns += after - before

    def _is_over(self) -> bool:
        now = time.perf_counter_ns()
        self.check_at = now + CHECK_NS
        if now >= self._alive_at:
            self._alive_at = now + ALIVE_NS
            self._loop.alive()
        enough = self.ns >= SECONDS * 1e9 and self.steps >= ENOUGH
        return enough or now >= self._until or self._loop.stop()


def expected_seconds(interval_ms: float) -> float:
    """Return how long a block of such steps takes."""
    return SETTLE_SECONDS + min(LONGEST_SECONDS, max(SECONDS, ENOUGH * interval_ms / 1e3))


def measure_block(steps: Loop, cores_there: float) -> tuple[float, int] | None:
    """Return the mean interval in milliseconds and the number of steps; `None` with too few steps, or disturbed."""
    window = Block(steps)
    own = os.getpid()
    probe = ContentionProbe(own, system_reader(), Cgroup(), own_cpu=lambda: 0.0)
    probe.start()
    take_steps(steps.feed, steps.step, window)
    seen = probe.stop()
    disturbed = (seen.steal_share or 0.0) >= STEAL_FROM or (seen.others_cores or 0.0) >= OTHERS_FROM * cores_there
    return None if disturbed or window.steps < AT_LEAST else (window.ns / window.steps / 1e6, window.steps)
