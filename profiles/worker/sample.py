"""One sample in the worker: the seven phases in order."""

from __future__ import annotations

import contextlib
import platform
import sys
import threading
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
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.steps.consumer import BatchConsumer, StepContext, StepFacts
from pipeprof.pipelines.steps.simulated import durations, simulated_step
from pipeprof.pipelines.steps.step import RETURNED, start_step
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import (
    LONGEST_TRACE,
    SERVICE_FAILED,
    UNTRACED,
    Answer,
    Graphs,
    LoopCost,
    Raised,
    Sketch,
    Trace,
)
from pipeprof.profiles.protocol.options import Options, StepJob
from pipeprof.profiles.worker.ended import end_at_once, first_line
from pipeprof.profiles.worker.memory_log import SEND_SECONDS, MemoryLog, ModelLog, Phases, SoakWatch
from pipeprof.profiles.worker.pipeline import Pipeline, import_tensorflow
from pipeprof.profiles.worker.services import (
    BuildWatch,
    LocalService,
    awaited_service,
    refuse_shared_job,
    services_read,
    start_local_service,
    wait_for_end,
)
from pipeprof.profiles.worker.steps.headspace import (
    LONGEST_START_SECONDS,
    BatchSizes,
    measure_floor,
    read_swallowed,
    replay,
)
from pipeprof.profiles.worker.steps.loop import Feed, take_steps
from pipeprof.profiles.worker.steps.statistics import Floor, StepStatistics
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

FLOOR_STEP_MS = 100.0
"""Longest step of the baseline: a longer sleep does not delay the wake-up any more."""
REAL_STEP_MS = 5.0
"""Of the baseline, where the duration of the step is not known before it runs."""
SOAK_SEND_SECONDS = 20.0
"""Seconds between two messages about what changes little, in a soak."""
TRACE_SECONDS = LONGEST_TRACE + 2
"""Of a trace, which gives up before; then the harness ends the worker."""
_FREEING_SECONDS = 10.0
"""That TensorFlow may take to free iterators which end in the trace."""


