"""A worker that takes turns: builds its pipeline, describes its first batches, then measures blocks when asked."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.file_writers import file_writer
from pipeprof.pipelines.graph.observe.light_graph import SHARED_FROM
from pipeprof.pipelines.graph.observe.saves import SaveGuard
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.turn_messages import Built, EditRefused, TurnEnded
from pipeprof.profiles.protocol.turns import BatchDigest, ReplayJob, TurnRequest, TurnsJob
from pipeprof.profiles.worker.error_text import first_line
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.steps.loop import Feed, drain, follow
from pipeprof.profiles.worker.steps.statistics import Floor, StepStatistics
from pipeprof.profiles.worker.steps.warmup import WarmUp
from pipeprof.profiles.worker.steps.window import Looked
from pipeprof.profiles.worker.turns.block import BlockWindow
from pipeprof.profiles.worker.turns.deletion import without_sleeping
from pipeprof.profiles.worker.turns.digest import digest_of
from pipeprof.profiles.worker.turns.epochs import elements_of_each_epoch
from pipeprof.profiles.worker.turns.faults import Paced, hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.graph.read.records import GraphDict
    from pipeprof.pipelines.steps.kind import Dispatch
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.worker.load_function import Called

_Change = TypeVar("_Change")
SEED = 20_011
"""Of all random generators, where the user gives none: two processes must draw the same numbers to be compared."""

_WRITES = "the pipeline writes files ({}), which several processes cannot do at once"


class TurnRun(JobRun):
    """A job in turns."""

    def __init__(self, job: Job, channel: WorkerEnd) -> None:
        super().__init__(job, channel)
        self._turns: TurnsJob = job.turns or TurnsJob()
        self._runtime: int | None = None
        self._making_peak = 0
        self._paced: Paced | None = None
        self._timed_steps = 0
        self._compared = 0
        # What is observed can be made again from its graph without a copy of its arrays.
        self._watched_from = SHARED_FROM

    def run(self) -> None:
        """Build, describe the first batches, and take turns until the harness wants an end."""
        self._import()
        self._runtime = procfs.rss_bytes("self")
        self._pin_seeds()
        self._data()
        self._keep_peak()
        began = time.perf_counter()
        if not self._build_unsaved():
            return
        # Reading the graph, for edits and below, takes memory that is not the pipeline's.
        self._keep_peak()
        if not self._edit():
            return
        if (reason := self._writes_files()) is not None:
            self._channel.send(EditRefused(reason))
            return
        # It runs the pipeline to fill the replay.
        if self._turns.replay is not None and not self._possible(self._replay, self._turns.replay):
            return
        built = time.perf_counter() - began
        if self._turns.compare_epochs and not self._possible(self._compare_epochs, self.dataset):
            return
        self._channel.send(Built(*self._first_batches(), self._runtime, built, self._filled_seconds, self._compared))
        self.phase = "measure"
        step = self._step() if self._device else None
        while (turn := self._channel.next_turn()) is not None:
            if turn.kind == "stages":
                self._send_stages()
                continue
            if turn.dispatch is not None and step is not None:
                step = self._step_in(turn.dispatch)
            self._channel.send(self._take(turn, step))
            step = self._step() if self._device else None

    def _step_in(self, dispatch: Dispatch) -> Any:
        """A step in another mode of dispatch than the job's."""
        usual, self._dispatch = self._dispatch, dispatch
        try:
            return self._step()
        finally:
            self._dispatch = usual

    def _keep_peak(self) -> None:
        """Keep the peak of the phase that has ended: the next one starts the kernel's high-water mark anew."""
        self._making_peak = max(self._making_peak, procfs.peak_rss_bytes("self") or 0)

    def _measure_floor(self) -> Floor:
        """Blocks are compared with blocks: both contain the floor of the loop."""
        return Floor()

    def _sketch(self, called: Called) -> None:
        """The stages are known from the run."""

    def _pin_seeds(self) -> None:
        import numpy as np
        import tensorflow as tf

        seed = self.job.seed if self.job.seed is not None else SEED
        random.seed(seed)
        np.random.seed(seed % 2**32)
        tf.random.set_seed(seed)

    def _edit(self) -> bool:
        """Apply the edits to the graph of the dataset; return whether that was possible."""
        again = [[*self._turns.edits]] if self._turns.edits or self._turns.round_trip else []
        if not again and not self.job.edits:
            return True
        ops = dict(self._turns.ops) if self._turns.ops is not None else None
        return self._possible(partial(self._edit_graph, ops=ops), [*self.job.edits, *again])

    def _possible(self, change: Callable[[_Change], None], what: _Change) -> bool:
        """Make a change of the graph; return whether that was possible."""
        from pipeprof.pipelines.graph.edit.errors import CannotEditError

        try:
            change(what)
        except CannotEditError as error:
            self._channel.send(EditRefused(str(error)))
            return False
        return True

    def _build_unsaved(self) -> bool:
        """Build the dataset unless that saves another one; return whether it was built."""
        with SaveGuard() as guard:
            try:
                self._build()
            except Exception:
                if not guard.asked:
                    raise
        if guard.asked:
            self._channel.send(EditRefused(_WRITES.format("save, while it is built")))
        return not guard.asked

    def _replay(self, job: ReplayJob) -> None:
        """Replace stages by a replay of their outputs, which is filled here."""
        from pipeprof.pipelines.graph.edit.replay.replay import Replay, replay_stages

        replay = Replay(
            tuple(job.stages), job.batches, job.per_batch, job.inputs, job.outputs, job.most_bytes, tuple(job.passing)
        )
        ops = dict(job.ops) if job.ops is not None else None
        held, room = self._source_bytes, self._room()
        self.dataset = replay_stages(self.dataset, replay, ops=ops, in_memory=held, room=room, watch=self._watch)

    def _compare_epochs(self, dataset: Any) -> None:
        """Compare two epochs of what the pipeline's caches keep."""
        from pipeprof.pipelines.graph.edit.replay.part import parts_before_caches

        held, room = self._source_bytes, self._room()
        for part in parts_before_caches(dataset, in_memory=held, room=room, watch=self._watch):
            self._compared += elements_of_each_epoch(part)
        # The other processes have drawn no numbers yet.
        self._pin_seeds()

    def _writes_files(self) -> str | None:
        """Return why several processes cannot run the pipeline at once, in words: it writes files, or may do so."""
        graph = self.written_graph()
        if graph is None or graph["root"] is None:
            why = (graph["reason"] if graph is not None else None) or "its graph was not read"
            return f"it is not known whether the pipeline writes files ({why})"
        writer = file_writer(graph)
        return _WRITES.format(writer) if writer is not None else None

    def _first_batches(self) -> tuple[list[BatchDigest], bool]:
        """Start the pipeline; describe the first batches of the first epoch, and whether there are no more of them."""
        self.phase = "first_element"
        with self._phases.enter("first_element"):
            began = time.perf_counter()
            self._held = hold(self._turns.hold_bytes)
            if self._turns.paced:
                self._paced = Paced(self.dataset)
            self.feed = Feed(self._paced or self.dataset, self._memory.between_epochs, without_sleeping)
            batch = self.feed.next()
            self._filled_seconds = time.perf_counter() - began
            began, found = time.perf_counter(), [digest_of(batch)]
            while len(found) < self._turns.digest_batches:
                batch = self.feed.next()
                if self.feed.ended:
                    return found, True
                found.append(digest_of(batch))
                if time.perf_counter() - began > self._turns.digest_seconds:
                    break
            return found, False

    def _take(self, turn: TurnRequest, step: Any) -> TurnEnded:
        cpu, read, freed = time.process_time(), procfs.io_read_bytes("self"), self._freeing_seconds()
        ended = self._warm(turn, step, cpu) if turn.kind == "warm" else self._block(turn, step, cpu)
        now = procfs.io_read_bytes("self")
        read_here = now - read if now is not None and read is not None else None
        return replace(ended, read_bytes=read_here, freeing_seconds=self._freeing_seconds() - freed)

    def _freeing_seconds(self) -> float:
        return sum(self.feed.deletions) if self.feed is not None else 0.0

    def _block(self, turn: TurnRequest, step: Any, cpu: float) -> TurnEnded:
        feed = self.feed
        assert feed is not None  # noqa: S101 - for the type checker; set in an earlier phase
        before = self._timed_steps
        # A paced feed has no iterator of TensorFlow's own.
        timed = self._turns.times_stages and self._paced is None
        if self._paced is not None:
            self._paced.begin(turn.batch_seconds)
        window = BlockWindow(turn, self._channel.stop.is_set, partial(self._look, feed) if timed else _no_look)
        feed.on_restart = lambda: self._models.restart(feed, before + window.steps) if timed else None
        if step is None:
            drain(feed, window)
        else:
            follow(feed, step, window)
        feed.on_restart = lambda: None
        self._timed_steps += window.steps
        wait = window.wait_ns / 1e9 if step is not None else None
        return self._ended(window.steps, window.ns / 1e9, wait, cpu)

    def _look(self, feed: Feed, steps: int) -> None:
        """Read the model when a block begins to count, and at each look after that."""
        if steps:
            self._models.observe(feed, self._timed_steps + steps)
        else:
            self._models.resume(feed, self._timed_steps)

    def _send_stages(self) -> None:
        """Send the graphs with what the model said in all blocks; without a graph, the reason."""
        try:
            self._graphs()
        except Exception as error:
            unread: GraphDict = {"root": None, "reason": first_line(error), "nodes": []}
            self._channel.send(Graphs(unread, unread, self._models.segments()))

    def _warm(self, turn: TurnRequest, step: Any, cpu: float) -> TurnEnded:
        """Run until the step time has settled, and what has to fill is full."""
        rule = WarmUp()
        statistics = StepStatistics(self._floor)
        settled = False

        def finished(looked: Looked) -> str | None:
            nonlocal settled
            if statistics.count < self._turns.warm_steps:
                return None
            if looked.median_ms is not None:
                # A paced feed has no iterator of TensorFlow's own.
                parameters = self._models.parameters(self.feed) if self._paced is None else None
                reason = rule.offer(looked.seconds, looked.steps, looked.median_ms, parameters, looked.epoch_start)
                settled = reason is not None and reason.startswith("settled")
                if reason is not None:
                    return reason
            return "long enough" if statistics.seconds >= turn.seconds else None

        self._loop(self._open("warmup", statistics, finished), step)
        return self._ended(statistics.count, statistics.seconds, None, cpu, settled=settled)

    def _ended(
        self, steps: int, seconds: float, wait: float | None, cpu: float, *, settled: bool | None = None
    ) -> TurnEnded:
        used = time.process_time() - cpu
        peak = procfs.peak_rss_bytes("self")
        whole_peak = max(peak, self._making_peak) if peak is not None else None
        restarts = self.feed.ended if self.feed is not None else None
        return TurnEnded(steps, seconds, wait, used, whole_peak, settled, restarts)


def _no_look(_steps: int) -> None:
    """Look at nothing."""
