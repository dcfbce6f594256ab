"""Memory in the verdict: whether it is a problem, and what holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import grows, percent, size, size_in_unit_of, stage_label

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

LARGE_BYTES = 10**9
"""Peak memory above the TensorFlow baseline from which it is a problem whatever the limit."""
LARGE_SHARE = 0.25
"""The same as a share of the memory limit."""


NEAR_LIMIT = 0.8
"""Share of the memory limit from which the peak comes before the speed in the verdict."""


def describe_memory_problem(profile: Profile) -> str | None:
    """State the peak with what holds most of it; ``None`` where memory is no problem.

    It is one where a memory finding exists, where the peak is large, or where memory leaks. Nothing is stated of a run
    that came to no step.
    """
    if not profile.shows_memory:
        return None
    memory, limit, above = profile.memory, profile.host.memory_limit_bytes, _above(profile)
    found = any(one.family == "memory" and one.status != "rejected" for one in profile.findings or ())
    peak, large = memory.peak_bytes, _is_large(profile)
    write = size_in_unit_of(peak)
    leaks = memory.growth if memory.growth is not None and memory.growth.leak else None
    if not found and not large and not leaks:
        return None
    parts = [f"{write(peak)} at the peak" if peak is not None else "the peak is unknown"]
    if above is not None and large:
        share = f", {percent(above / limit)} of the limit" if limit is not None and above >= LARGE_SHARE * limit else ""
        parts.insert(1, f"{write(above)} above TensorFlow itself{share}")
    parts += _largest(profile)
    if leaks is not None:
        soak = memory.soak
        parts.append(grows(leaks) if soak is None else f"{soak.sentence[:1].lower()}{soak.sentence[1:].rstrip('.')}")
    return "; ".join(parts)


def memory_is_critical(profile: Profile) -> bool:
    """Whether memory leaks, or its peak is near the limit."""
    peak, limit, growth = profile.memory.peak_bytes, profile.host.memory_limit_bytes, profile.memory.growth
    if growth is not None and growth.leak:
        return True
    return peak is not None and limit is not None and peak >= NEAR_LIMIT * limit


def memory_matters(profile: Profile) -> bool:
    """Whether memory was asked about, is large or leaks."""
    growth = profile.memory.growth
    return (
        profile.host.memory_limit_source == "option" or _is_large(profile) or (growth is not None and bool(growth.leak))
    )


def _above(profile: Profile) -> int | None:
    """Bytes of the peak above TensorFlow itself; None where they are not known."""
    peak, baseline = profile.memory.peak_bytes, profile.memory.baseline_bytes
    return peak - baseline if peak is not None and baseline is not None else None


def _is_large(profile: Profile) -> bool:
    above, limit = _above(profile), profile.host.memory_limit_bytes
    return above is not None and (above >= LARGE_BYTES or (limit is not None and above >= LARGE_SHARE * limit))


def _largest(profile: Profile) -> list[str]:
    """The stage with the largest entry of the ledger."""
    stages = {stage.id: stage for stage in profile.stages or []}
    entries = [entry for entry in profile.memory.ledger or [] if entry.stage in stages]
    if not entries:
        return []
    largest = max(entries, key=lambda entry: entry.bytes)
    return [f"largest: {stage_label(stages[largest.stage or ''])}, {size(largest.bytes)}"]
