"""Time of cores and memory of the whole machine, from Linux's process file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeprof.profiles.host.procfs import PROC, fields, read_text


@dataclass(frozen=True)
class SystemTimes:
    """Time of all cores since boot, in ticks.

    Attributes:
        idle: Cores with nothing to do, also while something waits for a disk.
        waiting: The part of `idle` in which something waited for a disk.
        busy: Of each core by its number, the ticks in which it computed something.
    """

    total: int
    steal: int
    idle: int = 0
    cores: int = 1
    waiting: int = 0
    busy: Mapping[int, int] = field(default_factory=dict)


def system_times(proc: Path = PROC) -> SystemTimes | None:
    """Return the first lines of ``/proc/stat``; guest time is left out because user time holds it already."""
    rows = [row.split() for row in (read_text(proc / "stat") or "").splitlines() if row.startswith("cpu")]
    ticks = {row[0]: [int(word) for word in row[1:9]] for row in rows if _is_complete(row)}
    whole = ticks.pop("cpu", None)
    if whole is None:
        return None
    return SystemTimes(
        total=sum(whole),
        steal=whole[7],
        idle=whole[3] + whole[4],
        cores=max(1, len(rows) - 1),
        waiting=whole[4],
        busy={int(name[3:]): sum(one) - one[3] - one[4] for name, one in ticks.items() if name[3:].isdecimal()},
    )


@dataclass(frozen=True)
class CoresUse:
    """Use of the cores between two moments: means of numbers of cores, and shares of the time.

    Attributes:
        ticks: Clock ticks of the kernel that passed.
        waiting: Cores that had nothing to do while something waited for a disk.
        stolen_share: What the hypervisor gave to other machines.
        by_core: In which each core computed something, by its number.
    """

    ticks: float
    busy: float
    waiting: float
    stolen_share: float
    by_core: Mapping[int, float]

    def busy_of(self, allowed: Collection[int]) -> float:
        """Of these cores, those that computed something; of the whole machine where they are all or not listed."""
        is_part = allowed and set(allowed) < self.by_core.keys()
        return sum(self.by_core[core] for core in allowed) if is_part else self.busy


def cores_use(before: SystemTimes | None, after: SystemTimes | None) -> CoresUse | None:
    """Return the use of the cores between two looks; ``None`` where a look failed or no time has passed."""
    if before is None or after is None or after.total <= before.total:
        return None
    ticks = (after.total - before.total) / after.cores
    idle = max(0, after.idle - before.idle) / ticks
    return CoresUse(
        ticks=ticks,
        busy=max(0.0, after.cores - idle),
        waiting=max(0, after.waiting - before.waiting) / ticks,
        stolen_share=max(0, after.steal - before.steal) / (after.total - before.total),
        by_core={
            core: max(0, after.busy[core] - busy) / ticks for core, busy in before.busy.items() if core in after.busy
        },
    )


class Taken(NamedTuple):
    """Shares of the cores' time; of this, `stolen` is what the hypervisor gave to other machines."""

    elsewhere: float
    stolen: float = 0.0


class CoresClock:
    """Tells what of the cores' time went elsewhere, from one look to the next."""

    def __init__(
        self, read: Callable[[], SystemTimes | None] = system_times, ticks_per_second: float = os.sysconf("SC_CLK_TCK")
    ) -> None:
        self._read = read
        self._ticks = ticks_per_second
        self._before = read()

    def taken(self, cpu_seconds: float) -> Taken | None:
        """The shares of the cores' time since the last call that were neither idle nor used by the processes.

        Args:
            cpu_seconds: CPU time of the processes since then.
        """
        before, self._before = self._before, self._read()
        use = cores_use(before, self._before)
        if use is None or self._before is None:
            return None
        others = (use.busy - cpu_seconds * self._ticks / use.ticks) / self._before.cores
        return Taken(min(1.0, max(0.0, others)), use.stolen_share)


def _is_complete(row: Sequence[str]) -> bool:
    return len(row) >= 9 and all(word.isdecimal() for word in row[1:9])


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

    try:
        memory = psutil.virtual_memory()
    except (psutil.Error, OSError):  # Linux without /proc
        return None
    return MachineMemory(int(memory.total), int(memory.available))


def kernel_oom_kills(proc: Path = PROC) -> int | None:
    """Return processes that the kernel has killed since boot because memory ran out, machine-wide."""
    return fields(read_text(proc / "vmstat")).get("oom_kill")
