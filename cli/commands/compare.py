"""``pipeprof compare``: two pipelines side by side."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.comparing.options import CompareOptions
from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeprof.cli.targets.sides import GivenSide
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.verdicts.result import Result

EPILOG = epilog(
    "pipeprof compare spec.yaml faster.yaml",
    "pipeprof compare train.py:make_dataset git:main --step simulate:12ms",
    "pipeprof compare spec.yaml one-change.yaml faster.yaml",
    "pipeprof compare before.json after.json",
)
_MOST = 8
"""Pipelines of one comparison: each waits for the turns of all others."""


def compare(given: CompareOptions) -> None:
    """Measure two or more pipelines side by side.

    Each pair is fresh processes of all sides, measured in turns; each side is compared with the first. A and B are
    specs, file.py:function, git:REF (the other target at that ref), git:REF:PATH, or profiles that `pipeprof run`
    saved.
    """
    from pipeprof.cli import options, output
    from pipeprof.cli.comparing.session import compared, live_sides, warn_of_steps
    from pipeprof.cli.targets.sides import read_sides
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.experiment.purposes import GATE
    from pipeprof.profiles.git.calls import git_calls

    options.choice("--color", given.color, options.COLORS)
    pairs = options.whole("--pairs", given.pairs) or GATE.pairs
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="compare", redact=given.redact
    )
    texts = [given.a, *(given.others or ())]
    if len(texts) < 2:
        raise UsageError("compare needs two pipelines: give another target, such as git:main or other.yaml")
    if len(texts) > _MOST:
        raise UsageError(f"got {len(texts)} pipelines, at most {_MOST}: each is a process in every pair")
    with git_calls(options.duration("--max-time", given.max_time)) as calls:
        sides = read_sides(given, texts, calls)

        def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
            if any(side.settings is None for side in sides):
                _compare_profiles(sides, result, progress)
                return
            from pipeprof.profiles.document.messages import Message
            from pipeprof.profiles.judge.live import SessionPlan, measure
            from pipeprof.profiles.judge.verdicts.gating import NO_PAIR, NOTHING

            warn_of_steps(sides, result)
            plan = SessionPlan(
                enough=lambda so_far: len(so_far.pairs) >= pairs,
                # The stages of two pipelines stand side by side; of more, the table has no place for them.
                profiled=len(sides) == 2,
                most=pairs,
                end_at=calls.end_at,
            )
            measure(live_sides(sides), result, plan, progress, save)
            if not result.pairs and not result.errors:
                result.errors.append(Message(code="not-measured", message=NO_PAIR))
                result.exit_code = NOTHING

        result = compared("compare", sides, outputs, given, body)
    raise typer.Exit(result.exit_code or 0)


def _compare_profiles(sides: Sequence[GivenSide], result: Result, progress: RunProgress) -> None:
    """Compare profiles; a side that is a target is measured once."""
    from pipeprof.profiles.judge.saved import differences, rows_of_profiles
    from pipeprof.profiles.judge.stages import stage_changes
    from pipeprof.profiles.judge.words import warnings_of

    first, *others = (_profile(side, progress) for side in sides)
    for other in others:
        result.warnings += [one for one in differences(first, other) if one not in result.warnings]
    result.warnings += warnings_of(dict(zip(string.ascii_uppercase, (first, *others), strict=False)))
    result.metrics = rows_of_profiles(first, others[0])
    for arm, other in zip(result.further, others[1:], strict=True):
        arm.metrics = rows_of_profiles(first, other)
    if not result.further:
        result.stages = stage_changes(first.stages, others[0].stages)


def _profile(side: GivenSide, progress: RunProgress) -> Profile:
    from pipeprof.cli.comparing.session import live
    from pipeprof.pipelines.errors import PipelineFailedError
    from pipeprof.profiles.harness.harness import run_sample

    if side.profile is not None:
        return side.profile
    one = live(side)
    profile = run_sample(one.settings, one.writer, progress)
    if profile.exit_code:
        said = profile.verdict.sentence if profile.verdict else "it did not finish"
        raise PipelineFailedError(f"{side.shown.text}: {said}")
    return profile
