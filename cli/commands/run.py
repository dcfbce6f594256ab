"""``pipeprof run``: measure a pipeline, report, and save the profile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.exit_codes import HUNG_UP, epilog
from pipeprof.cli.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeprof.cli.output import Outputs
    from pipeprof.cli.report.report import Selection
    from pipeprof.cli.targets.load import Changes
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.harness.settings import RunSettings

DEFAULT_BUDGET = 60.0
"""Seconds of verification."""

EPILOG = epilog(
    "pipeprof run spec.yaml",
    "pipeprof run spec.yaml --step simulate:12ms --dispatch 1",
    "pipeprof run spec.yaml --set stages.0.num_parallel_calls=4 --out a.json",
    "pipeprof run spec.yaml -f laptop.yaml",
    "pipeprof run train.py:make_dataset --arg split=train --arg batch_size=64",
    "pipeprof run train.py:make_dataset --json | jq .verdict.sentence",
)


def run(given: RunOptions) -> None:
    """Measure a pipeline and report its bottleneck.

    The report goes to stdout, progress to stderr. The profile is always saved: to --out FILE.json, else in
    pipeprof-out/.
    """
    import sys
    import time
    from contextlib import ExitStack
    from functools import partial

    from pipeprof.cli import options, output, streams
    from pipeprof.cli.targets.load import Changes, list_functions, load_target
    from pipeprof.cli.text.progress import progress_for
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.target.target import STDIN
    from pipeprof.profiles.harness.settings import RunSettings

    options.choice("--color", given.color, options.COLORS)
    budget = options.duration("--budget", given.budget)
    if budget is not None and given.no_verify:
        msg = "--budget limits the verification that --no-verify switches off: give one of them"
        raise UsageError(msg)
    step = options.step(given.step)
    settings = partial(
        RunSettings,
        command=["pipeprof", *sys.argv[1:]],
        step=step,
        dispatch=options.dispatch(given.dispatch),
        seconds=options.duration("--seconds", given.seconds),
        steps=options.whole("--steps", given.steps),
        seed=options.whole("--seed", given.seed, 0),
        cold=True if given.cold else None,
        timeout=options.duration("--timeout", given.timeout),
        max_time=options.duration("--max-time", given.max_time),
        memory_limit=options.byte_size("--memory-limit", given.memory_limit),
        lock=not given.no_lock,
        calibrate=not given.no_verify,
    )
    outputs = output.plan_outputs(given.out, given.form, json=given.json, force=given.force)
    selection = output.select(outputs, verbose=given.verbose, sections=given.section)
    if list_functions(given.target, plain=outputs.stdout == "text" and not given.out):
        return
    if given.target == STDIN:
        msg = "run needs a file: `-` (standard input) is for `pipeprof check -`"
        raise UsageError(msg)
    changes = Changes(given.sets or [], given.overlays or [], given.env)
    parsed, loaded = load_target(
        given.target, changes, no_python=given.no_python, step=step, arguments=given.args or []
    )
    _check_plan(given, outputs, loaded)
    for note in loaded.notes if loaded is not None else ():
        streams.say(f"pipeprof: note: {note}")

    from pipeprof.profiles.harness.harness import run_sample

    writer = make_writer(parsed, loaded, outputs.profile, redact=given.redact)
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    chosen = settings(target=parsed, loaded=loaded)
    end_at = time.monotonic() + chosen.max_time if chosen.max_time is not None else None
    with ExitStack() as ending:
        try:
            profile = run_sample(chosen, writer, progress)
            # What was measured is reported, whatever ends what follows.
            ending.callback(finish, profile, writer, outputs, selection, color=given.color, redact=given.redact)
            if not given.no_verify and not profile.exit_code:
                _verify(profile, chosen, budget, progress, changes, end_at, writer)
        finally:
            progress.close()
    refuse(profile, loaded)
    raise typer.Exit(profile.exit_code or 0)


def _check_plan(given: RunOptions, outputs: Outputs, loaded: LoadedSpec | None) -> None:
    """Refuse a plan that could have nothing in it, before anything is measured."""
    from pipeprof.pipelines.errors import UsageError

    if outputs.stdout != "plan" and all(kind != "plan" for _, kind in outputs.files):
        return
    if given.no_verify:
        msg = "a plan has the changes that were measured: remove --no-verify"
        raise UsageError(msg)
    if loaded is not None:
        msg = f"a plan is for pipeprof.apply in Python code, but {given.target} is a spec: use the --set values instead"
        raise UsageError(msg)


def _verify(  # noqa: PLR0917 - what a run has
    profile: Profile,
    settings: RunSettings,
    budget: float | None,
    progress: RunProgress,
    changes: Changes,
    end_at: float | None,
    writer: ProfileWriter,
) -> None:
    """Try what the findings propose."""
    import os

    from pipeprof.pipelines.check import check_spec
    from pipeprof.profiles.verify.verify import verify

    def reload(flags: Sequence[str]) -> LoadedSpec:
        environment = os.environ if changes.env else None
        sets = [*changes.sets, *flags]
        return check_spec(settings.target.path, sets, overlays=changes.overlays, environment=environment)

    seconds = budget if budget is not None else DEFAULT_BUDGET
    try:
        verify(
            profile,
            settings,
            seconds,
            progress,
            reload=reload if settings.loaded is not None else None,
            end_at=end_at,
            save=lambda: writer.write(profile),
        )
    finally:
        writer.write(profile, final=True)


def make_writer(parsed: ParsedTarget, loaded: LoadedSpec | None, out: Path | None, *, redact: bool) -> ProfileWriter:
    """Make the writer of a run's profile."""
    from datetime import datetime, timezone

    from pipeprof.profiles.document.redaction import redact_here
    from pipeprof.profiles.document.store import ProfileWriter, places

    name = (loaded.spec.name if loaded else None) or "-".join(filter(None, (parsed.path.stem, parsed.function)))
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return ProfileWriter(places(name, stamp, out), redact_here if redact else None)


def finish(
    profile: Profile, writer: ProfileWriter, outputs: Outputs, selection: Selection, *, color: str, redact: bool
) -> None:
    """Print and write everything, then raise if the profile could not be saved."""
    from pipeprof.cli import output, streams
    from pipeprof.cli.exit_codes import USAGE
    from pipeprof.profiles.document.redaction import redact_here

    if profile.exit_code == USAGE and outputs.stdout == "text":
        outputs = replace(outputs, stdout=None)
    for warning in writer.warnings:
        streams.say(f"pipeprof: warning: {warning}")
    try:
        output.write_reports(redact_here(profile) if redact else profile, outputs, color, writer.path, selection)
    except streams.OutputError:
        # A closed terminal shows no report.
        if profile.exit_code != HUNG_UP:
            raise
    writer.require_saved()


def refuse(profile: Profile, loaded: LoadedSpec | None) -> None:
    """Raise an error that only TensorFlow could find in a spec, with its line and a caret."""
    from pipeprof.cli.exit_codes import USAGE
    from pipeprof.pipelines.errors import UsageError

    if profile.exit_code != USAGE:
        return
    problem = profile.errors[0]
    if loaded is None or problem.address is None:
        raise UsageError(problem.message)
    raise loaded.error_at(problem.address, problem.code, problem.message)
