"""Memory, CPU time and bytes from storage of a process and its descendants, read from outside by psutil."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.profiles.host.procfs import PROC, io_read_bytes, process_cpu_clock

if TYPE_CHECKING:
    from psutil import Process

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
