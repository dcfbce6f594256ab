"""Memory: the peak with its owners in three lines, and the phases with their peaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeprof.cli.report.ledger import describe_leak, describe_ram_budget, group_owners
from pipeprof.cli.text.blocks import Block, Column, Heading, Prose, Table
from pipeprof.cli.text.names import name_rows
from pipeprof.cli.text.units import Scale, byte_scale, rate, seconds
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.wording import phase_words, size, size_in_unit_of

APART = "the memory of the trace is not part of the peak"
_OWNERS = 4
_LARGE = 256 * 1024**2
"""Of the pipeline's own memory: from it on a reader wants to know whose it is."""
_WORTH = 0.1
"""Share of the peak below which it matters little whose the pipeline's part is."""
_LEAST_SHARE = 0.03
"""Share of the pipeline's memory below which an owner is listed as other."""
_WHOLE, _LARGER = Scale("MiB", 1024**2, 0), Scale("GiB", 1024**3, 2)


def build_memory(profile: Profile, *, brief: bool = False) -> Iterator[Block]:
    """Build the peak, TensorFlow's own part and the pipeline's, and who owns the pipeline's part.

    Args:
        brief: Only the peak, unless memory is large or grows, or was asked about: then it has owners in any case.
    """
    memory = profile.memory
    if memory.peak_bytes is None or not profile.shows_memory:
        return
    write, above = _scale(memory.peak_bytes).text, memory.peak_bytes - (memory.baseline_bytes or 0)
    text = f"peak {size(memory.peak_bytes)}{_whose(memory, write)}"
    wanted = not brief or above >= _LARGE or _is_wanted(profile)
    lines = (describe_leak(profile), describe_ram_budget(memory), _growth_to_limit(profile)) if wanted else ()
    yield Heading("Memory", text, spare=0 if any(lines) else 9)
    if not wanted:
        return
    owners = _owners(profile, write)
    if owners and (above >= _WORTH * memory.peak_bytes or _is_wanted(profile)):
        yield Prose(owners, spare=2 if above < _LARGE else 7)
    for line in lines:
        if line:
            yield Prose(line, hang=2)


def _scale(peak: int) -> Scale:
    """The unit of the line of the peak and of the line of its owners."""
    return _WHOLE if peak < _LARGER.factor else _LARGER


def _whose(memory: Memory, write: Callable[[float], str]) -> str:
    """What of the peak is TensorFlow's and what the pipeline's, in the unit of the peak; empty if unknown."""
    if memory.peak_bytes is None or memory.baseline_bytes is None:
        return ""
    more = max(memory.peak_bytes - memory.baseline_bytes, 0)
    return f": TensorFlow itself {write(memory.baseline_bytes)}, your pipeline {write(more)}"


def _is_wanted(profile: Profile) -> bool:
    """Whether the memory was asked about, or grows."""
    return profile.host.memory_limit_source == "option" or bool(describe_leak(profile) or _growth_to_limit(profile))


def _owners(profile: Profile, write: Callable[[float], str]) -> str:
    """The owners of the pipeline's part, the largest first, written as in the line before."""
    groups = [(name, nbytes) for name, nbytes in group_owners(profile) if nbytes > 0]
    whole = sum(nbytes for _, nbytes in groups)
    least = max(_LEAST_SHARE * whole, _WHOLE.factor / 2)
    shown = [(name, nbytes) for name, nbytes in groups if nbytes >= least][:_OWNERS]
    rest = whole - sum(nbytes for _, nbytes in shown)
    parts = [f"{write(nbytes)} {name}" for name, nbytes in shown]
    if shown and rest >= _WHOLE.factor / 2:
        parts.append(f"{write(rest)} other")
    moment = profile.memory.ledger_at
    when = f" (at the last reading, after {seconds(moment.seconds)})" if moment is not None and parts else ""
    return " · ".join(parts) + when


def build_phases(profile: Profile) -> Iterator[Block]:
    """Build one row a phase: how long it took, its peak of resident memory, and that above TensorFlow itself."""
    if not profile.phases:
        return
    memory, phases = profile.memory, profile.phases
    yield Heading("Memory", _summary(profile))
    above = [_above(phase, memory.baseline_bytes) for phase in phases]
    scale = byte_scale([phase.peak_rss_bytes for phase in phases])
    yield Table(
        [
            Column("phase", [phase_words(phase.name) for phase in phases], right=False),
            Column("seconds", [_duration(phase) for phase in phases]),
            Column(f"peak {scale.unit}", [_peak(phase, scale.text(phase.peak_rss_bytes)) for phase in phases]),
            Column("above TensorFlow itself", [f"+{scale.text(value)}" if value else "" for value in above], keep=0),
            *_grew(profile),
        ]
    )
    if trace_is_above_peak(profile):
        yield Prose(APART, style="dim")
    if any(phase.how == "sampled" for phase in phases):
        yield Prose("~ largest of the samples taken from outside; a short peak may have been higher", style="dim")
    for phase in phases:
        # What ended the measurement itself stands in the heading of the steps.
        if phase.note and phase.name != "measure":
            yield Prose(f"{phase_words(phase.name)}: {phase.note}", hang=2)
    growing = _growth_to_limit(profile)
    if growing:
        yield Prose(growing)


def trace_is_above_peak(profile: Profile) -> bool:
    """Whether the trace, which is pipeprof's own, took more memory than the peak, as both are written."""
    peak = profile.memory.peak_bytes
    traced = next((phase.peak_rss_bytes or 0 for phase in profile.phases if phase.name == "trace"), 0)
    return peak is not None and traced > peak and size(traced) != size(peak)


def _growth_to_limit(profile: Profile) -> str:
    """Distance of a growing run from its limit; if it hit the limit, the error has it."""
    memory = profile.memory
    if not memory.growth_bytes_per_second or memory.seconds_to_limit is None:
        return ""
    if any(problem.code == "out-of-memory" for problem in profile.errors):
        return ""
    return (
        f"In the last samples memory grew by {rate(memory.growth_bytes_per_second)}: "
        f"{seconds(memory.seconds_to_limit)} from the limit of {size(profile.host.memory_limit_bytes)}."
    )


def _grew(profile: Profile) -> list[Column]:
    """The stage whose buffer grew most in each phase; no column where none did."""
    names = name_rows(profile.stages)
    grew = {grew.phase: grew for grew in profile.memory.grew or ()}
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
    if not profile.shows_memory:
        return "by phase, until the run ended; no step was measured"
    text = f"peak {size(memory.peak_bytes)}"
    if memory.peak_phase:
        text += f" in phase {phase_words(memory.peak_phase)}"
    return f"{text}{_whose(memory, size_in_unit_of(memory.peak_bytes))}"


def _above(phase: Phase, baseline: int | None) -> int | None:
    if baseline is None or phase.peak_rss_bytes is None or phase.name == "import":
        return None
    return max(phase.peak_rss_bytes - baseline, 0)


def _duration(phase: Phase) -> str:
    return "not ended" if phase.seconds is None else f"{phase.seconds:,.2f}"


def _peak(phase: Phase, text: str) -> str:
    return f"~{text}" if text and phase.how == "sampled" else text
