"""The most useful command after a run, for the end of its report."""

from __future__ import annotations

import math
import re
import shlex
from typing import Any, NamedTuple

from pipeprof.cli.command_line import change_command, check_limit, recover_options, rerun
from pipeprof.cli.options import duration
from pipeprof.cli.report.findings import can_be_taken, first_to_write, outlook, shell_variables, shows_code, try_command
from pipeprof.cli.report.units import seconds as in_words
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.wording import milliseconds, significant

FEW_STEPS = 20
SHORT_SECONDS = 1.0
"""Fewer steps, or less time, than these: a single slow step changes the mean."""

_LONGER = 3
_GOOD_PART = 0.1
_SHORTEST_STEP_MS = 1.0
"""No training step is shorter."""
_DEFAULT_TIMEOUT = 120.0
_GIB = 1024**3
_WRITES = frozenset({"would-overwrite", "write-before-steps"})
"""In the advice that keeps what a stage gives in files."""
_MISSING = re.compile(r"\bModuleNotFoundError: No module named '([\w.]+)'")
_ENDED_BY_USER = ("hung-up", "interrupted", "terminated")


class NextCommand(NamedTuple):
    """A command line that can be pasted into a shell, and the question that it answers.

    Attributes:
        is_listed: The report lists it with a finding, which states what it is for.
    """

    line: str
    purpose: str
    is_listed: bool = False


def next_command(profile: Profile, saved: str | None) -> NextCommand | None:
    """Choose the command most useful after a run: the first fix, else what the result calls for.

    Args:
        saved: Path of the saved profile as the user would type it, if there is one.

    Returns:
        ``None`` where no command answers an open question, as after a healthy run.
    """
    if profile.errors and profile.errors[0].code not in _ENDED_BY_USER:
        return _after_failure(profile, profile.errors[0], saved)
    if not profile.complete:
        return _command(rerun(profile), "measure again: this run did not end")
    return (
        _measure_undisturbed(profile)
        or _finish_finding(profile, "decides")
        or _write_finding(profile)
        or _try_finding(profile)
        or _write_lines(profile)
        or _soak(profile)
        or _show_finding(profile, saved)
        or _mend_data(profile)
        or _finish_finding(profile, "may decide")
        or _try_longer(profile)
        or _allow_writes(profile)
        or _measure_longer(profile)
        or _add_step(profile)
        or _fit_memory(profile)
    )


def _command(line: str | None, purpose: str) -> NextCommand | None:
    return NextCommand(line, purpose) if line else None


def _measure_undisturbed(profile: Profile) -> NextCommand | None:
    """Measure again where other processes used the cores: what was found may not hold without them."""
    if profile.verdict is None or not profile.verdict.disturbed:
        return None
    needed = _needed_seconds(profile)
    budget = {"budget": str(needed)} if needed is not None else {}
    return _command(rerun(profile, **budget), "measure again when no other process uses the cores")


def _finish_finding(profile: Profile, words: str) -> NextCommand | None:
    """Measure with a budget for the first change that shows a gain, where none is proven and no lines promise more.

    Args:
        words: Only where the outlook is this.
    """
    findings = profile.findings or []
    first = next((finding for finding in findings if finding.unfinished is not None), None)
    if first is None or first.unfinished is None or outlook(first) != words:
        return None
    known = [one for one in findings if _open(one) and shows_code(profile, one)]
    if any(one.family != "memory" for one in _proven(profile)) or max(map(_promised, known), default=0.0) > _promised(
        first
    ):
        return None
    line = rerun(profile, budget=str(first.unfinished.budget_seconds))
    return _command(line, f"{words} about {first.title}")


def _proven(profile: Profile) -> list[Finding]:
    return [one for one in profile.findings or () if one.status == "kept"]


def _promised(finding: Finding) -> float:
    """What a change gains as measured, as bounded or as predicted; one that mends the data comes before any gain."""
    if finding.family == "correctness":
        return math.inf
    predicted = finding.predicted.speedup if finding.predicted is not None else None
    return float((finding.measured or {}).get("speedup") or predicted or 0.0)


def _try_longer(profile: Profile) -> NextCommand | None:
    """Measure with a budget that holds what this one had no time for, where nothing is proven."""
    needed = _needed_seconds(profile)
    return _command(rerun(profile, budget=str(needed)), "gives time for what was not measured") if needed else None


def _needed_seconds(profile: Profile) -> int | None:
    """The budget that holds what this one had no time for, where nothing is proven."""
    needed = profile.verification.needs_seconds if profile.verification is not None else None
    return None if _proven(profile) else needed


