"""``pipeprof compare``: two pipelines side by side."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.comparing.options import CompareOptions
from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeprof.cli.comparing.options import GivenScan
    from pipeprof.cli.targets.sides import GivenSide
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.verdicts.result import Result

EPILOG = epilog(
    "pipeprof compare spec.yaml faster.yaml",
    "pipeprof compare spec.yaml --b-set stages.0.num_parallel_calls=4",
    "pipeprof compare train.py:make_dataset git:main --step simulate:12ms",
    "pipeprof compare spec.yaml git:main --why",
    "pipeprof compare spec.yaml --scan stages.0.num_parallel_calls=1,2,4",
    "pipeprof compare before.json after.json",
)


def compare(given: CompareOptions) -> None:
    """Measure two or more pipelines side by side.

    Each pair is fresh processes of all sides, measured in turns; each side is compared with the first. A and B are
    specs, file.py:function, git:REF (the other target at that ref), git:REF:PATH, or profiles that `pipeprof run`
    saved. --scan compares values of one parameter.
    """
    from pipeprof.cli import options, output
    from pipeprof.cli.comparing.options import parse_scan
    from pipeprof.cli.comparing.session import compared, live_sides, warn_of_steps
    from pipeprof.cli.targets.sides import in_other_python, read_arms
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.experiment.purposes import GATE
    from pipeprof.profiles.git.calls import git_calls

    options.choice("--color", given.color, options.COLORS)
    pairs = options.whole("--pairs", given.pairs) or GATE.pairs
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="compare", redact=given.redact
    )
    scan = parse_scan(given.scan) if given.scan is not None else None
    texts = _check_ways(given, scan)
    with git_calls(options.duration("--max-time", given.max_time)) as calls:
        if scan is not None:
            sides = read_arms(given, texts, calls, [[one] for one in scan.sets()], "--scan")
        else:
            sides = read_arms(given, texts, calls, [(), given.b_sets or (), *[()] * (len(texts) - 2)])
        if given.b_python is not None:
            sides[1] = in_other_python(sides[1], given.b_python, calls.folder)
        for side in sides:
            if given.why and side.settings is None:
                msg = f"--why measures, but {side.shown.text} is a saved profile: give the spec or the function"
                raise UsageError(msg)

        def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
            from pipeprof.profiles.judge.verdicts.result import Scan

            result.scan = Scan(path=scan.path, values=list(scan.values)) if scan is not None else None
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
                profiled=len(sides) == 2 and scan is None,
                why_rounds=pairs if given.why else 0,
                most=pairs,
                end_at=calls.end_at,
            )
            measure(live_sides(sides), result, plan, progress, save)
            if not result.pairs and not result.errors:
                result.errors.append(Message(code="not-measured", message=NO_PAIR))
                result.exit_code = NOTHING

        result = compared("compare", sides, outputs, given, body)
    raise typer.Exit(result.exit_code or 0)


def _check_ways(given: CompareOptions, scan: GivenScan | None) -> list[str]:
    """The sides as typed, A first.

    Raises:
        UsageError: There are too few or too many, or options contradict each other.
    """
    from pipeprof.cli.comparing.options import check_number
    from pipeprof.pipelines.errors import UsageError

    others = given.others or []
    if scan is not None:
        own = {"--b-set": given.b_sets, "--b-python": given.b_python, "--why": given.why}
        ways = [name for name, value in own.items() if value]
        if others or ways:
            raise UsageError(f"--scan compares one pipeline with itself; remove {others[0] if others else ways[0]}")
        return [given.a] * len(scan.values)
    if not others and not given.b_sets and given.b_python is None:
        raise UsageError(
            "compare needs two pipelines: give another target, --b-set PATH=VALUE to change the first one, "
            "--b-python PYTHON to measure it in another environment, or --scan PATH=VALUE,VALUE"
        )
    if given.b_python is not None and given.why:
        raise UsageError("--why makes what is between two pipelines, and --b-python changes none: remove one of them")
    if len(others) > 1 and (given.b_sets or given.why or given.b_python is not None):
        flag = "--why" if given.why else "--b-set" if given.b_sets else "--b-python"
        raise UsageError(f"{flag} is about two pipelines, but {len(others) + 1} are given; give A and B")
    check_number(len(others) + 1, "got {} pipelines")
    return [given.a, *(others or [given.a])]


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
