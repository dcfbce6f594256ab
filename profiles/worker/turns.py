"""A worker that takes turns: builds its pipeline, hashes its first batches, then measures blocks when asked."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.chain import first_line as first_line_of
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.observe.effects import SaveGuard, draws_in_any_order, file_writer
from pipeprof.pipelines.late import np
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest, TurnsJob
from pipeprof.profiles.worker.ended import first_line
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.steps.loop import Feed, take_steps
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import Looked, PhaseWindow, WarmUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.changes.chain import Replay
    from pipeprof.pipelines.changes.recorded_calls import CallWatch
    from pipeprof.pipelines.graph.read.records import GraphDict
    from pipeprof.pipelines.meaning.traits import Traits
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options


SPIN_SECONDS = 0.0005
"""Before a batch is due: a sleep ends later than asked by some 0.1 ms."""


class Paced:
    """A dataset whose batches come no earlier than a schedule says.

    A wait after each batch would not do: meanwhile, a pipeline that prefetches works on. The schedule is that of all
    batches since its beginning: one that is late does not delay those after it.
    """

    def __init__(self, dataset: Iterable[Any]) -> None:
        self._dataset = dataset
        self._seconds = 0.0
        self._due = 0.0

    def begin(self, seconds: float) -> None:
        """Begin a schedule with so many seconds from batch to batch; 0 for as they come."""
        self._seconds = seconds
        self._due = time.perf_counter()

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of one epoch, each when it is due."""
        for batch in self._dataset:
            if self._seconds:
                self._due += self._seconds
                _wait_until(self._due)
            yield batch


def _wait_until(due: float) -> None:
    """Sleep, so that the pipeline has its cores, and wait on the processor at the end: a sleep alone ends late."""
    while (left := due - time.perf_counter()) > 0:
        if left > SPIN_SECONDS:
            time.sleep(left - SPIN_SECONDS)


def elements_of_each_epoch(dataset: Iterable[Any]) -> tuple[int, bool]:
    """Return how many elements each of two epochs of a dataset that ends has, and whether in the same order.

    Raises:
        CannotChangeError: They do not have the same elements, or it is not known.
    """
    import tensorflow as tf

    try:
        first, second = ([*map(hash_of, dataset)] for _ in range(2))
    except tf.errors.OpError as error:
        msg = f"what a cache would keep cannot be read twice: {first_line_of(error)}"
        raise CannotChangeError(None, msg) from error
    if None in first:
        raise CannotChangeError(None, "what a cache would keep is not data that can be compared")
    if Counter(first) != Counter(second):
        raise CannotChangeError(None, "what a cache would keep differs from epoch to epoch")
    return len(first), first == second


_TASKS = Path("/proc/self/task")


@contextmanager
def without_sleeping() -> Iterator[None]:
    """Let no other thread of this process run while the body does, unless the body waits; does nothing but on Linux.

    TensorFlow cancels the AUTOTUNE thread of an iterator by waking it, and notes only after that that it is cancelled
    (seen on 2.21). A thread that is quick sees nothing, sleeps on, and the deletion waits for it: in 9 of 12 deletions
    for about as long as the epoch took, also where nothing else uses the cores. On the core of the thread that deletes,
    as a batch job, it runs only once that waits, and sees that it is cancelled: none of 30 deletions took 2 ms.

    Where the kernel does not permit it, the body runs as it would anyway.
    """
    if not hasattr(os, "sched_setscheduler") or not _TASKS.is_dir():
        yield
        return
    own = os.sched_getaffinity(0)
    try:
        _move_threads({min(own)}, os.SCHED_BATCH)
        yield
    finally:
        # What was started meanwhile has inherited the core.
        _move_threads(own, os.SCHED_OTHER)


def _move_threads(cores: set[int], policy: int) -> None:
    """Give all threads of this process the cores of this one, and the others a policy unless theirs has priorities."""
    me = threading.get_native_id()
    numbers = (int(entry.name) for entry in _TASKS.iterdir())
    for number in sorted(numbers, key=lambda number: number != me):
        with suppress(OSError):
            os.sched_setaffinity(number, cores)
            if number != me and os.sched_getscheduler(number) in {os.SCHED_OTHER, os.SCHED_BATCH}:
                os.sched_setscheduler(number, policy, os.sched_param(0))


CHECK_NS = 10_000_000
"""Interval between checks of the time; a block may overrun by this much."""


_Change = TypeVar("_Change")
SEED = 20_011
"""Seed of all random generators where the user gives none: processes that are compared must draw the same numbers."""

_MOST_OWN = 0.95
"""Of a turn without a device that may be taken as the replay's own time: some is left to divide by."""
_WRITES = "the pipeline writes files ({}), which several processes cannot do at once"


