"""The output of ``pipeprof doctor``: what to mend, and a block of facts for a bug report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pipeprof.cli.report.blocks import Block, Card, Code, Heading, Pairs, Text
from pipeprof.profiles.doctor.facts import Facts
from pipeprof.profiles.doctor.faults import Fault
from pipeprof.profiles.protocol.wrapped import WRAPPED
from pipeprof.profiles.wording import cores_text, size

FENCE = "```"


def doctor_report(facts: Facts, faults: Sequence[Fault], hide: Callable[[str], str]) -> Iterator[Block]:
    """Build the report; `hide` takes private parts out of a text of the block for a bug report."""
    yield Heading(_summary(faults))
    for number, fault in enumerate(faults, 1):
        blocks: list[Block] = [Text(fault.mend), *([Code(fault.command)] if fault.command else [])]
        yield Card(f"{fault.level}: {fault.message}", blocks=blocks, number=number)
    yield Heading("For a bug report", f"copy from {FENCE} to {FENCE}")
    yield Text(f"{FENCE}text", indent=0)
    yield Pairs([(key, hide(value).replace("`", "'")) for key, value in _rows(facts, faults)], indent=0)
    yield Text(FENCE, indent=0)


def _summary(faults: Sequence[Fault]) -> str:
    counts = [(level, sum(fault.level == level for fault in faults)) for level in ("fault", "note")]
    return ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts if count) or (
        "Nothing to fix"
    )


def _rows(facts: Facts, faults: Sequence[Fault]) -> Iterator[tuple[str, str]]:
    versions = dict(facts.versions)
    yield "pipeprof", versions.pop("pipeprof", None) or "not installed as a package"
    yield "Python", f"{versions.pop('python', None) or 'n/a'}, {facts.executable or 'n/a'}"
    yield "TensorFlow", _tensorflow(facts)
    yield "packages", ", ".join(f"{name} {version or 'n/a'}" for name, version in versions.items())
    yield "system", f"{facts.host.system} {facts.host.machine}"
    yield "cores", _cores(facts)
    yield "memory", _memory(facts)
    for folder in facts.folders:
        free = f"{size(folder.free_bytes)} free" if folder.free_bytes is not None else "n/a"
        yield folder.use, f"{free}{'' if folder.writable else ', not writable'}, {folder.path or 'none'}"
    yield "device", ", ".join(facts.host.gpus) or "none seen"
    yield "git", facts.git or "not installed"
    for fault in faults:
        yield fault.level, fault.message


def _tensorflow(facts: Facts) -> str:
    installation = facts.tensorflow
    owners = " and ".join(f"{owner.name} {owner.version or 'n/a'}" for owner in installation.owners)
    words = owners or ("of no package" if installation.importable else "not installed")
    if owners and not installation.importable:
        words += ", files missing"
    return words


def _cores(facts: Facts) -> str:
    host = facts.host
    parts = [f"{cores_text(host.cores)} usable", f"{facts.cores or 'n/a'} in the machine"]
    parts += [f"{host.schedulable_cores} schedulable"] if host.schedulable_cores is not None else []
    parts += [f"quota {cores_text(facts.quota)}"] if facts.quota is not None else []
    parts += [f"cpuset {facts.cpuset}"] if facts.cpuset is not None else []
    parts += ["cgroup v2" if facts.has_cgroup else "no cgroup v2"]
    return ", ".join([*parts, host.cpu_model or "model n/a"])


def _memory(facts: Facts) -> str:
    sizes = {
        "{} in the machine": facts.host.memory_bytes,
        "{} available": facts.available_bytes,
        "cgroup limit {}": facts.cgroup_bytes,
        "{} of that in use": facts.cgroup_held_bytes,
        "limit of a run {}": facts.host.memory_limit_bytes,
    }
    return ", ".join(text.format(size(nbytes)) for text, nbytes in sizes.items() if nbytes is not None) or "n/a"


def doctor_document(facts: Facts, faults: Sequence[Fault]) -> dict[str, Any]:
    """Return everything as JSON fields."""
    return {
        "facts": {**asdict(facts), "host": facts.host.model_dump()},
        "faults": [asdict(fault) for fault in faults],
        "hooks": [{"method": str(row), "why": row.why} for row in WRAPPED],
    }
