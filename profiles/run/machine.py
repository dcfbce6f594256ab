"""The whole machine, from Linux's process file system: its cores' time and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.profiles.run.procfs import PROC, fields, read_text

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SystemTimes:
    """Time of all cores since boot, in ticks.

    Attributes:
        total: All of it.
        steal: What the hypervisor gave to others.
        idle: Cores with nothing to do, also while something waits for a disk.
        cores: Number of cores.
    """

    total: int
    steal: int
    idle: int = 0
    cores: int = 1


def system_times(proc: Path = PROC) -> SystemTimes | None:
    """The first line of ``/proc/stat``; guest time is left out because user time holds it already."""
    first, _, rest = (read_text(proc / "stat") or "").partition("\n")
    line = first.split()
    if len(line) < 9 or line[0] != "cpu" or not all(word.isdecimal() for word in line[1:9]):
        return None
    ticks = [int(word) for word in line[1:9]]
    cores = sum(1 for row in rest.splitlines() if row.startswith("cpu"))
    return SystemTimes(total=sum(ticks), steal=ticks[7], idle=ticks[3] + ticks[4], cores=max(1, cores))


@dataclass(frozen=True)
class MachineMemory:
    """Memory of the machine, and what programs could still get without swapping."""

    total_bytes: int
    available_bytes: int


def machine_memory(proc: Path = PROC) -> MachineMemory | None:
    """``MemTotal`` and ``MemAvailable``; without ``/proc/meminfo`` (macOS) what psutil knows."""
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
    """Processes that the kernel has killed since boot because memory ran out, machine-wide."""
    return fields(read_text(proc / "vmstat")).get("oom_kill")
