"""The most useful command after a run, for the end of its report: one row for each thing to do next."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from pipeprof.cli.command_line import check_limit, recover_options, rerun
from pipeprof.cli.report.changes import ended_before_costs, outlook, shows_code, take_command, try_command
from pipeprof.cli.report.units import seconds as in_words
from pipeprof.cli.values import duration
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.wording import significant

FEW_STEPS = 20
SHORT_SECONDS = 1.0
"""Fewer steps, or less time, than these: a single slow step changes the mean."""
_LONGER = 3
_DEFAULT_TIMEOUT = 120.0
_WRITES = frozenset({"would-overwrite", "write-before-steps"})
"""In the advice that keeps what a stage gives in files."""
_MISSING = re.compile(r"\bModuleNotFoundError: No module named '([\w.]+)'")
_ENDED_BY_USER = ("hung-up", "interrupted", "terminated")


class NextCommand(NamedTuple):
    """A command line that can be pasted into a shell, and what it is for."""

    line: str
    purpose: str


Row = Callable[[Profile], tuple[str | None, str] | None]
"""A command and its purpose where it is the thing to do; no command where the target cannot be run again."""


def next_command(profile: Profile, saved: str | None) -> NextCommand | None:
    """Choose the command most useful after a run: the first fix, else what the result calls for.

    Returns:
        ``None`` where no command answers an open question, as after a healthy run.
    """
    failed = bool(profile.errors) and profile.errors[0].code not in _ENDED_BY_USER
    if failed and profile.errors[0].code in {"empty", "never-iterated"}:
        return None
    for row in _AFTER_FAILURE if failed else _AFTER_RUN:
        found = row(profile)
        if found is not None and found[0]:
            return NextCommand(found[0], found[1])
    if failed and saved is not None and (profile.errors[0].traceback or profile.steps is not None):
        return NextCommand(f"pipeprof show {shlex.quote(saved)} -v", "all that is known of it")
    return None


def _proven(profile: Profile) -> list[tuple[int, Finding]]:
    return [(number, one) for number, one in enumerate(profile.findings or (), 1) if one.status == "kept"]


def _unfinished_run(profile: Profile) -> tuple[str | None, str] | None:
    return None if profile.complete else (rerun(profile), "measure again: this run did not end")


def _undisturbed(profile: Profile) -> tuple[str | None, str] | None:
    """Measure again where other processes used the cores: what was found may not hold without them."""
    if profile.verdict is None or not profile.verdict.disturbed:
        return None
    return rerun(profile), "measure again when no other process uses the cores"


def _larger_budget(profile: Profile) -> tuple[str | None, str] | None:
    """Measure with a budget that decides about the first change that shows a gain, where none is proven."""
    if any(one.family != "memory" for _, one in _proven(profile)):
        return None
    for number, one in enumerate(profile.findings or (), 1):
        if (left := one.unfinished) is not None:
            return rerun(profile, budget=str(left.budget_seconds)), f"{outlook(one)} about change {number}"
    return None


def _take_proven(profile: Profile) -> tuple[str | None, str] | None:
    """Write the first change that is proven; a variable of the environment stands before the command."""
    for number, finding in _proven(profile):
        if (command := take_command(profile, finding, number)) is not None:
            if not command.startswith("pipeprof fix"):
                by_hand = "; there is no patch for it: write it by hand" if command.startswith("pipeprof run") else ""
                return command, f"measures the pipeline with change {number}{by_hand}"
            return command, f"writes change {number}{' as a patch' if command.endswith('.patch') else ''}"
    return None


def _soak(profile: Profile) -> tuple[str | None, str] | None:
    memory = profile.memory
    if memory.soak is not None or memory.growth is None or not memory.growth.leak:
        return None
    line = rerun(profile, soak="5m", seconds=None, steps=None, to_end=None, budget=None)
    return line, "shows what grows and when memory runs out"


def _try_open(profile: Profile) -> tuple[str | None, str] | None:
    """Measure with the first change that may hold: by its number, or once the user has made it."""
    for number, finding in enumerate(profile.findings or (), 1):
        if finding.status == "rejected":
            continue
        if (line := try_command(profile, finding, number)) is not None:
            return line, f"measures change {number}"
        if shows_code(profile, finding):
            return rerun(
                profile
            ), f"once you have written change {number}; pipeprof compare OLD NEW then shows the gain"
        if finding.family == "correctness":
            return rerun(profile), f"measure again once change {number} is made"
    return None


def _more_time(profile: Profile) -> tuple[str | None, str] | None:
    """Measure with a budget that holds what this one had no time for, where nothing is proven."""
    needed = profile.verification.needs_seconds if profile.verification is not None else None
    if needed is None or _proven(profile):
        return None
    return rerun(profile, budget=str(needed)), "gives more time for trying changes"


def _allow_writes(profile: Profile) -> tuple[str | None, str] | None:
    """Let a training script write over what is there, where that has ended the run."""
    if _WRITES.isdisjoint([*(one.code for one in profile.warnings), *(one.code for one in profile.errors)]):
        return None
    return rerun(profile, allow_writes=True), "lets the script overwrite and delete files"


def _longer(profile: Profile) -> tuple[str | None, str] | None:
    steps, codes = profile.steps, {warning.code for warning in profile.warnings}
    unsettled = "not-settled" in codes
    given = recover_options(profile)
    # A script that has ended by itself takes no more steps for an option of pipeprof's.
    if steps is None or "short-script" in codes or getattr(given, "to_end", False):
        return None
    if not unsettled and steps.count >= FEW_STEPS and steps.seconds >= SHORT_SECONDS:
        return None
    few = f"only {steps.count:,} step{'' if steps.count == 1 else 's'} in {in_words(steps.seconds)}"
    longest = max(steps.seconds, duration("--seconds", getattr(given, "seconds", None)) or 0.0)
    length = _write_duration(max(30, math.ceil(_LONGER * longest)))
    why = "the warm-up had not settled" if unsettled else few
    return rerun(profile, seconds=length, steps=None, soak=None), f"measure longer: {why}"


def _shorter(profile: Profile) -> tuple[str | None, str] | None:
    """Measure for less time where a script had ended before the costs of its stages were read."""
    if profile.steps is None or profile.steps.seconds <= 1 or not ended_before_costs(profile):
        return None
    seconds = max(1, math.floor(profile.steps.seconds / _LONGER))
    return rerun(profile, seconds=str(seconds)), "a shorter measurement: the script is then still there to be read"


def _add_step(profile: Profile) -> tuple[str | None, str] | None:
    """Measure with a step that takes as long as the pipeline takes for a batch: where waiting begins."""
    steps = profile.steps
    if steps is None or steps.dispatch is not None or steps.interval_ms.mean <= 0:
        return None
    if profile.device is not None and profile.device.kind != "none":
        return None
    batch_ms = steps.interval_ms.mean
    unit = 10.0 ** (math.floor(math.log10(batch_ms)) - 1)
    # No training step is shorter than a millisecond.
    step_ms = max(math.ceil(batch_ms / unit) * unit, 1.0)
    step = f"{significant(step_ms, 2 if step_ms > 1 else 1).replace(',', '')}ms"
    purpose = f"with the time of your training step in place of {step}: shows how long it would wait"
    return rerun(profile, step=f"simulate:{step}"), purpose


def _in_time(profile: Profile) -> tuple[str | None, str] | None:
    """Measure for half of the time that this run got, or with more time where no step was measured."""
    if profile.errors[0].code != "max-time":
        return None
    if profile.steps is not None:
        half = str(max(1, math.floor(profile.steps.seconds / 2)))
        return rerun(profile, seconds=half, soak=None, to_end=None), "a shorter measurement"
    limit = duration("--max-time", recover_options(profile).max_time)
    if limit is None:
        return None
    return rerun(profile, max_time=_write_duration(_LONGER * limit)), "more time: no step was measured"


def _slow_one(profile: Profile) -> tuple[str | None, str] | None:
    if profile.errors[0].code != "hung":
        return None
    timeout = duration("--timeout", recover_options(profile).timeout) or _DEFAULT_TIMEOUT
    slow = "building" if profile.phases and profile.phases[-1].name == "build" else "a batch"
    return rerun(profile, timeout=_write_duration(5 * timeout)), f"in case {slow} only takes longer"


def _without_step(profile: Profile) -> tuple[str | None, str] | None:
    if profile.errors[0].code != "step-raised":
        return None
    return rerun(profile, step="none"), "the pipeline without the step"


def _in_memory(profile: Profile) -> tuple[str | None, str] | None:
    problem = profile.errors[0]
    if problem.code != "out-of-memory" or problem.stage is None or profile.target.kind != "spec":
        return None
    most = profile.host.memory_limit_bytes
    limit = recover_options(profile).memory_limit or (f"{most // 1024**2}MiB" if most else None)
    return (check_limit(profile, limit), f"the largest buffer that fits into {limit}") if limit else None


def _installed(profile: Profile) -> tuple[str | None, str] | None:
    found = _MISSING.search(profile.errors[0].message)
    if found is None:
        return None
    return rerun(profile), f"once {found[1]} can be imported: install it, or run pipeprof with the Python that has it"


_AFTER_RUN: tuple[Row, ...] = (
    _unfinished_run,
    _undisturbed,
    _larger_budget,
    _take_proven,
    _soak,
    _try_open,
    _more_time,
    _allow_writes,
    _shorter,
    _longer,
    _add_step,
)
_AFTER_FAILURE: tuple[Row, ...] = (_in_time, _slow_one, _without_step, _in_memory, _installed, _allow_writes)


def _write_duration(seconds: float) -> str:
    """A duration as an option takes it: ``90`` or ``10min``."""
    return f"{seconds / 60:g}min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g}"
