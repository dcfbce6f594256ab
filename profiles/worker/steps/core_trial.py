"""Whether the cores set the pipeline's pace: on half of them as it runs, and started there anew, tuned for them.

Threads that are moved to fewer cores go on handing elements to each other as before. A pipeline that starts there has
fewer calls at the same time, a pool with fewer threads, and fewer hand-overs: a text pipeline took 1.6 of 2 cores and
gave 1.42 times as many batches as after a move to one, but 1.06 times as many as a process that had one core from its
start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.document.shared import CoreScaling
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.limits import allowed_cores, cores
from pipeprof.profiles.protocol.messages import FewerCores, StartsAgain, WorkerMessage
from pipeprof.profiles.worker.steps.fewer_cores import (
    Loop,
    expected_seconds,
    half_of,
    measure_block,
    on_fewer_cores,
    only_on,
)
from pipeprof.profiles.worker.steps.loop import EmptyDatasetError, Feed
from pipeprof.profiles.worker.steps.statistics import StepStatistics

WORTH_A_CORE = 1.1
"""Rate with all cores over that with half of them, below which nothing is left to find out."""
UNDECIDED = (1.05, 1.4)
"""Rate with all cores over that with half of them at which the pipeline is started once more: blocks of a second differ
by a tenth or more, and on TensorFlow 2.21 some iterators of a pipeline took 3.5 times as long as others."""
CLEAR = 1.8
"""The same where the started pipeline is slower than the one that was only moved: from it on, both say the same."""
STARTS = 3
LONGEST_START_SECONDS = 2.0
"""First element of the pipeline from which it is not started once more."""
LATEST_END_SECONDS = 10.5
"""After the measurement, for the end of a start: later ones would make the run end more than 12 s after it."""
PATIENCE_SECONDS = 10.0
"""How long the harness waits for a pipeline that cannot run twice at a time."""


class CoreTrial:
    """The pipeline on half of the cores: the running one after its measurement, another one last of all."""

    def __init__(self, send: Callable[[WorkerMessage], None]) -> None:
        self._send = send
        self._moved: CoreScaling | None = None
        self._moved_at = 0.0
        self._feeds: list[Feed] = []

    def move(self, steps: Loop, seen: StepStatistics, cpu_ns: int | None) -> None:
        """Measure the running pipeline; the arguments are those of `on_fewer_cores`."""
        self._moved_at = time.perf_counter()
        self._moved = on_fewer_cores(steps, seen, cpu_ns)
        if self._moved is not None:
            self._send(FewerCores(self._moved))

    def start(self, dataset: Any, steps: Loop, first_seconds: float, room: int | None) -> None:
        """Start the pipeline once more on those cores and measure steps there, unless they bring nothing anyway.

        Args:
            first_seconds: How long its first element took.
            room: Bytes of memory that are left; `None` for any number.
        """
        moved = self._moved
        if moved is None or moved.fewer_ms < WORTH_A_CORE * moved.all_ms or steps.stop():
            return
        expected = first_seconds + expected_seconds(moved.fewer_ms)
        if first_seconds > LONGEST_START_SECONDS or _is_over(room) or self._is_late(expected):
            return
        self._send(StartsAgain(PATIENCE_SECONDS))
        tuned = self._tuned(moved, dataset, steps, room, expected)
        if tuned is not None:
            self._send(FewerCores(tuned))

    def _is_late(self, expected: float) -> bool:
        """Whether a start that takes so many seconds would end too late."""
        return time.perf_counter() + expected > self._moved_at + LATEST_END_SECONDS

    def _tuned(
        self, moved: CoreScaling, dataset: Any, steps: Loop, room: int | None, expected: float
    ) -> CoreScaling | None:
        import tensorflow as tf

        allowed = allowed_cores()
        fewer = half_of(allowed, cores(Cgroup()))
        if len(fewer) != moved.cores:
            return None
        options = tf.data.Options()
        options.autotune.cpu_budget = len(fewer)
        if not dataset.options().threading.private_threadpool_size:
            options.threading.private_threadpool_size = len(fewer)
        found = moved
        try:
            for _ in range(STARTS):
                began = time.perf_counter()
                if self._is_late(expected) or _is_over(room) or steps.stop():
                    break
                with only_on(fewer, allowed):
                    # Deleting iterators may take seconds: the process ends with them.
                    self._feeds.append(Feed(dataset.with_options(options)))
                    self._feeds[-1].next()
                    seen = measure_block(replace(steps, feed=self._feeds[-1]), len(fewer))
                if seen is None:
                    break
                if found.tuned_ms is None or seen[0] < found.tuned_ms:
                    found = found.with_tuned(*seen)
                if not _is_undecided(found):
                    break
                expected = time.perf_counter() - began
        except (tf.errors.OpError, EmptyDatasetError, ValueError, TypeError):
            # Such as a generator that can be read once: what was measured before it counts.
            pass
        return found if found is not moved else None


def _is_over(room: int | None) -> bool:
    return room is not None and (procfs.rss_bytes("self") or 0) > room


def _is_undecided(found: CoreScaling) -> bool:
    """Whether another start may show something else: a tuned pipeline is no slower than one that was only moved."""
    slower = found.tuned_ms is not None and found.tuned_ms > found.fewer_ms
    return UNDECIDED[0] <= found.gain <= (CLEAR if slower else UNDECIDED[1])
