"""Step loop: takes batches like a training loop, and reads the clock.

Nothing but clock readings happens per step. A few times a second, while the simulated device is busy if there is one, a
window takes the readings, folds them and decides whether to continue.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.late import np
from pipeprof.profiles.worker.steps.statistics import StepReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeprof.pipelines.steps.consumer import BatchConsumer
    from pipeprof.profiles.worker.steps.statistics import Nanoseconds

_END = object()


class EmptyDatasetError(PipelineFailedError):
    """The dataset has no elements."""

    def __init__(self) -> None:
        super().__init__("the dataset is empty: it ended without giving a single element")


class NeverIteratedError(PipelineFailedError):
    """A script came to its end, or ran for as long as it was to, and no step was seen."""


class Feed:
    """Iterator over a dataset that restarts at its end, like the epochs of a training loop.

    The ended iterator is deleted before the next one is created, as in any training loop. TensorFlow may take as long
    as the epoch took for that, where its AUTOTUNE thread sleeps (up to 2.5 s seen on 2.21, in one of five deletions of
    one pipeline and three of four of another). A training loop waits for it, and so does the measured time; all else,
    such as a warm-up or a comparison of two pipelines, pauses the clock of its steps meanwhile.

    Attributes:
        counts_deletions: Whether the clock goes on while an ended iterator is deleted.
    """

    def __init__(
        self,
        dataset: Iterable[Any],
        deleting: Callable[[], AbstractContextManager[None]] = nullcontext,
        iterator: Iterator[Any] | None = None,
    ) -> None:
        self._dataset = dataset
        self._deleting = deleting
        self.iterator: Iterator[Any] = iter(dataset) if iterator is None else iterator
        self.ended = 0
        self.deletions: list[float] = []
        self.counts_deletions = False
        self.paused_ns = 0
        self.on_restart: Callable[[], None] = lambda: None

    def restart(self) -> None:
        """Begin the next epoch."""
        self.ended += 1
        self.on_restart()
        began = time.perf_counter_ns()
        with self._deleting():
            self.iterator = iter(())
        self.deletions.append((time.perf_counter_ns() - began) / 1e9)
        if not self.counts_deletions:
            self.paused_ns += time.perf_counter_ns() - began
        self.iterator = iter(self._dataset)

    def next(self) -> Any:
        """Return the next batch, of the next epoch if this one is over.

        Raises:
            EmptyDatasetError: An epoch gave nothing.
        """
        batch = next(self.iterator, _END)
        if batch is _END:
            self.restart()
            batch = next(self.iterator, _END)
            if batch is _END:
                raise EmptyDatasetError
        return batch


@dataclass
class Chunk:
    """Steps that the loop takes from one look to the next; another thread may take them while the loop waits.

    Attributes:
        begins: Whether the first batch began an epoch; without a device.
        readings: With a device, one of each step.
    """

    base: int = 0
    begins: bool = False
    times: list[int] = field(default_factory=list)
    readings: Sequence[StepReading] | Nanoseconds = field(default_factory=list)
    taken: int = 0

    def take(self) -> Nanoseconds:
        """Return the readings of the steps since the last time, shape (n, 7), in the order of `StepReading`."""
        if len(self.readings):
            rows = np.asarray(self.readings[:], dtype=np.int64)
        else:
            at = np.asarray([self.base, *self.times], dtype=np.int64)
            rows = np.repeat(at[1:, None], len(StepReading._fields), axis=1)
            # Each batch is requested when the one before has come, and the step takes no time.
            rows[:, :3] = at[:-1, None]
            rows[:, -1] = 0
            rows[:1, -1] = self.begins
        first, self.taken = self.taken, len(rows)
        return rows[first:]


class Window:
    """Receiver of the loop's steps that decides when the loop ends."""

    check_at: int
    chunk: Chunk

    def see(self, batch: Any) -> None:
        """Look at the batch that the loop holds when a look is due."""

    def most(self) -> int | None:
        """Return how many steps the window may still take at most; `None` for any number."""
        return None

    def look(self) -> bool:
        """Look at the steps that the loop has taken; return whether the window is over."""
        raise NotImplementedError


def drain(feed: Feed, window: Window) -> None:
    """Take batches as fast as they come, until the window is over."""
    clock = time.perf_counter_ns
    # The feed may stand at the end of an epoch: only an epoch that began here can be empty.
    base, fresh = clock(), False
    while True:
        chunk = window.chunk = Chunk(base, begins=fresh)
        times, note = chunk.times, chunk.times.append
        check_at, most = window.check_at, window.most()
        try:
            for batch in islice(feed.iterator, most) if most else feed.iterator:
                now = clock()
                note(now)
                if now >= check_at:
                    window.see(batch)
                    break
        except BaseException:
            # The steps before an error are measured as well.
            if times:
                with suppress(Exception):
                    window.look()
            raise
        ended = clock()
        whole = bool(times) and (times[-1] >= check_at or len(times) == most)
        if window.look():
            return
        looked = clock()
        if whole:
            base, fresh = looked, False
            continue
        if fresh and not times:
            raise EmptyDatasetError
        # Finding the end takes time too; the next epoch's first batch has waited for it.
        base = looked - (ended - (times[-1] if times else base))
        fresh, paused = True, feed.paused_ns
        feed.restart()
        base += feed.paused_ns - paused


def take_steps(feed: Feed, step: BatchConsumer | None, window: Window) -> None:
    """Take batches, for a device where there is one, until the window is over."""
    if step is None:
        drain(feed, window)
    else:
        follow(feed, step, window)


def follow(feed: Feed, step: BatchConsumer, window: Window) -> None:
    """Feed a device, until the window is over."""
    clock = time.perf_counter_ns
    readings: list[StepReading] = []
    window.chunk = Chunk(readings=readings)
    while True:
        try:
            deadline, woke = step.wait()
            epoch, paused = feed.ended, feed.paused_ns
            asked = clock()
            batch = feed.next()
            got = clock()
            off, begins = feed.paused_ns, feed.ended != epoch
            if begins:
                step.shift(off - paused)
            start, end = step.submit(batch)
        except BaseException:
            # The steps before an error are measured as well.
            if readings:
                with suppress(Exception):
                    window.look()
            raise
        # Times exclude the pauses.
        times = deadline - paused, woke - paused, asked - paused, got - off, start - off, end - off
        readings.append(StepReading(*times, begins))
        if got >= window.check_at or len(readings) == window.most():
            window.see(batch)
            if window.look():
                return
            readings = []
            window.chunk = Chunk(readings=readings)
