"""Memory limit and usable cores of a worker, from its control group (version 2) and the machine; what systems refuse.

The memory limit is for the resident memory of the worker and its children. Without ``--memory-limit`` it is the
smaller of

- machine: ``MemAvailable`` now − a reserve of 10 % of all memory, at least 256 MiB and at most 2 GiB;
- control group: its limit − what it holds now (file pages that the kernel gives up at once not counted) − a reserve of
  5 % of the limit, at least 64 MiB and at most 1 GiB;

so that the worker is stopped, with a diagnosis, before the machine swaps or the kernel kills. A reserve is never more
than half of what is there: little memory still leaves something to run in.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.profiles.host.procfs import PROC, fields, read_text
from pipeprof.profiles.wording import size

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class MemoryLimit:
    """Resident memory at which the worker is stopped, and whose limit it is."""

    bytes: int
    source: Literal["option", "cgroup", "machine"]


def memory_limit(option: int | None, cgroup: Cgroup, machine: MachineMemory | None) -> MemoryLimit | None:
    """Return the limit to hold a worker to, in bytes; ``None`` if no size of group or machine is known."""
    if option is not None:
        return MemoryLimit(option, "option")
    found = []
    if machine is not None:
        room = max(0, machine.available_bytes)
        found.append(MemoryLimit(room - _reserve(0.10, machine.total_bytes, 256 * MIB, 2 * GIB, room), "machine"))
    if (whole := cgroup.memory_limit()) is not None:
        # Right after a start a group may hold more than its limit for a moment; that must not make the limit negative.
        room = max(0, whole - (cgroup.memory_held() or 0))
        found.append(MemoryLimit(room - _reserve(0.05, whole, 64 * MIB, GIB, room), "cgroup"))
    return min(found, key=lambda limit: limit.bytes, default=None)


def _reserve(share: float, total: int, least: int, most: int, room: int) -> int:
    return min(max(int(total * share), least), most, room // 2)


def allowed_cores() -> frozenset[int]:
    """Numbers of the cores that the scheduler may put this process on; empty where it cannot be asked (macOS)."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def affinity_cores() -> int | None:
    """Return the number of cores in this process's affinity; all cores where the system has none (macOS)."""
    return len(allowed_cores()) or os.cpu_count()


def cores(cgroup: Cgroup) -> float:
    """Return the number of cores that this process can keep busy: the smallest known limit, at least 0.01."""
    known = (affinity_cores(), cgroup.cpu_quota(), len(cgroup.cpuset() or ()) or None)
    return max(min((float(number) for number in known if number is not None), default=1.0), 0.01)


def address_space() -> int | None:
    """Bytes of addresses that a process may use (``ulimit -v``), files and reserved memory included; None for all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def open_files() -> int:
    """How many files a process may have open (``ulimit -n``)."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


ROOT = Path("/sys/fs/cgroup")


def _folders(proc: Path, root: Path) -> tuple[Path, ...]:
    """List the group's folder and its ancestors up to the mount point; none without version 2.

    In a container the path may be the host's while the mount shows only the container's part of the tree: then the
    longest tail of the path that exists is the place (as the JVM finds it), in the end the mount itself.
    """
    for line in (read_text(proc / "self" / "cgroup") or "").splitlines():
        if line.startswith("0::/") and (root / "cgroup.controllers").exists():
            parts = [part for part in PurePosixPath(line[3:]).parts if part not in {"/", "..", "."}]
            while parts and not root.joinpath(*parts).is_dir():
                parts = parts[1:]
            return tuple(root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))
    return ()


def _number(path: Path) -> int | None:
    """Read the integer in a file; ``None`` for no file and for ``max``."""
    try:
        return int(read_text(path) or "")
    except ValueError:
        return None


def parse_cpus(text: str | None) -> frozenset[int] | None:
    """Parse ``0-3,8`` as a set of core numbers; ``None`` if empty or invalid."""
    cores: set[int] = set()
    for part in (text or "").strip().split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return None
        cores.update(range(int(first), int(last or first) + 1))
    return frozenset(cores) or None


