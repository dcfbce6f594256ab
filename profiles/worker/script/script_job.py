"""What a measured script and one whose dataset is taken do alike: watching imports, datasets, iterators and writes.

The main dataset can be taken without its training: the script runs until it is about to iterate it. Everything else
happens there, in its main thread, with the step of its first run replayed; then the process ends.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.graph.observe.build_watch import held_bytes
from pipeprof.pipelines.late import np
from pipeprof.pipelines.target.running import delete_generated_files
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.wrapped import LIBRARIES
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.ended import end_at_once
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.memory_log import ModelLog
from pipeprof.profiles.worker.pipeline import require_tensorflow
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.script.hooks import Hooks
from pipeprof.profiles.worker.script.import_guard import ImportWatch, run_as_main
from pipeprof.profiles.worker.script.observer import Handlers, ScriptObserver
from pipeprof.profiles.worker.script.writes import Existing, Loss, WriteWatch
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.steps.window import TUNABLE_LIMIT_SECONDS, Looked, PhaseWindow, WarmUp, WindowClock
from pipeprof.profiles.worker.turns import TurnRun

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.worker.script.consumers import Consumer, Pass, Place, Role
    from pipeprof.profiles.worker.steps.statistics import Nanoseconds


HANDED: Final = "pipeprof_handed_out"
"""Attribute of a dataset of the script's with the one that is iterated instead, which may know it."""
EACH: Final = "the script leaves each iterator after a batch or two"
ENDED: Final = "the script had ended, and its iterator with it"


class ScriptFeed(Feed):
    """The main dataset and the iterator of a script, as far as the readers of models and memory need them.

    Attributes:
        main: Where it is iterated; None before its first steps.
        handed: Whether a changed dataset was handed out in its place.
        taking: The pass that was about to get a batch when the script's thread was kept.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.deletions = []
        self.paused_ns = 0
        self.on_restart = lambda: None
        self.main: Consumer | None = None
        self.handed = False
        self.holder: Pass | None = None
        self.taking: Pass | None = None
        self._dataset: Any = ()
        self._latest: Callable[[], Any] = lambda: None
        self._variant: tuple[Any, Any] | None = None

    @property
    def reference(self) -> Callable[[], Any] | None:
        """What returns the iterator, the same for all passes with it; None before the first one."""
        return self.holder.iterator if self.holder is not None else None

    @property
    def iterator(self) -> Any:  # type: ignore[override]  # held weakly
        """The script's iterator; an empty one once that is gone."""
        found = self.holder.iterator() if self.holder is not None else None
        return found if found is not None else iter(())

    @property
    def alive(self) -> bool:
        """Whether there is one."""
        return self.holder is not None and self.holder.iterator() is not None

    def keep(self, dataset: Any) -> None:
        """Keep the main dataset's graph: its object may go, where it is built again."""
        if dataset is not None and dataset is not self._latest():
            self._latest = weakref.ref(dataset)
            tensorflow: Any = sys.modules["tensorflow"]
            shown = vars(dataset).get(HANDED, dataset)
            self._variant = tensorflow.data.experimental.to_variant(shown), dataset.element_spec

    def kept(self, *, edited: bool) -> Any:
        """Return the main dataset; where it was edited, what was handed out instead."""
        dataset = None if edited else self._latest()
        if dataset is not None or self._variant is None:
            return dataset
        tensorflow: Any = sys.modules["tensorflow"]
        return tensorflow.data.experimental.from_variant(*self._variant)

    def running(self, dataset: Any) -> tuple[Feed | None, str]:
        """Return a feed for when the script's thread is kept.

        Returns:
            None and the reason where there is none.
        """
        main = self.main
        if not self.alive and self.taking is not None:
            # An epoch has just begun: the iterator that was measured is gone, and this one is as it was.
            self.holder = self.taking
        if main is not None and main.kind == "graph":
            return None, "the loop runs inside of TensorFlow"
        if main is not None and main.begins_each():
            return None, EACH
        if not self.alive:
            return None, ENDED
        return Feed(dataset, iterator=self.iterator), ""


