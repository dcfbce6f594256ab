"""Control group (version 2) of a process: the limits in containers, and kills by them.

``proc`` and ``root`` are parameters so that tests read made-up folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeprof.profiles.host.machine import kernel_oom_kills
from pipeprof.profiles.host.procfs import PROC, fields, read_text

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