class Cgroup:
    """Control group of this process. Every value is ``None`` if there is no such limit, counter or group."""

    def __init__(self, proc: Path = PROC, root: Path = ROOT) -> None:
        self.folders = _folders(proc, root)

    def memory_limit(self) -> int | None:
        """Return the smallest limit in bytes of the group and its ancestors."""
        limit, _ = self._least_limit()
        return limit

    def memory_held(self) -> int | None:
        """Return bytes charged to the folder with the smallest limit, without file pages that were not used lately."""
        _, folder = self._least_limit()
        current = _number(folder / "memory.current") if folder is not None else None
        if folder is None or current is None:
            return None
        return max(0, current - fields(read_text(folder / "memory.stat")).get("inactive_file", 0))

    def _least_limit(self) -> tuple[int, Path] | tuple[None, None]:
        limits = [(limit, folder) for folder in self.folders if (limit := _number(folder / "memory.max")) is not None]
        return min(limits, default=(None, None))

    def memory_events(self) -> list[dict[str, int]]:
        """Return the counters of kills and of limits hit of each folder."""
        return [fields(read_text(folder / "memory.events")) for folder in self.folders]

    def cpu_quota(self) -> float | None:
        """Return the CPU quota in cores: the smallest of the group and its ancestors."""
        words = [(read_text(folder / "cpu.max") or "").split() for folder in self.folders]
        # "max 100000": no quota
        quotas = [int(pair[0]) / int(pair[1]) for pair in words if len(pair) == 2 and pair[0].isdecimal()]
        return min(quotas, default=None)

    def cpuset(self) -> frozenset[int] | None:
        """Core numbers that the group may use."""
        sets = (parse_cpus(read_text(folder / "cpuset.cpus.effective")) for folder in self.folders)
        return next((cores for cores in sets if cores), None)

    def throttled_seconds(self) -> float | None:
        """Return time that the cores stood still because a quota was used up, summed over cores and over ancestors."""
        counters = [fields(read_text(folder / "cpu.stat")).get("throttled_usec") for folder in self.folders]
        known = [counter for counter in counters if counter is not None]
        return sum(known) / 1e6 if known else None


@dataclass(frozen=True)
class OomReport:
    """Whether the kernel killed for lack of memory since a watch began, and the limit that was hit.

    Attributes:
        killed: In the group; in the machine where groups have no counter; ``None`` if the kernel has none.
    """

    killed: bool | None
    by: Literal["cgroup", "machine"] | None = None
    limit_bytes: int | None = None


class CgroupWatch:
    """Watch for kills by the kernel for lack of memory, and whose limit was hit.

    Take it before the worker starts; the worker is in the same group.
    """

    def __init__(self, cgroup: Cgroup, proc: Path = PROC) -> None:
        self._cgroup = cgroup
        self._proc = proc
        self._events = cgroup.memory_events()
        self._machine = kernel_oom_kills(proc)

    def report(self) -> OomReport:
        """Report the kills since the watch's creation."""
        pairs = list(zip(self._events, self._cgroup.memory_events(), self._cgroup.folders, strict=True))
        if not pairs or any("oom_kill" not in events for events in pairs[0][:2]):
            now = kernel_oom_kills(self._proc)
            killed = None if self._machine is None or now is None else now > self._machine
            return OomReport(killed, "machine" if killed else None)
        if not _increased(*pairs[0][:2], "oom_kill"):
            return OomReport(killed=False)
        # An ancestor counts the hits of its descendants as well, so the first folder with a new hit is the one.
        hit = next((folder for before, after, folder in pairs if _increased(before, after, "oom")), None)
        return OomReport(True, "machine") if hit is None else OomReport(True, "cgroup", _number(hit / "memory.max"))


def _increased(before: dict[str, int], after: dict[str, int], name: str) -> bool:
    return after.get(name, 0) > before.get(name, 0)


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


def system_fault(error: Exception) -> PipeprofError | None:
    """The fault behind an error; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return PipeprofError(
            f"too many open files: a process may have {open_files()} (ulimit -n); raise the limit, e.g. ulimit -n 256"
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return PipeprofError(f"the system gave pipeprof no more memory{_address_limit()}")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        limits = _address_limit() or ": look at the limits of processes (ulimit -u) and of memory"
        return PipeprofError(f"the system let pipeprof start no more threads{limits}")
    if isinstance(error, FileNotFoundError) and not has_current_folder():
        return UsageError("the current folder was deleted: change to another one")
    return None


def _address_limit() -> str:
    limit = address_space()
    return "" if limit is None else f": a process may have {size(limit)} of addresses (ulimit -v)"


def has_current_folder() -> bool:
    """Whether the folder that this process runs in still exists."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True