class ScriptWarmUp:
    """A warm-up, whose steps are kept until there are enough after it: the script may end before.

    Attributes:
        rows: Its steps, and those after it.
        models: What TensorFlow's model said in it, once it is over.
    """

    def __init__(self, window: PhaseWindow, fixed_seconds: float | None) -> None:
        self.window = window
        self.rows: list[Nanoseconds] = []
        self.models: ModelLog | None = None
        self._fixed, self._rule = fixed_seconds, WarmUp(fixed_seconds)
        self._clock = WindowClock()

    def offer(self, looked: Looked, parameters: tuple[Any, ...] | None) -> str | None:
        """Return why it is over, or None, as `WarmUp.offer`."""
        reason = self._rule.offer(looked, parameters)
        if reason is None and self._fixed is None and self._clock.seconds >= TUNABLE_LIMIT_SECONDS:
            # Steps alone may take minutes to get there, where most of the time lies between epochs.
            return f"not settled after {TUNABLE_LIMIT_SECONDS:g} s"
        return reason

    def forget(self) -> None:
        """Keep its steps no longer."""
        self.rows, self.models = [], None

    def latest(self, most: int | None) -> tuple[Nanoseconds, tuple[int, int] | None]:
        """Return the kept steps without the first quarter, and when the one before them began and ended."""
        rows = np.concatenate([np.empty((0, 7), np.int64), *self.rows])
        first = max(len(rows) // 4, len(rows) - most if most is not None else 0)
        return rows[first:], (int(rows[first - 1, 4]), int(rows[first - 1, 5])) if first else None


def read_model(iterator: Any) -> tuple[int, Sequence[int]] | None:
    """Return how many elements an iterator gave, and the latest gaps between them; None without a model."""
    snapshot = take_snapshot(iterator)
    if snapshot is None:
        return None
    nodes, root = snapshot.proto.nodes, snapshot.proto.output
    return int(nodes[root].num_elements) if root in nodes else 0, list(snapshot.proto.gap_times)


def as_long_as(dataset: Any, made: Any) -> Any:
    """Return a dataset that ends where another one does: `fit` counts its steps by the script's own object."""
    length = int(dataset.cardinality())
    return made.take(length) if length >= 0 and int(made.cardinality()) != length else made


class ScriptJob(JobRun):
    """Execution of a job whose target is a script; `told`: further `Handlers`."""

    libraries = ("tensorflow", "numpy", "keras", "jax", "torch")

    def __init__(self, job: Options, channel: WorkerEnd, **told: Any) -> None:
        super().__init__(job, channel)
        refuse = None if job.allow_writes else self._refuse_write
        self._writes = WriteWatch(Existing(time.time_ns(), job.made), refuse)
        self._imports = ImportWatch(LIBRARIES, self._imported)
        handlers = Handlers(
            training=self._end_watch,
            model=read_model,
            saving=self._writes.saving,
            exiting=self._exiting,
            give=self._give if job.main is not None else None,
            **told,
        )
        self._observer = ScriptObserver(handlers)
        self._hooks = Hooks(self._observer, time.perf_counter_ns)
        self._watching = 0
        # What is registered stays to the process's end.
        unhook = weakref.WeakMethod(self._unhook)
        os.register_at_fork(after_in_child=lambda: [found() for found in (unhook(),) if found is not None])

    def _unhook(self) -> None:
        """Leave the process as without pipeprof; so for a child that the script forks: only the first is measured."""
        self._imports.end()
        self._hooks.uninstall()
        self._end_watch()

    @abstractmethod
    def _refuse_write(self, loss: Loss) -> None:
        """End the run in the thread that is about to write."""

    @abstractmethod
    def _exiting(self, status: int) -> None:
        """End the run where the script's own code calls `os._exit`."""

    @abstractmethod
    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        """Return what the script iterates instead of a dataset, or do not return."""

    def _end_process(self) -> None:
        self._channel.send(done=True)
        end_at_once()

    def _begin_build(self) -> None:
        """Begin the phase in which datasets are made, once TensorFlow has been imported."""
        self._readings.memory.read("import", used=False)
        self._enter("data")
        self._enter("build")
        self._begin_watch()

    def _enter(self, name: PhaseName, note: str | None = None) -> None:
        self._leave(note)
        self._phases.begin(name)

    def _leave(self, note: str | None = None) -> None:
        self._phases.note = note
        self._phases.end()

    def _run_script(self) -> Any:
        """Run the script; what it returns keeps the script's own objects alive: its datasets among them."""
        self._imports.begin()
        self._writes.begin()
        try:
            return run_as_main(str(self.job.target), self.job.script_args)
        finally:
            self._imports.end()

    def _imported(self, library: str) -> None:
        self._hooks.install(library)
        if library == "tensorflow":
            module: Any = sys.modules[library]
            require_tensorflow(module.__version__)
            delete_generated_files()
            self._begin_build()

    def _is_main(self, place: Place, role: Role) -> bool:
        """Whether the dataset that is iterated there is the one that the job is about."""
        main = self.job.main
        return main is not None and (place.file, place.line, role) == (main.file, main.line, main.role)

    def _not_again(self) -> str:
        main = self.job.main
        where = f"{as_typed(main.file)}:{main.line}" if main is not None else "its main dataset"
        return f"the script did not iterate {where} again"

    @contextmanager
    def _not_the_scripts(self) -> Iterator[None]:
        """Take the iterators that are made in the body as pipeprof's own, and the random numbers that it draws."""
        states = random.getstate(), np.random.get_state()
        try:
            with self._observer.ignored():
                yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])

    def _begin_watch(self) -> None:
        """Begin to look at how datasets are made."""
        with suppress(Exception):
            self.pipeline.watch = CallWatch()
            self.pipeline.watch.__enter__()
            self._watching = threading.get_ident()

    def _end_watch(self) -> None:
        """Stop looking at how datasets are made: it takes a microsecond in each call of a Python function."""
        watch = self.pipeline.watch
        if watch is not None and self._watching == threading.get_ident():
            self._watching = 0
            watch.__exit__(None, None, None)

    def _see_made(self, consumer: Consumer) -> None:
        """Keep how the first dataset at a place was made."""
        watch, dataset = self.pipeline.watch, consumer.objects.latest()
        if self._watching and watch is not None and dataset is not None and consumer.objects.made is None:
            with suppress(Exception):
                consumer.objects.made = watch.lines.created(dataset)

    def _know_sources(self, main: Consumer | None = None) -> None:
        """Read what the dataset holds in memory, as far as it was seen being made.

        Args:
            main: Where it is iterated; a later object than the first one has the lines of that.
        """
        pipeline, watch = self.pipeline, self.pipeline.watch
        if watch is not None and main is not None and main.objects.equal is not False:
            watch.lines.alike = main.objects.made
        pipeline.made = watch.made if watch is not None else []
        if watch is not None and pipeline.dataset is not None and watch.lines.created(pipeline.dataset) is not None:
            pipeline.source_bytes = held_bytes(pipeline.made) + watch.lines.held_bytes(pipeline.dataset)
        else:
            pipeline.source_bytes = max(0, procfs.rss_bytes("self") or 0) // 4


