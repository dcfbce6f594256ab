"""The processes of a run, and their end.

A guard starts the first process of a run, its leader, and does nothing but wait for its children and for the end of a
pipe. Linux gives it every process of the run whose own parent has ended, whatever session, group or environment that
process has chosen, so all processes of the run are descendants of the guard. Who ends the run kills these. If the run's
own process is killed, the guard does it; if the guard is killed, the kernel ends the leader.

Two weaker ways find processes where a system does not hand over orphans, as macOS: the leader leads a process group,
and all processes inherit a mark in their environment.

Temporary folders of a run have its mark in their names. Who ends the run removes those that its processes left.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, TypedDict

from pipeprof.pipelines.host_files import TEMPORARY, die_with_parent, end_group, settled_temporary_folder
from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.host.processes import family

if TYPE_CHECKING:
    from psutil import Process

MARK = "PIPEPROF_RUN"
GUARD = "PIPEPROF_GUARD"
"""Variable with the guard's process id: the parent that a leader ends with."""
FOLDER = "pipeprof-run-"
"""Beginning of the names of temporary folders; the mark follows."""
MOST_ROUNDS = 500
"""Looks for processes of a family until all of them are gone: one that forks faster than it is killed ends them."""
DYING_SECONDS = 0.01
"""Between two looks while killed processes still end: until they have, one that they started may be on its way."""
LEAVE_SECONDS = 10.0
"""For a guard that ends a family by itself."""
_GUARD = "pipeprof.profiles.worker.guard"
_READ = 1 << 16


class GuardOrder(TypedDict, total=False):
    """An order to a guard: start a leader, or watch a process."""

    mark: str
    start: list[str]
    variables: dict[str, str]
    descriptors: list[int]
    watch: int


class GuardReport(TypedDict, total=False):
    """A guard's answer, or the end of a process.

    Attributes:
        failed: Number, text and file name of the error for which no leader could be started.
        status: Its exit status, or minus the signal.
    """

    started: int
    adopts: bool
    failed: tuple[int, str, str | None]
    ended: int
    status: int


class LedProcess:
    """A process whose parent is a guard."""

    def __init__(self, pid: int, guard: Guard) -> None:
        self.pid = pid
        self.guard = guard

    def poll(self) -> int | None:
        """Return the exit status, or minus the signal; `None` while it runs."""
        return self.guard.status_of(self.pid, 0.0)

    def wait(self, seconds: float | None = None) -> int:
        """Wait for the end; return what `poll` does, or raise `subprocess.TimeoutExpired`."""
        until = time.monotonic() + seconds if seconds is not None else None
        left: float | None = None
        while left != 0.0:
            left = max(0.0, until - time.monotonic()) if until is not None else None
            status = self.guard.status_of(self.pid, left)
            if status is not None:
                return status
        raise subprocess.TimeoutExpired(str(self.pid), seconds or 0.0)


class Guard:
    """The guard as the run's process sees it.

    Attributes:
        adopts: Whether it becomes the parent of orphans; known once it has started a leader.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, streams: Sequence[int | IO[bytes]], descriptors: Sequence[int] = ()) -> None:
        self.adopts = False
        self._descriptors = descriptors
        self._statuses: dict[int, int] = {}
        self._answers: list[GuardReport] = []
        self._unread = b""
        control, self._control = os.pipe()
        self._reports, reports = os.pipe()
        stdin, stdout, stderr = streams
        try:
            self._process = subprocess.Popen(
                child_command(_GUARD, str(control), str(reports)),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(control, reports, *descriptors),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._control)
            os.close(self._reports)
            raise
        finally:
            os.close(control)
            os.close(reports)
        self.pid = self._process.pid

    def start(self, mark: str, command: Sequence[str], variables: Mapping[str, str]) -> LedProcess:
        """Start the leader, or raise `OSError`."""
        self._tell(
            GuardOrder(mark=mark, start=list(command), variables=dict(variables), descriptors=list(self._descriptors))
        )
        while not self._answers:
            if not self._read():
                raise OSError(errno.ECHILD, "the process that was to start it ended")
        answer = self._answers.pop()
        if "failed" in answer:
            raise OSError(*answer["failed"])
        self.adopts = answer["adopts"]
        return LedProcess(answer["started"], self)

    def adopt(self, mark: str, pid: int) -> None:
        """Let the guard report when a process ends that it has become the parent of, and end its family, too."""
        self._tell(GuardOrder(mark=mark, watch=pid))

    def status_of(self, pid: int, seconds: float | None) -> int | None:
        """Return a child's exit status, or minus the signal, after so long at most; `None` while it runs."""
        if pid not in self._statuses and select.select([self._reports], [], [], seconds)[0] and not self._read():
            # The guard was killed, and the leader with it.
            return -signal.SIGKILL
        return self._statuses.get(pid)

    def close(self, *, at_once: bool) -> None:
        """End it; `at_once` if nothing is left for it to end: it is killed before it sees the closed pipe."""
        if at_once:
            self._process.kill()
        os.close(self._control)
        os.close(self._reports)
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, order: GuardOrder) -> None:
        """Send an order; a guard that is gone takes none."""
        text = json.dumps(order).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while text:
                text = text[os.write(self._control, text) :]

    def _read(self) -> bool:
        """Take what it reports; return whether more may come."""
        data = os.read(self._reports, _READ)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            report: GuardReport = json.loads(line)
            if "ended" in report:
                self._statuses[report["ended"]] = report["status"]
            else:
                self._answers.append(report)
        return bool(data)


