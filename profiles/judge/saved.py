"""Two saved profiles side by side: the same table, of one process each. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import MAX_BYTES, load_document
from pipeprof.profiles.document.subject import Host
from pipeprof.profiles.judge.verdicts.metrics import METRICS
from pipeprof.profiles.judge.verdicts.result import SCHEMA_VERSION, Result
from pipeprof.profiles.judge.verdicts.result import Metric as Row
from pipeprof.profiles.wording import size


def values_of(profile: Profile) -> dict[str, float]:
    """The values of all metrics that a profile has, by name."""
    steps, flow, memory = profile.steps, profile.throughput, profile.memory
    per_batch = flow.elements_per_batch if flow else None
    elements = steps.count * per_batch if steps and per_batch else None
    has_device = steps is not None and steps.dispatch is not None
    phases = {phase.name: phase.seconds for phase in profile.phases}
    first = [phases.get(name) for name in ("build", "first_element")]
    cpu = profile.cpu.total_ms if profile.cpu else None
    found: dict[str, float | None] = {
        "step_ms": steps.interval_ms.mean if steps else None,
        "elements_per_second": flow.elements_per_second if flow else None,
        "wait_ms": steps.wait_ms.mean if steps and steps.wait_ms and has_device else None,
        "idle_share": profile.device.idle_share if profile.device and has_device else None,
        "cpu_ms_per_element": cpu / per_batch if cpu is not None and per_batch else None,
        "peak_bytes": memory.peak_bytes,
        "first_batch_s": sum(value or 0.0 for value in first) if any(first) else None,
        "disk_bytes_per_element": profile.disk.bytes / elements
        if profile.disk and profile.disk.bytes is not None and elements
        else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def rows_of_profiles(a: Profile, b: Profile) -> list[Row]:
    """The table of two profiles, without intervals and verdicts.

    One run of each says nothing about run-to-run variation.
    """
    one, other = values_of(a), values_of(b)
    rows = []
    for metric in METRICS:
        if metric.name not in one or metric.name not in other:
            continue
        both = one[metric.name], other[metric.name]
        if metric.scale == "ratio" and min(both) <= 0:
            continue
        rows.append(
            Row(
                **metric.heads(),
                a=both[0],
                b=both[1],
                change=metric.as_change(metric.changes(both[:1], both[1:])[0]),
                floor=metric.floor,
                level="error" if metric.judged else "off",
            )
        )
    return rows


def differences(a: Profile, b: Profile) -> Iterator[Message]:
    """What makes two profiles no fair comparison: other hosts, other versions, another step."""
    one, other = _facts(a.host), _facts(b.host)
    others = [f"{name} {one[name]} and {other[name]}" for name in one if one[name] != other[name]]
    if others:
        listed = ", ".join(others)
        yield Message(code="other-host", message=f"measured on different hosts: {listed}")
    names = sorted({*a.versions, *b.versions})
    versions = [name for name in names if a.versions.get(name) != b.versions.get(name)]
    if versions:
        listed = ", ".join(
            f"{name} {a.versions.get(name) or 'n/a'} and {b.versions.get(name) or 'n/a'}" for name in versions
        )
        yield Message(code="other-versions", message=f"measured with different versions: {listed}")
    steps = [profile.device.text if profile.device else None for profile in (a, b)]
    if steps[0] != steps[1]:
        yield Message(code="other-step", message=f"measured with different steps: {steps[0]} and {steps[1]}")


def _facts(host: Host) -> dict[str, str]:
    """What tells hosts apart, in words."""
    return {
        "name": str(host.name),
        "processor": str(host.cpu_model),
        "cores": f"{host.cores:g}",
        "memory": size(host.memory_bytes),
        "system": host.system,
    }


_KINDS = frozenset(get_args(Result.model_fields["kind"].annotation))
_A_KIND = re.compile(rb'"kind"\s*:\s*"(?:%s)"' % "|".join(sorted(_KINDS)).encode())


def kind_of_result(path: Path) -> str | None:
    """The kind of a result of ``compare`` or ``gate``; None for anything else, which is for the reader of profiles."""
    try:
        raw = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else b""
        # A long profile is not parsed twice.
        document = json.loads(raw) if _A_KIND.search(raw) else None
    except (OSError, ValueError, RecursionError):
        return None
    kind = document.get("kind") if isinstance(document, dict) and "pairs" in document else None
    return kind if isinstance(kind, str) and kind in _KINDS else None


def is_result(path: Path) -> bool:
    """Whether a file is a result of ``compare`` or ``gate``."""
    return kind_of_result(path) is not None


def load_result(path: Path) -> Result:
    """Read a saved result.

    Raises:
        ProfileError: It breaks the schema, or has the schema of a newer pipeprof.
    """
    return load_document(path, Result, SCHEMA_VERSION)[0]
