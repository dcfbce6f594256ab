"""Facts of a made-up machine on which all is well."""

from dataclasses import replace
from typing import Any

from pipeprof.profiles.doctor.facts import Cores, Devices, Facts, Folder, MemoryFacts, Package, TensorFlowInstallation

GIB = 1 << 30
WELL = Facts(
    versions={"python": "3.11.7", "pipeprof": "0.1.0", "keras": "3.12.0", "numpy": "2.1.3"},
    executable="/home/ada/env/bin/python",
    tensorflow=TensorFlowInstallation((Package("tensorflow", "2.20.0"),), importable=True),
    system="Linux 6.1.0 x86_64",
    cores=Cores(1.5, machine=8, schedulable=4, quota=1.5, cpuset=4, model="Fast Processor"),
    has_cgroup=True,
    memory=MemoryFacts(16 * GIB, 12 * GIB, 8 * GIB, 2 * GIB, 5 * GIB, None),
    open_files=1024,
    folders=(
        Folder("temporary", "/tmp/ada", 40 * GIB, writable=True),
        Folder("cache", "/home/ada/.cache/pipeprof", 50 * GIB, writable=True),
        Folder("current", "/home/ada/work", 50 * GIB, writable=True),
    ),
    devices=Devices(("NVIDIA Fast",), "NVML"),
    governors={"performance": 8},
    git="2.43.0",
)


def ill(**changed: Any) -> Facts:
    return replace(WELL, **changed)


def tensorflow(*owners: tuple[str, str | None], importable: bool = True) -> TensorFlowInstallation:
    return TensorFlowInstallation(tuple(Package(name, version) for name, version in owners), importable)
