"""``pipeprof run``: measure a pipeline, report, and save the profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from pipeprof.cli.exit_codes import HUNG_UP, epilog
from pipeprof.cli.options import FixOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.output import Outputs, ReportOnStdout
    from pipeprof.cli.report.report import Selection
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.harness.fork_server import EarlyServer
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.harness.settings import RunSettings

DEFAULT_BUDGET = 30.0
"""Seconds of verification."""

EPILOG = epilog(
    "pipeprof run spec.yaml",
    "pipeprof run spec.yaml --step simulate:12ms --dispatch 1",
    "pipeprof run spec.yaml --set stages.0.num_parallel_calls=4 --out a.json",
    "pipeprof run spec.yaml --set measure.seconds=5",
    "pipeprof run train.py:make_dataset --arg split=train --arg batch_size=64",
    "pipeprof run train.py:make_dataset --json | jq .verdict.sentence",
    "pipeprof run train.py --steps 200 -- --epochs 3",
)


@dataclass(frozen=True)
class Measuring:
    """A measurement that goes on.

    Attributes:
        spent: Seconds of the budget that were used already.
        early: Begun beside the measured worker.
    """

    settings: RunSettings
    writer: ProfileWriter
    progress: RunProgress
    end_at: float | None
    spent: float = 0.0
    early: EarlyServer | None = None


def run(given: RunOptions) -> None:
    """Measure a pipeline and report its bottleneck.

    The report goes to stdout as it becomes known, progress to stderr. The profile is always saved: to --out FILE.json,
    else in pipeprof-out/.
    """
    import sys
    import time
    from contextlib import ExitStack, closing

    from pipeprof.cli import options, output, streams
    from pipeprof.cli.targets.saved import saved_change
    from pipeprof.cli.targets.settings import settings_with
    from pipeprof.cli.render.progress import progress_for
    from pipeprof.profiles.advise.upper_bounds import suspect_bottleneck
    from pipeprof.profiles.harness.fork_server import EarlyServer
    from pipeprof.profiles.harness.harness import run_undisturbed, target_of

    options.choice("--color", given.color, options.COLORS)
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    budget = options.duration("--budget", given.budget)
    settings = settings_for(
        given,
        seconds=_seconds(given),
        soak=given.soak is not None,
        to_end=given.to_end,
        workers=options.whole("--workers", given.workers),
    )
    outputs = output.plan_outputs(given.out, given.form, json=given.json, force=given.force, redact=given.redact)
    selection = output.select(outputs, verbose=given.verbose, sections=given.section)
    if (read := read_target(given, outputs, "run")) is None:
        return
    parsed, loaded = read
    _check_options(given, parsed)
    chosen = settings(target=parsed, loaded=loaded)
    change = saved_change(given, parsed, loaded, target_of(chosen))
    if change is not None:
        chosen = settings_with(chosen, change)
        loaded = chosen.loaded
    chosen = replace(chosen, tries=_tries(given, chosen))
    for note in notes_on(chosen, tries=chosen.tries):
        streams.say(f"pipeprof: note: {note}")

    writer, report = make_writer(parsed, loaded, outputs), output.ReportOnStdout(outputs, selection, given.color)
    end_at = time.monotonic() + chosen.max_time if chosen.max_time is not None else None
    with ExitStack() as ending:
        early = ending.enter_context(closing(EarlyServer())) if chosen.tries else None
        try:
            seconds = budget or DEFAULT_BUDGET if chosen.tries else 0.0
            profile, left = run_undisturbed(
                chosen,
                writer,
                progress,
                budget=seconds,
                end_at=end_at,
                tell=lambda profile: report.tell(profile, writer.path, output.HEADLINE),
                early=early,
            )
            # What was measured is reported, whatever ends what follows.
            ending.callback(finish, profile, writer, outputs, selection, color=given.color, begun=report)
            if not profile.exit_code:
                report.tell(profile, writer.path, output.MEASURED)
            if chosen.tries and not profile.exit_code:
                going = Measuring(chosen, writer, progress, end_at, seconds - left, early)
                race_changes(profile, going, left)
            elif parsed.kind == "script" and not chosen.soak:
                suspect_bottleneck(profile)
                writer.write(profile, final=True)
        finally:
            progress.close()
    refuse(profile, loaded)
    raise typer.Exit(profile.exit_code or 0)


def settings_for(given: RunOptions | FixOptions, **more: Any) -> partial[RunSettings]:
    """Parse the options of a measurement of one target, which is left to be given.

    Raises:
        UsageError: A value is wrong.
    """
    from pipeprof.cli import options
    from pipeprof.cli.targets.settings import settings_of

    return partial(
        settings_of(given),
        steps=options.whole("--steps", given.steps),
        cold=True if given.cold else None,
        data_size=options.dataset_size(given.dataset_size),
        no_cache=given.no_cache,
        script_args=given.script_args or (),
        allow_writes=given.allow_writes,
        **more,
    )


def read_target(
    given: RunOptions | FixOptions, outputs: Outputs, command: str
) -> tuple[ParsedTarget, LoadedSpec | None] | None:
    """Read the target with the changes of the command line; None where the functions of its file are listed instead.

    Raises:
        UsageError: It cannot be read, or it is standard input.
    """
    from pipeprof.cli import options
    from pipeprof.cli.targets.load import Changes, list_functions, load_target
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.target.target import STDIN

    if list_functions(given.target, plain=outputs.stdout == "text" and not given.out, scripts=True):
        return None
    if given.target == STDIN:
        raise UsageError(f"{command} needs a file: `-` (standard input) is for `pipeprof check -`")
    changes, step = Changes(given.sets or [], given.env), options.step(given.step)
    arguments = given.args or []
    return load_target(given.target, changes, no_python=given.no_python, step=step, arguments=arguments, scripts=True)


def _tries(given: RunOptions, settings: RunSettings) -> bool:
    """Whether changes are tried; a script trains for real, once."""
    # Edits of a function's graph would have to be made on top of those of the change.
    as_it_is = not settings.edits and not settings.soak
    return settings.target.kind != "script" and not given.no_verify and as_it_is


def _seconds(given: RunOptions) -> float | None:
    """How long the pipeline is measured, by --seconds or --soak.

    Raises:
        UsageError: A value is wrong, or both were given, or another end.
    """
    from pipeprof.cli import options
    from pipeprof.pipelines.errors import UsageError

    if given.soak is None:
        return options.duration("--seconds", given.seconds)
    if given.seconds is not None or given.steps is not None or given.to_end:
        raise UsageError("--soak says how long it takes: remove --seconds, --steps and --to-end, or --soak")
    if given.budget is not None:
        raise UsageError("--budget is for trying changes, which a run with --soak does not: remove one of them")
    return options.duration("--soak", given.soak)


def _check_options(given: RunOptions, parsed: ParsedTarget) -> None:
    """Refuse options that do not fit the kind of target, or each other.

    Raises:
        UsageError: Some do not.
    """
    from pipeprof.cli.targets.scripts import check_script_options
    from pipeprof.pipelines.errors import UsageError

    if given.budget is not None and given.no_verify:
        raise UsageError("--budget limits the verification that --no-verify switches off: give one of them")
    check_script_options(given, script=parsed.kind == "script")
    if parsed.kind != "script":
        return
    if given.budget:
        raise UsageError(f"--budget is for trying changes: pipeprof fix {given.target} tries those of a script")
    if given.to_end and (given.steps is not None or given.seconds is not None):
        raise UsageError("--to-end lets the script end by itself: remove --steps and --seconds, or --to-end")


def notes_on(settings: RunSettings, *, tries: bool) -> Sequence[object]:
    """What is to be said before anything runs.

    Args:
        tries: Whether changes are tried.
    """
    if settings.target.kind == "script":
        from pipeprof.cli.targets.scripts import what_a_script_does

        return (what_a_script_does(settings, tries=tries),)
    from pipeprof.cli.targets.settings import registrations

    loaded = settings.loaded
    again = "so does each process that tries a change" if tries else ""
    return [*(loaded.notes if loaded is not None else ()), *registrations(settings, again)]


def race_changes(profile: Profile, run: Measuring, seconds: float) -> None:
    """Try the changes of the findings, and the ideas."""
    from pipeprof.profiles.advise.as_finding import proposal_of
    from pipeprof.profiles.advise.text.source_diff import add_diffs
    from pipeprof.profiles.tries.run import try_changes

    try:
        try_changes(
            profile,
            run.settings,
            [proposal_of(one) for one in profile.proposals],
            seconds,
            run.progress,
            end_at=run.end_at,
            spent=run.spent,
            early=run.early,
            save=lambda: run.writer.write(profile),
        )
        if not profile.exit_code:
            add_diffs(profile)
    finally:
        run.writer.write(profile, final=True)


def make_writer(parsed: ParsedTarget, loaded: LoadedSpec | None, outputs: Outputs) -> ProfileWriter:
    """Make the writer of a run's profile."""
    from datetime import datetime, timezone

    from pipeprof.cli.private import redact_here
    from pipeprof.cli.targets.saved import profile_name
    from pipeprof.profiles.document.store import ProfileWriter, places

    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return ProfileWriter(
        places(profile_name(parsed, loaded), stamp, outputs.profile), redact_here if outputs.redact else None
    )


def finish(
    profile: Profile,
    writer: ProfileWriter,
    outputs: Outputs,
    selection: Selection,
    *,
    color: str,
    begun: ReportOnStdout | None = None,
) -> None:
    """Print and write everything, then raise if the profile could not be saved.

    Args:
        begun: The report, a part of it on stdout already.
    """
    from pipeprof.cli import output, streams
    from pipeprof.cli.exit_codes import USAGE

    if profile.exit_code == USAGE and outputs.stdout == "text":
        outputs = replace(outputs, stdout=None)
    outputs = output.settle(outputs, writer, profile, complete=profile.complete and not profile.exit_code)
    for warning in writer.warnings:
        streams.say(f"pipeprof: warning: {warning}")
    try:
        output.write_reports(profile, outputs, color, writer.path, selection, begun=begun)
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
    if not profile.errors:
        raise UsageError((profile.fix.reason if profile.fix is not None else None) or "the options do not fit")
    problem = profile.errors[0]
    if loaded is None or problem.address is None:
        raise UsageError(problem.message)
    raise loaded.error_at(problem.address, problem.code, problem.message)