class JobRun:
    """Execution of a job, with the state that failure handlers and questions from the parent need."""

    libraries: ClassVar[tuple[str, ...]] = ("tensorflow", "numpy")
    """Whose versions a profile has."""
    watched_from: ClassVar[int] = SPARED_BYTES
    """Bytes of a spec's arrays from which it is kept how the dataset was made."""

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        self.job = job
        self.phase: PhaseName = "import"
        self.pipeline = Pipeline(job)
        self.feed = Feed(())
        self.exits_normally = False
        self._channel = channel
        self._phases = Phases(channel)
        self._step_job = job.step
        self._dispatch = job.dispatch or "sync"
        self._device = job.step.kind != "none"
        self._floor = Floor()
        self._window: PhaseWindow | None = None
        self._previous: tuple[int, int] | None = None
        self._models = ModelLog()
        self._send_every = SOAK_SEND_SECONDS if job.soak else SEND_SECONDS
        self._memory = MemoryLog(channel.send, every=self._send_every)
        self._soak = SoakWatch(channel.send, job.seconds) if job.soak and job.seconds else None
        self._sizes = BatchSizes()
        self._sketch_later: CallWatch | None = None
        self._filled_seconds = 0.0
        self._cpu_ns: int | None = None
        self._swallows = False
        self._reads_service = False
        self._service: LocalService | None = None

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
        step = self._warm_up()
        self._measure(step)
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
        if self._window is not None and self.phase == "measure":
            self._window.fold()
            measured = self._window.statistics.measured()
        if self.phase == "build" and (address := awaited_service(sys._current_frames().values())) is not None:
            # Who asks may have less patience than there is between two looks at it.
            self._channel.send(awaited=address)
        # TensorFlow's model cannot be read while the iterator waits for a service.
        readable = self.phase not in ("import", "data", "build") and not self._reads_service
        model = self._models.look(self.feed) if readable else None
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
            sizes=self._sizes.mean(),
            deletions=self.feed.deletions[:],
        )
        self._channel.send(measured=window.statistics.measured(loop=loop))

    def _import(self) -> None:
        with self._phases.enter("import"):
            tf = import_tensorflow()
            if self.job.workers is not None:
                # Before the first op, also before those of the user's file.
                self._start_service(tf, self.job.workers)
            if self.job.kind == "function":
                from pipeprof.profiles.worker.pipeline import import_early

                for code, text in import_early(str(self.job.target)):
                    self.warn(code, text)
            if self.job.seed is not None:
                tf.random.set_seed(self.job.seed)
            self._floor = self._measure_floor()
            self._send_libraries()
            self._memory.read("import")

    def _start_service(self, tf: Any, workers: int) -> None:
        self._service = service = start_local_service(tf, workers)
        self.pipeline.service = service.address

        def watch() -> None:
            # What is measured from then on is another number of workers.
            error = Raised(code=SERVICE_FAILED, message=wait_for_end(service))
            self._channel.send(error=error)
            end_at_once()

        threading.Thread(target=watch, name="pipeprof-service", daemon=True).start()

    def _send_libraries(self) -> None:
        modules = {name: sys.modules[name] for name in self.libraries if name in sys.modules}
        versions = {name: getattr(module, "__version__", None) for name, module in modules.items()}
        versions["python"] = platform.python_version()
        gpus = [device.name for device in modules["tensorflow"].config.list_physical_devices("GPU")]
        self._channel.send(versions=versions, gpus=gpus)

    def _measure_floor(self) -> Floor:
        if not self._device:
            return measure_floor(None, self._channel)
        times: dict[str, Any] = self._step_job.arguments
        step_ms = float(times.get("base_ms", times.get("p50_ms", REAL_STEP_MS)))
        step = simulated_step(durations(min(step_ms, FLOOR_STEP_MS)), self._step_context())
        return measure_floor(step, self._channel)

    def _step_context(self) -> StepContext:
        dataset, called = self.pipeline.dataset, self.pipeline.called
        return StepContext(
            element_spec=dataset.element_spec if dataset is not None else None,
            dispatch=self._dispatch,
            seed=self.job.seed or 0,
            returned=called.step if called is not None else None,
            waiting=self._channel.send,
        )

    def _step(self) -> BatchConsumer:
        return start_step(self._step_job.kind, self._step_job.arguments, self._step_context())

    def _data(self) -> None:
        self.phase = "data"
        with self._phases.enter("data"):
            if self.job.kind != "spec":
                return
            self.pipeline.load_data()
            self._memory.read("data")

    def _build(self) -> None:
        self.phase = "build"
        before = procfs.rss_bytes("self") or 0
        with self._phases.enter("build"), BuildWatch(self._channel.send):
            watch = self.pipeline.build(self.watched_from)
            self._memory.read("build")
        self._meet_services()
        if self.pipeline.called is not None:
            self._take_step(self.pipeline.called)
        if not self.pipeline.made and not self.pipeline.array_bytes():
            self._sketch(watch)
        else:
            # Reading a tensor's value frees arrays that TensorFlow keeps while the pipeline starts.
            self._sketch_later = watch
        self.pipeline.weigh(max(0, (procfs.rss_bytes("self") or 0) - before))

    def _meet_services(self) -> None:
        """Tell the services that the pipeline reads from, before it reads anything.

        Raises:
            SharedJobError: Others read the same job.
        """
        watch = self.pipeline.watch
        read = watch.registered.read if watch is not None else []
        self._reads_service = bool(read)
        if not read:
            return
        services = services_read(read, self._service)
        self._channel.send(services=services)
        refuse_shared_job(services)

    def _take_step(self, called: Called) -> None:
        """Use the step that came with the dataset, unless the command line names another."""
        for code, text in called.notes:
            self.warn(code, text)
        if called.step is None:
            return
        if self.job.step_given:
            self.warn("step-replaced", f"{self.job.target} returned a step as well, which --step replaces.")
            return
        self._step_job, self._dispatch, self._device = StepJob(RETURNED), "sync", True
        self._floor = self._measure_floor()
        self._channel.send(own_step=True)

    def _sketch(self, seen: CallWatch) -> None:
        """Tell the stages, in case that this process dies before their graph can be read."""
        try:
            drawn, created = draw(seen.lines.created(self.pipeline.dataset))
            self._channel.send(sketch=Sketch(drawn, seen.registered.join(drawn, places_of(created))))
        except Exception as error:
            self.warn("no-sketch", f"The stages are unknown until the graph is read: {first_line(error)}")

    def _first_element(self) -> None:
        self.phase = "first_element"
        with self._phases.enter("first_element"):
            began = time.perf_counter()
            self.feed = Feed(self.pipeline.dataset)
            self._memory.read("iterator")
            self._sizes.see(self.feed.next())
            self._filled_seconds = time.perf_counter() - began
            self._memory.read("first")
            self._memory.look("first_element", self.feed, 0)
            release_source_array()
            self._memory.read("released")
            if self._sketch_later is not None:
                self._sketch(self._sketch_later)
                self._sketch_later = None

    def _warm_up(self) -> BatchConsumer | None:
        self.phase = "warmup"
        rule = WarmUp(self.job.warmup_seconds)
        step = self._step() if self._device else None

        def finished(looked: Looked) -> str | None:
            self._memory.look("warmup", self.feed, window.statistics.count)
            return rule.offer(looked, self._models.parameters(self.feed))

        with self._phases.enter("warmup") as phase:
            window = self._open("warmup", finished)
            take_steps(self.feed, step, window)
            phase.note = window.reason
        self._memory.read("warmup")
        self._previous = window.statistics.previous
        return step

    def _open(self, name: PhaseName, finished: Callable[[Looked], str | None], **options: Any) -> PhaseWindow:
        previous = self._previous if name == "measure" else None
        statistics = StepStatistics(self._floor, device=self._device, previous=previous)
        options["tells_ns"] = TELLS_NS if self._soak is None else TELLS_RARELY_NS
        return PhaseWindow(name, statistics, self.feed, self._channel, finished, **options)

    def _measure(self, step: BatchConsumer | None) -> None:
        self.phase = "measure"
        feed, seconds = self.feed, self.job.seconds

        def finished(_looked: Looked) -> str | None:
            self._models.observe(feed, statistics.count)
            self._memory.look("measure", feed, statistics.count, self._models.latest)
            return self._go_on_soaking(feed.ended, statistics.count)

        with self._phases.enter("measure") as phase:
            self._models.begin(feed)
            limits = {"steps_limit": self.job.steps, "seconds": seconds, "check_ns": self._look_ns()}
            window = self._window = self._open("measure", finished, **limits, see=self._sizes.see)
            statistics = window.statistics
            feed.on_restart = lambda: self._models.restart(feed, statistics.count)
            if step is not None:
                # What handing over took in the warm-up, the start of a library among it, is no cost of a step.
                step.told()
            cpu_ns, feed.counts_deletions = time.process_time_ns(), True
            take_steps(feed, step, window)
            self._cpu_ns = time.process_time_ns() - cpu_ns
            self._models.observe(feed, statistics.count)
            phase.note = window.reason
        if self._soak is not None:
            self._soak.end()
        # Readings take time, in which buffers go on filling: they are no part of the phase.
        self._memory.read("measure")
        feed.on_restart, feed.counts_deletions = lambda: None, False
        if step is not None and (told := step.told()) != StepFacts():
            self._channel.send(step=told)
        self.send_measured()

    def _look_ns(self) -> int:
        return look_ns(self.job.seconds) if self._soak is None else look_rarely_ns(self.job.seconds)

    def _go_on_soaking(self, epoch: int, steps: int) -> str | None:
        """Read memory where that is due; return why a soak is over, or None."""
        soak = self._soak
        if soak is None:
            return None
        if self._channel.examine.is_set():
            soak.examine()
        soak.look(epoch, steps, self._models.latest)
        return f"{self.job.seconds:g} s" if soak.is_over else None

    def _measure_extras(self, step: BatchConsumer | None) -> None:
        """Collect memory, graphs, costs and headroom, then the trace; no failure here affects the rest."""
        if self._channel.stop.is_set():
            self._describe()
            return
        self.phase = "trace"
        with self._phases.enter("trace") as phase:
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
                    phase.note = f"no trace: {why}"
                    self._note_no_trace(why)
            with contextlib.suppress(Exception):
                self._read_swallowed()

    def _trace_device(self, step: BatchConsumer | None) -> None:
        if step is None or step.told().on not in ("gpu", "tpu"):
            return
        from pipeprof.profiles.worker.trace.device import trace_steps

        read = trace_steps(self.feed, step, self._step_job.kind, stop=self._channel.stop.is_set)
        if read is not None:
            self._channel.send(device=read)

    def _read_swallowed(self) -> None:
        """Read an error that the pipeline hides; not where its start takes long, or its buffers much of the memory."""
        room = self.pipeline.room()
        full = room is not None and (procfs.rss_bytes("self") or 0) > room
        if not self._swallows or full or self._filled_seconds > LONGEST_START_SECONDS:
            return
        for part in self.pipeline.datasets_before(lambda row: row.swallows):
            hidden = read_swallowed(part, self._channel.stop.is_set)
            if hidden is not None:
                self._channel.send(swallowed=hidden)

    def _describe(self) -> None:
        with self._attempt("no-ledger", "Memory could not be accounted"):
            report = self._memory.report(sources=self.pipeline.components(), batch_bytes=self._sizes.mean().bytes)
            self._channel.send(memory=report)
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
            fill_seconds=self._filled_seconds,
            stop=self._channel.stop.is_set,
        )
        return traced_ops(feed, marks, self.pipeline.room(), self._filled_seconds if self.feed.ended else None)

    def _graphs(self) -> None:
        found = self.pipeline.graphs()
        if found.note:
            self.warn("graph-without-arrays", found.note)
        self._swallows = any(node.traits.swallows for node in StageGraph.from_dict(found.written).nodes.values())
        self._channel.send(
            graphs=Graphs(
                written=found.written,
                executed=found.executed,
                segments=self._models.segments(),
                made=self.pipeline.made,
                places=found.places if self.job.kind != "spec" else {},
                constants=found.constants,
            )
        )
