"""The process that writes elements: a worker with a job of its own, ended with all that it started."""

from __future__ import annotations

import select

from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.process import WorkerProcess
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.messages import WorkerMessage
from pipeprof.profiles.protocol.turns import TurnRequest


class WriterProcess:
    """See `pipeprof.profiles.convert.writing.Writer`."""

    def __init__(self, job: Job, signals: Signals) -> None:
        self._signals = signals
        self._family = RunFamily()
        self._ended: str | None = None
        try:
            self._worker = WorkerProcess(job, self._family)
        except BaseException:
            self._family.__exit__()
            raise

    def wait(self, seconds: float) -> list[WorkerMessage] | None:
        """Return what it has said within so many seconds; None once it has ended."""
        worker, signals = self._worker, self._signals
        readable, _, _ = select.select([worker.messages, worker.printed, signals.read_fd], [], [], seconds)
        if signals.read_fd in readable:
            signals.rest()
        worker.read_output()
        return worker.read_messages()

    def go(self) -> None:
        """Let it write."""
        self._worker.send_turn(TurnRequest("block", 0.0))

    def end(self) -> str:
        """End it; return how it ended, in words."""
        if self._ended is None:
            code = self._worker.returncode
            if code is None:
                self._ended = "was ended"
            else:
                self._ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
            self._worker.end()
            self._worker.close()
            self._family.__exit__()
        return self._ended