class RunFamily:
    """The processes of one run; `environment` are the variables of the first one."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        # A run inside a run belongs to both.
        marks = f"{os.environ.get(MARK, '')} {self.mark}".strip()
        self.environment = {**os.environ, MARK: marks, TEMPORARY: str(settled_temporary_folder())}
        self._guard: Guard | None = None
        self._is_ended = False

    def start(
        self,
        command: Sequence[str],
        streams: Sequence[int | IO[bytes]],
        descriptors: Sequence[int],
        variables: Mapping[str, str] | None = None,
    ) -> LedProcess:
        """Start the leader, in a session of its own, or raise `OSError`."""
        self._guard = Guard(streams, descriptors)
        own = {name: self.environment[name] for name in (MARK, TEMPORARY)}
        return self._guard.start(self.mark, command, {**(variables or {}), **own})

    def end(self, leader: int) -> None:
        """Kill all of them."""
        end_family(self.mark, leader, self._guard.pid if self._guard is not None else None)
        self._is_ended = True

    def __enter__(self) -> RunFamily:
        return self

    def __exit__(self, *_error: object) -> None:
        """End the guard, and by it what `end` has not ended."""
        if self._guard is not None:
            self._guard.close(at_once=self._is_ended)
            self._guard = None


def end_family(mark: str, leader: int | None = None, guard: int | None = None) -> None:
    """Kill a guard's descendants, a leader's group and descendants, and all that carry the mark; remove their folders.

    Args:
        guard: It is not killed; `None` if it is not this family's own.
    """
    try:
        _kill_family(mark, leader, guard)
    finally:
        for folder in settled_temporary_folder().glob(f"{folder_prefix(mark)}*"):
            shutil.rmtree(folder, ignore_errors=True)


def folder_prefix(mark: str | None = None) -> str:
    """Beginning of the names of a run's temporary folders; without a mark: of the run that this process belongs to."""
    marks = os.environ.get(MARK, "").split()
    return f"{FOLDER}{mark or (marks[-1] if marks else os.getpid())}-"


def die_with_guard() -> None:
    """Ask the kernel to kill this process, a leader, as soon as its guard ends.

    The variable that names the guard is removed: the user's code sees its own environment and the mark.
    """
    guard = os.environ.pop(GUARD, "")
    die_with_parent(int(guard) if guard.isdecimal() else None)


def _kill_family(mark: str, leader: int | None, guard: int | None) -> None:
    # psutil tells a process from a later one with its id by the time of its start.
    members: set[Process] = set()
    handled: set[Process] = set()
    foreign: set[Process] = set()
    for _ in range(MOST_ROUNDS):
        for ancestor in (guard, leader):
            members |= set(family(ancestor)[1:] if ancestor is not None else ())
        members |= {process for process in marked(mark) if process.pid != guard}
        if leader is not None:
            end_group(leader)
            leader = None
        left = {process for process in members if _is_alive(process)}
        for process in left - handled:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                # One of another user stays; there is no point in waiting for it.
                foreign.add(process)
        if left <= foreign:
            return
        if left <= handled:
            time.sleep(DYING_SECONDS)
        handled |= left


def _is_alive(process: Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def marked(mark: str) -> list[Process]:
    """Processes with the mark in the environment that they were started with; not this one."""
    import psutil

    found: list[Process] = []
    try:
        pids = psutil.pids()
    except (OSError, IndexError):  # without a process file system
        return found
    for pid in pids:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if pid != os.getpid() and mark in process.environ().get(MARK, "").split():
                found.append(process)
    return found
