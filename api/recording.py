"""Measurement of a training in the process that it runs in: hooks, folding and profile are those of `pipeprof run`.

`WatchRun` is the side of the hooks, `LocalRun` the side that builds the profile; a `Recording` joins them without a
channel between processes. Whatever fails here is a line on stderr and no exception in the user's code.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pipeprof.cli.streams import say
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter, places, slug
from pipeprof.profiles.harness.event_loop import Ended, Reason
from pipeprof.profiles.harness.failure import Circumstances, Failure, diagnose
from pipeprof.profiles.harness.harness import Run
from pipeprof.profiles.harness.process import Outside
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.harness.settings import Silent, make_options
from pipeprof.profiles.host.limits import CgroupWatch
from pipeprof.profiles.host.run_family import FamilyReader
from pipeprof.profiles.host.sampler import ContentionProbe, Sampler, SamplerThread
from pipeprof.profiles.protocol.channel import Changes, LocalEnd
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.wording import PROFILE_CALL, as_typed
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.memory_log import MemoryLog
from pipeprof.profiles.worker.script.consumers import MOST_LOOKS, Consumer, Pass
from pipeprof.profiles.worker.script.run_script import ScriptRun
from pipeprof.profiles.worker.steps.loop import Feed, NeverIteratedError

SAMPLE_SECONDS = 0.5
"""Between two samples: one takes 0.3 ms of a core, with Python's lock."""
SAVE_SECONDS = 10.0
"""Between two saves of what was measured so far, in case that a signal kills the process."""
MOST_SAVING = 0.001
"""Share of the time that may go into them."""
FOREVER_SECONDS = 1e9
"""Length of a measurement that its surroundings end. With a length, looks that take long become rare."""


class WatchRun(ScriptRun):
    """Measurement of what this process iterates over; it ends nothing and takes no batch.

    Args:
        over: Called when the measurement has ended before its surroundings.
        call: The call that takes the batches, which is over with the measurement; None where a training takes them.
    """

    subject: ClassVar[str] = "What was watched"
    advice: ClassVar[str] = "Let it go on for longer."
    traces: ClassVar[bool] = False

    def __init__(
        self,
        job: Options,
        channel: LocalEnd,
        *,
        registered: Sequence[Callable[[], Any]],
        lines: bool,
        over: Callable[[], None],
        call: str | None = None,
    ) -> None:
        super().__init__(job, channel)
        self._call = call
        # Most objects were there before, and a notebook may have so many that counting takes seconds.
        self._readings.memory = MemoryLog(channel.send, counts_arrays=False)
        self._device_steps.close()  # they would need a trace of the user's process
        self._registered = registered
        self._lines = lines
        self._over = over
        self._preferred: set[Consumer] = set()

    def begin(self, model: Any = None) -> None:
        """Begin to watch; `model`: the one whose `fit` is under way."""
        if "tensorflow" not in sys.modules:
            # Else what the process holds by now is not TensorFlow alone.
            self._enter("import")
        self._imports.begin()
        if model is not None:
            self._observer.fit_called(model, None)
        self._reporter.start()

    def stop(self, reason: str, error: BaseException | None, failed: Callable[[], None]) -> None:
        """End the measurement, if it has not ended; `failed` is called when the exception that ends it is reported."""
        self._imports.end()
        try:
            if not self._one_end.has_begun:
                self._finish_with(reason, error, failed)
            else:
                self._finish(reason)
            self._channel.send(done=True)
        finally:
            self._unhook()

    @property
    def is_trained_on(self) -> bool:
        """Whether more batches were taken from a registered dataset than for a look at it."""
        return any(consumer.taken > MOST_LOOKS for consumer in list(self._preferred))

    def discard(self) -> bool:
        """Stop without a profile if nothing was iterated; return whether nothing was."""
        if self._observer.consumers or self._one_end.has_begun:
            return False
        self._one_end.claim()
        self._one_end.go_on()
        self._stop_reporter()
        self._unhook()
        return True

    def _finish_with(self, reason: str, error: BaseException | None, failed: Callable[[], None]) -> None:
        ending, self._one_end.failed = error, error is not None
        try:
            self._finish(reason)
        except NeverIteratedError as nothing:
            ending = error or nothing
        finally:
            if ending is not None and not isinstance(ending, KeyboardInterrupt):
                self._channel.send(error=describe_error(ending, self))
            if error is not None:
                failed()

    def _finish(self, reason: str) -> None:
        try:
            # Also after so many steps: no command can repeat a call.
            super()._finish(self._call or reason)
        finally:
            self._one_end.go_on()

    def _imported(self, library: str) -> None:
        with suppress(Exception):
            self._hooks.install(library)
            if library == "tensorflow":
                self._begin_build()

    def _begin_watch(self) -> None:
        if self._lines:
            super()._begin_watch()

    def _iterator_made(self, consumer: Consumer) -> None:
        if any(reference() is consumer.objects.latest() for reference in self._registered):
            self._preferred.add(consumer)
        with suppress(Exception):
            super()._iterator_made(consumer)

    def _able(self) -> list[Consumer]:
        able = super()._able()
        return [consumer for consumer in able if consumer in self._preferred] or able

    def _attend(self, one: Pass) -> None:
        try:
            super()._attend(one)
        except Exception as error:
            self._observer.attention = False
            say(f"pipeprof: warning: the measurement failed: {type(error).__name__}: {error}")

    def _running(self) -> tuple[Feed | None, str]:
        return None, "the training goes on, and only it takes batches"

    def _why_nothing(self) -> str:
        return super()._why_nothing() if self._observer.in_graph else "no tf.data dataset had two batches taken from it"

    def _end_process(self) -> None:
        self._channel.send(done=True)
        self._over()


