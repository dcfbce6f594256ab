"""Memory limit and usable cores of a worker.

The memory limit is for the resident memory of the worker and its children. Without ``--memory-limit`` it is the
smaller of

- machine: ``MemAvailable`` now − a reserve of 10 % of all memory, at least 256 MiB and at most 2 GiB;
- control group: its limit − what it holds now (file pages that the kernel gives up at once not counted) − a reserve of
  5 % of the limit, at least 64 MiB and at most 1 GiB;

so that the worker is stopped, with a diagnosis, before the machine swaps or the kernel kills. A reserve is never more
than half of what is there: little memory still leaves something to run in.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Literal

from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import MachineMemory

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