def _write_lines(profile: Profile) -> NextCommand | None:
    """Measure again with the first lines of the report that only the user can write."""
    number = first_to_write(profile)
    if number is None:
        return None
    purpose = f"once you have written the lines of finding {number}; pipeprof compare OLD NEW then shows the gain"
    return _try(profile, (profile.findings or [])[number - 1]) or _command(rerun(profile), purpose)


def _try(profile: Profile, finding: Finding) -> NextCommand | None:
    """Measure with a finding's change, by the command that stands with it."""
    line = try_command(profile, finding)
    return NextCommand(line, f"try: {finding.change or finding.title}", is_listed=True) if line is not None else None


def _write_finding(profile: Profile) -> NextCommand | None:
    """Write the first change that is proven: into the spec, or as the diff of a function, which may be known."""
    for number, finding in enumerate(profile.findings or (), 1):
        if finding.status != "kept" or not can_be_taken(profile, finding):
            continue
        if profile.target.kind != "script" and shell_variables(finding) and not finding.in_spec:
            # It stands before the command: neither a spec nor a diff has it.
            return _try(profile, finding)
        ways: dict[str, Any] = {}
        if finding.diff is not None:
            what, ways = "writes the diff of", {"out": [f"change-{number}.patch"]}
        elif profile.target.kind == "spec":
            what, ways = "writes", {} if profile.target.overrides else {"write": True}
        else:
            return _try(profile, finding)
        return _command(change_command(profile, number, "fix", **ways), f"{what} change {number}")
    return None


def _try_finding(profile: Profile) -> NextCommand | None:
    """Measure with the first finding's change that a command can make."""
    wanted = [one for one in profile.findings or () if one.in_spec and _open(one)]
    return next(filter(None, (_try(profile, one) for one in wanted)), None)


def _show_finding(profile: Profile, saved: str | None) -> NextCommand | None:
    """Print the complete fix of the first finding that no command can make."""
    for number, finding in enumerate(profile.findings or (), 1):
        if profile.only_bounds(finding):
            # Its code is worth writing where it gains, which its command measures.
            if (tried := _try(profile, finding)) is not None:
                return tried
        elif saved and _open(finding) and _has_text(finding) and not shows_code(profile, finding):
            line = f"pipeprof show {shlex.quote(saved)} --finding {number}"
            return NextCommand(line, f"the complete fix of finding {number}")
    return None


def _has_text(finding: Finding) -> bool:
    """Whether a finding has its change as text."""
    return bool(finding.patch or finding.python or finding.diff)


def _soak(profile: Profile) -> NextCommand | None:
    """Look at memory that grows for longer."""
    memory = profile.memory
    if memory.soak is not None or memory.growth is None or not memory.growth.leak:
        return None
    once: dict[str, Any] = dict.fromkeys(("seconds", "steps", "to_end", "budget"))
    return _command(rerun(profile, soak="5m", **once), "shows what grows and when memory runs out")


def _mend_data(profile: Profile) -> NextCommand | None:
    """Measure again once the first thing is mended that is wrong with the data."""
    for number, finding in enumerate(profile.findings or (), 1):
        if finding.family == "correctness" and _open(finding):
            return _command(rerun(profile), f"once finding {number} is fixed")
    return None


def _open(finding: Finding) -> bool:
    """Whether the finding's fix is still worth a try."""
    return finding.status != "rejected"


def _allow_writes(profile: Profile) -> NextCommand | None:
    """Let a training script write over what is there, where that has ended the run."""
    if _WRITES.isdisjoint([*(one.code for one in profile.warnings), *(one.code for one in profile.errors)]):
        return None
    return _command(rerun(profile, allow_writes=True), "lets the script overwrite and delete files")


def _measure_longer(profile: Profile) -> NextCommand | None:
    steps, codes = profile.steps, {warning.code for warning in profile.warnings}
    if steps is None or "short-script" in codes:
        # A script that has ended by itself takes no more steps for an option of pipeprof's.
        return None
    unsettled = "not-settled" in codes
    if not unsettled and steps.count >= FEW_STEPS and steps.seconds >= SHORT_SECONDS:
        return None
    few = f"only {steps.count:,} step{'' if steps.count == 1 else 's'} in {in_words(steps.seconds)}"
    why = "the warm-up had not settled" if unsettled else few
    longest = max(steps.seconds, duration("--seconds", recover_options(profile).seconds) or 0.0)
    length = _write_duration(max(30, math.ceil(_LONGER * longest)))
    return _command(rerun(profile, seconds=length, steps=None), f"measure longer: {why}")


