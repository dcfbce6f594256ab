"""Two saved profiles side by side: the same table, of one process each. Pure functions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import MAX_BYTES, load_document
from pipeprof.profiles.judge.metrics import METRICS
from pipeprof.profiles.judge.result import SCHEMA_VERSION, Metric, Result


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


def rows_of_profiles(a: Profile, b: Profile) -> list[Metric]:
    """The table of two profiles, without intervals and verdicts.

    One run of each says nothing about run-to-run variation.
    """
    one, other = values_of(a), values_of(b)
    rows = []
    for kind in METRICS:
        before, after = one.get(kind.name), other.get(kind.name)
        if before is None or after is None or (kind.scale == "ratio" and min(before, after) <= 0):
            continue
        rows.append(
            Metric(
                **kind.heads(),
                a=before,
                b=after,
                change=kind.as_change(kind.changes([before], [after])[0]),
                floor=kind.floor,
                level="error" if kind.judged else "off",
            )
        )
    return rows


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
    return load_document(path, Result, SCHEMA_VERSION)
