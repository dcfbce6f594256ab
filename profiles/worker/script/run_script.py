"""Run of a training script in the worker: the script as it is, its steps measured, the pipeline described at the end.

Three parts share the work. The script runs in the main thread; hooks note times there, and nothing else. A reporter's
thread folds them a few times a second. When enough has been measured, the next hook at a safe place, where a batch is
about to be taken, keeps the script's thread: graphs, costs and a trace of the running iterator are read there, and
the process ends without an exception in the user's code.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.profiles.protocol.messages import STOPPED, LoopCost
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.ended import OneEnd, ProcessExitedError, ScriptEndedError, WriteRefusedError, first_line
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.memory_log import ModelLog
from pipeprof.profiles.worker.sample import TRACE_SECONDS
from pipeprof.profiles.worker.script.consumers import Consumer, Pass, Place, Role, main_of
from pipeprof.profiles.worker.script.hooks import DeviceSteps
from pipeprof.profiles.worker.script.observer import users_place
from pipeprof.profiles.worker.script.script_job import (
    EACH,
    ENDED,
    HANDED,
    ScriptFeed,
    ScriptJob,
    ScriptWarmUp,
    as_long_as,
    read_model,
)
from pipeprof.profiles.worker.script.training_facts import TrainingRecord, graph_text
from pipeprof.profiles.worker.script.writes import Loss
from pipeprof.profiles.worker.steps.loop import Feed, NeverIteratedError
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import FIRST_PARTIAL_NS, LifeSign, Looked, PhaseWindow, Reporter, WindowClock

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import PhaseName, Training
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.worker.steps.statistics import Nanoseconds

LEAST_STEPS = 2
"""Steps from which a dataset may be the main one."""
GONE_NS = 15_000_000_000
"""Without a step, after which the run also ends where another dataset is iterated."""
MOST_TIMES = 3
"""As long as the steps that are to be measured a window may take, with what lies between its epochs."""
ENOUGH_SECONDS = 1.0
"""Of steps after the warm-up. Where a script ends with fewer, its warm-up is measured too: a few steps at the end are
one epoch's, and TensorFlow's model of an iterator that began with them is empty."""
LONGEST_WARM_UP = 15.0
"""Seconds after which a soak begins, whatever else is measured."""
OWN_BATCHES = 2
"""Whose sizes are read, of the iterator that is kept."""
HIDDEN = "TensorFlow shows none behind the iterator of a tf.distribute strategy"
READ_AGAIN = f"Times of stages are of another reading of the dataset, without the training: {HIDDEN}."
NO_COSTS = f"Times of stages are n/a: {EACH}, and TensorFlow's costs go with it."


class ScriptRun(ScriptJob):
    """Execution of a job of kind ``script``."""

    subject: ClassVar[str] = "The script"
    advice: ClassVar[str] = "Let it train longer, by its own arguments."
    traces: ClassVar[bool] = True

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        graph_of = lambda dataset: graph_text(dataset, self.pipeline.watch)  # noqa: E731
        super().__init__(job, channel, made=self._iterator_made, attend=self._attend, graph_of=graph_of)
        self.feed = self._followed = ScriptFeed()
        self._reporter = Reporter(self._report, self._readings.look_ns, self._note_no_steps)
        self._sign = LifeSign(channel.send)
        self._one_end = OneEnd()
        self._unseen_since = 0
        self._clock = WindowClock()
        self._record = TrainingRecord(job.user_files[0], self._observer)
        self._device_steps = DeviceSteps()

    def run(self) -> None:
        """Run the script; returns only where it came to its own end."""
        self._enter("import")
        self._reporter.start()
        try:
            left = self._run_script()
        except BaseException as ending:
            if self._channel.is_copy:
                raise
            if not isinstance(ending, SystemExit) or ending.code not in (None, 0):
                self._one_end.failed = True
                with suppress(Exception):
                    self._finish(self._one_end.reason or "the script")
                raise
            left = {}
            if self._one_end.is_here:
                self.warn("lost-end", "A signal handler of the script ended it before its pipeline was read.")
        if self._channel.is_copy:
            return
        self._finish(self._one_end.reason or "the script")
        del left
        self.exits_normally = True
        self._one_end.go_on()

    def _iterator_made(self, consumer: Consumer) -> None:
        self._see_made(consumer)
        if self._phases.current == "build" and consumer.role != "adapt":
            self._readings.memory.read("build")
            self._enter("first_element")
            self._readings.memory.read("iterator")

    def _attend(self, one: Pass) -> None:
        """Do what has to be done in the script's thread, before it takes a batch."""
        self._end_watch()
        self._observer.attention = self._one_end.reason is not None
        if self._step.floor.summary is None and self._phases.current == "warmup":
            with suppress(Exception), self._observer.ignored():
                self._step.measure_floor()
        main = self._followed.main
        own = any(one in alike.passes for alike in self._observer.alike(main))
        self._observer.came = None
        gone = main is not None and time.perf_counter_ns() - main.moved_ns > GONE_NS
        if self._one_end.reason is None or not (own or gone):
            return
        if own and self._device_steps.goes_on(main, one, stopped=self._channel.stop.is_set()):
            self._observer.came = lambda _: self._device_steps.came()
            return
        self._followed.taking = one if own else None
        self._end_with(self._one_end.reason)

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        handed, is_main = vars(dataset).get(HANDED), self._is_main(place, role)
        if handed is not None and (is_main or role in ("training", "loop")):
            return handed
        if not is_main:
            return dataset
        with self._not_the_scripts():
            try:
                self._followed.handed = True
                self._end_watch()
                self.pipeline.dataset = dataset
                self._know_sources()
                self.pipeline.edit(self.job.edits)
                changed, self.pipeline.dataset = self.pipeline.dataset, None
                vars(dataset)[HANDED] = made = as_long_as(dataset, changed)
                return made
            except Exception as error:
                # An exception would be the script's own to catch.
                if not isinstance(error, CannotChangeError):
                    error = CannotChangeError(None, f"the changed dataset could not be made: {first_line(error)}")
                self._channel.send(error=describe_error(error, self))
                self._end_process()

    def _refuse_write(self, loss: Loss) -> None:
        """End the run in the thread that is about to write; what the script would do next is never done."""
        if self._one_end.is_here and not self._one_end.went_on:
            # It is pipeprof that writes.
            return
        self._end_with(str(loss), WriteRefusedError(str(loss)), f"{loss}.")

    def _exiting(self, status: int) -> None:
        """Tell what was measured before `os._exit`, which runs nothing at the process's end."""
        if self._one_end.is_here:
            return
        place = users_place()
        where = f" at {as_typed(place.file)}:{place.line}" if place.file is not None else ""
        self._one_end.failed = self._one_end.failed or status != 0
        self._end_with("the script", ProcessExitedError(f"os._exit({status}){where}"))

    def _end_with(self, reason: str, instead: ScriptEndedError | None = None, warning: str | None = None) -> None:
        """End the measurement and the process in a thread of the script's: nothing is raised into its code.

        `instead` is reported where nothing was measured or the script failed; the warning of a write otherwise.
        """
        error: BaseException | None = instead if self._one_end.failed else None
        try:
            self._finish(reason)
        except BaseException as other:
            error = instead if instead is not None and isinstance(other, NeverIteratedError) else other
        if error is not None:
            self._channel.send(error=describe_error(error, self))
        elif warning is not None:
            self.warn("would-overwrite", warning)
        self._end_process()
        if isinstance(error, KeyboardInterrupt):
            # The process goes on, and its user wants an end.
            raise error

    def _enter(self, name: PhaseName, note: str | None = None) -> None:
        if name == "trace" and (self._channel.stop.is_set() or self._one_end.failed or not self.traces):
            # A signal or an error has come in the phase before.
            self._leave(note)
            return
        super()._enter(name, note)

    def _report(self) -> bool:
        """Look, and end the run where no hook comes by; return whether later looks take as long."""
        before = self._followed.main, self._followed.ended
        try:
            with self._reporter.looking:
                self._look()
        finally:
            main = self._followed.main
            in_graph = self._observer.in_graph if main is None else main.kind == "graph"
            if self._one_end.reason is not None and in_graph and not self._reporter.closing.is_set():
                self._end_with(self._one_end.reason)
        # An iterator that ends takes its model with it: rare looks would miss those of short epochs. And the first look
        # at a dataset takes ten times as long as others.
        return (self._followed.main, self._followed.ended) == before

    def _note_no_steps(self, error: Exception) -> None:
        self.warn("no-steps", f"The steps could not be followed: {type(error).__name__}: {error}.")

    def _look(self) -> None:
        now = time.perf_counter_ns()
        folded = {consumer: consumer.fold(now, read_model) for consumer in self._observer.consumers[:]}
        chosen = main_of(self._able(), self._followed.main, now)
        if chosen is not None and chosen is not self._followed.main:
            self._change_main(chosen)
        self._soak_on()
        main = self._followed.main
        if main in folded and len(folded[main]):
            self._take(main, folded[main])
        else:
            self._sign.give()
        if self._one_end.reason is None and self._channel.stop.is_set():
            self._one_end.reason = STOPPED
        if main is None and self._observer.in_graph and self.job.seconds is not None:
            # Its steps cannot be seen: it ends when the time for warm-up and measurement is over.
            self._unseen_since = self._unseen_since or now
            if now - self._unseen_since >= 1e9 * self.job.seconds:
                self._one_end.reason = f"{self.job.seconds:g} s"
        if self._one_end.reason is not None:
            self._observer.attention = True

    def _soak_on(self) -> None:
        """Read memory, once there was a warm-up, whatever the script does; a soak ends by the clock."""
        soak = self._readings.soak
        if soak is None or self._followed.main is None:
            return
        since = self._record.since.time_ns if self._record.since is not None else 0
        # Where a dataset is built anew in each epoch and kept, the warm-up begins again and again.
        warms_up = self._phases.current != "measure" and time.perf_counter_ns() - since < 1e9 * LONGEST_WARM_UP
        if warms_up and not soak.has_begun:
            return
        alike = self._observer.alike(self._followed.main)
        reason = self._readings.go_on_soaking(sum(one.epochs for one in alike), sum(one.steps for one in alike))
        self._one_end.reason = self._one_end.reason or reason

    def _able(self) -> list[Consumer]:
        """The datasets that may be the main one."""
        roles = ("training", "loop")
        return [one for one in self._observer.consumers if one.steps >= LEAST_STEPS and one.role in roles]

    def _change_main(self, main: Consumer) -> None:
        first, self._followed.main = self._followed.main is None, main
        self._observer.attention = True
        self._readings.models = ModelLog()
        if first:
            if self._phases.current == "build":
                self._enter("first_element")
            self._readings.memory.read("first")
            self._send_libraries()
            self._record.begin()
            self._enter("warmup")
        self._window = None
        self._follow_pass(main)
        if self._followed.alive:
            self._readings.models.begin(self._followed)
        # Whoever is killed in the warm-up leaves its steps. The first facts take milliseconds, and looks that take long
        # become rare: a short script would end before the second one.
        self._record.tell_at = time.perf_counter() + FIRST_PARTIAL_NS / 1e9
        self._warming = ScriptWarmUp(self._open("warmup", self._warm, tells_steps=True), self.job.warmup_seconds)

    def _follow_pass(self, main: Consumer, ended: int = 0) -> None:
        """Follow the main dataset's latest object and iterator; the one before ended after so many steps."""
        feed, holder = self._followed, main.current
        if holder is not None and holder is not feed.holder:
            if feed.holder is not None and self._window is not None and holder.iterator is not feed.reference:
                self._readings.models.restart(feed, ended)
            feed.holder = holder
        feed.ended = max(0, main.clock.begun - 1)
        feed.keep(main.objects.latest())

    def _take(self, main: Consumer, rows: Nanoseconds) -> None:
        if self._device_steps.began:
            return
        before, window = self._followed.reference, self._window
        count = (window or self._warming.window).statistics.count
        restarts = [int(number) for number in rows[:, -1].nonzero()[0]] or [len(rows)]
        ends, begins = restarts[0], restarts[-1]
        self._follow_pass(main, count + ends)
        if window is not None and window.reason is not None:
            # The script goes on for a step or two until its thread comes by.
            return
        if before is not self._followed.reference:
            # The readings are of steps until now: from a snapshot of now on, the model would lack what they cost.
            self._readings.models.follow(count + begins)
        if window is None:
            self._warming.rows.append(rows)
            if self._warming.window.take(rows):
                self._begin_measure(self._warming.window.reason)
            return
        if self._warming.rows:
            self._warming.rows.append(rows)
            if window.statistics.seconds >= ENOUGH_SECONDS:
                self._warming.forget()
        if window.take(rows[: window.most()]) and self._one_end.reason is None:
            self._one_end.reason = window.reason

    def _look_inside(self, phase: PhaseName, steps: int) -> None:
        """Look at the running pipeline after so many steps, and tell from time to time how they are taken."""
        self._readings.observe(phase, self.feed, steps)
        now = time.perf_counter()
        if now >= self._record.tell_at:
            self._record.tell_at = now + self._readings.send_every
            self._channel.send(training=self._training())

    def _warm(self, looked: Looked) -> str | None:
        # Of use only where no measurement follows.
        self._look_inside("warmup", self._warming.window.statistics.count)
        return self._warming.offer(looked, self._readings.models.parameters(self.feed))

    def _begin_measure(self, note: str | None, *, over: bool = False) -> PhaseWindow:
        self._readings.memory.read("warmup")
        self._enter("measure", note)
        if not over:
            self._warming.models, self._readings.models = self._readings.models, ModelLog()
            if self._followed.alive:
                self._readings.models.begin(self._followed)
        previous = self._warming.window.statistics.previous
        self._window = self._open("measure", self._measured, previous=previous, **self._limits())
        self._clock = WindowClock()
        return self._window

    def _measured(self, looked: Looked) -> str | None:
        if self._followed.main is not None:
            self._clock.look(looked.steps, self._followed.main.clock.between_ns)
        if self._window is not None:
            self._look_inside("measure", self._window.statistics.count)
        seconds = self.job.seconds if self._readings.soak is None else None
        if seconds is None or self._clock.seconds < MOST_TIMES * seconds:
            return None
        return f"ended early: most of {self._clock.seconds:.0f} s is no step of the main dataset"

    def _finish(self, reason: str) -> None:
        """End the measurement and describe the pipeline, once."""
        if not self._one_end.claim():
            return
        self._stop_reporter()
        # Not where that goes beyond what was to be measured.
        with self._reporter.looking, suppress(Exception):
            if self._one_end.reason is None:
                self._look()
        self._device_steps.close()
        if self._device_steps.read is not None:
            self._channel.send(device=self._device_steps.read)
        self._record.end(reason)
        self._hooks.uninstall()
        self._end_watch()
        if self._readings.soak is not None:
            self._readings.soak.end()
        if self._followed.main is None:
            self._channel.send(training=self._training())
            raise NeverIteratedError(self._why_nothing())
        if self.job.edits and not self._followed.handed:
            raise NeverIteratedError(f"{self._not_again()}: the change was not made")
        window = self._window
        if window is None or (self._warming.rows and self._one_end.reason is None):
            window = self._measure_warm_up()
        self._readings.models.observe(self._followed, window.statistics.count)
        self._leave(window.reason or reason)
        self._readings.memory.read("measure")
        self._channel.send(training=self._training())
        self._describe_main()

    def _stop_reporter(self) -> None:
        self._observer.attention = False
        self._reporter.stop()

    def _measure_warm_up(self) -> PhaseWindow:
        """Take the steps since the warm-up began as the measurement, without the first quarter; there are no others."""
        rows, previous = self._warming.latest(self.job.steps)
        window = self._window or self._begin_measure("the script ended before it was over", over=True)
        self._readings.models = self._warming.models or self._readings.models
        window.statistics = StepStatistics(self._step.floor, device=self._step.has_device, previous=previous)
        window.take(rows)
        when = "during the warm-up" if self._warming.models is None else "soon after the warm-up"
        advice = f" {self.advice}" if not self._one_end.failed else ""
        self.warn("short-script", f"{self.subject} ended {when}: its last steps are what was measured.{advice}")
        return window

    def _describe_main(self) -> None:
        """Read sizes, memory, graphs and the trace; no failure here affects the rest."""
        self.pipeline.dataset = self._followed.kept(edited=bool(self.job.edits))
        self._know_sources(self._followed.main)
        running, lacking = self._running()
        if running is not None:
            self.feed = running
            with self._attempt("no-sizes", "The size of a batch is unknown"):
                for _ in range(OWN_BATCHES):
                    self._readings.sizes.see(running.next())
        self.send_measured()
        self._enter("trace")
        self._describe()
        if running is None:
            self._note_no_trace(lacking, "script-ended" if lacking == ENDED else "no-trace")
        elif not self._channel.stop.is_set():
            with self._attempt("no-trace", "The trace failed"):
                if (why := self._trace().note) is not None:
                    self._note_no_trace(why)
        self._leave()

    def _graphs(self) -> None:
        if self.pipeline.dataset is None:
            raise PipelineFailedError("the dataset was gone before the first look at it.")
        super()._graphs()

    def _running(self) -> tuple[Feed | None, str]:
        if self._one_end.failed:
            return None, "the script failed"
        running, lacking = self._followed.running(self.pipeline.dataset)
        if lacking == EACH:
            self._readings.models = ModelLog()
            self.warn("stages-no-model", NO_COSTS)
        if running is not None and self._followed.main is not None and self._followed.main.devices:
            # TensorFlow shows no stages behind a strategy's iterator: the script's own dataset is read anew.
            self._readings.models = ModelLog()
            with self._attempt("stages-no-model", f"Times of stages are n/a: {HIDDEN}"):
                running.restart()
                # Of a pass that is longer, a part without what fills its buffers.
                stopped = self._channel.stop.is_set
                any(self._readings.models.observe_pass(running, TRACE_SECONDS, stopped) for _ in range(2))
                self.warn("stages-read-again", READ_AGAIN)
        return running, lacking

    def send_measured(self) -> None:
        """Send the measurement and the facts of the training so far."""
        window, sizes = self._window, self._readings.sizes
        if window is not None:
            # Looks are taken in a thread of their own: what they take of a core is what they cost.
            loop = LoopCost(
                overhead_ns=window.overhead_cpu_ns,
                overhead_cpu_ns=window.overhead_cpu_ns,
                cpu_ns=self._clock.cpu_ns(window.statistics.count),
                sizes=sizes.mean() if sizes.seen == OWN_BATCHES else None,
            )
            self._channel.send(measured=window.statistics.measured(loop=loop))
        if self._observer.consumers:
            self._channel.send(training=self._training())

    def _why_nothing(self) -> str:
        return self._record.why_no_step()

    def _training(self) -> Training:
        written = self._writes.written() if self._record.ended is not None else []
        return self._record.section(self._followed.main, written, self.pipeline.watch)