class LocalRun(Run):
    """State of a measurement of this process."""

    def __init__(self, options: Options, writer: ProfileWriter) -> None:
        super().__init__(options, writer, Silent(), time.monotonic())
        self._observed = Observed()
        pid = os.getpid()
        # What this process does is the training: nothing of it is pipeprof's alone.
        self._oom = CgroupWatch(self._cgroup)
        self._sampler = Sampler(FamilyReader(pid), interval=SAMPLE_SECONDS)
        self._thread = SamplerThread(self._sampler)
        probe = ContentionProbe(pid, self._cgroup, own_cpu=lambda: 0.0)
        self._outside = Outside(self._facts, pid, probe, lambda: self._thread.cpu_seconds)
        self._failure: Failure | None = None
        self._save_at = time.monotonic() + SAVE_SECONDS

    def begin(self) -> None:
        """Start to sample memory."""
        self._thread.start()

    def take(self, changes: Changes) -> None:
        """Take what has changed on the hooks' side."""
        self._observed.take(changes)
        self._follow_phases(self._sampler)
        began = time.monotonic()
        if self._observed.measured is not None and began >= self._save_at:
            self._save(self._sampler)
            now = time.monotonic()
            self._save_at = now + max(SAVE_SECONDS, (now - began) / MOST_SAVING)

    def fail(self, reason: Reason) -> None:
        """Diagnose an end before its time, with the phase in which it came."""
        around = Circumstances(self._options, self._sampler, self._limit, self._oom.report())
        self._failure = self._failure or diagnose(Ended(reason, 0), self._observed, around)

    def discard(self) -> None:
        """Stop to sample; nothing is written."""
        self._thread.stop()

    def finish(self) -> Profile:
        """Stop to sample; build the profile and write it."""
        self._thread.stop()
        self.fail("exit")
        failure = self._failure
        return self._finish(self._sampler, failure.problem if failure else None, failure.exit_code if failure else 0)


