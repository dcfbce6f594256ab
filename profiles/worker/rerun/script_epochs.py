"""A training script whose epochs take turns: its own dataset in some of them, the changed one in the others.

At each new iterator over the main dataset the harness says which of the two the script iterates. A turn is one epoch:
it lasts until the next iterator is made that gives batches, or until the script ends. Nothing is kept between two
steps; the thread waits where it is about to make an iterator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.worker.rerun.script_turns import TOO_SHORT, ScriptTurns
from pipeprof.profiles.worker.script.hand_out import as_refusal
from pipeprof.profiles.worker.script.script_feed import read_model

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.turns import BatchDigest
    from pipeprof.profiles.worker.script.consumers import Consumer, Pass, Place, Role

LEAST_BEGINNINGS = 3
"""Of steps: an iterator that was left after fewer was only looked at, and is no epoch."""
MOST_DROPPED = 4
"""Of an epoch that is shorter than its warm-up, one in so many steps is dropped."""


class ScriptEpochs(ScriptTurns):
    """A job in turns of kind ``script`` whose turns are epochs."""

    def __init__(self, job: Job, channel: WorkerEnd) -> None:
        super().__init__(job, channel)
        self._observer.attention = False
        self._epoch: Pass | None = None
        self._is_epoch = False

    # The dataset

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        self._is_epoch = self._is_main(place, role)
        if not self._is_given(dataset, place, role, self._hand_out):
            return dataset
        if self._turn is None:
            with self._not_the_scripts():
                self._handed(dataset)
            assert self._built is not None  # noqa: S101 - for the type checker; set there
            try:
                own = self._own_batches(dataset)
            except Exception as error:
                # An exception would be the script's own to catch.
                self._refuse(str(as_refusal(error)))
            self._channel.send(replace(self._built, own=own))
            self._next_epoch()
        elif self._is_epoch and len(self._beginnings()) >= LEAST_BEGINNINGS:
            self._end_epoch()
            self._next_epoch()
        if self._turn is None or self._turn.own:
            return dataset
        with self._not_the_scripts():
            return self._handed(dataset)

    def _own_batches(self, dataset: Any) -> list[list[BatchDigest]]:
        """Describe the first batches of the script's dataset, twice: what differs between the two is no change."""
        found: list[list[BatchDigest]] = []
        if self._turns.stored or self._turns.replay is not None:
            return found
        for _ in range(2):
            with self._not_the_scripts():
                self.dataset = dataset
                self._edit_graph([[]])
                found.append(self._first_batches()[0])
        self.phase, self.dataset, self.feed = "warmup", None, None
        return found

    # Turns

    def _next_epoch(self) -> None:
        """Keep the script's thread until the next turn begins."""
        self._turn = self._channel.next_turn()
        if self._turn is None:
            self._end()
        self._epoch, self._cpu = None, time.process_time()

    def _iterator_made(self, consumer: Consumer) -> None:
        if self._is_epoch:
            self._main, self._epoch = consumer, consumer.passes[-1]
        self._is_epoch = False

    def _beginnings(self) -> list[int]:
        """When the steps of the epoch began; that of a step that found no batch is the end of the last one."""
        one = self._epoch
        return [] if one is None else [*one.times[::2]] or [*one.steps[::2]]

    def _end_epoch(self) -> None:
        turn, one, main = self._turn, self._epoch, self._main
        if turn is None or one is None or main is None:
            return
        steps, ns = block_of(self._beginnings(), one.began, round(turn.settle_seconds * 1e9))
        # What was read is forgotten.
        main.fold(time.perf_counter_ns(), read_model)
        self._channel.send(
            TurnEnded(steps * main.executions, ns / 1e9, None, time.process_time() - self._cpu, None, restarts=0)
        )

    def _ended_early(self) -> str:
        """Report the last epoch, and why none follows."""
        if self._turn is not None and len(self._beginnings()) >= LEAST_BEGINNINGS:
            self._end_epoch()
            self._next_epoch()
        return TOO_SHORT if self._built is not None else super()._ended_early()


def block_of(beginnings: Sequence[int], made: int, settle: int) -> tuple[int, int]:
    """Return the steps of an epoch that count, and what they took in nanoseconds.

    Args:
        beginnings: When each step began; the last one is the end of the one before it.
        made: When the iterator was requested.
        settle: Nanoseconds after the first batch that do not count; 0 for an epoch that counts from `made` on.

    Example:
        >>> block_of([10, 60, 70, 80, 90, 100], 0, 0), block_of([10, 60, 70, 80, 90, 100], 0, 15)
        ((5, 100), (3, 30))
    """
    if not settle:
        return len(beginnings) - 1, beginnings[-1] - made
    settled = (at for at, time in enumerate(beginnings) if at and time - beginnings[1] >= settle)
    first = min(next(settled, len(beginnings)), 1 + (len(beginnings) - 1) // MOST_DROPPED)
    return len(beginnings) - 1 - first, beginnings[-1] - beginnings[first]
