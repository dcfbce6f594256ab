"""The guard of a run, a process of its own; see `pipeprof.profiles.host.run_family`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from types import FrameType

from pipeprof.pipelines.host_files import adopt_orphans, wake_with_parent
from pipeprof.profiles.host.run_family import GUARD, GuardOrder, GuardReport, end_family

KEPT_STATUSES = 4096
"""Exit statuses of children that are kept until somebody asks; the oldest go first."""
_READ = 1 << 16


class _GuardProcess:
    def __init__(self, control: int, reports: int, *, adopts: bool) -> None:
        self._control = control
        self._reports = reports
        self._adopts = adopts
        self._marks: list[str] = []
        self._watched: set[int] = set()
        self._statuses: dict[int, int] = {}
        self._leader: subprocess.Popen[bytes] | None = None

    def run(self, child_ended: int) -> None:
        """Follow orders until the other end of the pipe is closed, then end the family."""
        text, is_open = b"", True
        while is_open:
            readable, _, _ = select.select([self._control, child_ended], [], [])
            if child_ended in readable:
                os.read(child_ended, _READ)
                self._reap()
            if self._control in readable:
                data = os.read(self._control, _READ)
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    self._follow(json.loads(line))
                is_open = bool(data)
        # All members of the leader's group are descendants; its number may meanwhile be another one's.
        leader = self._leader.pid if self._leader is not None and not self._adopts else None
        for mark in self._marks:
            end_family(mark, leader, os.getpid())

    def _follow(self, order: GuardOrder) -> None:
        self._marks.append(order["mark"])
        if "start" in order:
            self._start(order)
        else:
            self._watch(order["watch"])

    def _start(self, order: GuardOrder) -> None:
        descriptors = order["descriptors"]
        environment = {**os.environ, **order["variables"], GUARD: str(os.getpid())}
        try:
            # It inherits the streams.
            self._leader = subprocess.Popen(
                order["start"], pass_fds=descriptors, start_new_session=True, env=environment
            )
        except OSError as error:
            self._report(GuardReport(failed=(error.errno or 0, str(error.strerror), error.filename)))
        else:
            self._report(GuardReport(started=self._leader.pid, adopts=self._adopts))
            self._watch(self._leader.pid)
        # Who reads from the other ends must see when the leader closes them.
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        for descriptor in (nothing, *descriptors):
            os.close(descriptor)

    def _watch(self, pid: int) -> None:
        self._watched.add(pid)
        if pid in self._statuses:
            self._report(GuardReport(ended=pid, status=self._statuses[pid]))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                if pid in self._watched:
                    self._report(GuardReport(ended=pid, status=status))
                    continue
                self._statuses[pid] = status
                if len(self._statuses) > KEPT_STATUSES:
                    del self._statuses[next(iter(self._statuses))]

    def _report(self, report: GuardReport) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._reports, json.dumps(report).encode() + b"\n")


def main() -> int:
    """The guard, with the descriptors of its orders and of its reports as arguments."""
    control, reports = (int(text) for text in sys.argv[1:])
    child_ended, signalled = os.pipe()
    for descriptor in (child_ended, signalled):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _do_nothing)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # It ends after the run's process. A handler, unlike "ignore", is not inherited by the leader.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _do_nothing)
    # A guard that is stopped with all the others could not end them.
    wake_with_parent()
    _GuardProcess(control, reports, adopts=adopt_orphans()).run(child_ended)
    return 0


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal."""
