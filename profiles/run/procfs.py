"""What the kernel says about a process and its machine, read from outside through ``/proc``.

Everything here answers ``None`` when it cannot be had (the process is gone, the file is forbidden or does not exist
on this system) and never 0 in its place. ``proc`` is a parameter so that tests read made-up folders.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROC = Path("/proc")
Pid = int | Literal["self"]

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_DEAD = frozenset("ZXx")
_SCHEDULER_CLOCK = 2
_RESET_PEAK = b"5"


def read_text(path: Path | str) -> str | None:
    """The whole of a small file, or ``None`` if it cannot be read.

    Uses bare system calls: at 20 samples a second the layers of ``open`` would be most of the cost.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    except OSError:  # a process that ends while its files are read
        return None
    finally:
        os.close(fd)
    return b"".join(parts).decode("utf-8", "replace")


def fields(text: str | None) -> dict[str, int]:
    """The integers of ``Name: 123 kB`` or ``name 123`` lines; sizes in kB are given in bytes."""
    values: dict[str, int] = {}
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        try:
            number = int(words[1])
        except ValueError:
            continue
        values[words[0].rstrip(":")] = number * 1024 if words[-1] == "kB" else number
    return values


@dataclass(frozen=True)
class Stat:
    """The parts of ``/proc/<pid>/stat`` that are used here; times are seconds with the kernel's tick of 10 ms."""

    state: str
    parent: int
    cpu_seconds: float
    reaped_cpu_seconds: float
    start_ticks: int


def stat(pid: Pid, proc: Path = PROC) -> Stat | None:
    """State and counters of a live process; ``None`` for one that is gone or only waits to be reaped."""
    text = read_text(f"{proc}/{pid}/stat")
    if text is None:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    words = text[text.rfind(")") + 1 :].split()
    try:
        found = Stat(
            state=words[0],
            parent=int(words[1]),
            cpu_seconds=(int(words[11]) + int(words[12])) / _TICKS,
            reaped_cpu_seconds=(int(words[13]) + int(words[14])) / _TICKS,
            start_ticks=int(words[19]),
        )
    except (IndexError, ValueError):
        return None
    return None if found.state in _DEAD else found


def rss_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Resident memory from ``statm``, which newer kernels keep exact where ``stat`` lags by pages per core."""
    text = read_text(f"{proc}/{pid}/statm")
    try:
        pages = int((text or "").split()[1])
    except (IndexError, ValueError):
        return None
    # A process that has ended but is not reaped has no memory left; nothing alive has 0 pages.
    return pages * PAGE_BYTES or None


def peak_rss_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """High-water mark of resident memory (``VmHWM``), since the start or the last :func:`reset_peak`."""
    return fields(read_text(f"{proc}/{pid}/status")).get("VmHWM")


def reset_peak(pid: Pid = "self", proc: Path = PROC) -> bool:
    """Set the high-water mark back to what is resident now; ``False`` where that is forbidden."""
    try:
        fd = os.open(f"{proc}/{pid}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, _RESET_PEAK) == len(_RESET_PEAK)
    except OSError:
        return False
    finally:
        os.close(fd)


def pss_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Proportional share of memory (a page shared by two processes counts half to each).

    The kernel walks all page tables for it, milliseconds per gigabyte: for rare use only.
    """
    return fields(read_text(f"{proc}/{pid}/smaps_rollup")).get("Pss")


def io_read_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Bytes fetched from storage for the process and the children it has reaped.

    Some file systems (FUSE, network, 9p) do not count them.
    """
    return fields(read_text(f"{proc}/{pid}/io")).get("read_bytes")


def process_cpu_clock(pid: int) -> float | None:
    """CPU seconds of a process with the scheduler's resolution instead of a tick's 10 ms; Linux only.

    This is what ``clock_getcpuclockid(3)`` gives: the process id, inverted, above three bits for the kind of clock.
    """
    if not hasattr(time, "clock_gettime"):
        return None
    try:
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        return None


def _numbers(folder: Path | str) -> list[int]:
    """Names in a folder that are process or thread ids."""
    try:
        with os.scandir(folder) as entries:
            return [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:
        return []


@dataclass(frozen=True)
class ThreadTimes:
    """Nanoseconds that a thread ran, and that it was ready to run but waited for a core."""

    run_ns: int
    wait_ns: int


def thread_times(pid: Pid, proc: Path = PROC) -> dict[int, ThreadTimes] | None:
    """Times of each live thread by its id; ``None`` if the process is gone or the kernel does not keep them."""
    found: dict[int, ThreadTimes] = {}
    for thread in _numbers(f"{proc}/{pid}/task"):
        words = (read_text(f"{proc}/{pid}/task/{thread}/schedstat") or "").split()
        if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal():
            found[thread] = ThreadTimes(int(words[0]), int(words[1]))
    return found or None


@dataclass(frozen=True)
class Switches:
    """Context switches: because a thread waited for something, and because another one got its core."""

    voluntary: int
    involuntary: int


def context_switches(pid: Pid, proc: Path = PROC) -> Switches | None:
    """Sums over the live threads (``/proc/<pid>/status`` itself counts the first thread only)."""
    seen = [fields(read_text(f"{proc}/{pid}/task/{thread}/status")) for thread in _numbers(f"{proc}/{pid}/task")]
    counted = [one for one in seen if "voluntary_ctxt_switches" in one and "nonvoluntary_ctxt_switches" in one]
    if not counted:
        return None
    return Switches(
        voluntary=sum(one["voluntary_ctxt_switches"] for one in counted),
        involuntary=sum(one["nonvoluntary_ctxt_switches"] for one in counted),
    )


def _listed_children(pid: int, proc: Path) -> list[int] | None:
    """Children as the threads' ``children`` files list them; ``None`` if the kernel was built without those."""
    found: list[int] = []
    listed = False
    for thread in _numbers(f"{proc}/{pid}/task"):
        text = read_text(f"{proc}/{pid}/task/{thread}/children")
        if text is not None:
            listed = True
            found += [int(word) for word in text.split() if word.isdecimal()]
    return found if listed else None


