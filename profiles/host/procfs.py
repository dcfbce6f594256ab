"""Values of a process and its machine from ``/proc``.

Every function returns ``None``, never 0, for an unavailable value (the process is gone, the file is forbidden or does
not exist on this system). ``proc`` is a parameter so that tests read made-up folders.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from pipeprof.profiles.host.proc_texts import PROC, Pid, fields, read_text, read_text_at_once

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_DEAD = frozenset("ZXx")
_SCHEDULER_CLOCK = 2
_RESET_PEAK = b"5"
_KCMP = {"x86_64": 312, "aarch64": 272}
"""Number of the system call ``kcmp``, which the C library does not name."""
_KCMP_VM = 1


@dataclass(frozen=True)
class Stat:
    """Used fields of ``/proc/<pid>/stat``; times in seconds, with the kernel's tick of 10 ms."""

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


@dataclass(frozen=True)
class Pages:
    """Resident memory of a process, in bytes: total, files, shared memory."""

    rss_bytes: int
    mapped_bytes: int = 0

    @property
    def anonymous_bytes(self) -> int:
        """Bytes that are neither: the heap, stacks, private maps."""
        return max(0, self.rss_bytes - self.mapped_bytes)


def pages(pid: Pid, proc: Path = PROC) -> Pages | None:
    """Resident memory from ``statm``, which newer kernels keep exact where ``stat`` lags by pages per core."""
    return _pages(read_text(f"{proc}/{pid}/statm"))


def _pages(text: str | None) -> Pages | None:
    words = (text or "").split()
    try:
        resident, mapped = int(words[1]), int(words[2])
    except (IndexError, ValueError):
        return None
    # A process that has ended but is not reaped has no memory left; nothing alive has 0 pages.
    return Pages(resident * PAGE_BYTES, mapped * PAGE_BYTES) if resident else None


def own_pages(proc: Path = PROC) -> Pages | None:
    """Resident memory of this process, read without giving Python's lock away."""
    return _pages(read_text_at_once(f"{proc}/self/statm"))


def own_rss_bytes(proc: Path = PROC) -> int | None:
    """The bytes of it altogether."""
    found = own_pages(proc)
    return found.rss_bytes if found is not None else None


def rss_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Resident memory of a process; ``None`` once it has ended."""
    found = pages(pid, proc)
    return found.rss_bytes if found is not None else None


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


@dataclass(frozen=True)
class Shares:
    """Private and shared parts of a process's resident pages, in bytes.

    Attributes:
        private: Pages that no other process maps.
        private_files: Those of them backed by files, as far as the kernel reports it.
        anonymous: Anonymous pages, each divided by the number of processes that share it; ``None`` on kernels before
            5.4, which do not report it.
    """

    private: int
    private_files: int = 0
    anonymous: int | None = None
    shared_memory: int = 0
    resident_shared_memory: int = 0


def shares(pid: Pid, proc: Path = PROC) -> Shares | None:
    """Read the private and shared parts of a process's memory.

    The kernel walks all page tables for it, 5 ms per gigabyte: for rare use only.
    """
    found = fields(read_text(f"{proc}/{pid}/smaps_rollup"))
    if not {"Private_Clean", "Private_Dirty"} <= set(found):
        return None
    clean, dirty = found["Private_Clean"], found["Private_Dirty"]
    if not {"Pss_Anon", "Pss_Shmem"} <= set(found):
        return Shares(private=clean + dirty)
    anonymous, shared = found["Pss_Anon"], found["Pss_Shmem"]
    return Shares(
        private=clean + dirty,
        private_files=clean + max(0, dirty - anonymous - shared),
        anonymous=anonymous,
        shared_memory=shared,
        resident_shared_memory=fields(read_text(f"{proc}/{pid}/status")).get("RssShmem", 0),
    )


def same_memory(one: int, other: int) -> bool:
    """Return whether two processes share one address space, as after ``vfork``; false if unknown."""
    number = _KCMP.get(platform.machine())
    if number is None:
        return False
    try:
        return int(ctypes.CDLL(None).syscall(number, one, other, _KCMP_VM, 0, 0)) == 0
    except (OSError, TypeError, AttributeError):
        return False


def libraries(pid: Pid, proc: Path = PROC) -> dict[str, int]:
    """Resident bytes of each library and program that a process maps, by device and inode.

    For rare use only: ``smaps`` has 20 lines for each of thousands of maps.
    """
    found: dict[str, int] = {}
    runs: set[str] = set()
    mapped = ""
    for line in (read_text(f"{proc}/{pid}/smaps") or "").splitlines():
        words = line.split(None, 5)
        if words and not words[0].endswith(":"):
            # 7f00-7f20 r-xp 00001000 fe:00 4711    /usr/lib/libc.so.6
            mapped = f"{words[3]} {words[4]}" if len(words) > 5 and words[4] != "0" else ""
            if "x" in words[1]:
                runs.add(mapped)
        elif mapped and line.startswith("Rss:"):
            found[mapped] = found.get(mapped, 0) + int(words[1]) * 1024
        elif mapped and line.startswith("Anonymous:"):
            found[mapped] -= int(words[1]) * 1024
    return {mapped: size for mapped, size in found.items() if mapped in runs}


def command_line(pid: Pid, proc: Path = PROC) -> str | None:
    """Return the words with which a process was started; ``None`` where there are none, as for one that has ended."""
    text = read_text(f"{proc}/{pid}/cmdline") or ""
    return " ".join(text.rstrip("\0").split("\0")) or None


def io_read_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Return bytes fetched from storage for the process and the children it has reaped.

    Some file systems (FUSE, network, 9p) do not count them.
    """
    return fields(read_text(f"{proc}/{pid}/io")).get("read_bytes")


