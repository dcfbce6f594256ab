"""``pipeprof check``: what can be told about a target without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Format, Json, NoPython, Set, Target

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.diagnostics import SpecError
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.profiles.profile import Profile, Stage

EPILOG = epilog(
    "pipeprof check spec.yaml",
    "pipeprof check spec.yaml --set stages.1.batch_size=64",
    "pipeprof check spec.yaml --json | jq .errors",
)


def check(
    target: Target,
    *,
    sets: Set = None,
    no_python: NoPython = False,
    form: Format = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Check a target without running it; TensorFlow is not loaded."""
    from pipeprof.cli import options, output
    from pipeprof.cli.commands.targets import load_target
    from pipeprof.pipelines.spec.diagnostics import SpecError

    options.choice("--color", color, options.COLORS)
    kind = options.report_format(form, json=json)
    overrides = list(sets or [])
    try:
        parsed, loaded = load_target(target, overrides, no_python=no_python)
    except SpecError as error:
        if kind == "text":
            raise
        output.write_stdout(_as_json(_with_errors(target, overrides, error)))
        raise typer.Exit(error.exit_code) from None
    if kind == "json":
        output.write_stdout(_as_json(_document(target, parsed.kind, overrides, loaded)))
    else:
        output.write_stdout(_as_text(target, loaded, color))


def _as_json(profile: Profile) -> str:
    from pipeprof.profiles.store import encode

    return encode(profile).decode()


def _document(text: str, kind: str, overrides: list[str], loaded: LoadedSpec | None) -> Profile:
    """The profile as far as no run is needed; everything else is null."""
    import os
    import platform
    import sys

    from pipeprof import __version__
    from pipeprof.profiles import profile as document

    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return document.Profile(
        tool=document.Tool(version=__version__),
        command=["pipeprof", *sys.argv[1:]],
        target=document.Target(
            kind="spec" if kind == "spec" else "function",
            text=text,
            sha256=loaded.sha256 if loaded else None,
            overrides=overrides,
            name=loaded.spec.name if loaded else None,
        ),
        exit_code=0,
        host=document.Host(system=platform.system(), machine=platform.machine(), cores=cores),
        stages=_stages(loaded) if loaded else None,
    )


def _with_errors(text: str, overrides: list[str], error: SpecError) -> Profile:
    from pipeprof.profiles.profile import Problem

    profile = _document(text, "spec", overrides, None)
    profile.exit_code = error.exit_code
    profile.errors = [
        Problem(
            file=found.file,
            line=found.line,
            column=found.column,
            code=found.code,
            message=found.message + (f" — did you mean {found.suggestion}?" if found.suggestion else ""),
        )
        for found in error.diagnostics
    ]
    return profile


def _stages(loaded: LoadedSpec) -> list[Stage]:
    from pipeprof.profiles.profile import Location, Stage

    stages = []
    for placed in loaded.spec.placed():
        at = loaded.locate(placed.address)
        stages.append(
            Stage(
                id=placed.address,
                name=placed.name,
                origin="written",
                depth=placed.address.count("stages.") + placed.address.count("source") - 1,
                op=placed.op.op,
                location=Location(file=at.file, line=at.line, column=at.column) if at and at.line else None,
            )
        )
    return stages


def _as_text(text: str, loaded: LoadedSpec | None, color: str) -> str:
    import sys

    from pipeprof.cli.render.overview import render_overview
    from pipeprof.cli.render.style import style_of

    style = style_of(sys.stdout, color)
    if loaded is None:
        return render_overview(text, [("stages", "known once it has run")], [], style)
    return render_overview(text, _facts(loaded), _stages(loaded), style)


def _facts(loaded: LoadedSpec) -> list[tuple[str, str]]:
    """What the spec says besides its stages, with the defaults filled in."""
    from pipeprof.profiles.run.settings import describe_step

    spec = loaded.spec
    _, step = describe_step(spec.step, loaded.base_dir)
    dispatch = "" if spec.step.kind == "none" else f", dispatch {spec.step.dispatch}"
    measure = f"{spec.measure.seconds:g} s" + (f", at most {spec.measure.steps} steps" if spec.measure.steps else "")
    facts = [("step", step + dispatch), ("measure", measure)]
    if spec.data:
        facts.insert(0, ("data", ", ".join(spec.data)))
    return facts
