"""One sample in the worker: the seven phases in order."""

from __future__ import annotations

import contextlib
import platform
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.observe.build_watch import release_source_array
from pipeprof.pipelines.graph.observe.created import draw
from pipeprof.pipelines.graph.observe.reading import SPARED_BYTES
from pipeprof.pipelines.graph.observe.source_lines import places_of
from pipeprof.pipelines.steps.consumer import BatchConsumer, StepFacts
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import LONGEST_TRACE, UNTRACED, Answer, Graphs, LoopCost, Sketch, Trace
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker.ended import first_line
from pipeprof.profiles.worker.memory_log import SEND_SECONDS, MemoryLog, ModelLog, Phases, SoakWatch
from pipeprof.profiles.worker.pipeline import Pipeline, import_tensorflow
from pipeprof.profiles.worker.services import BuildWatch, Services, awaited_service
from pipeprof.profiles.worker.steps.headspace import LONGEST_START_SECONDS, BatchSizes, JobStep, read_swallowed, replay
from pipeprof.profiles.worker.steps.loop import Feed, take_steps
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import (
    TELLS_NS,
    TELLS_RARELY_NS,
    Looked,
    PhaseWindow,
    WarmUp,
    look_ns,
    look_rarely_ns,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.worker.pipeline import Called

SOAK_SEND_SECONDS = 20.0
"""Seconds between two messages about what changes little, in a soak."""
TRACE_SECONDS = LONGEST_TRACE + 2
"""Of a trace, which gives up before; then the harness ends the worker."""
_FREEING_SECONDS = 10.0
"""That TensorFlow may take to free iterators which end in the trace."""


class Readings:
    """What is read beside the steps: memory, TensorFlow's model, sizes of batches; all of it a soak reads rarely.

    Attributes:
        soak: None but in one.
        send_every: Seconds between two messages about what changes little.
    """

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        self._seconds, self._channel = job.seconds, channel
        self.send_every = SOAK_SEND_SECONDS if job.soak else SEND_SECONDS
        self.models = ModelLog()
        self.memory = MemoryLog(channel.send, every=self.send_every)
        self.soak = SoakWatch(channel.send, job.seconds) if job.soak and job.seconds else None
        self.sizes = BatchSizes()

    @property
    def look_ns(self) -> int:
        """Nanoseconds between two looks at the measurement."""
        return look_ns(self._seconds) if self.soak is None else look_rarely_ns(self._seconds)

    def observe(self, phase: PhaseName, feed: Feed, steps: int) -> None:
        """Look at the running pipeline after so many steps."""
        self.models.observe(feed, steps)
        self.memory.look(phase, feed, steps, self.models.latest)

    def go_on_soaking(self, epoch: int, steps: int) -> str | None:
        """Read memory where that is due; return why a soak is over, or None."""
        soak = self.soak
        if soak is None:
            return None
        if self._channel.examine.is_set():
            soak.examine()
        soak.look(epoch, steps, self.models.latest)
        return f"{self._seconds:g} s" if soak.is_over else None


class JobRun:
    """Execution of a job, with the state that failure handlers and questions from the parent need."""

    libraries: ClassVar[tuple[str, ...]] = ("tensorflow", "numpy")
    """Whose versions a profile has."""
    watched_from: ClassVar[int] = SPARED_BYTES
    """Bytes of a spec's arrays from which it is kept how the dataset was made."""

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        self.job = job
        self.pipeline = Pipeline(job)
        self.feed = Feed(())
        self.exits_normally = False
        self._channel = channel
        self._phases = Phases(channel)
        self._services = Services(channel.send)
        self._step = JobStep(job, self.pipeline, channel)
        self._readings = Readings(job, channel)
        self._sketch_later: CallWatch | None = None
        self._window: PhaseWindow | None = None
        self._cpu_ns: int | None = None

    def run(self) -> None:
        """Go through all phases."""
        self._import()
        self._data()
        self._build()
        self._run_dataset()

    def _run_dataset(self) -> None:
        if self.job.edits:
            self.pipeline.edit(self.job.edits)
        self._first_element()
        step, previous = self._warm_up()
        self._measure(step, previous)
        self._measure_extras(step)

    def answer(self) -> Answer:
        """Return the worker's current state: Python frames of all threads and TensorFlow's model."""
        files = {str(Path(file).resolve()) for file in self.job.user_files}
        frames = []
        for frame in sys._current_frames().values():
            for entry in reversed(traceback.extract_stack(frame)):
                if str(Path(entry.filename).resolve()) in files:
                    frames.append(ErrorFrame(entry.filename, entry.lineno or 0, entry.name))
                    break
        measured = None
        phase = self._phases.current
        if self._window is not None and phase == "measure":
            self._window.fold()
            measured = self._window.statistics.measured()
        if phase == "build" and (address := awaited_service(sys._current_frames().values())) is not None:
            # Who asks may have less patience than there is between two looks at it.
            self._channel.send(awaited=address)
        # TensorFlow's model cannot be read while the iterator waits for a service.
        readable = phase not in ("import", "data", "build") and not self._services.are_read
        model = self._readings.models.look(self.feed) if readable else None
        return Answer(frames, model, measured)

    def warn(self, code: str, text: str) -> None:
        """Send a warning for the profile."""
        self._channel.warn(code, text)

    def send_measured(self) -> None:
        """Send the measurement so far; nothing if it has not begun."""
        window = self._window
        if window is None:
            return
        loop = LoopCost(
            overhead_ns=window.overhead_ns,
            overhead_cpu_ns=window.overhead_cpu_ns,
            cpu_ns=self._cpu_ns,
            sizes=self._readings.sizes.mean(),
            deletions=self.feed.deletions[:],
        )
        self._channel.send(measured=window.statistics.measured(loop=loop))

    def _import(self) -> None:
        with self._phases.enter("import"):
            tf = import_tensorflow()
            if self.job.workers is not None:
                # Before the first op, also before those of the user's file.
                self.pipeline.service = self._services.start(tf, self.job.workers)
            if self.job.kind == "function":
                from pipeprof.profiles.worker.pipeline import import_early

                for code, text in import_early(str(self.job.target)):
                    self.warn(code, text)
            if self.job.seed is not None:
                tf.random.set_seed(self.job.seed)
            self._step.measure_floor()
            self._send_libraries()
            self._readings.memory.read("import")

    def _send_libraries(self) -> None:
        modules = {name: sys.modules[name] for name in self.libraries if name in sys.modules}
        versions = {name: getattr(module, "__version__", None) for name, module in modules.items()}
        versions["python"] = platform.python_version()
        gpus = [device.name for device in modules["tensorflow"].config.list_physical_devices("GPU")]
        self._channel.send(versions=versions, gpus=gpus)

    def _data(self) -> None:
        with self._phases.enter("data"):
            if self.job.kind != "spec":
                return
            self.pipeline.load_data()
            self._readings.memory.read("data")

    def _build(self) -> None:
        before = procfs.rss_bytes("self") or 0
        with self._phases.enter("build"), BuildWatch(self._channel.send):
            watch = self.pipeline.build(self.watched_from)
            self._readings.memory.read("build")
        self._services.meet(self.pipeline.watch.registered.read if self.pipeline.watch is not None else [])
        if self.pipeline.called is not None:
            self._take_step(self.pipeline.called)
        if not self.pipeline.made and not self.pipeline.array_bytes():
            self._sketch(watch)
        else:
            # Reading a tensor's value frees arrays that TensorFlow keeps while the pipeline starts.
            self._sketch_later = watch
        self.pipeline.weigh(max(0, (procfs.rss_bytes("self") or 0) - before))

    def _take_step(self, called: Called) -> None:
        """Use the step that came with the dataset, unless the command line names another."""
        for code, text in called.notes:
            self.warn(code, text)
        if called.step is None:
            return
        if self.job.step_given:
            self.warn("step-replaced", f"{self.job.target} returned a step as well, which --step replaces.")
            return
        self._step.use_returned()
        self._channel.send(own_step=True)

    def _sketch(self, seen: CallWatch) -> None:
        """Tell the stages, in case that this process dies before their graph can be read."""
        try:
            drawn, created = draw(seen.lines.created(self.pipeline.dataset))
            self._channel.send(sketch=Sketch(drawn, seen.registered.join(drawn, places_of(created))))
        except Exception as error:
            self.warn("no-sketch", f"The stages are unknown until the graph is read: {first_line(error)}")

    def _first_element(self) -> None:
        with self._phases.enter("first_element"):
            began = time.perf_counter()
            self.feed = Feed(self.pipeline.dataset)
            self._readings.memory.read("iterator")
            self._readings.sizes.see(self.feed.next())
            self.pipeline.fill_seconds = time.perf_counter() - began
            self._readings.memory.read("first")
            self._readings.memory.look("first_element", self.feed, 0)
            release_source_array()
            self._readings.memory.read("released")
            if self._sketch_later is not None:
                self._sketch(self._sketch_later)
                self._sketch_later = None

    def _warm_up(self) -> tuple[BatchConsumer | None, tuple[int, int] | None]:
        """Return the step, and when its latest one began and ended."""
        rule = WarmUp(self.job.warmup_seconds)
        step = self._step.start()

        def finished(looked: Looked) -> str | None:
            self._readings.memory.look("warmup", self.feed, window.statistics.count)
            return rule.offer(looked, self._readings.models.parameters(self.feed))

        with self._phases.enter("warmup"):
            window = self._open("warmup", finished)
            take_steps(self.feed, step, window)
            self._phases.note = window.reason
        self._readings.memory.read("warmup")
        return step, window.statistics.previous

    def _open(self, name: PhaseName, finished: Callable[[Looked], str | None], **options: Any) -> PhaseWindow:
        previous = options.pop("previous", None)
        statistics = StepStatistics(self._step.floor, device=self._step.has_device, previous=previous)
        options["tells_ns"] = TELLS_NS if self._readings.soak is None else TELLS_RARELY_NS
        return PhaseWindow(name, statistics, self.feed, self._channel, finished, **options)

    def _measure(self, step: BatchConsumer | None, previous: tuple[int, int] | None) -> None:
        feed, readings = self.feed, self._readings

        def finished(_looked: Looked) -> str | None:
            readings.observe("measure", feed, statistics.count)
            return readings.go_on_soaking(feed.ended, statistics.count)

        with self._phases.enter("measure"):
            readings.models.begin(feed)
            options = {"previous": previous, "see": readings.sizes.see, **self._limits()}
            window = self._window = self._open("measure", finished, **options)
            statistics = window.statistics
            feed.on_restart = lambda: readings.models.restart(feed, statistics.count)
            if step is not None:
                # What handing over took in the warm-up, the start of a library among it, is no cost of a step.
                step.told()
            cpu_ns, feed.counts_deletions = time.process_time_ns(), True
            take_steps(feed, step, window)
            self._cpu_ns = time.process_time_ns() - cpu_ns
            readings.models.observe(feed, statistics.count)
            self._phases.note = window.reason
        if readings.soak is not None:
            readings.soak.end()
        # Readings take time, in which buffers go on filling: they are no part of the phase.
        self._readings.memory.read("measure")
        feed.on_restart, feed.counts_deletions = lambda: None, False
        if step is not None and (told := step.told()) != StepFacts():
            self._channel.send(step=told)
        self.send_measured()

    def _limits(self) -> dict[str, Any]:
        return {"steps_limit": self.job.steps, "seconds": self.job.seconds, "check_ns": self._readings.look_ns}

    def _measure_extras(self, step: BatchConsumer | None) -> None:
        """Collect memory, graphs, costs and headroom, then the trace; no failure here affects the rest."""
        if self._channel.stop.is_set():
            self._describe()
            return
        with self._phases.enter("trace"):
            self._describe()
            with self._attempt("no-replay", "The gain of a free pipeline could not be measured"):
                if (replayed := replay(self.feed, step, self._channel)) is not None:
                    self._channel.send(replayed=replayed)
            if self._channel.stop.is_set():
                return
            with self._attempt("no-device-trace", "The device could not be traced"):
                self._trace_device(step)
            with self._attempt("no-trace", "The trace failed"):
                why = self._trace().note
                if why is not None:
                    self._phases.note = f"no trace: {why}"
                    self._note_no_trace(why)
            with contextlib.suppress(Exception):
                self._read_swallowed()

    def _trace_device(self, step: BatchConsumer | None) -> None:
        if step is None or step.told().on not in ("gpu", "tpu"):
            return
        from pipeprof.profiles.worker.trace.device import trace_steps

        read = trace_steps(self.feed, step, self._step.kind, stop=self._channel.stop.is_set)
        if read is not None:
            self._channel.send(device=read)

    def _read_swallowed(self) -> None:
        """Read an error that the pipeline hides; not where its start takes long, or its buffers much of the memory."""
        room = self.pipeline.room()
        full = room is not None and (procfs.rss_bytes("self") or 0) > room
        if not self.pipeline.swallows or full or self.pipeline.fill_seconds > LONGEST_START_SECONDS:
            return
        for part in self.pipeline.datasets_before(lambda row: row.swallows):
            hidden = read_swallowed(part, self._channel.stop.is_set)
            if hidden is not None:
                self._channel.send(swallowed=hidden)

    def _describe(self) -> None:
        with self._attempt("no-ledger", "Memory could not be accounted"):
            sources, batch_bytes = self.pipeline.components(), self._readings.sizes.mean().bytes
            self._channel.send(memory=self._readings.memory.report(sources=sources, batch_bytes=batch_bytes))
        with self._attempt("no-graph", "The graph could not be read"):
            self._graphs()

    @contextmanager
    def _attempt(self, code: str, failed: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.warn(code, f"{failed}: {first_line(error)}")

    def _note_no_trace(self, why: str, code: str = "no-trace") -> None:
        self.warn(code, f"No trace: {why.rstrip('.')}; {UNTRACED}.")

    def _trace(self) -> Trace:
        self._channel.send(trace_ends_in=TRACE_SECONDS + _FREEING_SECONDS)
        result = self._run_trace()
        self._channel.send(trace=result)
        return result

    def _run_trace(self) -> Trace:
        from pipeprof.profiles.worker.trace.record import to_trace
        from pipeprof.profiles.worker.trace.work import traced_ops

        feed, marks = to_trace(
            self.pipeline.dataset,
            self.feed,
            in_memory=self.pipeline.source_bytes,
            room=self.pipeline.room(),
            watch=self.pipeline.watch,
            # The name scopes of a spec already identify its functions; a script's pipeline is never built again.
            again=self.job.kind == "function",
            fill_seconds=self.pipeline.fill_seconds,
            stop=self._channel.stop.is_set,
        )
        filled = self.pipeline.fill_seconds if self.feed.ended else None
        return traced_ops(feed, marks, self.pipeline.room(), filled)

    def _graphs(self) -> None:
        found = self.pipeline.graphs()
        if found.note:
            self.warn("graph-without-arrays", found.note)
        self._channel.send(
            graphs=Graphs(
                written=found.written,
                executed=found.executed,
                segments=self._readings.models.segments(),
                made=self.pipeline.made,
                places=found.places if self.job.kind != "spec" else {},
                constants=found.constants,
            )
        )
