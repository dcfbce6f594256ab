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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

from pipeprof.pipelines.host_files import TEMPORARY, die_with_parent, end_group, settled_temporary_folder
from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.host.procfs import PROC, io_read_bytes, process_cpu_clock

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
_GUARD = "pipeprof.profiles.host.guard"
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


LOOK_SECONDS = 0.5
"""Between two looks for descendants and at their memory. A child that lives shorter may be missed; its CPU time counts
once it has been reaped."""
LOOK_SHARE = 0.02
"""Of a core for these looks: the kernel walks all pages for them, some 5 ms per gigabyte."""


@dataclass(frozen=True)
class FamilyReading:
    """Resident memory of a process and its descendants, with the pages that they share counted once."""

    bytes: int
    children: int = 0


def family(pid: int) -> list[Process]:
    """Return a process and its descendants; none of them once it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)] if process.status() != psutil.STATUS_ZOMBIE else []
    except (psutil.Error, OSError):
        return []


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger has stopped a process."""
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except (psutil.Error, OSError):
        return False


def cpu_seconds(processes: Sequence[Process]) -> float | None:
    """Return the CPU time of processes and of the children that they have reaped; ``None`` without any."""
    import psutil

    seconds = []
    for process in processes:
        try:
            times = process.cpu_times()
        except (psutil.Error, OSError):  # it has ended
            continue
        own = process_cpu_clock(process.pid) or times.user + times.system
        seconds.append(own + times.children_user + times.children_system)
    return sum(seconds) if seconds else None


def bytes_read(pid: int, proc: Path = PROC) -> int | None:
    """Return bytes fetched from storage for a process, its descendants, and those that it has reaped."""
    counts = [io_read_bytes(process.pid, proc) for process in family(pid)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


class FamilyReader:
    """Reader of a process and its descendants, cheap enough for 20 (for a while 200) readings a second.

    Every reading has the memory of the process; descendants are looked for, and theirs read, twice a second at most.

    Args:
        look_share: Cores that looks may take (0.001 is 0.1 % of one).
        cpu: CPU seconds of this thread, for what a look costs.
    """

    def __init__(
        self,
        pid: int,
        *,
        look_share: float = LOOK_SHARE,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.pid = pid
        self._look_share = look_share
        self._clock = clock
        self._cpu = cpu
        self._family: list[Process] = []
        self._added = 0
        self._looked = float("-inf")
        self._took = 0.0

    def read(self) -> FamilyReading | None:
        """Return the reading now; ``None`` once the process has ended, also if its id has been given to another."""
        import psutil

        now = self._clock()
        has_lost_one = any(not psutil.pid_exists(child.pid) for child in self._family[1:])
        due = max(0.0 if has_lost_one else LOOK_SECONDS, self._took / self._look_share)
        if not self._family or now - self._looked >= due:
            self._look(now)
        try:
            resident = self._family[0].memory_info().rss if self._family else 0
        except (psutil.Error, OSError):
            return None
        # Nothing alive has 0 pages: a process that ends gives its memory back first.
        if not resident:
            return None
        return FamilyReading(resident + self._added, len(self._family) - 1)

    def _look(self, now: float) -> None:
        began = self._cpu()
        before, self._family = self._family, family(self.pid)
        if before and self._family and before[0] != self._family[0]:
            self._family = []  # the id is another process's now
        # A child counts from its second look on: until it starts its program, it may run in its parent's memory.
        self._added = _beyond_parent(self._family[:1], [one for one in self._family[1:] if one in before])
        self._looked, self._took = now, self._cpu() - began


def _beyond_parent(parent: Sequence[Process], children: Sequence[Process]) -> int:
    """Return the bytes that children add to the resident memory of their parent.

    Two numbers are never too large, and the larger one counts: what the children have each alone, and the sum of the
    proportional shares of all less what the parent has resident. The first leaves out what only children share; the
    second leaves out the part of TensorFlow's libraries that is shared with strangers.
    """
    if not children:
        return 0
    (_, own, resident), *others = [_memory(process) for process in (*parent, *children)]
    alone = sum(unique for unique, _, _ in others)
    return max(alone, own + sum(share for _, share, _ in others) - resident)


def _memory(process: Process) -> tuple[int, int, int]:
    """Return the bytes that a process has alone, its proportional share, and all; all as its own where none is told."""
    import psutil

    for read in (process.memory_full_info, process.memory_info):
        # It may be another user's, or have ended.
        with suppress(psutil.Error, OSError):
            memory = read()
            return getattr(memory, "uss", memory.rss), getattr(memory, "pss", 0), memory.rss
    return 0, 0, 0
