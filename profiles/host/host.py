"""Measured machine: hardware, versions, and contention by other processes."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.changes.environment import ALLOCATORS, allocator_folders
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.limits import MemoryLimit, affinity_cores, allowed_cores, cores
from pipeprof.profiles.host.machine import SystemTimes, machine_memory, stalled_by_files, system_times
from pipeprof.profiles.host.proc_texts import PROC, read_text
from pipeprof.profiles.host.process_readers import FamilyReading
from pipeprof.profiles.host.procfs import ThreadTimes, descendants, thread_times
from pipeprof.profiles.host.sampler import ProcessReader

if TYPE_CHECKING:
    from pipeprof.profiles.document.subject import Host

TOOL_SECONDS = 2.0

Run = Callable[[Sequence[str]], str | None]


def run_tool(command: Sequence[str]) -> str | None:
    """Return a program's output, or ``None`` if it is missing, fails or takes more than 2 s."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=TOOL_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def cpu_model(proc: Path = PROC, run: Run = run_tool) -> str | None:
    """Return the processor's name: x86 Linux has it in ``cpuinfo``, macOS in ``sysctl``, others may have none."""
    for line in (read_text(proc / "cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in {"model name", "cpu model", "hardware"} and value.strip():
            return " ".join(value.split())
    told = run(["sysctl", "-n", "machdep.cpu.brand_string"]) if platform.system() == "Darwin" else None
    return (told or "").strip() or None


def gpus(run: Run = run_tool) -> list[str]:
    """Return the names of the NVIDIA GPUs that ``nvidia-smi`` lists; empty where there is none."""
    found = []
    for line in (run(["nvidia-smi", "-L"]) or "").splitlines():
        # GPU 0: NVIDIA H200 (UUID: GPU-…); parts of a GPU are indented below it.
        if line.startswith("GPU ") and ": " in line:
            found.append(line.partition(": ")[2].partition(" (UUID")[0].strip())
    return found


def host_facts(limit: MemoryLimit | None = None, cgroup: Cgroup | None = None, proc: Path = PROC) -> Host:
    """Return the machine for the profile.

    Args:
        cgroup: This process's control group, found if not given.
    """
    # The worker imports this module, and may have no pydantic.
    from pipeprof.profiles.document.subject import Host

    memory = machine_memory(proc)
    return Host(
        name=platform.node() or None,
        system=f"{platform.system()} {platform.release()}".strip(),
        machine=platform.machine(),
        cpu_model=cpu_model(proc),
        cores=cores(cgroup or Cgroup(proc=proc)),
        schedulable_cores=affinity_cores(),
        memory_bytes=None if memory is None else memory.total_bytes,
        memory_limit_bytes=None if limit is None else limit.bytes,
        memory_limit_source=None if limit is None else limit.source,
        gpus=gpus(),
    )


def versions() -> dict[str, str | None]:
    """Return versions of Python and pipeprof in the parent process; TensorFlow's comes from the worker."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("numpy", "psutil", "pipeprof"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def load_average() -> float | None:
    """Return processes running or ready to run, averaged over the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


@dataclass
class _ThreadTimeSum:
    """Time that threads ran and waited, summed over looks: a thread counts until the last look that saw it."""

    seen: dict[tuple[int, int], ThreadTimes] = field(default_factory=dict)
    run_ns: int = 0
    wait_ns: int = 0
    known: bool = False

    def look(self, pids: Sequence[int], proc: Path, *, first: bool = False) -> None:
        now: dict[tuple[int, int], ThreadTimes] = {}
        for pid in pids:
            for thread, times in (thread_times(pid, proc) or {}).items():
                now[pid, thread] = times
        self.known = self.known or bool(now)
        for key, times in now.items():
            before = self.seen.get(key, ThreadTimes(0, 0))
            if times.run_ns < before.run_ns or times.wait_ns < before.wait_ns:
                before = ThreadTimes(0, 0)  # the id was reused for a new thread
            if not first:
                self.run_ns += times.run_ns - before.run_ns
                self.wait_ns += times.wait_ns - before.wait_ns
        self.seen = now


SHORTEST_SECONDS: Final = 0.2
"""Shortest window in seconds for a number of cores.

The kernel counts CPU time in steps of 10 ms; one step more or less at each end is a tenth of a core."""


class ContentionProbe:
    """Interference by other processes between :meth:`start` and :meth:`stop`.

    Args:
        clock: Seconds, monotonic.
        own_cpu: CPU seconds of this process, excluded from the time of others.
        allowed: Numbers of the cores that the worker may run on: what others do on the rest is not in its way.
    """

    def __init__(
        self,
        pid: int,
        reader: ProcessReader,
        cgroup: Cgroup,
        *,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
        load: Callable[[], float | None] = load_average,
        own_cpu: Callable[[], float] = time.process_time,
        allowed: Callable[[], Collection[int]] = allowed_cores,
    ) -> None:
        self._pid = pid
        self._reader = reader
        self._cgroup = cgroup
        self._proc = proc
        self._clock = clock
        self._load = load
        self._threads = _ThreadTimeSum()
        self._time = 0.0
        self._system: SystemTimes | None = None
        self._throttled: float | None = None
        self._stalled: float | None = None
        self._reading: FamilyReading | None = None
        self._own_cpu = own_cpu
        self._allowed = allowed
        self._own = 0.0

    def start(self) -> None:
        """Begin or restart the measurement."""
        self._threads = _ThreadTimeSum()
        self._look(first=True)
        self._system = system_times(self._proc)
        self._throttled = self._cgroup.throttled_seconds()
        self._stalled = stalled_by_files(self._proc)
        self._reading = self._reader.read(self._pid)
        self._own = self._own_cpu()
        self._time = self._clock()

    def stop(self) -> Contention:
        """Return the values since :meth:`start`; ``None`` for those that the system lacks or of a dead worker."""
        seconds = self._clock() - self._time
        reading = self._reader.read(self._pid)
        system = system_times(self._proc)
        own = self._own_cpu() - self._own
        stalled = _difference(self._stalled, stalled_by_files(self._proc))
        self._look()
        worker_cores = self._cores(reading, seconds)
        return Contention(
            runnable_wait_share=self._wait_share(),
            steal_share=_steal_share(self._system, system),
            throttled_seconds=_difference(self._throttled, self._cgroup.throttled_seconds()),
            stalled_by_files_share=_stalled_share(stalled, seconds, self._system, system),
            load_average=self._load(),
            worker_cores=worker_cores,
            others_cores=_other_cores(
                _busy_allowed_cores(self._system, system, self._allowed()),
                worker_cores,
                own / seconds if seconds > 0 else None,
            ),
        )

    def _look(self, *, first: bool = False) -> None:
        self._threads.look([self._pid, *descendants(self._pid, self._proc)], self._proc, first=first)

    def _wait_share(self) -> float | None:
        busy = self._threads.run_ns + self._threads.wait_ns
        return self._threads.wait_ns / busy if self._threads.known and busy else None

    def _cores(self, reading: FamilyReading | None, seconds: float) -> float | None:
        if self._reading is None or reading is None or seconds < SHORTEST_SECONDS:
            return None
        used = _difference(self._reading.cpu_seconds, reading.cpu_seconds)
        return None if used is None else used / seconds


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _busy_cores(before: SystemTimes | None, after: SystemTimes | None) -> float | None:
    """Return the mean number of busy cores of the whole machine."""
    if before is None or after is None or after.total <= before.total:
        return None
    idle = max(0, after.idle - before.idle) / (after.total - before.total)
    return max(0.0, 1 - idle) * after.cores


def _busy_allowed_cores(
    before: SystemTimes | None, after: SystemTimes | None, allowed: Collection[int]
) -> float | None:
    """Return the cores, of those allowed, that computed something; of the whole machine where they are not listed."""
    everywhere = _busy_cores(before, after)
    if everywhere is None or before is None or after is None or not allowed:
        return everywhere
    if not set(allowed) < before.busy.keys() & after.busy.keys():
        return everywhere
    passed = (after.total - before.total) / after.cores
    return sum(max(0, after.busy[core] - before.busy[core]) for core in allowed) / passed


def _stalled_share(
    stalled: float | None, seconds: float, before: SystemTimes | None, after: SystemTimes | None
) -> float | None:
    """Return an upper bound of the share of time waiting for files, from a mean over partly busy cores.

    A core on which tasks wait for a share `s` of the time is not idle for `s` at least. Of `n` cores that were not idle
    it brings the weighted mean to `s * s / n` or more.
    """
    busy = _busy_cores(before, after)
    if stalled is None or seconds <= 0 or busy is None or before is None or after is None:
        return None
    waiting = max(0, after.waiting - before.waiting) / (after.total - before.total) * after.cores
    return min(1.0, math.sqrt(stalled / seconds * (busy + waiting)))


def _other_cores(busy: float | None, worker: float | None, own: float | None) -> float | None:
    return None if busy is None or worker is None or own is None else max(0.0, busy - worker - own)


def _steal_share(before: SystemTimes | None, after: SystemTimes | None) -> float | None:
    if before is None or after is None or after.total <= before.total:
        return None
    return max(0, after.steal - before.steal) / (after.total - before.total)


def installed_allocator(folders: Iterable[Path] | None = None) -> str | None:
    """Return the path of an allocator's library that could be loaded first; None where none is installed.

    Args:
        folders: Where libraries are; those of the system and of Python if not given.
    """
    if platform.system() != "Linux":
        return None
    places = list(allocator_folders() if folders is None else folders)
    for name in ALLOCATORS:
        for folder in places:
            # The name without a version belongs to the headers, which few have.
            found_here = sorted(folder.glob(f"{name}*"))
            if found_here:
                return str(found_here[0])
    return None