class Recording:
    """One measurement of this process, from its begin to its profile.

    Args:
        out: File of the profile; None for one in ``pipeprof-out/``.
        registered: References to the datasets that may become the main one.
        reason: What ends it: ``the block``.
        steps: After which it ends by itself; None for never.
        lines: Whether to note where datasets are made, until the first step.
        quiet: Whether only warnings are printed.
    """

    def __init__(
        self,
        out: Path | None,
        *,
        registered: Sequence[Callable[[], Any]] = (),
        reason: str,
        steps: int | None = None,
        lines: bool = False,
        quiet: bool = False,
    ) -> None:
        script = Path(_main_file())
        # The folder may change until the end.
        self._writer = ProfileWriter(places(slug(script.stem), out=out.absolute() if out else None, cwd=Path.cwd()))
        settings = make_options(
            target=ParsedTarget("script", script),
            command=[Path(sys.executable).name, *sys.argv],
            script_args=sys.argv[1:],
            steps=steps,
            to_end=steps is None,
            allow_writes=True,
        )
        self.reason = reason
        self._out = out
        self._local = LocalRun(settings, self._writer)
        self._run = WatchRun(
            replace(settings, memory_limit=None, seconds=FOREVER_SECONDS),
            LocalEnd(self._local.take),
            registered=registered,
            lines=lines,
            over=self._conclude,
            call=reason if reason == PROFILE_CALL else None,
        )
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ended = False
        self._quiet = quiet
        self.profile: Profile | None = None
        """None until the end, and where there is none."""

    @property
    def path(self) -> Path | None:
        """Where the profile is saved."""
        return self._writer.path

    @property
    def is_trained_on(self) -> bool:
        """See `WatchRun`."""
        return self._run.is_trained_on

    @property
    def ended(self) -> bool:
        """Whether the profile is written; always in a copy of the process."""
        return self._ended or os.getpid() != self._pid

    def begin(self, model: Any = None) -> None:
        """Begin to measure; `model` is the one whose `fit` is under way."""
        self._local.begin()
        self._run.begin(model)

    def end(self, error: BaseException | None = None) -> None:
        """End the measurement by an exception or none, and write its profile, once. Raises nothing."""
        if self.ended:
            return
        failure = None if _is_regular(error) else error
        reason: Reason = "interrupted" if isinstance(failure, KeyboardInterrupt) else "exit"
        try:
            self._run.stop(self.reason, failure, lambda: self._local.fail(reason))
        except Exception as problem:
            say(f"pipeprof: warning: the measurement is not complete: {type(problem).__name__}: {problem}")
        self._conclude()

    def make_way(self) -> None:
        """End for another measurement: with a profile if anything was iterated."""
        if not self.ended and self._run.discard():
            self._ended = True
            self._local.discard()
            if self._out is not None:
                say(f"pipeprof: note: {self._out} is not written: another measurement began before there was a batch")
        else:
            self.end()

    def _conclude(self) -> None:
        with self._lock:
            if self.ended:
                return
            self._ended = True
        try:
            profile = self._local.finish()
            if profile.complete:
                self._writer.deliver(profile)
            self._report(profile)
            self.profile = profile
        except Exception as problem:
            say(f"pipeprof: warning: there is no profile: {type(problem).__name__}: {problem}")

    def _report(self, profile: Profile) -> None:
        writer = self._writer
        for warning in writer.warnings:
            say(f"pipeprof: warning: {warning}")
        if writer.kept is not None:
            say(f"pipeprof: note: {as_typed(str(writer.kept))} stays as it was: the measurement is not complete")
        if writer.path is None or self._quiet:
            return
        if _shell() is not None:
            # What writes reports is not in memory while steps are measured.
            from pipeprof.cli.reports import rendered

            module: Any = sys.modules["IPython"]
            module.display.display({"text/plain": rendered(profile, "text", writer.path)}, raw=True)
            return
        for problem in profile.errors:
            if problem.code == "never-iterated":
                say(f"pipeprof: warning: {problem.message}")
        path = as_typed(str(writer.path))
        say(f"pipeprof: the profile is {path}: pipeprof show {shlex.quote(path)}")


def _is_regular(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


def _main_file() -> str:
    """The script that this process runs, as a user types it; a word where it runs none."""
    if _shell() is not None:
        return "notebook"
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return as_typed(str(Path(file).absolute())) if isinstance(file, str) else "interactive"


def _shell() -> Any:
    """The shell that runs a notebook's cells; None outside of one."""
    module: Any = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def end_with_cell(recording: Recording, *, of_dataset: bool = False) -> None:
    """End a measurement with the notebook's cell that runs now, or the first that trains on a registered dataset."""
    shell = _shell()
    if shell is None:
        return

    def ended(result: Any) -> None:
        if of_dataset and not recording.ended and not recording.is_trained_on:
            return
        shell.events.unregister("post_run_cell", ended)
        recording.end(result.error_in_exec)

    shell.events.register("post_run_cell", ended)
