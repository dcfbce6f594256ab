"""Window of the step loop, checked a few times a second: the warm-up, or the measurement."""

from __future__ import annotations

import math
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import STOPPED
from pipeprof.profiles.worker.steps.loop import Chunk, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.worker.steps.loop import Feed
    from pipeprof.profiles.worker.steps.statistics import EpochStart, Nanoseconds, StepStatistics


CHECK_NS = 250_000_000
CHECK_LONG_NS = 500_000_000
"""Interval of looks for windows of ten seconds and more."""
LOOKS_A_WINDOW = 20
LOOKS_A_SOAK = 60
LOOKING_SHARE = 0.005
"""Of the time that looks at a window may take. One takes 1 ms where the pipeline's data has filled the caches, and 10
and more where its threads hold the cores or Python's lock."""
CHECK_RARE_NS = 1_000_000_000
"""Longest interval of looks, however long they take: a request to stop waits for the next one."""
SWITCH_SECONDS = 0.0002
LOOKS_AN_EPOCH = 8
SHORTEST_CHECK_NS = 10_000_000
TELLS_NS = 1_000_000_000, 2_000_000_000
"""From one beat to the next, and from one partial result to the next."""
TELLS_RARELY_NS = 5_000_000_000, 20_000_000_000
"""The same of a soak: to make and to read a result takes 3 ms of a core."""
FIRST_PARTIAL_NS = 250_000_000
"""The first results come soon, the next ones twice as late each: a process that is killed leaves half of its steps."""
# The steps' clock is paused while ended iterators are deleted; the user's is not.
MOST_PAUSED_NS = 15_000_000_000


