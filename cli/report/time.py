"""Report: what happens inside the costly stages, who used the CPU, what sets the ceiling, and fetching by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipeprof.cli.report.pipeline import name_of, place_of
from pipeprof.cli.text.blocks import Block, Column, Prose, Table
from pipeprof.cli.text.units import time_scale
from pipeprof.profiles.time.bottleneck import cores_were_free
from pipeprof.profiles.wording import count, milliseconds, percent, significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import PythonCost, Stage
    from pipeprof.profiles.document.time import CeilingTerm

SHOWN_FROM = 0.05
"""Share of the time from which a stage is looked into."""
EACH = 3
"""Ops, and Python functions, that are listed of a stage."""
_RESOURCES = {"cores": "the cores", "serial": "one call at a time", "disk": "the disk", "step": "the step"}


def render_time(profile: Profile) -> Iterator[Block]:
    """Below the table of stages; nothing of what is not known."""
    stages = profile.stages or []
    for line in filter(None, (_cpu(profile), _ceiling(profile))):
        yield Prose(line, hang=2)
    yield from _render_inside(stages)
    yield from _render_fetch(profile)


def _cpu(profile: Profile) -> str:
    cpu = profile.cpu
    if cpu is None or cpu.total_ms <= 0:
        return ""
    blocked = sum(stage.blocked_ms_per_batch or 0.0 for stage in profile.stages or [])
    intra = sum(stage.intra_op_ms_per_batch or 0.0 for stage in profile.stages or [])
    stages = f"stages {percent(cpu.stages_ms / cpu.total_ms)}"
    if intra >= 0.01 * cpu.total_ms:
        stages += f" ({percent(intra / cpu.total_ms)} in further threads of single ops)"
    parts = [stages]
    for word, ms in (
        ("not attributed", cpu.unattributed_ms or None),
        ("Python loop", cpu.loop_ms),
        ("pipeprof", cpu.pipeprof_ms),
        ("TensorFlow's runtime", cpu.runtime_ms or (None if cpu.unattributed_ms else 0.0)),
    ):
        if ms is not None:
            parts.append(f"{word} {percent(ms / cpu.total_ms)}")
    text = f"CPU {milliseconds(cpu.total_ms)} per batch: {', '.join(parts)}"
    more = []
    if blocked >= 0.01 * cpu.total_ms:
        more.append(f"blocked {milliseconds(blocked)} besides")
    held = f"held back by the quota {percent(cpu.throttled_share)} of the time" if cpu.throttled_share else ""
    if cpu.waiting_ms is not None:
        # Of what the stages' threads did: the kernel's own sum is mostly the time until a thread wakes up.
        if cpu.waiting_ms >= 0.01 * cpu.total_ms:
            more.append(f"waiting for a core {milliseconds(cpu.waiting_ms)} besides")
        more.extend(filter(None, [held]))
    elif cpu.waiting_share is not None and not cores_were_free(profile.contention, profile.host.cores):
        words = f"waiting for a core {percent(cpu.waiting_share)} of the threads' time"
        more.append(", ".join(filter(None, [words, held])))
    return "; ".join([text, *more])


def _ceiling(profile: Profile) -> str:
    ceiling = profile.ceiling
    if ceiling is None:
        return ""
    names = {stage.id: f" ({place_of(stage.id)} {name_of(stage)})" for stage in profile.stages or []}

    def words(term: CeilingTerm) -> str:
        stage = names.get(term.stage, "") if term.stage is not None else ""
        by = _RESOURCES.get(term.resource) or f"{count(term.threads or 1.0)} threads for functions"
        return f"{significant(term.batches_per_second)} batches/s by {by}{stage}"

    return f"Ceiling {', '.join(words(term) for term in ceiling.terms if _matters(term, ceiling.batches_per_second))}"


def _matters(term: CeilingTerm, lowest: float) -> bool:
    return term.batches_per_second <= 10 * lowest


def _render_inside(stages: list[Stage]) -> Iterator[Block]:
    rows = list(_inside(stages))
    if not rows:
        return
    per_batch = time_scale(ms for *_, ms, _, _ in rows)
    yield Table(
        [
            Column("inside", [stage for stage, *_ in rows], right=False, shrink_to=12),
            Column("op or Python function", [what for _, what, *_ in rows], right=False, shrink_to=20),
            Column(per_batch.unit, [per_batch.text(ms) for *_, ms, _, _ in rows]),
            Column("lock", [lock for *_, lock, _ in rows], keep=2),
            Column("", [where for *_, where in rows], right=False, keep=3, shrink_to=16, style="dim"),
        ]
    )
    if any(lock for *_, lock, _ in rows):
        yield Prose("lock: Python's lock was taken while the function ran", style="dim")


def _inside(stages: list[Stage]) -> Iterator[tuple[str, str, float, str, str]]:
    """Stage, op or function, milliseconds, share with the lock taken, and place."""
    for stage in stages:
        if (stage.share or 0.0) < SHOWN_FROM:
            continue
        label = f"{place_of(stage.id)} {stage.name or stage.op}"
        least = 0.02 * (stage.inside_ms or 0.0)
        for what, ms in _ops(stage):
            if ms >= least:
                yield label, what, ms, "", ""
                label = ""
        for function in (stage.python or [])[:EACH]:
            if function.ms_per_batch >= least:
                lock = percent(function.lock_share) if function.lock_share is not None else ""
                name = function.function if function.function.endswith(">") else f"{function.function}()"
                yield label, name, function.ms_per_batch, lock, _where(function)
                label = ""


def _ops(stage: Stage) -> list[tuple[str, float]]:
    """The costliest ops, and calling the functions that they are in."""
    found = [(op.op, op.ms_per_batch) for op in (stage.ops or [])[:EACH]]
    if stage.calling_ms_per_batch and stage.calls_per_batch:
        times = count(stage.calls_per_batch)
        found.append((f"(calling it {'once' if times == '1' else f'{times} times'})", stage.calling_ms_per_batch))
    return sorted(found, key=lambda one: -one[1])


def _where(function: PythonCost) -> str:
    if function.file is None:
        return ""
    line = f":{function.line}" if function.line is not None else ""
    return f"{PurePath(function.file).name}{line}"


def _render_fetch(profile: Profile) -> Iterator[Block]:
    fetch = profile.fetch
    if fetch is None or fetch.cold_ms is None:
        return
    rows = [
        ("files from the disk", fetch.cold_ms, "fetching adds", fetch.fetch_ms),
        ("files in memory", fetch.warm_ms, "preparing adds", fetch.prepare_ms),
        ("batches that lie ready", fetch.replayed_ms, "", None),
    ]
    known = [row for row in rows if row[1] is not None]
    scale = time_scale(ms for _, ms, _, _ in known)
    yield Table(
        [
            Column("per batch, with", [name for name, *_ in known], right=False),
            Column(scale.unit, [scale.text(ms) for _, ms, _, _ in known]),
            Column(
                "",
                [f"{word} {scale.text(ms)}" if ms is not None else "" for *_, word, ms in known],
                right=False,
                keep=3,
            ),
        ]
    )
    if fetch.warm_disk_bytes:
        yield Prose(f"{size(fetch.warm_disk_bytes)} came from the disk all the same with files in memory.")
