"""Control group of a process: the limits in containers, and kills by them.

Version 2, version 1 and the mix of both (controllers under version 1, an empty version 2 as well) are read through the
same interface. ``proc`` and ``root`` are parameters so that tests read made-up folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeprof.profiles.host.machine import kernel_oom_kills
from pipeprof.profiles.host.proc_texts import PROC, Pid, fields, read_text

ROOT = Path("/sys/fs/cgroup")

# Version 1 writes "no limit" as the largest multiple of the page size below 2**63.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class _ControllerFolders:
    """Folders of one controller: the process's own first, then its ancestors up to the mount."""

    version: Literal[1, 2]
    folders: tuple[Path, ...]


def _folders(mount: Path, path: str) -> tuple[Path, ...]:
    """List the folders from the group's up to the mount point.

    In a container the path may be the host's while the mount shows only the container's part of the tree: then the
    longest tail of the path that exists is the place (as the JVM finds it), in the end the mount itself.
    """
    parts = [part for part in PurePosixPath(path).parts if part not in {"/", "..", "."}]
    while parts and not mount.joinpath(*parts).is_dir():
        parts = parts[1:]
    return tuple(mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))


def _mount(root: Path, controller: str, together: str) -> Path | None:
    """Return where a version 1 controller is mounted: alone (maybe as a link), or under the joint name."""
    for name in (controller, together):
        if (root / name).is_dir():
            return root / name
    return None


