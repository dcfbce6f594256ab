"""Facts about this machine and installation, read without TensorFlow and within a second."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from pipeprof.pipelines.data.cache import locate
from pipeprof.pipelines.host_files import temporary_folder
from pipeprof.profiles.document.profile import Host
from pipeprof.profiles.git.calls import absolute_path
from pipeprof.profiles.host.host import host_facts, run_tool, versions
from pipeprof.profiles.host.limits import ROOT, Cgroup, machine_memory, memory_limit
from pipeprof.profiles.host.procfs import PROC

SHOWN: Final = ("pipeprof", "keras", "numpy", "protobuf", "psutil", "pydantic", "typer")
_MODULE: Final = "tensorflow"
_OWNED_FILE: Final = re.compile(rf"^{_MODULE}/__init__\.py,", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str
    version: str | None


@dataclass(frozen=True)
class TensorFlowInstallation:
    """The module ``tensorflow`` (`importable` as a package with code, owned or not) and the packages that own it."""

    owners: tuple[Package, ...]
    importable: bool


def find_tensorflow(
    distributions: Callable[[], Iterable[metadata.Distribution]] = metadata.distributions,
    find_spec: Callable[[str], ModuleSpec | None] = importlib.util.find_spec,
) -> TensorFlowInstallation:
    """Find the packages that own ``tensorflow``.

    Unlike `importlib.metadata.packages_distributions` it goes on after a package with damaged metadata.
    """
    owners: dict[str, Package] = {}
    for distribution in distributions():
        try:
            if _owns(distribution):
                name = str(distribution.metadata["Name"] or "")
                if not name:
                    raise ValueError(name)
                # The first one on the path is the one that Python imports.
                owners.setdefault(re.sub(r"[-_.]+", "-", name).lower(), Package(name, distribution.version or None))
        except Exception:  # noqa: S112 - damaged metadata of another package
            continue
    return TensorFlowInstallation(tuple(owners[name] for name in sorted(owners)), _is_importable(find_spec))


def _owns(distribution: metadata.Distribution) -> bool:
    top_level = distribution.read_text("top_level.txt")
    if top_level is not None:
        return _MODULE in top_level.split()
    return _OWNED_FILE.search(distribution.read_text("RECORD") or "") is not None


def _is_importable(find_spec: Callable[[str], ModuleSpec | None]) -> bool:
    try:
        spec = find_spec(_MODULE)
    except (ImportError, ValueError):
        return False
    # A folder without `__init__.py`, such as an incomplete removal leaves, has no origin.
    return spec is not None and spec.origin is not None


@dataclass(frozen=True)
class Folder:
    """A folder that pipeprof writes to, or could create; the bytes that are free for this user, None if unknown."""

    use: str
    path: str | None
    free_bytes: int | None
    writable: bool


@dataclass(frozen=True)
class Facts:
    """All facts; bytes and cores are None where they are unknown, or there is no such limit.

    Attributes:
        host: The machine, with the cores and the memory that a run would have now; without its name.
        has_cgroup: Whether there is a control group of version 2; limits of version 1 are not read.
    """

    versions: Mapping[str, str | None]
    executable: str
    tensorflow: TensorFlowInstallation
    host: Host
    cores: int | None
    quota: float | None
    cpuset: int | None
    has_cgroup: bool
    available_bytes: int | None
    cgroup_bytes: int | None
    cgroup_held_bytes: int | None
    folders: tuple[Folder, ...]
    git: str | None


def gather(environ: Mapping[str, str] = os.environ, proc: Path = PROC, root: Path = ROOT) -> Facts:
    """Read all facts; the process file system `proc` may be missing."""
    cgroup, machine = Cgroup(proc=proc, root=root), machine_memory(proc)
    cpuset = cgroup.cpuset()
    host = host_facts(memory_limit(None, cgroup, machine), cgroup, proc)
    return Facts(
        versions=versions(SHOWN),
        executable=sys.executable,
        tensorflow=find_tensorflow(),
        host=host.model_copy(update={"name": None}),
        cores=os.cpu_count(),
        quota=cgroup.cpu_quota(),
        cpuset=None if cpuset is None else len(cpuset),
        has_cgroup=bool(cgroup.folders),
        available_bytes=None if machine is None else machine.available_bytes,
        cgroup_bytes=cgroup.memory_limit(),
        cgroup_held_bytes=cgroup.memory_held(),
        folders=folders(environ),
        git=git_version(environ),
    )


def folders(environ: Mapping[str, str]) -> tuple[Folder, ...]:
    """Return the folders that pipeprof writes to, as they are now; nothing is created."""
    try:
        current: Path | None = Path.cwd()
    except OSError:
        current = None
    places = (("temporary", temporary_folder()), ("cache", locate(environ)), ("current", current))
    return tuple(_folder(use, path) for use, path in places)


def _folder(use: str, path: Path | None) -> Folder:
    if path is None:
        return Folder(use, None, None, writable=False)
    try:
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        return Folder(use, str(path), shutil.disk_usage(existing).free, writable=os.access(existing, os.W_OK | os.X_OK))
    except (OSError, StopIteration):
        return Folder(use, str(path), None, writable=False)


def git_version(environ: Mapping[str, str], run: Callable[[Sequence[str]], str | None] = run_tool) -> str | None:
    """Return the version of the git that a target ``git:REF`` would use; None without one."""
    program = shutil.which("git", path=absolute_path(environ.get("PATH", os.defpath)))
    match = re.search(r"\d+(?:\.\d+)+", (run([program, "--version"]) if program is not None else None) or "")
    return None if match is None else match[0]
