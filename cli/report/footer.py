"""Report: what the numbers rest on, where the profile is, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.text.blocks import Blank, Block, Command, KeyValue, Prose
from pipeprof.cli.text.units import seconds
from pipeprof.profiles.time.bottleneck import cores_were_free
from pipeprof.profiles.wording import percent, significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MARK = "Report by"
"""Starts a line near the end of every text report: so a later run knows the file as one it may write over."""


SHORTEST_SECONDS = 0.25
"""Of steps: the loop is looked at no more often, so that a shorter window is seen only once, at its end."""
_BOUND_WORDS = {"input": "bound by the input", "step": "bound by the step", "balanced": "balanced"}


def render_footer(profile: Profile, saved: str | None) -> Iterator[Block]:
    """Overhead, contention, host and versions; then verdict, next command and the saved profile."""
    yield Blank()
    for key, value in (
        ("Overhead", _overhead(profile)),
        ("Contention", _contention(profile)),
        ("Disk", _disk(profile)),
        ("Host", _host(profile)),
        (MARK, _versions(profile)),
    ):
        if value:
            yield KeyValue(key, value)
    yield Blank()
    yield KeyValue("Verdict", _short_verdict(profile))
    command = next_command(profile, saved)
    if command:
        yield Command("Next", command.line)
        yield Prose(command.purpose, indent=12, style="dim")
    if saved:
        yield Command("Saved", saved)


def change_flags(profile: Profile) -> list[tuple[str, ...]]:
    """The flags that changed the spec, as they were given."""
    target = profile.target
    flags: list[tuple[str, ...]] = [("-f", overlay) for overlay in target.overlays]
    flags += [("--set", override) for override in target.overrides]
    return [*flags, ("--env",)] if target.variables is not None else flags


def _short_verdict(profile: Profile) -> str:
    bound = profile.verdict.bound if profile.verdict else None
    steps = profile.steps
    parts = []
    if bound and steps and steps.dispatch is None:
        parts.append("no step to feed")
    elif bound:
        parts.append(_BOUND_WORDS[bound])
    if steps and steps.dispatch is not None:
        parts.append(f"waiting {percent(steps.wait_share)} of the time")
    if profile.throughput and profile.throughput.batches_per_second is not None:
        parts.append(f"{significant(profile.throughput.batches_per_second)} batches/s")
    if not profile.complete or profile.exit_code:
        parts.insert(0, _how_it_ended(profile))
    return ", ".join(parts) or "none"


def _how_it_ended(profile: Profile) -> str:
    if not profile.errors:
        return "partial"
    code = profile.errors[0].code
    return code if profile.exit_code in (130, 143) else f"failed ({code})"


def _overhead(profile: Profile) -> str:
    overhead = profile.overhead
    if overhead is None:
        return ""
    parts = []
    if profile.steps is not None and profile.steps.seconds < SHORTEST_SECONDS:
        parts.append(f"of {seconds(profile.steps.seconds)} of steps nobody can tell")
    elif overhead.loop_share is not None:
        parts.append(f"{percent(overhead.loop_share)} of the step loop")
    if overhead.wake_share is not None:
        parts.append(f"{percent(overhead.wake_share)} late wake-ups of the simulated step")
    if overhead.sampler_cores is not None:
        parts.append(f"{significant(overhead.sampler_cores, 2)} cores for watching")
    return " · ".join(parts)


def _contention(profile: Profile) -> str:
    found = profile.contention
    if found is None:
        return ""
    parts = []
    if found.runnable_wait_share is not None:
        if cores_were_free(found, profile.host.cores):
            # What threads wait to be woken on a free core is a large share of next to nothing.
            parts.append("none, cores were free")
        else:
            parts.append(f"{percent(found.runnable_wait_share)} of the threads' time waiting for a core")
    if found.steal_share is not None:
        parts.append(f"steal {percent(found.steal_share)}")
    if found.throttled_seconds is not None:
        parts.append(f"throttled {seconds(found.throttled_seconds)}")
    if found.worker_cores is not None:
        parts.append(f"{significant(found.worker_cores)} of {profile.host.cores:g} cores used")
    if found.others_cores is not None:
        parts.append(f"{significant(found.others_cores, 2)} by others")
    if found.load_average is not None:
        parts.append(f"load {significant(found.load_average)}")
    return " · ".join(parts)


def _disk(profile: Profile) -> str:
    disk = profile.disk
    if disk is None:
        return ""
    cold = ", source files evicted first" if disk.cold else ""
    if disk.bytes is None:
        return f"bytes read from the disk unknown ({disk.source or 'not counted here'}){cold}"
    return f"{size(disk.bytes)} read from the disk while measuring{cold}"


def _host(profile: Profile) -> str:
    host = profile.host
    parts = [host.name] if host.name else []
    parts.append(f"{host.system} {host.machine}")
    parts.append(
        f"{host.cores:g} core{'' if host.cores == 1 else 's'}{f' ({host.cpu_model})' if host.cpu_model else ''}"
    )
    if host.memory_bytes is not None:
        parts.append(size(host.memory_bytes))
    if host.memory_limit_bytes is not None:
        source = f" ({host.memory_limit_source})" if host.memory_limit_source else ""
        parts.append(f"limit {size(host.memory_limit_bytes)}{source}")
    return " · ".join([*parts, *host.gpus])


def _versions(profile: Profile) -> str:
    known = [f"{name} {version}" for name, version in profile.versions.items() if version and name != "pipeprof"]
    return " · ".join([f"pipeprof {profile.tool.version}", *known])