@contextmanager
def _lock_soon() -> Iterator[None]:
    """Get Python's lock back soon after each release of it: a function that computes would keep it for 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def look_ns(seconds: float | None) -> int:
    """Return nanoseconds between two looks at a window of so many seconds; `None` where only its steps are known."""
    return min(CHECK_LONG_NS, max(CHECK_NS, round(1e9 * (seconds or 0.0) / LOOKS_A_WINDOW)))


def look_rarely_ns(seconds: float | None) -> int:
    """Return the same of a soak, where all that looks cost is to take a thousandth of a core."""
    return min(CHECK_RARE_NS, max(CHECK_NS, round(1e9 * (seconds or 0.0) / LOOKS_A_SOAK)))


def look_again_ns(took_ns: int, least_ns: int) -> int:
    """Return nanoseconds to the next look after one that took so long, so that looks keep to `LOOKING_SHARE`."""
    return max(least_ns, min(CHECK_RARE_NS, round(took_ns / LOOKING_SHARE)))


@dataclass
class Looked:
    """Chunk of steps between two looks.

    Attributes:
        median_ms: Their median interval; `None` when there were none.
        epoch_start: What of the window lies before the latest restart of the dataset; `None` before the first one.
    """

    seconds: float
    steps: int
    median_ms: float | None
    epoch_start: EpochStart | None = None


class LookTimes:
    """When a window is looked at: several times in an epoch, and for the last time when it is over.

    Args:
        seconds: Length of the window, if it is known. Then looks that take long become rare.
    """

    def __init__(self, least_ns: int, seconds: float | None, feed: Feed) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self._wait_ns = self._least_ns = least_ns
        self._feed, self._ended, self._epoch_ns = feed, feed.ended, sys.maxsize
        self._epoch_began = time.perf_counter_ns()

    def next_at(self, seconds: float) -> int:
        """Return when the next one is due if the window has been so long."""
        left_ns = 1e9 * (self.seconds - seconds)
        return time.perf_counter_ns() + max(SHORTEST_CHECK_NS, round(min(self._wait_ns, left_ns)))

    def note(self, now: int, took_ns: int) -> None:
        """Take how long one took that is over now."""
        most_ns = look_again_ns(took_ns, self._least_ns) if self.seconds < math.inf else self._least_ns
        if self._feed.ended != self._ended:
            self._epoch_ns = (now - self._epoch_began) // (self._feed.ended - self._ended) // LOOKS_AN_EPOCH
            self._ended, self._epoch_began = self._feed.ended, now
        self._wait_ns = max(SHORTEST_CHECK_NS, min(most_ns, self._epoch_ns))


class Progress:
    """What is sent of a window: beats, and partial results of its steps if it `has_results`."""

    def __init__(self, send: Callable[..., None], tells_ns: tuple[int, int], *, has_results: bool) -> None:
        self._send, (self._beat_ns, self._partial_ns) = send, tells_ns
        self._opened = self._beat_at = time.perf_counter_ns()
        self._partial_at = self._opened + FIRST_PARTIAL_NS if has_results else sys.maxsize

    def tell(self, statistics: StepStatistics, now: int, *, over: bool) -> None:
        """Send what is due, and a beat at the end."""
        if now >= self._beat_at or over:
            self._beat_at, count, seconds = now + self._beat_ns, statistics.count, statistics.seconds
            self._send(steps=count, phase_seconds=seconds, rate=count / seconds if seconds else None)
        if now >= self._partial_at:
            self._partial_at = now + min(self._partial_ns, now - self._opened)
            self._send(measured=statistics.measured())


class PhaseWindow(Window):
    """Window that accumulates steps until `finished` gives a reason to end.

    Args:
        finished: Called with every look; returns why the window is over, or `None`.
        phase: None where nothing is sent.
        seconds: End when so many have been measured. Then looks that take long become rare.
        tells_steps: Whether there are partial results; None for those of the measurement.
    """

    def __init__(
        self,
        phase: PhaseName | None,
        statistics: StepStatistics,
        feed: Feed,
        channel: WorkerEnd,
        finished: Callable[[Looked], str | None] = lambda _looked: None,
        *,
        steps_limit: int | None = None,
        check_ns: int | None = None,
        seconds: float | None = None,
        see: Callable[[Any], None] = lambda _batch: None,
        tells_ns: tuple[int, int] = TELLS_NS,
        tells_steps: bool | None = None,
    ) -> None:
        has_results = phase == "measure" if tells_steps is None else tells_steps
        self._progress = Progress(channel.send, tells_ns, has_results=has_results) if phase is not None else None
        self.statistics = statistics
        self._feed, self._paused_ns = feed, feed.paused_ns
        self._channel = channel
        self._finished = finished
        self._limit = steps_limit
        self._looks = LookTimes(check_ns or CHECK_NS, seconds, feed)
        self.see = see  # type: ignore[assignment]
        self.reason: str | None = None
        self.overhead_ns = self.overhead_cpu_ns = 0
        self._folding = threading.Lock()
        self.chunk = Chunk()
        self.check_next()

    def check_next(self) -> None:
        """Look next when the time between two looks has passed from now on, or the last of the seconds."""
        self.check_at = self._looks.next_at(self.statistics.seconds)

    def most(self) -> int | None:
        """Return how many steps are left to the limit, if there is one."""
        return max(1, self._limit - self.statistics.count) if self._limit is not None else None

    def take(self, rows: Nanoseconds) -> bool:
        """Look at steps that were taken elsewhere, shape (n, 7); return whether the window is over."""
        self.chunk = Chunk(readings=rows)
        return self.look()

    def fold(self) -> Looked:
        """Fold in what the loop has taken; in any thread, as it may wait for a batch that never comes."""
        with self._folding:
            before, rows = self.statistics.seconds, self.chunk.take()
            median = self.statistics.fold(rows)
            return Looked(self.statistics.seconds - before, len(rows), median, self.statistics.epoch_start)

    def look(self) -> bool:
        """Fold in what the loop has taken; return whether the window is over."""
        began, cpu = time.perf_counter_ns(), time.thread_time_ns()
        # To fold gives the lock away too: numpy sorts without it.
        with _lock_soon():
            self.reason = self._why_over(self.fold())
            if self._progress is not None:
                self._progress.tell(self.statistics, began, over=self.reason is not None)
        now = time.perf_counter_ns()
        self._looks.note(now, now - began)
        self.overhead_ns += now - began
        self.overhead_cpu_ns += time.thread_time_ns() - cpu
        self.check_next()
        return self.reason is not None

    def _why_over(self, looked: Looked) -> str | None:
        seconds, paused_ns = self.statistics.seconds, self._feed.paused_ns - self._paused_ns
        if (reason := self._finished(looked)) is not None:
            return reason
        if seconds >= self._looks.seconds:
            return f"{self._looks.seconds:g} s"
        if self._limit is not None and self.statistics.count >= self._limit:
            return f"{self._limit} steps"
        if self._progress is not None and paused_ns >= max(MOST_PAUSED_NS, 2e9 * seconds):
            return f"ended early: TensorFlow took {paused_ns / 1e9:.0f} s to free finished iterators"
        return STOPPED if self._channel.stop.is_set() else None


class WindowClock:
    """CPU time of the process per step, from looks in which no epoch ended; of all where there are no such looks.

    It goes by the clock on the wall: what lies between the epochs of a script is in it as well.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu_began = self._cpu = time.process_time_ns()
        self._between: int | None = None
        self._clean_ns = self._clean_steps = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    def look(self, steps: int, between_ns: int) -> None:
        """Take the steps since the last look.

        Args:
            between_ns: Time between epochs since the script began: validation, checkpoints and callbacks.
        """
        cpu, before = time.process_time_ns(), self._cpu
        if between_ns == self._between:
            self._clean_ns += cpu - before
            self._clean_steps += steps
        self._cpu, self._between = cpu, between_ns

    def cpu_ns(self, steps: int) -> int | None:
        """Return the CPU time of so many steps."""
        if self._clean_steps:
            return round(steps * self._clean_ns / self._clean_steps)
        return self._cpu - self._cpu_began if steps else None