class TakenDataset(ScriptJob):
    """A job on the main dataset of a script that does not train."""

    _runtime: int | None = None

    def run(self) -> None:
        """Run the script until the harness wants an end."""
        try:
            left = self._run_script()
        except SystemExit as ending:
            if ending.code not in (None, 0) or self._channel.is_copy:
                raise
            left = {}
        if not self._channel.is_copy:
            self._refuse(self._not_again())
        del left

    def _use(self, dataset: Any) -> None:
        """Do the job, and end the process: nothing of the script runs afterwards, its handlers of errors neither."""
        self._unhook()
        try:
            self.pipeline.dataset = dataset
            self._know_sources()
            self._begin()
            self._run_dataset()
        except BaseException as error:
            self._channel.send(error=describe_error(error, self))
        self._end_process()

    def _begin(self) -> None:
        """Tell what comes before the dataset."""

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        if self._is_main(place, role):
            with self._not_the_scripts():
                self._use(dataset)
        return dataset

    def _begin_build(self) -> None:
        self._runtime = procfs.rss_bytes("self")
        super()._begin_build()

    def _pin_seeds(self) -> None:
        """Leave the seeds to the script."""

    def _refuse_write(self, loss: Loss) -> None:
        self._refuse(str(loss))

    def _exiting(self, status: int) -> None:
        del status
        self._refuse(self._not_again())

    def _refuse(self, reason: str) -> None:
        """End with a reason that says nothing against a change."""
        self._channel.send(refused=reason)
        self._end_process()


class TakenTurns(TakenDataset, TurnRun):
    """A job in turns."""

    def _begin(self) -> None:
        self._keep_peak()
        self._began = time.perf_counter()


class TakenRun(TakenDataset, JobRun):
    """A job that is one measurement."""

    def run(self) -> None:
        """Run the script until its dataset is there."""
        self._enter("import")
        super().run()

    def _begin(self) -> None:
        self._leave()
        self._step.measure_floor()
        self._send_libraries()
        self._readings.memory.read("build")

    def _refuse(self, reason: str) -> None:
        self._channel.send(error=describe_error(PipelineFailedError(reason), self))
        self._end_process()


def taken(job: Options, channel: WorkerEnd) -> TakenDataset:
    """Return the run of a job."""
    return TakenTurns(job, channel) if job.turns is not None else TakenRun(job, channel)
