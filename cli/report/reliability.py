"""Whether the numbers can be trusted, what they were measured on, and the lines that end a report."""

from __future__ import annotations

from collections.abc import Iterator

from pipeprof.cli.report.blocks import Block, Code, Heading, Pairs
from pipeprof.cli.report.next_step import FEW_STEPS, next_command
from pipeprof.cli.report.units import dotted, seconds
from pipeprof.profiles.document.profile import NOTES, Profile
from pipeprof.profiles.time.flow import cores_were_free, scheduled_on
from pipeprof.profiles.wording import percent, significant, size

SHORTEST_SECONDS = 0.25
"""Interval between looks at the loop: a shorter window is seen only once, at its end."""
_TOO_MUCH_OVERHEAD = 0.05
_TOO_MANY_OTHERS = 0.05
"""Share of the cores from which other processes make times longer."""
_TOO_MUCH_STEAL = 0.01
_TOO_FAR_APART = 0.10
"""By which one of two processes of the same pipeline is faster, from which that is named."""


def build_reliability(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build one line on what makes the numbers doubtful; in full what the measurement ran on and with."""
    doubts = list(_doubts(profile)) if profile.steps is not None else []
    if doubts:
        yield Heading("Caution", " · ".join(doubts))
    if full:
        rows = (
            ("Target", _target(profile)),
            ("Overhead", _overhead(profile)),
            ("Contention", _contention(profile)),
            ("Disk", _disk(profile)),
            ("Host", _host(profile)),
            # By these words, as by those below, `cli.output` knows a report that the next one may replace.
            ("Report by", _versions(profile)),
        )
        yield Heading("Conditions")
        yield Pairs([row for row in rows if row[1]])


def build_footer(profile: Profile, saved: str | None, *, full: bool) -> Iterator[Block]:
    """Build the path of the saved profile, as the user would type it, and the next command, next to the prompt."""
    notes = len([message for message in profile.warnings if message.code in NOTES])
    more = f" and {notes} note{'' if notes == 1 else 's'}" if notes else ""
    if saved:
        yield Code(saved, label="Saved", note="" if full else f"all numbers{more}: pipeprof show -v", indent=0)
    if (command := next_command(profile, saved)) is not None:
        yield Code(command.line, label="Next ", note=command.purpose, indent=0)


def _doubts(profile: Profile) -> Iterator[str]:
    steps, contention, overhead = profile.steps, profile.contention, profile.overhead
    if any(warning.code == "not-settled" for warning in profile.warnings):
        yield "the warm-up had not settled: the step time may still be changing"
    if steps is not None and steps.count < FEW_STEPS:
        yield f"only {steps.count:,} step{'' if steps.count == 1 else 's'}"
    apart = ((profile.verification and profile.verification.apart) or 1.0) - 1
    if apart > _TOO_FAR_APART:
        yield f"two processes of the same pipeline differed by {percent(apart)} while changes were tried"
    cores = scheduled_on(profile.host)
    crowded = disturbed = bool(profile.verdict and profile.verdict.disturbed)
    if contention is not None:
        others = contention.others_cores or 0.0
        crowded |= others >= _TOO_MANY_OTHERS * cores and not cores_were_free(contention, cores)
        if crowded and not disturbed:  # Else the verdict says so.
            yield f"other processes used {significant(others, 2)} of {cores:g} cores: times may be too long"
        if (contention.steal_share or 0.0) >= _TOO_MUCH_STEAL:
            yield f"the hypervisor took {percent(contention.steal_share or 0.0)} of the CPU time (steal)"
        if steps is not None and (contention.throttled_seconds or 0.0) >= _TOO_MUCH_STEAL * steps.seconds:
            yield f"throttled by the CPU quota for {seconds(contention.throttled_seconds)}"
    share = _overhead_share(profile)
    if overhead is not None and share is not None and share >= _TOO_MUCH_OVERHEAD and not crowded:
        late = f", {percent(overhead.wake_share)} by a simulated step that ended late" if overhead.wake_share else ""
        yield f"pipeprof took {percent(share)} of the time{late}"


def _overhead_share(profile: Profile) -> float | None:
    """Overhead as a share of the measured time; unknown for a window that was seen only once."""
    overhead, steps = profile.overhead, profile.steps
    if overhead is None or steps is None or steps.seconds < SHORTEST_SECONDS or overhead.loop_share is None:
        return None
    return overhead.loop_share + (overhead.wake_share or 0.0)


def _target(profile: Profile) -> str:
    target = profile.target
    flags = [f"--set {override}" for override in target.overrides]
    flags += [f"--arg {name}={value}" for name, value in (target.arguments or {}).items()]
    flags += ["--env"] if target.variables is not None else []
    return "  ".join([*([target.name] if target.name else []), target.text, *flags])


def _overhead(profile: Profile) -> str:
    overhead, known = profile.overhead, _overhead_share(profile) is not None
    if overhead is None:
        return ""
    return dotted(
        (overhead.loop_share if known else None, lambda share: f"{percent(share)} of the step loop"),
        (overhead.wake_share, lambda share: f"{percent(share)} late wake-ups of the simulated step"),
        (overhead.sampler_cores, lambda cores: f"{significant(cores, 2)} cores for sampling"),
    )


def _contention(profile: Profile) -> str:
    found = profile.contention
    if found is None:
        return ""
    # Waiting to wake up on a free core is a large share of next to nothing.
    free = cores_were_free(found, scheduled_on(profile.host))
    waits = "none, cores were free" if free else "{} of the threads' time waiting for a core"
    return dotted(
        (found.runnable_wait_share, lambda share: waits.format(percent(share))),
        (found.steal_share, lambda share: f"steal {percent(share)}"),
        (found.throttled_seconds, lambda took: f"throttled {seconds(took)}"),
        (found.worker_cores, lambda cores: f"{significant(cores)} of {profile.host.cores:g} cores used"),
        (found.others_cores, lambda cores: f"{significant(cores, 2)} by others"),
    )


def _disk(profile: Profile) -> str:
    disk = profile.disk
    if disk is None:
        return ""
    cold = ", source files evicted first" if disk.cold else ""
    if disk.bytes is None:
        return f"bytes read from the disk: unknown ({disk.source or 'not counted here'}){cold}"
    return f"{size(disk.bytes)} read from the disk while measuring{cold}"


def _host(profile: Profile) -> str:
    host = profile.host
    model = f" ({host.cpu_model})" if host.cpu_model else ""
    source = f" ({host.memory_limit_source})" if host.memory_limit_source else ""
    known = dotted((host.memory_bytes, size), (host.memory_limit_bytes, lambda limit: f"limit {size(limit)}{source}"))
    cores = f"{host.cores:g} core{'' if host.cores == 1 else 's'}{model}"
    return " · ".join(filter(None, [host.name, f"{host.system} {host.machine}", cores, known, *host.gpus]))


def _versions(profile: Profile) -> str:
    known = [f"{name} {version}" for name, version in profile.versions.items() if version and name != "pipeprof"]
    return " · ".join([f"pipeprof {profile.tool.version}", *known])