MOST_FAILED = 3
SIGN_SECONDS = 5.0
"""Between two signs of life of a script that does something else than steps."""
ALIVE_CORES = 0.02
"""Of a core that a process uses at least, so that it is not taken to hang."""


class Reporter(threading.Thread):
    """Thread that looks at a script from time to time, until it is closed or three looks in a row have failed.

    Args:
        look: Returns whether later looks take as long as this one.

    Attributes:
        looking: Held by a thread while it looks.
    """

    def __init__(self, look: Callable[[], bool], every_ns: int, failed: Callable[[Exception], None]) -> None:
        super().__init__(name="pipeprof-reporter", daemon=True)
        self.looking = threading.Lock()
        self.closing = threading.Event()
        self._look, self._every_ns, self._failed = look, every_ns, failed

    def run(self) -> None:
        """Look."""
        wait_ns, failures = self._every_ns, 0
        while failures < MOST_FAILED and not self.closing.wait(wait_ns / 1e9):
            began, usual = time.thread_time_ns(), True
            try:
                usual = self._look()
                failures = 0
            except Exception as error:
                failures += 1
                if failures == MOST_FAILED:
                    self._failed(error)
            took_ns = time.thread_time_ns() - began
            wait_ns = look_again_ns(took_ns if usual else 0, self._every_ns)

    def stop(self) -> None:
        """End, after the look that is under way; an interrupt may come before it was started."""
        self.closing.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout=5.0)


