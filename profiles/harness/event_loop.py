"""Event loop that watches the worker: its pipes, the clock, the memory limit and the user's signals."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pipeprof.profiles.harness.process import WorkerProcess
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import MemorySample, Sampler

Asked = Literal["interrupted", "terminated", "hung-up"]
Reason = Literal["exit", "silent", "memory-limit", "hung", "long-trace", "max-time"] | Asked

LOOK_SECONDS = 1.0
LOOK_ABOVE = 0.5
ANSWER_SECONDS = 2.0
LAST_LOOK_SECONDS = 0.5
SAVE_SECONDS = 2.0
MOST_SAVING = 0.05
"""Share of the time that may go into saving partial profiles."""
LONGEST_PATIENCE = 1.0
SUSPENDED_SECONDS = 2.0
"""From which lateness on the loop itself was stopped, not only delayed by other processes."""
EXIT_SECONDS = 0.02
"""Between two looks whether a worker has ended that has closed its pipe."""
SILENT_SECONDS = 1.0
"""How long a worker that has closed its pipe may take to end."""
GRACE_SECONDS = {"interrupted": 8.0, "terminated": 2.0, "hung-up": 2.0, "max-time": 4.0}
ASKED: dict[int, Asked] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung-up"}
EXIT_CODES: dict[Asked, int] = {"interrupted": 130, "terminated": 143, "hung-up": 129}
_STOPPABLE = ("warmup", "measure", "trace")


@dataclass
class Ended:
    """End of a sample.

    Attributes:
        reason: Cause of the end; `exit` when the worker ended by itself.
        suspended: It was found hanging because something had stopped the process.
        waited: Seconds without progress, where it was not given all of its time.
    """

    reason: Reason
    returncode: int
    last: MemorySample | None = None
    suspended: bool = False
    successor: str | None = None
    waited: float | None = None


class Signals:
    """Handler of Ctrl-C, SIGTERM and SIGHUP for the loop; the second signal no longer waits for the worker."""

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self.times = 0
        self.read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._write_fd, False)
        os.set_blocking(self.read_fd, False)

    @property
    def exit_code(self) -> int | None:
        """Exit code of a command that a signal ended; None where none came."""
        return EXIT_CODES[self.asked] if self.asked is not None else None

    def wake(self) -> None:
        """Wake the loop."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_fd, b"!")

    def rest(self) -> None:
        """Clear earlier wake-ups."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.read_fd, 1024)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.times += 1
        self.asked = ASKED[number]
        self.wake()

    @contextlib.contextmanager
    def installed(self) -> Iterator[Signals]:
        """Handle the signals while the body runs; outside of the main thread only the memory limit wakes the loop."""
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in ASKED:
                # What `nohup` has switched off stays off.
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, self._handle)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self.read_fd)
            os.close(self._write_fd)


@dataclass
class Saver:
    """Saves what there is, also while nothing is heard: whoever kills this process leaves the file behind."""

    save: Callable[[], None]
    seconds: float = SAVE_SECONDS
    most_share: float = MOST_SAVING
    due: float = 0.0
    _state: tuple[int, bool] | None = None

    def save_when_due(self, observed: Observed, clock: Callable[[], float]) -> None:
        """Save at the beginning, at the begin of each phase, at the first steps, and every `seconds`."""
        now, state = clock(), (len(observed.phases), observed.measured is not None)
        if now >= self.due or state != self._state:
            self._state = state
            self.save()
            # A profile with a large graph in it takes long to write, and nothing is measured any more by then.
            self.due = now + max(self.seconds, (clock() - now) / self.most_share)


@dataclass
class _Stop:
    """Why the worker is ended, when at the latest, and how many answers it had given before it was asked once more."""

    reason: Reason
    kill_at: float
    answers: int = 0


@dataclass
class Watch:
    """Event loop with its state.

    Args:
        timeout: Seconds without progress after which it is taken to hang.
        end_at: When the command's time is over, in seconds of `clock`; `None` for never.
    """

    worker: WorkerProcess
    observed: Observed
    sampler: Sampler
    signals: Signals
    timeout: float
    end_at: float | None
    on_message: Callable[[], None]
    saver: Saver
    clock: Callable[[], float] = time.monotonic
    over_limit: bool = False
    _stop: _Stop | None = None
    _next_look: float = 0.0
    _closed: set[int] = field(default_factory=set)
    _silent_at: float | None = None
    _ended: Ended = field(default_factory=lambda: Ended("exit", 0))

    def run(self, on_hang: Callable[[], None] = lambda: None) -> Ended:
        """Watch until the worker has ended; `on_hang` is called before one that hangs is, with its answer if any."""
        try:
            while not self._is_over():
                if self._stop is None:
                    self.saver.save_when_due(self.observed, self.clock)
                self._take()
                self._decide(self.clock())
            if self._stop is not None and self._stop.reason == "hung":
                on_hang()
        finally:
            returncode = self.worker.end()
            self._drain()
        reason: Reason = self._stop.reason if self._stop is not None else "exit"
        if self.observed.done and not self._outlasts_done(reason):
            reason = "exit"
        return replace(self._ended, reason=reason, returncode=returncode, last=self.sampler.last)

    def _outlasts_done(self, reason: Reason) -> bool:
        """Whether a reason stands although the worker sent its last message."""
        if reason == "max-time":
            return self.observed.complete
        return reason == "memory-limit" or reason in ASKED.values()

    def _is_over(self) -> bool:
        is_late = self._stop is not None and self.clock() >= self._stop.kill_at
        return is_late or self.worker.returncode is not None

    def _take(self) -> None:
        pipes = [number for number in (self.worker.messages, self.worker.printed) if number not in self._closed]
        wait = self._seconds_to_wait()
        due = self.clock() + wait
        readable, _, _ = select.select([*pipes, self.signals.read_fd], [], [], wait)
        if (late := self.clock() - due) > SUSPENDED_SECONDS:
            # This process was stopped, by Ctrl-Z or with the whole machine: the worker's silence says nothing.
            self.observed.excuse(wait + late)
        if self.signals.read_fd in readable:
            self.signals.rest()
        if self.worker.printed in readable and not self.worker.read_output():
            self._close(self.worker.printed)
        if self.worker.messages in readable:
            self._hear()

    def _hear(self) -> None:
        messages = self.worker.read_messages()
        if messages is None:
            self._close(self.worker.messages)
            self._silent_at = self.clock() + SILENT_SECONDS
            self._ended.successor = self.worker.successor
            return
        for message in messages:
            self.observed.take(message)
        self.on_message()

    def _close(self, pipe: int) -> None:
        """A closed pipe means that the worker is about to end; give it a moment to leave its exit status.

        It may also be the user's code that closed it.
        """
        self._closed.add(pipe)
        select.select([self.signals.read_fd], [], [], EXIT_SECONDS)

    def _seconds_to_wait(self) -> float:
        now = self.clock()
        if self._stop is None:
            due = [self.observed.hangs_at(self.timeout), self.observed.give_up_at, self.end_at, self.saver.due]
        else:
            # The reason for the stop is over and must not keep the loop busy until the worker ends.
            due = [self._stop.kill_at]
        if self._silent_at is not None:
            # It is about to end, which no pipe will tell.
            due.append(now + EXIT_SECONDS)
        if self._next_look > now:
            due.append(self._next_look)
        return max(0.0, min([now + LONGEST_PATIENCE, *(moment for moment in due if moment is not None)]) - now)

    def _decide(self, now: float) -> None:
        if self._stop is None:
            self._find_reason(now)
        elif self._waits_no_longer(self._stop):
            self._stop.kill_at = now
        last = self.sampler.last
        limit = self.sampler.limit_bytes
        if last and limit and last.used_bytes > LOOK_ABOVE * limit and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self.worker.send("look")

    def _waits_no_longer(self, stop: _Stop) -> bool:
        if self.signals.times > (1 if stop.reason in ASKED.values() else 0):
            return True
        has_answer = self.observed.answers > stop.answers and stop.reason in {"hung", "memory-limit"}
        return has_answer or (self.over_limit and stop.reason != "memory-limit")

    def _find_reason(self, now: float) -> None:
        if self.over_limit:
            self._ask("memory-limit", now + LAST_LOOK_SECONDS)
        elif self.signals.asked is not None:
            self._stop_gently(self.signals.asked, now)
        elif self.end_at is not None and now >= self.end_at:
            self._stop_gently("max-time", now)
        elif self._silent_at is not None and now >= self._silent_at:
            self._stop = _Stop("silent", now)
            self._ended.successor = self._ended.successor or self.worker.successor
        elif self.observed.give_up_at is not None and now >= self.observed.give_up_at:
            # The worker sent all other results before.
            self._stop = _Stop("long-trace", now)
        elif now >= self.observed.hangs_at(self.timeout):
            self._ended.suspended = self.worker.is_suspended
            self._end_hung(now)

    def cut_short(self) -> None:
        """Take the worker to hang, for what is known of what it waits for."""
        if self._stop is None:
            now = self.clock()
            self._ended.waited = now - self.observed.heard
            self._end_hung(now)

    def _end_hung(self, now: float) -> None:
        self.worker.dump_stacks()
        self._ask("hung", now + ANSWER_SECONDS)

    def _ask(self, reason: Reason, until: float) -> None:
        """End the worker, after one last query of its state."""
        self._stop = _Stop(reason, until, self.observed.answers)
        self.worker.send("look")

    def _stop_gently(self, reason: Reason, now: float) -> None:
        """Let a worker in the step loop finish its statistics; end any other at once."""
        gentle = self.observed.phase in _STOPPABLE and self.worker.send("stop")
        self._stop = _Stop(reason, now + GRACE_SECONDS[reason] if gentle else now)

    def _drain(self) -> None:
        for message in self.worker.read_messages() or []:
            self.observed.take(message)
        self.worker.read_output()