def _controllers(pid: Pid, proc: Path, root: Path) -> dict[str, _ControllerFolders]:
    places: dict[str, _ControllerFolders] = {}
    unified: _ControllerFolders | None = None
    for line in (read_text(proc / str(pid) / "cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers and path:
            mount = root / "unified" if (root / "unified").is_dir() else root
            if (mount / "cgroup.controllers").exists():
                unified = _ControllerFolders(2, _folders(mount, path))
            continue
        for controller in controllers.split(","):
            mounted = _mount(root, controller, controllers)
            if mounted is not None:
                places[controller] = _ControllerFolders(1, _folders(mounted, path))
    if unified is not None:
        for controller in ("memory", "cpu", "cpuset"):
            places.setdefault(controller, unified)
    return places


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


@dataclass(frozen=True)
class MemoryEvents:
    """Counters since the group's creation: processes killed, and hits of each folder's limit.

    ``hits`` has one entry per folder, the group's own first: version 2 counts ``oom``, version 1 ``failcnt``.
    """

    kills: int | None
    hits: tuple[int | None, ...]


class Cgroup:
    """Control group of a process. Every value is ``None`` if there is no such limit, counter or group.

    Args:
        pid: The process, ``self`` for this one.
        root: Where control groups are mounted.
    """

    def __init__(self, pid: Pid = "self", proc: Path = PROC, root: Path = ROOT) -> None:
        self._controllers = _controllers(pid, proc, root)

    def version(self) -> Literal[1, 2] | None:
        """Version of the group that holds the memory."""
        place = self._controllers.get("memory")
        return None if place is None or not place.folders[0].is_dir() else place.version

    def folders(self, controller: str = "memory") -> tuple[Path, ...]:
        """Return the group's folder and its ancestors, as far as they are visible from here."""
        place = self._controllers.get(controller)
        return () if place is None else place.folders

    def limits(self) -> tuple[int | None, ...]:
        """Return memory limit in bytes of each of :meth:`folders`."""
        place = self._controllers.get("memory")
        if place is None:
            return ()
        name = "memory.max" if place.version == 2 else "memory.limit_in_bytes"
        found = (_number(folder / name) for folder in place.folders)
        return tuple(limit if limit is not None and limit < _UNLIMITED else None for limit in found)

    def memory_limit(self) -> int | None:
        """Return the smallest limit in bytes of the group and its ancestors.

        Version 1 includes the limits of ancestors outside a container's view.
        """
        known = [limit for limit in self.limits() if limit is not None]
        hidden = self._memory_stat().get("hierarchical_memory_limit")
        if hidden is not None and hidden < _UNLIMITED:
            known.append(hidden)
        return min(known) if known else None

    def memory_held(self) -> int | None:
        """Return bytes charged to the folder with the smallest limit, without file pages that were not used lately.

        The kernel would give those up at once.
        """
        folder = self._tightest()
        current = self._current(folder)
        if folder is None or current is None:
            return None
        told = fields(read_text(folder / "memory.stat"))
        # In version 1 the plain names leave the children out.
        cached = told.get("total_inactive_file", told.get("inactive_file", 0))
        return max(0, current - cached)

    def _memory_stat(self) -> dict[str, int]:
        folders = self.folders()
        return fields(read_text(folders[0] / "memory.stat")) if folders else {}

    def _tightest(self) -> Path | None:
        folders, limits = self.folders(), self.limits()
        limited = [(limit, folder) for limit, folder in zip(limits, folders, strict=True) if limit is not None]
        if limited:
            return min(limited, key=lambda pair: pair[0])[1]
        return folders[0] if folders else None

    def _current(self, folder: Path | None) -> int | None:
        if folder is None:
            return None
        new = self._controllers["memory"].version == 2
        return _number(folder / ("memory.current" if new else "memory.usage_in_bytes"))

    def memory_events(self) -> MemoryEvents | None:
        """Return counters of kills and of limits hit; ``None`` without a memory group or where it counts neither."""
        place = self._controllers.get("memory")
        if place is None:
            return None
        if place.version == 2:
            told = [fields(read_text(folder / "memory.events")) for folder in place.folders]
            kills, hits = told[0].get("oom_kill"), tuple(one.get("oom") for one in told)
        else:
            kills = fields(read_text(place.folders[0] / "memory.oom_control")).get("oom_kill")
            hits = tuple(_number(folder / "memory.failcnt") for folder in place.folders)
        return None if kills is None and not any(hit is not None for hit in hits) else MemoryEvents(kills, hits)

    def cpu_quota(self) -> float | None:
        """Return the CPU quota in cores: the smallest of the group and its ancestors."""
        place = self._controllers.get("cpu")
        quotas = [_quota(folder, place.version) for folder in place.folders] if place is not None else []
        known = [quota for quota in quotas if quota is not None]
        return min(known) if known else None

    def cpuset(self) -> frozenset[int] | None:
        """Core numbers that the group may use."""
        for folder in self.folders("cpuset"):
            for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
                cores = parse_cpus(read_text(folder / name))
                if cores is not None:
                    return cores
        return None

    def throttled_seconds(self) -> float | None:
        """Return time that the cores stood still because a quota was used up, summed over cores and over ancestors."""
        place = self._controllers.get("cpu")
        if place is None:
            return None
        name, unit = ("throttled_usec", 1e-6) if place.version == 2 else ("throttled_time", 1e-9)
        told = [fields(read_text(folder / "cpu.stat")).get(name) for folder in place.folders]
        known = [number for number in told if number is not None]
        return sum(known) * unit if known else None


def _quota(folder: Path, version: int) -> float | None:
    if version == 2:
        words = (read_text(folder / "cpu.max") or "").split()
        quota, period = (words[0], words[1]) if len(words) == 2 else ("", "")
    else:
        quota = (read_text(folder / "cpu.cfs_quota_us") or "").strip()
        period = (read_text(folder / "cpu.cfs_period_us") or "").strip()
    if not (quota.isdecimal() and period.isdecimal()):  # "max", or -1 in version 1: no quota
        return None
    return int(quota) / int(period) if int(period) and int(quota) else None


@dataclass(frozen=True)
class OomReport:
    """Kills by the kernel for lack of memory since the watch began.

    Attributes:
        kills: Processes killed in the group (in the machine, if ``scope`` says so); ``None`` if the kernel has no
            counter.
        by: Whose limit was hit: the group's (or an ancestor's), or the memory of the whole machine.
        scope: Whether ``kills`` counts this group only; killed in the machine need not mean killed here.
        limit_bytes: The limit that was hit, if it is a group's.
    """

    kills: int | None
    by: Literal["cgroup", "machine"] | None = None
    scope: Literal["cgroup", "machine"] | None = None
    limit_bytes: int | None = None
    folder: Path | None = None

    @property
    def killed(self) -> bool | None:
        """Whether the kernel killed anything; ``None`` if that cannot be known."""
        return None if self.kills is None else self.kills > 0


def _increase(before: int | None, after: int | None) -> int:
    return max(0, after - before) if before is not None and after is not None else 0


class CgroupWatch:
    """Watch for kills by the kernel for lack of memory, and whose limit was hit.

    Take it before the worker starts; the worker is in the same group.

    Args:
        proc: The process file system, for the machine's own counter where groups have none.
    """

    def __init__(self, cgroup: Cgroup, proc: Path = PROC) -> None:
        self._cgroup = cgroup
        self._proc = proc
        self._events = cgroup.memory_events()
        self._machine = kernel_oom_kills(proc)

    def report(self) -> OomReport:
        """Report the kills since the watch's creation."""
        before, after = self._events, self._cgroup.memory_events()
        if before is None or after is None or before.kills is None or after.kills is None:
            return self._machine_report()
        kills = _increase(before.kills, after.kills)
        if not kills:
            return OomReport(0, scope="cgroup")
        limit = self._cgroup.memory_limit()
        limits = self._cgroup.limits()
        for earlier, later, own, folder in zip(before.hits, after.hits, limits, self._cgroup.folders(), strict=True):
            # An ancestor counts the hits of its descendants as well, so the first folder with a new hit is the one that
            # was hit.
            if _increase(earlier, later):
                return OomReport(kills, by="cgroup", scope="cgroup", limit_bytes=own, folder=folder)
        # An unchanged counter rules its limit out; a missing counter, or an invisible limit, does not.
        counted = [own for own, hits in zip(limits, after.hits, strict=True) if hits is not None]
        if limit is None or limit in counted:
            return OomReport(kills, by="machine", scope="cgroup")
        return OomReport(kills, by="cgroup", scope="cgroup", limit_bytes=limit)

    def _machine_report(self) -> OomReport:
        now = kernel_oom_kills(self._proc)
        if self._machine is None or now is None:
            return OomReport(None)
        kills = _increase(self._machine, now)
        return OomReport(kills, by="machine" if kills else None, scope="machine")
