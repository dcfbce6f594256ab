"""``pipeprof fix``: search for the fastest pipeline that is proven."""

from __future__ import annotations

import hashlib
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pipeprof.cli.commands.run import Measuring, begin, finish, make_writer, read_target, refuse, settings_for
from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import FixOptions
from pipeprof.cli.output import Outputs, plan_outputs
from pipeprof.cli.streams import OutputError, say
from pipeprof.cli.targets.saved import SavedChange, latest_run, saved_change
from pipeprof.cli.values import classes, duration
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.static.python_text import CannotChangeSourceError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.advise.order import proven_changes
from pipeprof.profiles.advise.text.in_words import changed_source
from pipeprof.profiles.document.findings import edits_in
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import reason, write_atomically
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.settings import Silent, target_of
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.fix import find_best
from pipeprof.profiles.tries.outcome import proposed_by, taken

DEFAULT_BUDGET = 60.0
"""Seconds of measuring."""
FIRST_SECONDS, FIRST_SHARE = 4.0, 0.1
"""Length of the measurement of the pipeline as it is, which shows what to try; and the share of the budget that it
takes at most."""


def fix(given: FixOptions) -> int:
    """Find the fastest version of a pipeline and prove it."""
    outputs, allow = plan_outputs(given, "fix"), classes(given.allow)
    budget = duration("--budget", given.budget) or DEFAULT_BUDGET
    parse = settings_for(given, seconds=min(FIRST_SECONDS, FIRST_SHARE * budget))
    if (read := read_target(given, outputs, "fix")) is None:
        return OK
    parsed, loaded = read
    _check_target(given, outputs, parsed, loaded)
    settings = parse(target=parsed, loaded=loaded, tries=True)
    if (change := saved_change(given, parsed, loaded, target_of(settings))) is not None:
        _take(given, change, settings, outputs)
        return OK
    going = begin(settings, outputs, given)
    # A script trains only once.
    is_script = parsed.kind == "script"
    settings = replace(settings, tries=is_script)
    with ExitStack() as ending:
        try:
            # A pipeline that needs more than it may is measured too: to need less is what the search is for.
            profile = run_sample(replace(settings, memory_limit=None), going.writer, going.progress)
            # What was measured is reported, whatever ends the search.
            ending.callback(_finish, given, profile, going)
            if not profile.exit_code:
                earlier = latest_run(parsed, loaded, profile.target)
                known = proven_changes(earlier[1], profile) if earlier is not None else []
                try:
                    find_best(
                        profile,
                        settings,
                        lambda measured, version: [*(() if version.steps else known), *proposed_by(measured)],
                        budget,
                        going.progress,
                        allow=allow,
                        end_at=going.end_at,
                        save=lambda: going.writer.write(profile),
                    )
                    _add_python_diff(profile, outputs)
                finally:
                    going.writer.write(profile, final=True)
        finally:
            going.progress.close()
    refuse(profile, loaded)
    return profile.exit_code or OK


def _check_target(given: FixOptions, outputs: Outputs, parsed: ParsedTarget, loaded: LoadedSpec | None) -> None:
    """Refuse outputs that could have nothing in them, before anything is measured."""
    if loaded is None and (given.write or any(kind == "yaml" for _, kind in outputs.files)):
        what = "--write changes" if given.write else "YAML is the output of"
        kind = "a training script" if parsed.kind == "script" else "a Python function"
        raise UsageError(f"{what} a spec, but {given.target} is {kind}: use --out NAME.patch")
    if given.write and loaded is not None and not loaded.path.stat().st_mode & 0o222:
        raise UsageError(f"--write: {loaded.path} is read-only; --out NEW.yaml writes the changed spec elsewhere")


def _take(given: FixOptions, change: SavedChange, settings: Options, outputs: Outputs) -> None:
    """Make a change that a run has proposed, as a search would that had found it; nothing is measured."""
    profile = change.profile.model_copy(deep=True)
    profile.command = ["pipeprof", *sys.argv[1:]]
    profile.fix = taken(change.finding, change.edits, Version((), settings.loaded))
    going = Measuring(settings, outputs, make_writer(settings, outputs), Silent(), None)
    _add_python_diff(profile, outputs)
    going.writer.write(profile, final=True)
    if profile.fix.status != "taken":
        say(f"pipeprof: note: change {change.number} was not proven: {profile.fix.reason}")
    _finish(given, profile, going)


def _finish(given: FixOptions, profile: Profile, going: Measuring) -> None:
    """Print and write everything, and change the spec itself, also where a report cannot be written."""
    try:
        finish(profile, going)
    finally:
        if given.write and going.settings.loaded is not None:
            _write_spec(profile, going.settings.loaded)


def _add_python_diff(profile: Profile, outputs: Outputs) -> None:
    """Add the diff of the Python files, where their calls show where the changes belong; else say why there is none."""
    found = profile.fix
    if found is None or profile.target.kind == "spec" or not found.edits or found.status == "interrupted":
        return
    try:
        steps = [edits_in(step) for step in found.edits]
        found.diff = changed_source(profile.target, profile.stages or (), steps).diff
    except CannotChangeSourceError as error:
        if "patch" in {outputs.stdout, *(kind for _, kind in outputs.files)}:
            say(f"pipeprof: note: no diff: {error}; make the changes in your code")


def _write_spec(profile: Profile, loaded: LoadedSpec) -> None:
    """Change the spec itself, unless somebody else has changed it since it was read."""
    found, path = profile.fix, loaded.path
    if found is None or found.text is None:
        say(f"pipeprof: note: {path} is unchanged: no change was proven to help")
        return
    if found.status not in {"fixed", "taken"}:
        say(f"pipeprof: note: {path} is unchanged: the changes were not proven; --out NEW.yaml has them")
        return
    if _differs(path, loaded.sha256):
        msg = f"{path} is unchanged: it was edited while fix was measuring; --out NEW.yaml has the changes"
        raise OutputError(msg)
    try:
        write_atomically(path, found.text.encode(), sync=True)
    except OSError as error:
        raise OutputError(f"{path} could not be written ({reason(error)})") from None
    say(f"pipeprof: {path} was changed")


def _differs(path: Path, sha256: str | None) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() != sha256
    except OSError:
        return True
