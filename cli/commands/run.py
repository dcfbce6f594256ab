"""``pipeprof run``: measure a pipeline, report, and save the profile."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipeprof.cli.exit_codes import HUNG_UP, OK, USAGE
from pipeprof.cli.options import RunOptions, TrialOptions
from pipeprof.cli.output import Outputs, plan_outputs, settle
from pipeprof.cli.private import redact_here
from pipeprof.cli.render.progress import progress_for
from pipeprof.cli.reports import HEADLINE, MEASURED, ReportOnStdout, write_reports
from pipeprof.cli.streams import OutputError, say
from pipeprof.cli.targets.load import list_functions, load_given
from pipeprof.cli.targets.saved import profile_name, saved_change
from pipeprof.cli.targets.settings import dataset_size, settings_of, settings_with
from pipeprof.cli.values import duration, whole
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.target.target import STDIN, ParsedTarget
from pipeprof.profiles.advise.order import proposal_of
from pipeprof.profiles.advise.text.in_words import add_diffs
from pipeprof.profiles.advise.upper_bounds import suspect_bottleneck
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter, places
from pipeprof.profiles.harness.fork_server import Copies
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.settings import RunProgress, target_of
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.run import try_changes

DEFAULT_BUDGET = 30.0
"""Seconds of verification."""


@dataclass(frozen=True)
class Measuring:
    """A measurement of one target, which has to be over at a time of the monotonic clock."""

    settings: Options
    outputs: Outputs
    writer: ProfileWriter
    progress: RunProgress
    end_at: float | None


def run(given: RunOptions) -> int:
    """Measure a pipeline and report what limits it."""
    outputs, budget = plan_outputs(given, "run"), duration("--budget", given.budget)
    parse = settings_for(
        given,
        seconds=duration("--soak", given.soak) or duration("--seconds", given.seconds),
        steps=whole("--steps", given.steps),
        soak=given.soak is not None,
        to_end=given.to_end,
        cold=True if given.cold else None,
        workers=whole("--workers", given.workers),
    )
    if (read := read_target(given, outputs, "run")) is None:
        return OK
    parsed, loaded = read
    settings = parse(target=parsed, loaded=loaded)
    if (change := saved_change(given, parsed, loaded, target_of(settings))) is not None:
        settings = settings_with(settings, change)
    # A script trains for real, once; other changes would have to be made on top of the given one.
    tries = not (parsed.kind == "script" or given.no_verify or settings.edits or settings.soak)
    going = begin(replace(settings, tries=tries), outputs, given)
    budget = (budget or DEFAULT_BUDGET) if tries else 0.0

    report = ReportOnStdout(outputs)
    with ExitStack() as ending:
        early = ending.enter_context(closing(Copies())) if tries else None
        try:
            profile = run_sample(
                going.settings,
                going.writer,
                going.progress,
                lambda profile: report.tell(profile, going.writer.path, HEADLINE),
                early,
            )
            # What was measured is reported, whatever ends what follows.
            ending.callback(finish, profile, going, begun=report)
            if not profile.exit_code:
                report.tell(profile, going.writer.path, MEASURED)
            if tries and not profile.exit_code:
                _try_changes(profile, going, budget, early)
            elif parsed.kind == "script" and not settings.soak:
                suspect_bottleneck(profile)
                going.writer.write(profile, final=True)
        finally:
            going.progress.close()
    refuse(profile, going.settings.loaded)
    return profile.exit_code or OK


def settings_for(given: TrialOptions, **more: Any) -> partial[Options]:
    """Parse the options of a measurement of one target, which is left to be given."""
    return partial(
        settings_of(given),
        data_size=dataset_size(given.dataset_size),
        no_cache=given.no_cache,
        script_args=given.script_args or (),
        allow_writes=given.allow_writes,
        **more,
    )


def read_target(given: TrialOptions, outputs: Outputs, command: str) -> tuple[ParsedTarget, LoadedSpec | None] | None:
    """Read the target with the changes of the command line; None where the functions of its file are listed instead."""
    if list_functions(given.target, plain=outputs.stdout == "text" and not given.out, scripts=True):
        return None
    if given.target == STDIN:
        raise UsageError(f"{command} needs a file: `-` (standard input) is for `pipeprof check -`")
    return load_given(given.target, given, scripts=True)


def begin(settings: Options, outputs: Outputs, given: TrialOptions) -> Measuring:
    """Say what is to be known before anything runs, and make what a measurement writes to."""
    for note in _notes(settings):
        say(f"pipeprof: note: {note}")
    end_at = time.monotonic() + settings.max_time if settings.max_time is not None else None
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    return Measuring(settings, outputs, make_writer(settings, outputs), progress, end_at)


def _notes(settings: Options) -> Sequence[object]:
    if settings.target.kind == "script":
        return [_what_a_script_does(settings)]
    return settings.loaded.notes if settings.loaded is not None else ()


def _what_a_script_does(settings: Options) -> str:
    """State, before it runs, that the script trains for real, when it ends, and whether changes are tried then."""
    length = settings.length
    if settings.soak:
        end = f"while its memory is watched for {length}"
    elif settings.to_end:
        end = length
    else:
        end = f"until {length} are measured after the warm-up (--to-end: to its end)"
    how = "with the change" if settings.edits else "as it is"
    again = ", then starts again, several times, up to its first batch, to try changes with its step replayed"
    return f"{settings.target.path} runs {how} and trains for real {end}{again if settings.tries else ''}"


def make_writer(settings: Options, outputs: Outputs) -> ProfileWriter:
    """Make the writer of a profile."""
    found = places(profile_name(settings.target, settings.loaded), out=outputs.profile)
    return ProfileWriter(found, redact_here if outputs.redact else None)


def _try_changes(profile: Profile, going: Measuring, seconds: float, early: Copies | None) -> None:
    """Try the proposed changes; the profile is saved after each."""
    try:
        try_changes(
            profile,
            going.settings,
            [proposal_of(one) for one in profile.proposals],
            seconds,
            going.progress,
            end_at=going.end_at,
            early=early,
            save=lambda: going.writer.write(profile),
        )
        if not profile.exit_code:
            add_diffs(profile)
    finally:
        going.writer.write(profile, final=True)


def finish(profile: Profile, going: Measuring, *, begun: ReportOnStdout | None = None) -> None:
    """Print and write everything but what is `begun`, then raise if the profile could not be saved."""
    outputs, writer = going.outputs, going.writer
    if profile.exit_code == USAGE and outputs.stdout == "text":
        outputs = replace(outputs, stdout=None)
    outputs = settle(outputs, writer, profile, complete=profile.complete and not profile.exit_code)
    for warning in writer.warnings:
        say(f"pipeprof: warning: {warning}")
    try:
        write_reports(profile, outputs, writer.path, begun=begun)
    except OutputError:
        # A closed terminal shows no report.
        if profile.exit_code != HUNG_UP:
            raise
    writer.require_saved()


def refuse(profile: Profile, loaded: LoadedSpec | None) -> None:
    """Raise an error that only TensorFlow could find in a spec, with its line and a caret."""
    if profile.exit_code != USAGE:
        return
    if not profile.errors:
        raise UsageError((profile.fix.reason if profile.fix is not None else None) or "the options do not fit")
    problem = profile.errors[0]
    if loaded is None or problem.address is None:
        raise UsageError(problem.message)
    raise loaded.error_at(problem.address, problem.code, problem.message)
