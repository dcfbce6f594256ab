"""A training script that takes turns: it trains unchanged, with another dataset in place of its main one.

The dataset is handed out where the script iterates its own. Between turns its thread is kept where it is about to ask
for a batch, as at the end of a run. Where a tf.function takes the batches, no hook comes by: a thread follows the
iterator's model, as in a run, and the signal that stops the process is what keeps the script. A turn counts the steps
that the script makes in it; what is between two epochs is no step.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.turns import Built, TurnEnded
from pipeprof.profiles.worker.rerun.main_dataset import MainDatasetJob
from pipeprof.profiles.worker.script.hand_out import HandOut, as_refusal, detached, stored
from pipeprof.profiles.worker.script.script_feed import ScriptFeed, read_model
from pipeprof.profiles.worker.script.training_facts import asynchronous
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.warmup import WarmUp
from pipeprof.profiles.worker.turns.turn_run import CHECK_NS, BlockWindow, TurnRun

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.turns import TurnRequest
    from pipeprof.profiles.worker.script.consumers import Consumer, Folded, Pass
    from pipeprof.profiles.worker.script.readings import Readings
    from pipeprof.profiles.worker.steps.window import Looked, PhaseWindow

LOOK_SECONDS = 0.02
"""Between two looks at the model of an iterator from which a tf.function takes the batches."""
TOO_SHORT = "the script finished before enough steps were measured: let it train longer"


class ScriptTurns(MainDatasetJob, TurnRun):
    """A job in turns of kind ``script``."""

    def __init__(self, job: Job, channel: WorkerEnd) -> None:
        super().__init__(job, channel)
        self._observer.attention = True
        self._hand_out = self._handed_out = HandOut(self._changed)
        self._main: Consumer | None = None
        self._built: Built | None = None
        self._turn: TurnRequest | None = None
        self._counting: BlockWindow | PhaseWindow | None = None
        self._cpu = 0.0
        self._read: int | None = None
        self._freed_ns = 0
        # Whether the next step began before the turn did.
        self._resumed = False
        self._rule, self._settled = WarmUp(), False
        # Set once Python has requested a batch of the main dataset.
        self._in_python = threading.Event()
        self._folding = threading.Lock()
        self._follower: threading.Thread | None = None

    def _ended_early(self) -> str:
        return TOO_SHORT if self._built is not None else super()._ended_early()

    # The dataset

    def _handed(self, dataset: Any) -> Any:
        try:
            return self._handed_out.of(dataset)
        except Exception as error:
            # An exception would be the script's own to catch.
            self._refuse(str(as_refusal(error)))

    def _changed(self, dataset: Any) -> Any:
        """Make what the script gets; of the first one, the first batches are described."""
        self._end_watch()
        first = self._built is None
        began = time.perf_counter()
        self.dataset = dataset
        if first:
            # One that is built again holds what the first one did.
            self._know_sources()
        self._keep_peak()
        if self._turns.stored:
            self.dataset = stored(dataset, self._turns.stored, modelled=self._turns.modelled)
        elif not self._edit():
            self._end()
        if first:
            if (reason := self._writes_files()) is not None:
                self._refuse(reason)
            if self._turns.replay is not None and not self._possible(self._replay, self._turns.replay):
                self._end()
            if self._turns.compare_epochs and not self._possible(self._compare_epochs, self.dataset):
                self._end()
            seconds = time.perf_counter() - began
            batches, ended = self._first_batches()
            self._built = Built(batches, ended, self._runtime, seconds, self._filled_seconds, self._compared)
            self.feed = ScriptFeed()
            self.phase = "warmup"
        elif self._turns.replay is not None:
            self._replay(self._turns.replay)
        made, self.dataset = self.dataset, detached(self.dataset)
        return made

    # Turns

    def _iterator_made(self, consumer: Consumer) -> None:
        if self._is_main(consumer.place, consumer.role) and consumer is not self._main:
            # One that was built again while the last one exists has a clock of its own.
            self._main, self._resumed = consumer, True
            consumer.clock.counts_ends = False
            if self._follower is None and not self._turns.epochs:
                self._follower = threading.Thread(target=self._follow_graph, name="pipeprof-follower", daemon=True)
                self._follower.start()

    def _attend(self, one: Pass) -> None:
        """Count steps, and wait for the next turn where this one is over."""
        main = self._main
        if main is None or one not in main.passes:
            return
        if not self._in_python.is_set():
            with self._folding:
                self._in_python.set()
        if self._counting is None:
            self._begin_turns()
        elif time.perf_counter_ns() >= self._counting.check_at:
            self._follow(main, self._counting, main.fold(time.perf_counter_ns(), read_model))

    def _follow_graph(self) -> None:
        """Count the steps of a tf.function that takes the batches, until Python requests one."""
        while not self._in_python.wait(LOOK_SECONDS):
            # A strategy takes batches before Python requests one: it waits here while a turn is awaited.
            with self._folding:
                if self._main is not None and not self._in_python.is_set():
                    self._follow_model(self._main)

    def _follow_model(self, main: Consumer) -> None:
        try:
            folded = main.fold(time.perf_counter_ns(), read_model)
        except Exception as error:
            self._refuse(f"its steps could not be followed: {type(error).__name__}: {error}")
        if not folded.readings:
            return
        if self._counting is None:
            self._begin_turns()
        else:
            self._follow(main, self._counting, folded)
        if self._resumed:
            # The process was stopped: what it did until now belongs to no turn.
            self._resumed = False
            main.fold(time.perf_counter_ns(), read_model)

    def _begin_turns(self) -> None:
        if self._built is not None:
            self._channel.send(self._built)
        self._next_turn()

    def _follow(self, main: Consumer, window: BlockWindow | PhaseWindow, folded: Folded) -> None:
        readings, restarts = folded.readings, folded.restarts
        if self._resumed and readings:
            self._resumed = False
            readings, restarts = without_first(readings, restarts)
        if self.feed is not None:
            self.feed.ended = max(0, main.clock.begun - 1)
        if not readings:
            window.check_at = time.perf_counter_ns() + CHECK_NS
        elif window.followed(readings, restarts):
            self._channel.send(self._result(main, window))
            self._next_turn()

    def _next_turn(self) -> None:
        """Keep the script's thread until the next turn begins."""
        turn = self._channel.next_turn()
        while turn is not None and turn.kind == "stages":
            self._send_stages()
            turn = self._channel.next_turn()
        if turn is None:
            self._end()
        self._turn, self._resumed = turn, True
        self._rule, self._settled = WarmUp(), False
        self._cpu, self._read = time.process_time(), procfs.io_read_bytes("self")
        if turn.kind == "warm":
            self._counting = self._open("warmup", StepStatistics(self._floor), self._warmed)
        else:
            self._counting = BlockWindow(turn, self._channel.stop.is_set)
        # A step may be longer than what is between two looks.
        self._counting.check_at = 0

    def _warmed(self, looked: Looked) -> str | None:
        """Return why the warm-up is over; None while it is not."""
        window, turn = self._counting, self._turn
        if turn is None or window is None or isinstance(window, BlockWindow):
            return None
        statistics = window.statistics
        if statistics.count < self._turns.warm_steps:
            return None
        if looked.median_ms is not None:
            reason = self._rule.offer(looked.seconds, looked.steps, looked.median_ms, None, looked.epoch_start)
            self._settled = reason is not None and reason.startswith("settled")
            if reason is not None:
                return reason
        return "long enough" if statistics.seconds >= turn.seconds else None

    def _result(self, main: Consumer, window: BlockWindow | PhaseWindow) -> TurnEnded:
        if isinstance(window, BlockWindow):
            known = main.kind == "loop" and asynchronous(main) is None
            wait = window.wait_ns / 1e9 if known else None
            ended = self._ended(window.steps, window.ns / 1e9, wait, self._cpu)
        else:
            statistics = window.statistics
            ended = self._ended(statistics.count, statistics.seconds, None, self._cpu, settled=self._settled)
        now = procfs.io_read_bytes("self")
        read = now - self._read if now is not None and self._read is not None else None
        freeing, self._freed_ns = main.clock.ends_ns - self._freed_ns, main.clock.ends_ns
        return replace(ended, read_bytes=read, freeing_seconds=max(0, freeing) / 1e9)


def without_first(readings: Readings, restarts: list[int]) -> tuple[Readings, list[int]]:
    """Leave out the step that was under way when a turn began."""
    return readings[1:], [index - 1 for index in restarts if index]
