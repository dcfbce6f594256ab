"""``pipeprof fix``: search for the fastest pipeline that is proven."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import FixOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeprof.cli.commands.run import Measuring
    from pipeprof.cli.output import Outputs
    from pipeprof.cli.report.report import Selection
    from pipeprof.cli.targets.saved import SavedChange
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.advise.proposal import Semantics
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.harness.settings import RunSettings

DEFAULT_BUDGET = 60.0
"""Seconds of measuring."""
FIRST_SECONDS = 4.0
"""Length of the measurement of the pipeline as it is, which shows what to try."""
FIRST_SHARE = 0.1
"""Of the budget that it takes at most."""

EPILOG = epilog(
    "pipeprof fix spec.yaml",
    "pipeprof fix spec.yaml --write",
    "pipeprof fix spec.yaml --out faster.yaml --allow order",
    "pipeprof fix train.py:make_dataset --step simulate:12ms --out fast.patch",
    "pipeprof fix train.py --out fast.patch -- --epochs 3",
)


def fix(given: FixOptions) -> None:
    """Find the fastest version of a pipeline and prove it.

    Changes are measured side by side, the best is taken, and the search goes on from there. At the end, the best
    pipeline is measured against the one as it is. Without --write, no file of yours changes.
    """
    import sys
    import time
    from contextlib import ExitStack

    from pipeprof.cli import options, output, streams
    from pipeprof.cli.commands.run import Measuring, make_writer, notes_on, read_target, refuse, settings_for
    from pipeprof.cli.targets.saved import latest_run, saved_change
    from pipeprof.cli.render.progress import progress_for
    from pipeprof.profiles.harness.harness import run_undisturbed, target_of

    options.choice("--color", given.color, options.COLORS)
    allow = options.classes(given.allow)
    budget = options.duration("--budget", given.budget) or DEFAULT_BUDGET
    settings = settings_for(given, seconds=_first_seconds(given, budget))
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="fix", redact=given.redact
    )
    selection = output.select(outputs, verbose=given.verbose)
    if (read := read_target(given, outputs, "fix")) is None:
        return
    parsed, loaded = read
    _check_target(given, outputs, parsed, loaded)
    chosen = settings(target=parsed, loaded=loaded, tries=parsed.kind == "script")
    if (change := saved_change(given, parsed, loaded, target_of(chosen))) is not None:
        _take(given, change, chosen, report=(outputs, selection))
        return
    for note in notes_on(chosen, tries=True):
        streams.say(f"pipeprof: note: {note}")

    end_at = time.monotonic() + chosen.max_time if chosen.max_time is not None else None
    writer = make_writer(parsed, loaded, outputs)
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    with ExitStack() as ending:
        try:
            # A pipeline that needs more than it may is measured too: to need less is what the search is for.
            without_limit = replace(chosen, memory_limit=None)
            # A script trains only once.
            spare = budget if parsed.kind != "script" else 0.0
            profile, _ = run_undisturbed(without_limit, writer, progress, budget=spare, end_at=end_at)
            # What was measured is reported, whatever ends the search.
            ending.callback(_finish, given, profile, writer, loaded, report=(outputs, selection))
            if not profile.exit_code:
                earlier = latest_run(parsed, loaded, profile.target)
                _search(
                    profile,
                    Measuring(chosen, writer, progress, end_at),
                    budget,
                    allow,
                    outputs=outputs,
                    earlier=earlier[1] if earlier is not None else None,
                )
        finally:
            progress.close()
    refuse(profile, loaded)
    raise typer.Exit(profile.exit_code or 0)


def _take(given: FixOptions, change: SavedChange, chosen: RunSettings, *, report: tuple[Outputs, Selection]) -> None:
    """Make a change that a run has proposed, as a search would that had found it; nothing is measured."""
    import sys

    from pipeprof.cli import streams
    from pipeprof.cli.commands.run import make_writer
    from pipeprof.profiles.experiment.version import Version
    from pipeprof.profiles.tries.outcome import taken

    parsed, loaded = chosen.target, chosen.loaded
    start = Version((), loaded)
    profile = change.profile.model_copy(deep=True)
    profile.command = ["pipeprof", *sys.argv[1:]]
    profile.fix = taken(change.finding, change.edits, start)
    writer = make_writer(parsed, loaded, report[0])
    _add_python_diff(profile, report[0])
    writer.write(profile, final=True)
    if profile.fix.status != "taken":
        streams.say(f"pipeprof: note: change {change.number} was not proven: {profile.fix.reason}")
    _finish(given, profile, writer, loaded, report=report)


def _first_seconds(given: FixOptions, budget: float) -> float:
    from pipeprof.cli.options import duration
    from pipeprof.pipelines.errors import UsageError

    seconds = duration("--seconds", given.seconds)
    if seconds is None:
        return min(FIRST_SECONDS, FIRST_SHARE * budget)
    if seconds >= budget:
        msg = f"--seconds {seconds:g} is a part of --budget {budget:g} and leaves no time for changes: raise --budget"
        raise UsageError(msg)
    return seconds


def _search(
    profile: Profile,
    run: Measuring,
    budget: float,
    allow: Sequence[Semantics],
    *,
    outputs: Outputs,
    earlier: Profile | None,
) -> None:
    """Search for the best version of a measured pipeline; the profile is saved after each step."""
    from pipeprof.profiles.advise.as_finding import proven_changes
    from pipeprof.profiles.tries.fix import find_best
    from pipeprof.profiles.tries.plan import proposed_by

    known = proven_changes(earlier, profile) if earlier is not None else []
    try:
        find_best(
            profile,
            run.settings,
            lambda measured, version: [*(() if version.steps else known), *proposed_by(measured)],
            budget,
            run.progress,
            allow=allow,
            end_at=run.end_at,
            save=lambda: run.writer.write(profile),
        )
        _add_python_diff(profile, outputs)
    finally:
        run.writer.write(profile, final=True)


def _finish(
    given: FixOptions,
    profile: Profile,
    writer: ProfileWriter,
    loaded: LoadedSpec | None,
    *,
    report: tuple[Outputs, Selection],
) -> None:
    """Print and write everything, and change the spec itself, also where a report cannot be written."""
    from pipeprof.cli.commands.run import finish

    try:
        finish(profile, writer, *report, color=given.color)
    finally:
        if given.write and loaded is not None:
            _write_spec(profile, loaded)


def _check_target(given: FixOptions, outputs: Outputs, parsed: ParsedTarget, loaded: LoadedSpec | None) -> None:
    """Refuse options that do not fit, and outputs that could have nothing in them, before anything is measured."""
    from pipeprof.cli.targets.scripts import check_script_options
    from pipeprof.pipelines.errors import UsageError

    check_script_options(given, script=parsed.kind == "script")
    kinds = [*(kind for _, kind in outputs.files), *([outputs.stdout] if outputs.stdout else [])]
    if loaded is not None:
        return
    if given.write or "yaml" in kinds:
        what = "--write changes" if given.write else "YAML is the output of"
        kind = "a training script" if parsed.kind == "script" else "a Python function"
        raise UsageError(f"{what} a spec, but {given.target} is {kind}: use --out NAME.patch")


def _wants_patch(outputs: Outputs) -> bool:
    return outputs.stdout == "patch" or any(kind == "patch" for _, kind in outputs.files)


def _add_python_diff(profile: Profile, outputs: Outputs) -> None:
    """Add the diff of the Python files, where their calls show where the changes belong; else say why there is none."""
    found = profile.fix
    if found is None or profile.target.kind == "spec" or not found.edits or found.status == "interrupted":
        return
    from pipeprof.cli import streams
    from pipeprof.pipelines.static.python_text import CannotChangeSourceError
    from pipeprof.profiles.advise.text.source_diff import changed_source
    from pipeprof.profiles.document.findings import edits_in

    try:
        steps = [edits_in(step) for step in found.edits]
        found.diff = changed_source(profile.target, profile.stages or (), steps).diff
    except CannotChangeSourceError as error:
        if _wants_patch(outputs):
            streams.say(f"pipeprof: note: no diff: {error}; make the changes in your code")


def _write_spec(profile: Profile, loaded: LoadedSpec) -> None:
    """Change the spec itself, unless somebody else has changed it since it was read."""
    from pipeprof.cli import streams
    from pipeprof.profiles.document.store import reason, write_atomically

    found = profile.fix
    path = loaded.path
    if found is None or found.text is None:
        streams.say(f"pipeprof: note: {path} is unchanged: no change was proven to help")
        return
    if found.status not in {"fixed", "taken"}:
        streams.say(f"pipeprof: note: {path} is unchanged: the changes were not proven; --out NEW.yaml has them")
        return
    if _differs(path, loaded.sha256):
        msg = f"{path} is unchanged: it was edited while fix was measuring; --out NEW.yaml has the changes"
        raise streams.OutputError(msg)
    try:
        write_atomically(path, found.text.encode(), sync=True)
    except OSError as error:
        raise streams.OutputError(f"{path} could not be written ({reason(error)})") from None
    streams.say(f"pipeprof: {path} was changed")


def _differs(path: Path, sha256: str | None) -> bool:
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() != sha256
    except OSError:
        return True