def _scanned_children(proc: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid in _numbers(proc):
        if (one := stat(pid, proc)) is not None:
            found.setdefault(one.parent, []).append(pid)
    return found


def descendants(pid: int, proc: Path = PROC) -> tuple[int, ...]:
    """Children, their children and so on, parents first; empty when there are none or the process is gone."""
    if stat(pid, proc) is None:
        return ()
    scanned = _scanned_children(proc) if _listed_children(pid, proc) is None else None
    family = [pid]
    for one in family:  # grows while it is walked
        direct = _listed_children(one, proc) if scanned is None else scanned.get(one)
        family += [child for child in sorted(direct or ()) if child not in family]
    return tuple(family[1:])


@dataclass(frozen=True)
class Reading:
    """A process and its descendants at one moment; a part that could not be had is ``None``.

    ``cpu_seconds`` counts descendants too, also those that have ended. ``pss_bytes`` is only there when asked for.
    """

    rss_bytes: int | None
    pss_bytes: int | None = None
    cpu_seconds: float | None = None
    children: int = 0


def _sum(values: list[int | None]) -> int | None:
    """The sum of what is known (a descendant may end while it is read)."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


class ProcfsReader:
    """Reads a process and its descendants at a cost that allows 20 (for a while 200) readings a second.

    Args:
        proc: The process file system.
        clock: Seconds; only decides when to look for new descendants.
        look_every: Seconds between two looks for descendants and for the CPU time of those that have ended. They cost
            a file per thread and 0.1 ms for ``stat``, so a child that lives shorter may be missed; its CPU time is
            counted once it has been reaped.
        cpu_clock: Finer CPU seconds of one process by its id; the kernel's ticks are used where it gives ``None``.
    """

    def __init__(
        self,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
        look_every: float = 0.5,
        cpu_clock: Callable[[int], float | None] | None = None,
    ) -> None:
        self._proc = proc
        self._clock = clock
        self._look_every = look_every
        self._cpu_clock = cpu_clock
        self._started: dict[int, int] = {}
        self._reaped: dict[int, float] = {}
        self._children: tuple[int, ...] = ()
        self._looked: float | None = None

    def read(self, pid: int, *, pss: bool = False) -> Reading | None:
        """The reading now; ``None`` once the process has ended, also if its id has been given to another."""
        now = self._clock()
        due = self._looked is None or now - self._looked >= self._look_every
        if due and not self._look(pid, now):
            return None
        memory = {one: rss_bytes(one, self._proc) for one in (pid, *self._children)}
        if None in memory.values() and not due:
            # One has ended: its CPU time is its parent's now.
            if not self._look(pid, now):
                return None
            memory = {one: rss_bytes(one, self._proc) for one in (pid, *self._children)}
        if memory[pid] is None:
            return None
        family = [one for one, bytes_ in memory.items() if bytes_ is not None]
        return Reading(
            rss_bytes=_sum(list(memory.values())),
            pss_bytes=_sum([pss_bytes(one, self._proc) for one in family]) if pss else None,
            cpu_seconds=sum(map(self._cpu, family)),
            children=len(family) - 1,
        )

    def bytes_read(self, pid: int) -> int | None:
        """Bytes fetched from storage for the process, its descendants, and those that it has reaped."""
        own = io_read_bytes(pid, self._proc)
        children = descendants(pid, self._proc)
        return None if own is None else _sum([own, *(io_read_bytes(child, self._proc) for child in children)])

    def _look(self, pid: int, now: float) -> bool:
        """Look for descendants and what they have reaped; returns whether the process is still there."""
        own = stat(pid, self._proc)
        if own is None or self._started.setdefault(pid, own.start_ticks) != own.start_ticks:
            return False
        self._looked = now
        found = {child: stat(child, self._proc) for child in descendants(pid, self._proc)}
        self._children = tuple(child for child, one in found.items() if one is not None)
        self._reaped = {one: at.reaped_cpu_seconds for one, at in {pid: own, **found}.items() if at is not None}
        return True

    def _cpu(self, pid: int) -> float:
        precise = self._cpu_clock(pid) if self._cpu_clock is not None else None
        if precise is None:
            found = stat(pid, self._proc)
            precise = found.cpu_seconds if found is not None else 0.0
        return precise + self._reaped.get(pid, 0.0)


class PsutilReader:
    """The same where there is no ``/proc`` (macOS): memory and CPU time; no PSS, no bytes from the disk."""

    def read(self, pid: int, *, pss: bool = False) -> Reading | None:
        """The reading now; ``None`` once the process has ended."""
        del pss
        import psutil

        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            family = [process, *process.children(recursive=True)]
            rss, cpu = 0, 0.0
            for one in family:
                with one.oneshot():
                    times = one.cpu_times()
                    rss += int(one.memory_info().rss)
                    cpu += times.user + times.system + times.children_user + times.children_system
        except (psutil.Error, OSError):
            return None
        return Reading(rss_bytes=rss, cpu_seconds=cpu, children=len(family) - 1)

    def bytes_read(self, pid: int) -> None:
        """Not told by the system."""
        del pid


def system_reader() -> ProcfsReader | PsutilReader:
    """The reader for this machine."""
    return ProcfsReader(cpu_clock=process_cpu_clock) if stat("self") is not None else PsutilReader()