def process_cpu_clock(pid: int) -> float | None:
    """Return CPU seconds of a process with the scheduler's resolution instead of a tick's 10 ms; Linux only.

    This is what ``clock_getcpuclockid(3)`` gives: the process id, inverted, above three bits for the kind of clock.
    """
    if not hasattr(time, "clock_gettime"):
        return None
    try:
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        return None


def newest_pid(proc: Path = PROC) -> int | None:
    """Return the id that was given last, to a process or a thread; ``None`` where the system has no such value."""
    words = (read_text(f"{proc}/loadavg") or "").split()
    # 0.20 0.70 1.13 3/146 7747
    return (int(words[4]) or None) if len(words) == 5 and words[4].isdecimal() else None


def _numbers(folder: Path | str) -> list[int]:
    """Return the names in a folder that are process or thread ids."""
    try:
        with os.scandir(folder) as entries:
            return [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:
        return []


def is_missing(proc: Path = PROC) -> bool:
    """Whether this is Linux without its process file system, as in a bare container."""
    return platform.system() == "Linux" and stat("self", proc) is None


def processes(proc: Path = PROC) -> list[int]:
    """Ids of all processes; none where the system does not list them."""
    return _numbers(proc)


@dataclass(frozen=True)
class ThreadTimes:
    """Nanoseconds that a thread ran, and that it was ready to run but waited for a core."""

    run_ns: int
    wait_ns: int


def thread_times(pid: Pid, proc: Path = PROC) -> dict[int, ThreadTimes] | None:
    """Return times of each live thread by its id; ``None`` if the process is gone or the kernel does not keep them."""
    found: dict[int, ThreadTimes] = {}
    for thread in _numbers(f"{proc}/{pid}/task"):
        words = (read_text(f"{proc}/{pid}/task/{thread}/schedstat") or "").split()
        if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal():
            found[thread] = ThreadTimes(int(words[0]), int(words[1]))
    return found or None


def _listed_children(pid: int, proc: Path) -> list[int] | None:
    """Return children as the threads' ``children`` files list them; ``None`` if the kernel was built without those."""
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
    for pid in processes(proc):
        if (one := stat(pid, proc)) is not None:
            found.setdefault(one.parent, []).append(pid)
    return found


def descendants(pid: int, proc: Path = PROC) -> tuple[int, ...]:
    """Return children, their children and so on, parents first; empty when there are none or the process is gone."""
    if stat(pid, proc) is None:
        return ()
    scanned = _scanned_children(proc) if _listed_children(pid, proc) is None else None
    family = [pid]
    for number in family:  # grows while it is walked
        direct = _listed_children(number, proc) if scanned is None else scanned.get(number)
        family += [child for child in sorted(direct or ()) if child not in family]
    return tuple(family[1:])