class TurnRun(JobRun):
    """A job in turns."""

    # What was seen being made can be built again with a change.
    watched_from = -1

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        super().__init__(job, channel)
        self._turns: TurnsJob = job.turns or TurnsJob()
        self._ops = dict(self._turns.ops) if self._turns.ops is not None else None
        self._runtime: int | None = None
        self._began = 0.0
        self._making_peak = 0
        self._paced: Paced | None = None
        self._timed_steps = 0
        self._compared, self._reordered = 0, False
        self._own_seconds = 0.0

    def run(self) -> None:
        """Build, describe the first batches, and take turns until the harness wants an end."""
        self._import()
        self._runtime = procfs.rss_bytes("self")
        self._pin_seeds()
        self._data()
        self._keep_peak()
        self._began = time.perf_counter()
        if self._build_unsaved():
            self._run_dataset()

    def _run_dataset(self) -> None:
        """Make the changes of the job in the dataset, describe its first batches, and take turns."""
        # Reading the graph, for edits and below, takes memory that is not the pipeline's.
        self._keep_peak()
        if not self._edit():
            return
        if (reason := self._writes_files()) is not None:
            self._channel.send(refused=reason)
            return
        # It runs the pipeline to fill the replay.
        if self._turns.replay is not None and not self._possible(self._replay, self._turns.replay):
            return
        built = time.perf_counter() - self._began
        if self._turns.compare_epochs and not self._possible(self._compare_epochs, lambda row: row.stores):
            return
        graph = self.pipeline.written_graph()
        racing = graph is not None and draws_in_any_order(graph)
        first = (*self._first_batches(), self._runtime, built, self.pipeline.fill_seconds)
        self._channel.send(built=Built(*first, self._compared, racing, self._reordered))
        step = self._step.start()
        while (turn := self._channel.next_turn()) is not None:
            if turn.kind == "stages":
                self._send_stages()
                continue
            self._channel.send(turn=self._take(turn, step))
            step = self._step.start()

    def _keep_peak(self) -> None:
        """Keep the peak of the phase that has ended: the next one starts the kernel's high-water mark anew."""
        self._making_peak = max(self._making_peak, procfs.peak_rss_bytes("self") or 0)

    def _sketch(self, seen: CallWatch) -> None:
        """The stages are known from the run."""

    def _pin_seeds(self) -> None:
        import tensorflow as tf

        seed = self.job.seed if self.job.seed is not None else SEED
        random.seed(seed)
        np.random.seed(seed % 2**32)
        tf.random.set_seed(seed)

    def _edit(self) -> bool:
        """Make the changes of the job in the dataset; return whether that was possible."""
        edits = [*self.job.edits, *([[*self._turns.edits]] if self._turns.edits else [])]
        return not edits or self._possible(partial(self.pipeline.edit, ops=self._ops), edits)

    def _possible(self, change: Callable[[_Change], None], what: _Change) -> bool:
        """Make a change of the graph; return whether that was possible."""
        try:
            change(what)
        except CannotChangeError as error:
            self._channel.send(refused=str(error))
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
            self._channel.send(refused=_WRITES.format("save, while it is built"))
        return not guard.asked

    def _replay(self, replay: Replay) -> None:
        """Replace stages by a replay of their outputs, which is filled here."""
        from pipeprof.pipelines.changes.replay import replay_stages

        with self.pipeline.recording() as calls:
            made = replay_stages(self.pipeline.dataset, replay, calls, self.pipeline.builder(), ops=self._ops)
        self.pipeline.dataset, self._own_seconds = made.dataset, made.own_seconds

    def _compare_epochs(self, kept: Callable[[Traits], bool]) -> None:
        """Compare two epochs of what the pipeline's caches keep."""
        for part in self.pipeline.datasets_before(kept):
            elements, in_order = elements_of_each_epoch(part)
            self._compared += elements
            self._reordered = self._reordered or not in_order
        # The other processes have drawn no numbers yet.
        self._pin_seeds()

    def _writes_files(self) -> str | None:
        """Return why several processes cannot run the pipeline at once, in words: it writes files, or may do so."""
        graph = self.pipeline.written_graph()
        if graph is None or graph["root"] is None:
            why = (graph["reason"] if graph is not None else None) or "its graph was not read"
            return f"it is not known whether the pipeline writes files ({why})"
        writer = file_writer(graph)
        return _WRITES.format(writer) if writer is not None else None

    def _first_batches(self) -> tuple[list[BatchDigest], bool]:
        """Start the pipeline; describe the first batches of the first epoch, and whether there are no more of them."""
        with self._phases.enter("first_element"):
            began = time.perf_counter()
            # Memory that is resident: every page is written.
            self._held = np.ones(self._turns.hold_bytes, dtype=np.uint8)
            if self._turns.paced:
                self._paced = Paced(self.pipeline.dataset)
            self.feed = Feed(self._paced or self.pipeline.dataset, deleting=without_sleeping)
            batch = self.feed.next()
            self.pipeline.fill_seconds = time.perf_counter() - began
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
        cpu, read, freed = self._cpu_seconds(), procfs.io_read_bytes("self"), self._freeing_seconds()
        ended = self._warm(turn, step, cpu) if turn.kind == "warm" else self._block(turn, step, cpu)
        now = procfs.io_read_bytes("self")
        read_here = now - read if now is not None and read is not None else None
        return replace(ended, read_bytes=read_here, freeing_seconds=self._freeing_seconds() - freed)

    def _cpu_seconds(self) -> float:
        """CPU time of this process and of the workers of its service so far."""
        return time.process_time() + sum(procfs.process_cpu_clock(pid) or 0.0 for pid in self._services.workers)

    def _freeing_seconds(self) -> float:
        return sum(self.feed.deletions)

    def _block(self, turn: TurnRequest, step: Any, cpu: float) -> TurnEnded:
        feed, before = self.feed, self._timed_steps
        # A paced feed has no iterator of TensorFlow's own.
        timed = self._turns.times_stages and self._paced is None
        if self._paced is not None:
            self._paced.begin(turn.batch_seconds)
        statistics = StepStatistics(device=step is not None)
        if turn.settle_seconds:
            take_steps(feed, step, self._block_window(statistics, turn.settle_seconds, 1))
            statistics = StepStatistics(device=statistics.device, previous=statistics.previous)
        if timed:
            self._readings.models.resume(feed, before)
            feed.on_restart = lambda: self._readings.models.restart(feed, before + statistics.count)

        def looked() -> None:
            if timed:
                self._readings.models.observe(feed, before + statistics.count)

        take_steps(feed, step, self._block_window(statistics, turn.seconds, turn.steps, looked))
        feed.on_restart = lambda: None
        self._timed_steps += statistics.count
        wait = statistics.gaps.total_ns / 1e9 if step is not None else None
        return self._ended(statistics.count, statistics.seconds, wait, cpu)

    def _block_window(
        self, statistics: StepStatistics, seconds: float, steps: int, looked: Callable[[], None] = lambda: None
    ) -> PhaseWindow:
        """A window that takes so many seconds, and so many steps, at least."""

        def finished(_looked: Looked) -> str | None:
            looked()
            return "over" if statistics.seconds >= seconds and statistics.count >= steps else None

        return PhaseWindow(None, statistics, self.feed, self._channel, finished, check_ns=CHECK_NS)

    def _send_stages(self) -> None:
        """Send the graphs with what the model said in all blocks; without a graph, the reason."""
        try:
            self._graphs()
        except Exception as error:
            unread: GraphDict = {"root": None, "reason": first_line(error), "nodes": []}
            self._channel.send(graphs=Graphs(unread, unread, self._readings.models.segments()))

    def _warm(self, turn: TurnRequest, step: Any, cpu: float) -> TurnEnded:
        """Run until the step time has settled, and what has to fill is full."""
        rule = WarmUp()

        def finished(looked: Looked) -> str | None:
            statistics = window.statistics
            if statistics.count < self._turns.warm_steps:
                return None
            # A paced feed has no iterator of TensorFlow's own.
            reason = rule.offer(looked, self._readings.models.parameters(self.feed) if self._paced is None else None)
            return reason or ("long enough" if statistics.seconds >= turn.seconds else None)

        window = self._open("warmup", finished)
        take_steps(self.feed, step, window)
        return self._ended(window.statistics.count, window.statistics.seconds, None, cpu)

    def _ended(self, steps: int, seconds: float, wait: float | None, cpu: float) -> TurnEnded:
        used = self._cpu_seconds() - cpu
        peak = procfs.peak_rss_bytes("self")
        whole_peak = max(peak, self._making_peak) if peak is not None else None
        # Of a device's time only its wait can be the replay's.
        own = min(steps * self._own_seconds, _MOST_OWN * seconds if wait is None else wait)
        left = wait - own if wait is not None else None
        return TurnEnded(steps, seconds - own, left, used, whole_peak, self.feed.ended, own_seconds=own)


