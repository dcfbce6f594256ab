"""``pipeprof compare``: two pipelines side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import CompareOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeprof.cli.commands.sides import GivenSide
    from pipeprof.cli.output import Outputs
    from pipeprof.cli.text.style import Style
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.live import LiveSide, SideName
    from pipeprof.profiles.judge.result import Result

EPILOG = epilog(
    "pipeprof compare spec.yaml faster.yaml",
    "pipeprof compare spec.yaml --b-set stages.0.num_parallel_calls=4",
    "pipeprof compare train.py:make_dataset git:main --step simulate:12ms",
    "pipeprof compare before.json after.json",
)


def compare(given: CompareOptions) -> None:
    """Measure two pipelines side by side.

    Each pair is fresh processes of both sides, measured in turns. A and B are specs, file.py:function, git:REF (the
    other target at that ref), git:REF:PATH, or profiles that `pipeprof run` saved.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from pipeprof.cli import options, output
    from pipeprof.cli.commands.sides import read_sides
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.judge.decide import PAIRS

    options.choice("--color", given.color, options.COLORS)
    pairs = options.whole("--pairs", given.pairs) or PAIRS
    outputs = output.plan_outputs(given.out, given.form, json=given.json, force=given.force, command="compare")
    if given.b is None and not given.b_sets:
        msg = "compare needs two pipelines: give another target, or --b-set PATH=VALUE to change the first one"
        raise UsageError(msg)
    with TemporaryDirectory(prefix="pipeprof-refs-") as folder:
        a, b = read_sides(given, Path(folder))
        result, writer = _compare(given, a, b, outputs, pairs)
    _report(result, writer.path, outputs, given)
    writer.require_saved()
    raise typer.Exit(result.exit_code or 0)


def _compare(
    given: CompareOptions, a: GivenSide, b: GivenSide, outputs: Outputs, pairs: int
) -> tuple[Result, ProfileWriter]:
    """Compare the sides: in pairs where both are targets, else what is saved of them."""
    import sys
    import time
    from datetime import datetime, timezone

    from pipeprof.cli.text.progress import progress_for
    from pipeprof.profiles.document.store import ProfileWriter, places
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.host.host import versions
    from pipeprof.profiles.judge.result import Result

    began, now = time.monotonic(), datetime.now(timezone.utc)
    result = Result(
        kind="compare",
        tool=Tool(version=versions()["pipeprof"] or "unknown"),
        command=["pipeprof", *sys.argv[1:]],
        started=now.isoformat(timespec="seconds"),
        a=a.shown,
        b=b.shown,
    )
    writer = ProfileWriter(places(f"compare-{a.name}", now.strftime("%Y%m%dT%H%M%SZ"), outputs.profile))
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    try:
        if a.settings is not None and b.settings is not None:
            _in_pairs({"a": _live(a), "b": _live(b)}, result, lambda: writer.write(result), pairs, progress)
        else:
            _as_saved(given, a, b, result, progress)
    finally:
        progress.close()
        result.complete = not result.exit_code
        result.exit_code = result.exit_code or 0
        result.seconds = round(time.monotonic() - began, 2)
        writer.write(result, final=True)
    return result, writer


def _in_pairs(
    sides: dict[SideName, LiveSide], result: Result, save: Callable[[], object], pairs: int, progress: RunProgress
) -> None:
    import time

    from pipeprof.profiles.judge.live import Plan, measure

    max_time = sides["a"].settings.max_time
    plan = Plan(
        enough=lambda so_far: len(so_far.pairs) >= pairs,
        end_at=time.monotonic() + max_time if max_time is not None else None,
    )
    measure(sides, result, plan, progress, save)


def _live(side: GivenSide) -> LiveSide:
    from datetime import datetime, timezone

    from pipeprof.profiles.document.store import ProfileWriter, places
    from pipeprof.profiles.judge.live import LiveSide

    assert side.settings is not None  # noqa: S101 - for the type checker: the caller has looked
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return LiveSide(side.settings, ProfileWriter(places(side.name, stamp)))


def _as_saved(given: CompareOptions, a: GivenSide, b: GivenSide, result: Result, progress: RunProgress) -> None:
    """Compare profiles; a side that is a target is measured once."""
    from pipeprof.pipelines.errors import ProfileError
    from pipeprof.profiles.judge.saved import differences, rows_of_profiles
    from pipeprof.profiles.judge.stages import stage_changes

    one, other = _profile(a, progress), _profile(b, progress)
    result.warnings += differences(one, other)
    if given.strict and result.warnings:
        msg = f"not comparable: {'; '.join(warning.message for warning in result.warnings)}"
        raise ProfileError(msg)
    result.metrics = rows_of_profiles(one, other)
    result.stages = stage_changes(one.stages, other.stages)


def _profile(side: GivenSide, progress: RunProgress) -> Profile:
    from pipeprof.pipelines.errors import PipelineFailedError
    from pipeprof.profiles.harness.harness import run_sample

    if side.profile is not None:
        return side.profile
    live = _live(side)
    profile = run_sample(live.settings, live.writer, progress)
    if profile.exit_code:
        said = profile.verdict.sentence if profile.verdict else "it did not come to its end"
        msg = f"{side.shown.text}: {said}"
        raise PipelineFailedError(msg)
    return profile


def _report(result: Result, saved: Path | None, outputs: Outputs, given: CompareOptions) -> None:
    from pipeprof.cli import output
    from pipeprof.cli.formats.registry import Output, render
    from pipeprof.cli.result.report import build_result

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        blocks = build_result(result, output.shown_path(saved), verbose=given.verbose)
        return render(kind, Output(result, lambda: blocks, style), to_file=to_file)

    output.write_texts(text, outputs, given.color, saved)