def _add_step(profile: Profile) -> NextCommand | None:
    """Measure with a step that takes as long as the pipeline takes for a batch: where waiting begins."""
    steps = profile.steps
    if steps is None or steps.dispatch is not None:
        return None
    if profile.device is not None and step_kind(profile.device.kind).dispatch != "none":
        return None
    batch_ms = steps.interval_ms.mean
    if batch_ms <= 0:
        return None
    unit = 10.0 ** (math.floor(math.log10(batch_ms)) - 1)
    step_ms = max(math.ceil(batch_ms / unit) * unit, _SHORTEST_STEP_MS)
    step = f"{significant(step_ms, 2 if step_ms > _SHORTEST_STEP_MS else 1).replace(',', '')}ms"
    purpose = f"a batch takes {milliseconds(batch_ms)}: replace {step} with your step time to see whether it would wait"
    return _command(rerun(profile, step=f"simulate:{step}"), purpose)


def _fit_memory(profile: Profile) -> NextCommand | None:
    """Ask which buffers fit into half of the memory, where the verdict names memory and buffers are part of it."""
    memory, verdict = profile.memory, profile.verdict
    if verdict is None or memory.peak_bytes is None or profile.target.kind != "spec":
        return None
    named = verdict.limit == "memory" or any(detail.label == "memory" for detail in verdict.details)
    limit = max(math.ceil(memory.peak_bytes / 2 / _GIB), 1)
    if not named or not _holds_buffers(profile) or limit * _GIB >= memory.peak_bytes:
        return None
    return _command(check_limit(profile, f"{limit}GiB"), f"the largest buffers that fit into {limit} GiB")


def _holds_buffers(profile: Profile) -> bool:
    """Whether buffers are a good part of the peak: `check --memory-limit` gives answers about those alone."""
    holders = {stage.id for stage in profile.stages or () if stage.op and traits(stage.op).holds_elements}
    held = sum(entry.bytes for entry in profile.memory.ledger or () if entry.stage in holders)
    return held >= _GOOD_PART * (profile.memory.peak_bytes or 0) > 0


def _after_failure(profile: Profile, problem: Problem, saved: str | None) -> NextCommand | None:
    if problem.code == "max-time":
        return _measure_shorter(profile)
    if problem.code in {"empty", "never-iterated"}:
        return None
    if problem.code == "hung":
        timeout = duration("--timeout", recover_options(profile).timeout) or _DEFAULT_TIMEOUT
        slow = "building" if profile.phases and profile.phases[-1].name == "build" else "a batch"
        return _command(rerun(profile, timeout=_write_duration(5 * timeout)), f"in case {slow} only takes longer")
    if problem.code == "step-raised":
        return _command(rerun(profile, step="none", dispatch=None), "the pipeline without the step")
    if problem.code == "out-of-memory" and problem.stage is not None and profile.target.kind == "spec":
        limit = recover_options(profile).memory_limit or _size(profile.host.memory_limit_bytes)
        if limit:
            return _command(check_limit(profile, limit), f"the largest buffers that fit into {limit}")
    parts = ["the complete traceback"] if problem.traceback else []
    parts += ["all that was measured until then"] if profile.steps is not None else []
    everything = _show_everything(saved, ", and ".join(parts)) if parts else None
    return _install_missing(profile, problem) or _allow_writes(profile) or everything


def _install_missing(profile: Profile, problem: Problem) -> NextCommand | None:
    """Measure again once a module can be imported that the pipeline needs."""
    found = _MISSING.search(problem.message)
    if found is None:
        return None
    purpose = f"once {found[1]} can be imported: install it, or run pipeprof with the Python that has it"
    return _command(rerun(profile), purpose)


def _measure_shorter(profile: Profile) -> NextCommand | None:
    """Measure for half of the time that this run got, or with more time where no step was measured."""
    steps = profile.steps
    if steps is not None:
        seconds = str(max(1, math.floor(steps.seconds / 2)))
        return _command(rerun(profile, seconds=seconds), "a shorter measurement")
    limit = duration("--max-time", recover_options(profile).max_time)
    if limit is None:
        return None
    return _command(rerun(profile, max_time=_write_duration(_LONGER * limit)), "more time: no step was measured")


def _show_everything(saved: str | None, purpose: str) -> NextCommand | None:
    return NextCommand(f"pipeprof show {shlex.quote(saved)} -v", purpose) if saved is not None else None


def _write_duration(seconds: float) -> str:
    """A duration as an option takes it: ``90`` or ``10min``."""
    return f"{seconds / 60:g}min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g}"


def _size(size: int | None) -> str | None:
    return f"{size // 1024**2}MiB" if size else None
