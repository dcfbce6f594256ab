"""Report: memory and time by phase, and how a run that hit its limit grew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.ledger import render_ledger
from pipeprof.cli.report.pipeline import name_of, place_of
from pipeprof.cli.text.blocks import Block, Column, Heading, Prose, Table
from pipeprof.cli.text.units import byte_scale, rate, seconds
from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from pipeprof.profiles.document.measured import Phase
    from pipeprof.profiles.document.profile import Profile

_MUCH_MORE = 1.1
"""Times the peak that the trace must hold to need a word."""


def render_memory(profile: Profile) -> Iterator[Block]:
    """One row a phase: how long it took, its peak of resident memory, and that above TensorFlow itself."""
    if not profile.phases:
        return
    memory, phases = profile.memory, profile.phases
    yield Heading("Memory", _summary(profile))
    above = [_above(phase, memory.baseline_bytes) for phase in phases]
    scale = byte_scale([phase.peak_rss_bytes for phase in phases])
    yield Table(
        [
            Column("phase", [phase.name for phase in phases], right=False),
            Column("seconds", [_duration(phase) for phase in phases]),
            Column(f"peak {scale.unit}", [_peak(phase, scale.text(phase.peak_rss_bytes)) for phase in phases]),
            Column("above TensorFlow's own", [f"+{scale.text(value)}" if value else "" for value in above], keep=0),
            *_grew(profile),
        ]
    )
    traced = next((phase.peak_rss_bytes or 0 for phase in phases if phase.name == "trace"), 0)
    if memory.peak_bytes is not None and traced > _MUCH_MORE * memory.peak_bytes:
        yield Prose("the trace's own memory is no part of the peak", style="dim")
    if any(phase.how == "sampled" for phase in phases):
        yield Prose("~ the largest sample seen from outside; a short peak may have been higher", style="dim")
    yield from render_ledger(profile)
    for phase in phases:
        # What ended the measurement itself stands in the heading of the steps.
        if phase.note and phase.name != "measure":
            yield Prose(f"{phase.name}: {phase.note}", hang=2)
    ended_there = any(problem.code == "out-of-memory" for problem in profile.errors)
    if memory.growth_bytes_per_second and memory.seconds_to_limit is not None and not ended_there:
        yield Prose(
            f"At the last samples it grew by {rate(memory.growth_bytes_per_second)}, "
            f"{seconds(memory.seconds_to_limit)} away from the limit of {size(profile.host.memory_limit_bytes)}."
        )


def _grew(profile: Profile) -> list[Column]:
    """The stage whose buffer grew most in each phase; no column where none did."""
    names = {stage.id: f"{place_of(stage.id)} {name_of(stage)}" for stage in profile.stages or []}
    grew = {one.phase: one for one in profile.memory.grew or ()}
    if not grew:
        return []
    cells = [
        f"{names.get(grew[phase.name].stage, grew[phase.name].stage)} +{size(grew[phase.name].bytes)}"
        if phase.name in grew
        else ""
        for phase in profile.phases
    ]
    return [Column("buffer that grew most", cells, right=False, keep=1)]


def _summary(profile: Profile) -> str:
    memory = profile.memory
    if memory.peak_bytes is None:
        return ""
    text = f"peak {size(memory.peak_bytes)}"
    if memory.peak_phase:
        text += f" in phase {memory.peak_phase}"
    if memory.baseline_bytes is not None:
        more = max(memory.peak_bytes - memory.baseline_bytes, 0)
        text += f", {size(more)} above TensorFlow's own {size(memory.baseline_bytes)}"
    return text


def _above(phase: Phase, baseline: int | None) -> int | None:
    if baseline is None or phase.peak_rss_bytes is None or phase.name == "import":
        return None
    return max(phase.peak_rss_bytes - baseline, 0)


def _duration(phase: Phase) -> str:
    return "not ended" if phase.seconds is None else f"{phase.seconds:,.2f}"


def _peak(phase: Phase, text: str) -> str:
    return f"~{text}" if text and phase.how == "sampled" else text
