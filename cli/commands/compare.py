"""``pipeprof compare``: two or more pipelines side by side; and a session of pairs, which ``gate`` has too."""

from __future__ import annotations

import string
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Literal, TypeAlias

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import CompareOptions, MeasuringOptions
from pipeprof.cli.output import Outputs, plan_outputs, settle
from pipeprof.cli.private import redact_here
from pipeprof.cli.render.progress import progress_for
from pipeprof.cli.reports import write_result
from pipeprof.cli.streams import say
from pipeprof.cli.targets.sides import GivenSide, read_sides
from pipeprof.cli.values import duration, whole
from pipeprof.pipelines.errors import PipelineFailedError, UsageError
from pipeprof.pipelines.steps.step import RECORDED, too_optimistic
from pipeprof.profiles.advise.claims import warning
from pipeprof.profiles.document.profile import Message, Profile, Tool
from pipeprof.profiles.document.store import ProfileWriter, places
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.git.calls import git_calls
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.settings import RunProgress
from pipeprof.profiles.host.host import versions
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName, measure
from pipeprof.profiles.judge.metrics import rows_of_profiles
from pipeprof.profiles.judge.result import Arm, Result
from pipeprof.profiles.judge.stages import stage_changes
from pipeprof.profiles.judge.verdict import NOTHING

_MOST = 8
"""Pipelines of one comparison: each waits for the turns of all others."""
Body: TypeAlias = Callable[[Result, Callable[[], object], RunProgress], None]
"""Measures; receives the result, what saves it, and the progress."""


def compare(given: CompareOptions) -> int:
    """Measure two or more pipelines side by side, or lay saved profiles side by side."""
    pairs = whole("--pairs", given.pairs) or GATE.pairs
    outputs = plan_outputs(given, "compare")
    texts = [given.a, *(given.others or ())]
    if len(texts) < 2:
        raise UsageError("compare needs two pipelines: give another target, such as git:main or other.yaml")
    if len(texts) > _MOST:
        raise UsageError(f"got {len(texts)} pipelines, at most {_MOST}: each is a process in every pair")
    with git_calls(duration("--max-time", given.max_time)) as calls:
        sides = read_sides(given, texts, calls)

        def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
            if any(side.settings is None for side in sides):
                _compare_profiles(sides, result, progress)
                return
            warn_of_steps(sides, result)
            session = SessionPlan(
                enough=lambda so_far: len(so_far.pairs) >= pairs,
                # The stages of two pipelines stand side by side; of more, the table has no place for them.
                profiled=len(sides) == 2,
                most=pairs,
                end_at=calls.end_at,
            )
            measure(live_sides(sides), result, session, progress, save)
            if not result.pairs and not result.errors:
                result.errors.append(Message(code="not-measured", message=messages.NO_PAIR))
                result.exit_code = NOTHING

        return compared("compare", sides, outputs, given, body)


def _compare_profiles(sides: Sequence[GivenSide], result: Result, progress: RunProgress) -> None:
    """Compare profiles; a side that is a target is measured once."""
    first, *others = (_profile(side, progress) for side in sides)
    for other in others:
        result.warnings += [one for one in messages.differences(first, other) if one not in result.warnings]
    names = string.ascii_uppercase
    result.warnings += messages.warnings_of(dict(zip(names, (first, *others), strict=False)))
    result.metrics = rows_of_profiles(first, others[0])
    for arm, other in zip(result.further, others[1:], strict=True):
        arm.metrics = rows_of_profiles(first, other)
    if not result.further:
        result.stages = stage_changes(first.stages, others[0].stages)


def _profile(side: GivenSide, progress: RunProgress) -> Profile:
    if side.profile is not None:
        return side.profile
    one = _live(side)
    profile = run_sample(one.settings, one.writer, progress)
    if profile.exit_code:
        said = profile.verdict.sentence if profile.verdict else messages.NO_END
        raise PipelineFailedError(f"{side.shown.text}: {said}")
    return profile


def compared(
    kind: Literal["compare", "gate", "self-test"],
    sides: Sequence[GivenSide],
    outputs: Outputs,
    given: MeasuringOptions,
    body: Body,
) -> int:
    """Make the result of two or more sides, save it whatever happens, and report it; returns the exit code.

    Raises:
        PipeprofError: The result or a report could not be written.
    """
    a, b, *further = sides
    began = time.monotonic()
    result = Result(
        kind=kind,
        tool=Tool(version=versions()["pipeprof"] or "unknown"),
        command=["pipeprof", *sys.argv[1:]],
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        a=a.shown,
        b=b.shown,
        further=[
            Arm(name=name, side=side.shown) for name, side in zip(string.ascii_lowercase[2:], further, strict=False)
        ],
        warnings=[messages.not_at_ref(side.shown.text, side.withheld) for side in sides if side.withheld],
    )
    found = places(f"{kind}-{b.name}", out=outputs.profile)
    writer = ProfileWriter(found, redact_here if outputs.redact else None)
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    try:
        body(result, lambda: writer.write(result), progress)
        result.complete = not result.errors
        result.exit_code = result.exit_code or OK
    finally:
        progress.close()
        result.seconds = round(time.monotonic() - began, 2)
        writer.write(result, final=True)
        outputs = settle(outputs, writer, result, complete=result.complete)
    for text in writer.warnings:
        say(f"pipeprof: warning: {text}")
    write_result(result, writer.path, outputs)
    writer.require_saved()
    return result.exit_code or OK


def live_sides(sides: Sequence[GivenSide]) -> dict[SideName, LiveSide]:
    """All sides as they are measured now, by their names."""
    return {name: _live(side) for name, side in zip(string.ascii_lowercase, sides, strict=False)}


def _live(side: GivenSide) -> LiveSide:
    """A side that is measured now, with a place for its own profile."""
    assert side.settings is not None  # noqa: S101 - for the type checker: the caller has looked
    return LiveSide(side.settings, ProfileWriter(places(side.name)))


def warn_of_steps(sides: Sequence[GivenSide], result: Result) -> None:
    """Warn where sides have different steps, so that their intervals do not compare, or one that proves nothing."""
    planned = [side.settings for side in sides if side.settings is not None]
    # Each side has a file of its own with the times of a recorded step.
    recorded = [one.step.arguments if one.step.kind == RECORDED else {} for one in planned]
    steps = [
        one.step_text
        + (f" ({times['p50_ms']:.3g} ms)" if times else "")
        + (f", dispatch {one.dispatch}" if one.dispatch is not None else "")
        for times, one in zip(recorded, planned, strict=True)
    ]
    if len({*zip(steps, map(str, recorded), strict=True)}) > 1:
        result.warnings.append(messages.other_steps(steps))
    optimistic = dict.fromkeys(too_optimistic(one.step.arguments) for one in planned)
    result.warnings += [warning(why) for why in optimistic if why is not None]
