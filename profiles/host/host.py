"""Measured machine: hardware and versions."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import ALLOCATORS, allocator_folders
from pipeprof.profiles.host.limits import Cgroup, MemoryLimit, affinity_cores, cores, machine_memory
from pipeprof.profiles.host.procfs import PROC, read_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Host

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
    """Return the machine for the profile; its control group is found if not given."""
    # The worker imports this module, and may have no pydantic.
    from pipeprof.profiles.document.profile import Host

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


def versions(
    packages: Iterable[str] = ("numpy", "psutil", "pipeprof"), version_of: Callable[[str], str] = metadata.version
) -> dict[str, str | None]:
    """Return versions of Python and of packages in this process; None for one that is not installed or damaged."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version_of(package)
        # Damaged metadata raises whatever its parser meets, and others in newer Pythons.
        except Exception:
            found[package] = None
    return found


def installed_allocator(folders: Iterable[Path] | None = None) -> str | None:
    """Return the path of an allocator's library that could be loaded first; None where none is installed."""
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