MOST_ROWS = 4096
"""Elements of a batch that are hashed one by one."""
_HASH_BYTES = 12
_LEAST_BLOCK, _MOST_BLOCKS = 64, 256
"""Numbers of a block at least, and blocks of a tensor at most: what differs in few of many numbers must show."""
_HALF_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def digest_of(batch: Any) -> BatchDigest:
    """Describe a batch."""
    import tensorflow as tf

    components = _components(batch)
    arrays = [_array(part) for part in components]
    structure = tf.nest.map_structure(lambda part: part, batch, expand_composites=False)
    spec = f"{_shape_of(structure)} {[(part.dtype.name, part.shape.rank) for part in components]}"
    return BatchDigest(_hash(arrays), _rows(arrays), spec, *inexact(arrays))


def hash_of(element: Any) -> str | None:
    """The hash of all tensors of an element, as in `BatchDigest.data`; None where one of them is no data."""
    arrays = [_array(part) for part in _components(element)]
    return _hash(arrays) if all(array is not None for array in arrays) else None


def inexact(arrays: list[Any]) -> tuple[str, list[tuple[float, float]]]:
    """Return what tells whether arrays are equal but for rounding: `BatchDigest.exact` and `BatchDigest.sums`.

    A number may be off by so many units in the last place that a function of several steps and a vectorised one differ.
    The numbers of a block have weights of a fixed random series, so that in another order they have another sum.
    """
    exact, sums = hashlib.blake2b(digest_size=_HASH_BYTES), []
    for array in arrays:
        units = _units(array)
        if units is None:
            exact.update(_bytes(array))
            continue
        numbers = np.asarray(array).astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
        numbers = numbers.view(np.float64)
        finite = np.isfinite(numbers)
        exact.update(
            f"{array.dtype}{array.shape}".encode() + np.packbits(finite).tobytes() + numbers[~finite].tobytes()
        )
        size = max(_LEAST_BLOCK, -(-numbers.size // _MOST_BLOCKS))
        blocks = np.zeros((-(-numbers.size // size), size))
        blocks.reshape(-1)[: numbers.size] = np.where(finite, numbers, 0.0)
        weights = np.random.default_rng(0).uniform(0.5, 1.0, size) * np.where(np.arange(size) % 2, -1.0, 1.0)
        slack = units * np.abs(blocks).sum(axis=1)
        # The sum of huge numbers may be none.
        bounded = (np.nan_to_num(blocks @ weights), np.nan_to_num(slack))
        sums += [(float(weighted), float(most)) for weighted, most in zip(*bounded, strict=True)]
    return exact.hexdigest(), sums


def _units(array: Any) -> float | None:
    """By which part of itself rounding may change a number of an array; None where it has no such numbers."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype.kind not in "fcV" or (dtype.kind == "V" and dtype.name != "bfloat16"):
        return None
    wide = dtype in (np.float32, np.float64, np.complex64, np.complex128)
    return 16 * float(np.finfo(dtype).eps) if wide else 2 * _HALF_EPS.get(dtype.name, 0.0)


def _components(element: Any) -> list[Any]:
    import tensorflow as tf

    return [part for part in tf.nest.flatten(element, expand_composites=True) if isinstance(part, tf.Tensor)]


def _hash(arrays: list[Any]) -> str:
    whole = hashlib.blake2b(digest_size=_HASH_BYTES)
    for array in arrays:
        whole.update(_bytes(array))
    return whole.hexdigest()


def _array(part: Any) -> Any:
    import tensorflow as tf

    if part.dtype in (tf.variant, tf.resource):
        return None
    return part.numpy()


def _bytes(array: Any) -> bytes:
    """The bytes of a tensor with its shape and type, strings with their lengths."""
    if array is None:
        return b"?"
    if isinstance(array, bytes):
        return b"scalar" + array
    if array.dtype == object:
        return repr(array.shape).encode() + b"".join(b"%d:%b" % (len(text), text) for text in array.reshape(-1))
    return f"{array.dtype}{array.shape}".encode() + bytes(array.tobytes())


def _rows(arrays: list[Any]) -> list[str]:
    """Hashes along the first dimension, where all tensors have the same one."""
    lengths = {int(array.shape[0]) if getattr(array, "ndim", 0) else -1 for array in arrays}
    length = lengths.pop() if len(lengths) == 1 else -1
    found = []
    for index in range(length if length <= MOST_ROWS else 0):
        row = hashlib.blake2b(digest_size=_HASH_BYTES)
        for array in arrays:
            row.update(_bytes(array[index]))
        found.append(row.hexdigest())
    return found


def _shape_of(structure: Any) -> str:
    """The structure of a batch: names of dicts, lengths of tuples, and where its tensors are."""
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key}: {_shape_of(structure[key])}" for key in sorted(structure, key=str)) + "}"
    if isinstance(structure, list | tuple):
        return "(" + ", ".join(map(_shape_of, structure)) + ")"
    return "*"
