"""Time of cores and memory of the whole machine, from Linux's process file system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.profiles.host.procfs import PROC, fields, read_text

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SystemTimes:
    """Time of all cores since boot, in ticks.

    Attributes:
        total: All of it.
        steal: Ticks that the hypervisor gave to others.
        idle: Cores with nothing to do, also while something waits for a disk.
        cores: Number of cores.
        waiting: The part of `idle` in which something waited for a disk.
    """

    total: int
    steal: int
    idle: int = 0
    cores: int = 1
    waiting: int = 0


def system_times(proc: Path = PROC) -> SystemTimes | None:
    """Return the first line of ``/proc/stat``; guest time is left out because user time holds it already."""
    first, _, rest = (read_text(proc / "stat") or "").partition("\n")
    line = first.split()
    if len(line) < 9 or line[0] != "cpu" or not all(word.isdecimal() for word in line[1:9]):
        return None
    ticks = [int(word) for word in line[1:9]]
    cores = sum(1 for row in rest.splitlines() if row.startswith("cpu"))
    return SystemTimes(
        total=sum(ticks), steal=ticks[7], idle=ticks[3] + ticks[4], cores=max(1, cores), waiting=ticks[4]
    )


def stalled_by_files(proc: Path = PROC) -> float | None:
    """Return seconds since boot in which tasks waited for disks or file systems; ``None`` if not counted.

    That is the kernel's pressure stall information: the mean of all cores, each weighted by the time in which it was
    not idle.
    """
    for line in (read_text(proc / "pressure" / "io") or "").splitlines():
        words = dict(word.partition("=")[::2] for word in line.split())
        if line.startswith("some") and words.get("total", "").isdecimal():
            return int(words["total"]) / 1e6
    return None


@dataclass(frozen=True)
class MachineMemory:
    """Memory of the machine, and what programs could still get without swapping."""

    total_bytes: int
    available_bytes: int


def machine_memory(proc: Path = PROC) -> MachineMemory | None:
    """Read ``MemTotal`` and ``MemAvailable``; without ``/proc/meminfo`` (macOS), psutil's values."""
    if (proc / "meminfo").exists():
        found = fields(read_text(proc / "meminfo"))
        if "MemTotal" not in found or "MemAvailable" not in found:
            return None
        return MachineMemory(found["MemTotal"], found["MemAvailable"])
    if proc != PROC:
        return None
    import psutil

    memory = psutil.virtual_memory()
    return MachineMemory(int(memory.total), int(memory.available))


def kernel_oom_kills(proc: Path = PROC) -> int | None:
    """Return processes that the kernel has killed since boot because memory ran out, machine-wide."""
    return fields(read_text(proc / "vmstat")).get("oom_kill")
