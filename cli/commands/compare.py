"""``pipeprof compare``: two pipelines side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeprof.cli.comparing.options import CompareOptions
from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.cli.targets.sides import GivenSide
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.verdicts.result import Result

EPILOG = epilog(
    "pipeprof compare spec.yaml faster.yaml",
    "pipeprof compare spec.yaml --b-set stages.0.num_parallel_calls=4",
    "pipeprof compare train.py:make_dataset git:main --step simulate:12ms",
    "pipeprof compare spec.yaml git:main --why",
    "pipeprof compare before.json after.json",
)


def compare(given: CompareOptions) -> None:
    """Measure two pipelines side by side.

    Each pair is fresh processes of both sides, measured in turns. A and B are specs, file.py:function, git:REF (the
    other target at that ref), git:REF:PATH, or profiles that `pipeprof run` saved.
    """
    from pipeprof.cli import options, output
    from pipeprof.cli.comparing.session import compared, live, warn_of_steps
    from pipeprof.cli.targets.sides import read_sides
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.experiment.purposes import GATE
    from pipeprof.profiles.git.calls import git_calls

    options.choice("--color", given.color, options.COLORS)
    pairs = options.whole("--pairs", given.pairs) or GATE.pairs
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="compare", redact=given.redact
    )
    if given.b is None and not given.b_sets:
        msg = "compare needs two pipelines: give another target, or --b-set PATH=VALUE to change the first one"
        raise UsageError(msg)
    with git_calls(options.duration("--max-time", given.max_time)) as calls:
        second = given.b if given.b is not None else given.a
        a, b = read_sides(given, given.a, second, calls, given.b_sets or ())
        for side in (a, b):
            if given.why and side.settings is None:
                msg = f"--why measures, but {side.shown.text} is a saved profile: give the spec or the function"
                raise UsageError(msg)

        def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
            if a.settings is None or b.settings is None:
                _compare_profiles(given, a, b, result, progress)
                return
            from pipeprof.profiles.document.messages import Message
            from pipeprof.profiles.judge.live import SessionPlan, measure
            from pipeprof.profiles.judge.verdicts.gating import NOTHING

            warn_of_steps(a, b, result)
            plan = SessionPlan(
                enough=lambda so_far: len(so_far.pairs) >= pairs,
                why_rounds=pairs if given.why else 0,
                end_at=calls.end_at,
            )
            measure({"a": live(a), "b": live(b)}, result, plan, progress, save)
            if not result.pairs and not result.errors:
                # The time of the command was over before the first pair.
                result.errors.append(Message(code="not-measured", message="nothing was measured"))
                result.exit_code = NOTHING

        result = compared("compare", (a, b), outputs, given, body)
    raise typer.Exit(result.exit_code or 0)


def _compare_profiles(given: CompareOptions, a: GivenSide, b: GivenSide, result: Result, progress: RunProgress) -> None:
    """Compare profiles; a side that is a target is measured once."""
    from pipeprof.pipelines.errors import ProfileError
    from pipeprof.profiles.judge.saved import differences, rows_of_profiles
    from pipeprof.profiles.judge.stages import stage_changes
    from pipeprof.profiles.judge.words import warnings_of

    one, other = _profile(a, progress), _profile(b, progress)
    result.warnings += differences(one, other)
    if given.strict and result.warnings:
        msg = f"not comparable: {'; '.join(warning.message for warning in result.warnings)}"
        raise ProfileError(msg)
    result.warnings += warnings_of({"A": one, "B": other})
    result.metrics = rows_of_profiles(one, other)
    result.stages = stage_changes(one.stages, other.stages)


def _profile(side: GivenSide, progress: RunProgress) -> Profile:
    from pipeprof.cli.comparing.session import live
    from pipeprof.pipelines.errors import PipelineFailedError
    from pipeprof.profiles.harness.harness import run_sample

    if side.profile is not None:
        return side.profile
    one = live(side)
    profile = run_sample(one.settings, one.writer, progress)
    if profile.exit_code:
        said = profile.verdict.sentence if profile.verdict else "it did not come to its end"
        msg = f"{side.shown.text}: {said}"
        raise PipelineFailedError(msg)
    return profile
