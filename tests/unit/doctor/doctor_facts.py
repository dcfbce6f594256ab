"""Facts of a made-up machine on which all is well."""

from dataclasses import replace
from typing import Any

from pipeprof.profiles.doctor.facts import Facts, Folder, Package, TensorFlowInstallation
from pipeprof.profiles.document.profile import Host

GIB = 1 << 30
WELL = Facts(
    versions={"python": "3.11.7", "pipeprof": "0.1.0", "keras": "3.12.0", "numpy": "2.1.3"},
    executable="/home/ada/env/bin/python",
    tensorflow=TensorFlowInstallation((Package("tensorflow", "2.20.0"),), importable=True),
    host=Host(
        system="Linux 6.1.0",
        machine="x86_64",
        cpu_model="Fast Processor",
        cores=1.5,
        schedulable_cores=4,
        memory_bytes=16 * GIB,
        memory_limit_bytes=5 * GIB,
        gpus=["NVIDIA Fast"],
    ),
    cores=8,
    quota=1.5,
    cpuset=4,
    has_cgroup=True,
    available_bytes=12 * GIB,
    cgroup_bytes=8 * GIB,
    cgroup_held_bytes=2 * GIB,
    folders=(
        Folder("temporary", "/tmp/ada", 40 * GIB, writable=True),
        Folder("cache", "/home/ada/.cache/pipeprof", 50 * GIB, writable=True),
        Folder("current", "/home/ada/work", 50 * GIB, writable=True),
    ),
    git="2.43.0",
)


def ill(**changed: Any) -> Facts:
    return replace(WELL, **changed)


def limited_to(nbytes: int) -> Facts:
    """A machine on which a run may take so much memory."""
    return ill(host=WELL.host.model_copy(update={"memory_limit_bytes": nbytes}))


def tensorflow(*owners: tuple[str, str | None], importable: bool = True) -> TensorFlowInstallation:
    return TensorFlowInstallation(tuple(Package(name, version) for name, version in owners), importable)
