"""Values of a process from ``/proc`` that psutil does not have, or not as cheaply.

Every function returns ``None``, never 0, for an unavailable value (the process is gone, the file is forbidden or does
not exist on this system). ``proc`` is a parameter so that tests read made-up folders. The worker, which may have no
psutil, reads only these.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

PROC = Path("/proc")
Pid = int | Literal["self"]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SCHEDULER_CLOCK = 2
_RESET_PEAK = b"5"
_NETWORKS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3", "virtiofs"}
)
_ACCESS = 0o3


def read_text(path: Path | str) -> str | None:
    """Read a small file; ``None`` if it cannot be read. Layers of ``open`` would be most of the cost of a sample."""
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


def read_text_at_once(path: Path | str) -> str | None:
    """Read a file of less than 4 KiB without giving Python's lock away; ``None`` if it cannot be read.

    Its three system calls take some microseconds. After each of those of `read_text`, a thread that computes in Python
    may keep the lock for 5 ms.
    """
    libc = _libc()
    if libc is None or (fd := libc.open(os.fsencode(path), os.O_RDONLY | os.O_CLOEXEC)) < 0:
        return None
    try:
        buffer = ctypes.create_string_buffer(4096)
        read = libc.read(fd, buffer, len(buffer))
    finally:
        libc.close(fd)
    return buffer.raw[:read].decode("utf-8", "replace") if read >= 0 else None


@cache
def _libc() -> Any:
    try:
        libc = ctypes.PyDLL(None)
    except (OSError, TypeError):
        return None
    libc.read.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
    libc.read.restype = ctypes.c_ssize_t
    return libc


def fields(text: str | None) -> dict[str, int]:
    """Return the integers of ``Name: 123 kB`` or ``name 123`` lines; sizes in kB are given in bytes."""
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
class Pages:
    """Resident memory of a process, in bytes: total, and the part backed by files or shared."""

    rss_bytes: int
    mapped_bytes: int = 0


def _pages(text: str | None) -> Pages | None:
    """Read ``statm``, which newer kernels keep exact where ``stat`` lags by pages per core."""
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
    """Resident memory of this process in bytes."""
    found = own_pages(proc)
    return found.rss_bytes if found is not None else None


def rss_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Resident memory of a process; ``None`` once it has ended."""
    found = _pages(read_text(f"{proc}/{pid}/statm"))
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


def command_line(pid: Pid, proc: Path = PROC) -> str | None:
    """Return the words with which a process was started; ``None`` where there are none, as for one that has ended."""
    text = read_text(f"{proc}/{pid}/cmdline") or ""
    return " ".join(text.rstrip("\0").split("\0")) or None


def io_read_bytes(pid: Pid, proc: Path = PROC) -> int | None:
    """Return bytes fetched from storage for the process and the children it has reaped; see `uncounted`."""
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


def is_missing(proc: Path = PROC) -> bool:
    """Whether this is Linux without its process file system, as in a bare container."""
    return platform.system() == "Linux" and rss_bytes("self", proc) is None


@dataclass(frozen=True)
class ThreadTimes:
    """Nanoseconds that a thread ran, and that it was ready to run but waited for a core."""

    run_ns: int
    wait_ns: int


def thread_times(pid: Pid, proc: Path = PROC) -> dict[int, ThreadTimes]:
    """Return times of each live thread by its id; none if the process is gone or the kernel does not keep them."""
    found: dict[int, ThreadTimes] = {}
    for thread in _names(f"{proc}/{pid}/task"):
        words = (read_text(f"{proc}/{pid}/task/{thread}/schedstat") or "").split()
        if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal():
            found[int(thread)] = ThreadTimes(int(words[0]), int(words[1]))
    return found


def _names(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        return []


def uncounted(pid: Pid, proc: Path = PROC) -> frozenset[str]:
    """List types of file systems that a process reads from without the kernel counting the bytes.

    The kernel counts bytes of storage where they are requested from a block device. A file system in userspace or on a
    network fetches from another process or host: its reads are in no process's ``read_bytes``. Nothing here touches the
    files themselves, as a call to a dead server would hang.
    """
    import psutil

    # The last mount of a place hides those before it.
    mounts = {PurePosixPath(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    kinds = set()
    for path in _read_files(f"{proc}/{pid}"):
        kinds.add(next((mounts[place] for place in (path, *path.parents) if place in mounts), ""))
    return frozenset(kind for kind in kinds if kind in _NETWORKS or kind.startswith("fuse"))


def _read_files(folder: str) -> set[PurePosixPath]:
    """Return the paths of the files that are open for reading only."""
    paths = set()
    for name in _names(f"{folder}/fd"):
        flags = re.search(r"^flags:\s*([0-7]+)", read_text(f"{folder}/fdinfo/{name}") or "", re.MULTILINE)
        if flags is not None and int(flags[1], 8) & _ACCESS == os.O_RDONLY:
            with suppress(OSError):
                paths.add(PurePosixPath(Path(f"{folder}/fd/{name}").readlink()))
    return {path for path in paths if path.is_absolute()}
