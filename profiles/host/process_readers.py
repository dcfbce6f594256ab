"""Readers of memory, CPU time and disk bytes of a process with its descendants, from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeprof.profiles.host.proc_texts import PROC
from pipeprof.profiles.host.procfs import (
    Pages,
    Shares,
    descendants,
    io_read_bytes,
    libraries,
    newest_pid,
    pages,
    process_cpu_clock,
    same_memory,
    shares,
    stat,
)

LOOK_AT_LEAST_EVERY = 2.0
"""Seconds between two searches for descendants if none was started: ended ones may have been reaped."""
LOOK_SHARE = 0.02
"""Of a core for these searches."""


@dataclass(frozen=True)
class FamilyReading:
    """Reading of a process and its descendants at one moment; an unavailable value is ``None``.

    Attributes:
        rss_bytes: Resident memory of all; pages that they share are counted in each.
        cpu_seconds: CPU time of all, also of descendants that have ended.
        pages: Resident memory of each by its id, the process itself first; empty where the system does not report
            shared pages. A child that still runs in its parent's memory is left out.
    """

    rss_bytes: int | None
    cpu_seconds: float | None = None
    children: int = 0
    pages: Mapping[int, Pages] = field(default_factory=dict)


def _sum(values: list[int | None]) -> int | None:
    """Return the sum of what is known (a descendant may end while it is read)."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


class ProcfsReader:
    """Reader of a process and its descendants, cheap enough for 20 (for a while 200) readings a second.

    Args:
        clock: Seconds; only decides when to look for new descendants.
        look_every: Seconds between two looks for descendants and for the CPU time of those that have ended. They cost
            a file per thread and 0.1 ms for ``stat``, so a child that lives shorter may be missed; its CPU time is
            counted once it has been reaped. Where the kernel's newest id shows that nothing was started on the whole
            machine, a look is put off.
        look_share: Cores that looks may take (0.001 is 0.1 % of one), whatever `look_every` is.
        cpu: CPU seconds of this thread, for what a look costs.
        cpu_clock: Finer CPU seconds of one process by its id; the kernel's ticks are used where it gives ``None``.
        same_memory: Whether two processes run in one memory.
    """

    def __init__(
        self,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
        look_every: float = 0.5,
        cpu_clock: Callable[[int], float | None] | None = None,
        same_memory: Callable[[int, int], bool] = lambda _one, _other: False,
        *,
        look_share: float = LOOK_SHARE,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._proc = proc
        self._look_share, self._cpu_now, self._took = look_share, cpu, 0.0
        self._clock = clock
        self._look_every = look_every
        self._cpu_clock = cpu_clock
        self._same_memory = same_memory
        self._apart: set[int] = set()
        self._started: dict[int, int] = {}
        self._reaped: dict[int, float] = {}
        self._children: tuple[int, ...] = ()
        self._looked: float | None = None
        self._newest: int | None = None

    def read(self, pid: int) -> FamilyReading | None:
        """Return the reading now; ``None`` once the process has ended, also if its id has been given to another."""
        now = self._clock()
        due = self._due(now)
        if due and not self._find_descendants(pid, now):
            return None
        # Checked before its pages are read: afterwards it may have started its program.
        apart = self._with_own_memory(pid)
        memory = self._memory(pid)
        if len(memory) <= len(self._children) and not due:
            # One has ended: its CPU time is its parent's now.
            if not self._find_descendants(pid, now):
                return None
            apart = self._with_own_memory(pid)
            memory = self._memory(pid)
        if pid not in memory:
            return None
        return FamilyReading(
            rss_bytes=sum(one.rss_bytes for one in memory.values()),
            cpu_seconds=sum(map(self._cpu, memory)),
            children=len(memory) - 1,
            pages={one: held for one, held in memory.items() if one == pid or one in apart},
        )

    def _due(self, now: float) -> bool:
        """Return whether to look for descendants."""
        since = now - self._looked if self._looked is not None else LOOK_AT_LEAST_EVERY
        if since < max(self._look_every, self._took / self._look_share):
            return False
        before, self._newest = self._newest, newest_pid(self._proc)
        return since >= LOOK_AT_LEAST_EVERY or self._newest is None or self._newest != before

    def _with_own_memory(self, pid: int) -> frozenset[int]:
        """Return the children but those that are about to start a program and still use their parent's memory."""
        family = (pid, *self._children)
        for child in self._children:
            if child not in self._apart and not any(
                self._same_memory(child, number) for number in family if number != child
            ):
                self._apart.add(child)
        return frozenset(self._apart)

    def shares(self, pid: int) -> Shares | None:
        """Return the private and shared parts of one process's memory."""
        return shares(pid, self._proc)

    def libraries(self, pid: int) -> dict[str, int]:
        """Resident bytes of each library that one process maps."""
        return libraries(pid, self._proc)

    def _memory(self, pid: int) -> dict[int, Pages]:
        found = {number: pages(number, self._proc) for number in (pid, *self._children)}
        return {one: held for one, held in found.items() if held is not None}

    def bytes_read(self, pid: int) -> int | None:
        """Return bytes fetched from storage for the process, its descendants, and those that it has reaped."""
        own = io_read_bytes(pid, self._proc)
        children = descendants(pid, self._proc)
        return None if own is None else _sum([own, *(io_read_bytes(child, self._proc) for child in children)])

    def _find_descendants(self, pid: int, now: float) -> bool:
        """Look for descendants and what they have reaped; returns whether the process is still there."""
        began = self._cpu_now()
        own = stat(pid, self._proc)
        if own is None or self._started.setdefault(pid, own.start_ticks) != own.start_ticks:
            return False
        self._looked = now
        found = {child: stat(child, self._proc) for child in descendants(pid, self._proc)}
        self._children = tuple(child for child, one in found.items() if one is not None)
        self._apart &= set(self._children)
        self._reaped = {one: at.reaped_cpu_seconds for one, at in {pid: own, **found}.items() if at is not None}
        self._took = self._cpu_now() - began
        return True

    def _cpu(self, pid: int) -> float:
        precise = self._cpu_clock(pid) if self._cpu_clock is not None else None
        if precise is None:
            found = stat(pid, self._proc)
            precise = found.cpu_seconds if found is not None else 0.0
        return precise + self._reaped.get(pid, 0.0)


class PsutilReader:
    """Reader for systems without ``/proc`` (macOS): memory and CPU time; no shares, no bytes from the disk."""

    def read(self, pid: int) -> FamilyReading | None:
        """Return the reading now; ``None`` once the process has ended."""
        import psutil

        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            family = [process, *process.children(recursive=True)]
            rss, cpu = 0, 0.0
            for member in family:
                with member.oneshot():
                    times = member.cpu_times()
                    rss += int(member.memory_info().rss)
                    cpu += times.user + times.system + times.children_user + times.children_system
        except (psutil.Error, OSError):
            return None
        return FamilyReading(rss_bytes=rss, cpu_seconds=cpu, children=len(family) - 1)

    def shares(self, pid: int) -> None:
        """Not provided by this system."""
        del pid

    def libraries(self, pid: int) -> dict[str, int]:
        """Not provided by this system."""
        del pid
        return {}

    def bytes_read(self, pid: int) -> None:
        """Not provided by this system."""
        del pid


def system_reader(look_share: float = LOOK_SHARE) -> ProcfsReader | PsutilReader:
    """Return the reader for this machine; see `ProcfsReader`."""
    return (
        ProcfsReader(cpu_clock=process_cpu_clock, same_memory=same_memory, look_share=look_share)
        if stat("self") is not None
        else PsutilReader()
    )