class LifeSign:
    """Sign of life of a script that does something else than steps, as long as its process uses a core."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._at = self._cpu = 0.0

    def give(self) -> None:
        """Give one where it is due."""
        now, cpu = time.perf_counter(), time.process_time()
        if now - self._at < SIGN_SECONDS:
            return
        if cpu - self._cpu >= ALIVE_CORES * (now - self._at):
            self._send()
        self._at, self._cpu = now, cpu


WINDOW_SECONDS = 0.5
WINDOW_STEPS = 8
WINDOWS = 3
TOLERANCE = 0.10
LONG_SECONDS = WINDOWS * WINDOW_SECONDS
"""Length of an epoch from which two are enough: each is as long as the three windows."""
LIMIT_SECONDS = 5.0
TUNABLE_LIMIT_SECONDS = 15.0


@dataclass
class _WarmUpWindow:
    seconds: float = 0.0
    steps: int = 0
    medians: list[float] = field(default_factory=list)
    parameters: tuple[float, ...] | None = None


class _WholeEpochs:
    """Time of a step over whole epochs, restarts included, from the second epoch on.

    The first one fills caches and begins with the first element, which is no step. Short epochs are taken together, to
    stretches of 0.5 s and 8 steps at least.
    """

    def __init__(self) -> None:
        self._began: EpochStart | None = None
        self._stretches: list[tuple[float, float]] = []

    def have_settled(self, start: EpochStart | None) -> bool:
        """Take the start of the latest epoch; return whether the epochs before it took about as long."""
        if start is None or start == self._began:
            return False
        began, self._began = self._began, self._began or start
        if began is None:
            return False
        seconds, steps = start.seconds - began.seconds, start.steps - began.steps
        if seconds < WINDOW_SECONDS or steps < WINDOW_STEPS:
            return False
        self._began = start
        self._stretches = [*self._stretches[-WINDOWS + 1 :], (seconds, seconds / steps)]
        return self._are_alike(2, LONG_SECONDS) or self._are_alike(WINDOWS, WINDOW_SECONDS)

    def _are_alike(self, many: int, least_seconds: float) -> bool:
        last = self._stretches[-many:]
        if len(last) < many or min(seconds for seconds, _ in last) < least_seconds:
            return False
        times = [time for _, time in last]
        return max(times) <= min(times) * (1 + TOLERANCE)


class WarmUp:
    """Warm-up that ends when step time and AUTOTUNE's parameters have settled.

    Steps are grouped in windows of at least 0.5 s and 8 steps. The warm-up is over when the median step times
    of three windows in a row lie within 10 % of each other and no tunable parameter moved between them; at the latest
    after 5 s when nothing is tunable, else after 15 s.

    A dataset that ends begins again with the parameters that it began with, which never settle where epochs are short.
    It is also over when whole epochs take as long as each other, within 10 % in the time of a step: three stretches of
    epochs in a row, or two of 1.5 s and more.

    Args:
        fixed_seconds: End after exactly so long instead, as the user asked.
    """

    def __init__(self, fixed_seconds: float | None = None) -> None:
        self._fixed = fixed_seconds
        self._windows: list[_WarmUpWindow] = [_WarmUpWindow()]
        self._epochs = _WholeEpochs()
        self._elapsed = 0.0

    def offer(self, looked: Looked, parameters: tuple[float, ...] | None) -> str | None:
        """Take the steps between two looks.

        Args:
            parameters: The values of all tunable parameters at its end; `None` without a model.

        Returns:
            Why the warm-up is over, or `None` while it is not.
        """
        if looked.median_ms is None:
            return None
        self._elapsed += looked.seconds
        if self._fixed is not None:
            return f"{self._fixed:g} s as asked" if self._elapsed >= self._fixed else None
        if self._epochs.have_settled(looked.epoch_start):
            return f"settled after {self._elapsed:.1f} s: whole epochs took as long as each other"
        window = self._windows[-1]
        window.seconds += looked.seconds
        window.steps += looked.steps
        window.medians.append(looked.median_ms)
        window.parameters = parameters
        if window.seconds >= WINDOW_SECONDS and window.steps >= WINDOW_STEPS:
            if self._is_settled():
                return f"settled after {self._elapsed:.1f} s"
            self._windows = [*self._windows[-WINDOWS + 1 :], _WarmUpWindow()]
        limit = TUNABLE_LIMIT_SECONDS if parameters else LIMIT_SECONDS
        if self._elapsed >= limit:
            return f"not settled after {limit:g} s"
        return None

    def _is_settled(self) -> bool:
        last = self._windows[-WINDOWS:]
        if len(last) < WINDOWS or len({w.parameters for w in last}) > 1:
            return False
        medians = [median(w.medians) for w in last]
        return max(medians) <= min(medians) * (1 + TOLERANCE)
