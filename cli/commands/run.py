"""``pipeprof run``: measure a pipeline, report, and save the profile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import (
    Arg,
    Color,
    Env,
    Force,
    Format,
    Json,
    NoPython,
    Out,
    Overlay,
    Quiet,
    Redact,
    Set,
    Target,
    Verbose,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipeprof.cli.output import Outputs
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import Target as ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter

EPILOG = epilog(
    "pipeprof run spec.yaml",
    "pipeprof run spec.yaml --step simulate:12ms --dispatch 1",
    "pipeprof run spec.yaml --set stages.0.num_parallel_calls=4 --out a.json",
    "pipeprof run spec.yaml -f laptop.yaml",
    "pipeprof run train.py:make_dataset --arg split=train --arg batch_size=64",
    "pipeprof run train.py:make_dataset --json | jq .verdict.sentence",
)


def run(
    target: Target,
    *,
    sets: Set = None,
    overlays: Overlay = None,
    env: Env = False,
    args: Arg = None,
    no_python: NoPython = False,
    seconds: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="How long to measure.  [default: the spec's, else 10]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop measuring after so many steps, if that comes first.")
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="What takes the batches: none, simulate:12ms or python:file.py:function."),
    ] = None,
    dispatch: Annotated[
        str | None,
        typer.Option(metavar="sync|N", help="How far the host runs ahead of the device: sync, or steps in flight."),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Evict the source files from the page cache first.")] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of TensorFlow's random ops.")] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="No step for so long counts as hanging.  [default: 120]")
    ] = None,
    max_time: Annotated[str | None, typer.Option(metavar="SECONDS", help="Longest the whole command may take.")] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Stop the worker above this, e.g. 8GiB.  [default: what there is]"),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Time for verifying findings; no effect yet, nothing is verified."),
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Verify no findings; no effect yet, nothing is verified.")
    ] = False,
    out: Out = None,
    form: Format = None,
    json: Json = False,
    force: Force = False,
    color: Color = "auto",
    redact: Redact = False,
    no_lock: Annotated[bool, typer.Option("--no-lock", help="Do not wait for another measuring pipeprof.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure a pipeline and say what it is bound by.

    The report goes to stdout, progress to stderr. The profile is always saved: to --out FILE.json, else in
    pipeprof-out/.
    """
    import sys
    from functools import partial

    from pipeprof.cli import options, output
    from pipeprof.cli.commands.targets import Changes, list_functions, load_target
    from pipeprof.cli.render.progress import progress_for
    from pipeprof.profiles.harness.settings import RunSettings

    del no_verify
    options.choice("--color", color, options.COLORS)
    options.duration("--budget", budget)
    parsed_step = options.step(step)
    settings = partial(
        RunSettings,
        command=["pipeprof", *sys.argv[1:]],
        step=parsed_step,
        dispatch=options.dispatch(dispatch),
        seconds=options.duration("--seconds", seconds),
        steps=steps,
        seed=seed,
        cold=True if cold else None,
        timeout=options.duration("--timeout", timeout),
        max_time=options.duration("--max-time", max_time),
        memory_limit=options.byte_size("--memory-limit", memory_limit),
        lock=not no_lock,
    )
    outputs = output.plan_outputs(out, form, json=json, force=force)
    if list_functions(target, plain=outputs.stdout == "text" and not out):
        return
    changes = Changes(sets or [], overlays or [], env)
    parsed, loaded = load_target(target, changes, no_python=no_python, step=parsed_step, arguments=args or [])
    for note in loaded.notes if loaded is not None else ():
        output.say(f"pipeprof: note: {note}")

    from pipeprof.profiles.harness.harness import run_sample

    writer = _writer(parsed, loaded, outputs.profile, redact=redact)
    progress = progress_for(sys.stderr, quiet=quiet, verbose=verbose)
    try:
        profile = run_sample(settings(target=parsed, loaded=loaded), writer, progress)
    finally:
        progress.close()
    _finish(profile, writer, outputs, color, redact=redact)
    _refuse(profile, loaded)
    raise typer.Exit(profile.exit_code or 0)


def _writer(parsed: ParsedTarget, loaded: LoadedSpec | None, out: Path | None, *, redact: bool) -> ProfileWriter:
    from datetime import datetime, timezone

    from pipeprof.profiles.document.redaction import redact_here
    from pipeprof.profiles.document.store import ProfileWriter, places

    name = (loaded.spec.name if loaded else None) or "-".join(filter(None, (parsed.path.stem, parsed.function)))
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return ProfileWriter(places(name, stamp, out), redact_here if redact else None)


def _finish(profile: Profile, writer: ProfileWriter, outputs: Outputs, color: str, *, redact: bool) -> None:
    """Print and write everything; only then complain about what could not be saved."""
    from pipeprof.cli import output
    from pipeprof.cli.exit_codes import USAGE
    from pipeprof.profiles.document.redaction import redact_here

    if profile.exit_code == USAGE and outputs.stdout == "text":
        outputs = replace(outputs, stdout=None)
    for warning in writer.warnings:
        output.say(f"pipeprof: warning: {warning}")
    output.write_reports(redact_here(profile) if redact else profile, outputs, color, writer.path)
    writer.require_saved()


def _refuse(profile: Profile, loaded: LoadedSpec | None) -> None:
    """What only TensorFlow could tell about a spec is an error like any other in it: the line, and a caret."""
    from pipeprof.cli.exit_codes import USAGE
    from pipeprof.pipelines.errors import UsageError

    if profile.exit_code != USAGE:
        return
    problem = profile.errors[0]
    if loaded is None or problem.address is None:
        raise UsageError(problem.message)
    raise loaded.error_at(problem.address, problem.code, problem.message)
