"""``pipeprof show``: the report of a saved profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Force, Format, Json, Out, Redact, Section, Text, Texts, flag, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.output import Outputs
    from pipeprof.cli.report.report import Selection
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import SavedProfile

_FIELDS_NAMED = 5
EPILOG = epilog(
    "pipeprof show",
    "pipeprof show -v --section steps,memory",
    "pipeprof show pipeprof-out/flowers-20260731T101112Z.json --finding 1",
    "pipeprof show profile.json --json | jq .steps.wait_ms",
    "pipeprof show profile.json --out report.txt",
)


def show(
    profiles: Annotated[
        Texts,
        typer.Argument(
            metavar="PROFILE", help="Files that `pipeprof run` saved.  [default: the latest in pipeprof-out/]"
        ),
    ] = None,
    *,
    finding: Annotated[Text, option("", "N", "Print finding N in full, with the fix as YAML and Python.")] = None,
    section: Section = None,
    verbose: Annotated[bool, flag("-v", "--verbose", "Print the complete report.")] = False,
    form: Format = None,
    json: Json = False,
    out: Out = None,
    force: Force = False,
    color: Color = "auto",
    redact: Redact = None,
) -> None:
    """Print the report of saved profiles.

    With several profiles, JSON is a list.
    """
    import sys

    from pipeprof.cli import output, streams
    from pipeprof.cli.options import COLORS, choice, whole
    from pipeprof.cli.render.style import style_of
    from pipeprof.profiles.document.store import is_latest, load_saved
    from pipeprof.profiles.judge.saved import kind_of_result

    choice("--color", color, COLORS)
    number = whole("--finding", finding, 0)
    paths = [Path(text) for text in profiles or ()] or [_find_latest()]
    kinds = [kind for path in paths if (kind := kind_of_result(path)) is not None]
    command = "show" if not kinds else "compare" if kinds[0] == "compare" else "gate"
    outputs = output.plan_outputs(out, form, json=json, force=force, command=command, redact=redact)
    selection = output.select(outputs, verbose=verbose, sections=section, finding=number)
    _require_one(paths, outputs.files, "--out")
    _require_one(paths, number, "--finding")
    if kinds:
        _show_result(paths, outputs, selection, color)
        return
    saved = [load_saved(path) for path in paths]
    for path, one in zip(paths, saved, strict=True):
        _note_unknown(path, one)
        if not is_latest(path):
            # Without its name, a command takes the change of that number of a later run.
            one.profile.reads_from(str(path))
    documents = [_remade(one.profile, outputs) for one in saved]
    if number is not None:
        _require_finding(documents[0], number)
        _say_what_makes_the_diff(saved[0].profile, documents[0], number)
    if len(documents) == 1:
        output.write_reports(documents[0], outputs, color, paths[0], selection)
        return
    style = style_of(sys.stdout, color)
    texts = [
        output.as_text(document, outputs.stdout or "text", style, path, selection, redact=redact)
        for document, path in zip(documents, paths, strict=True)
    ]
    if outputs.stdout == "json":
        joined = ",\n".join(text.rstrip("\n") for text in texts)
        streams.write_stdout(f"[\n{joined}\n]\n", "json")
    else:
        streams.write_stdout("\n\n".join(texts))


def _say_what_makes_the_diff(saved: Profile, shown: Profile, number: int) -> None:
    """Name the command that makes the diff of a finding, where the file has one, which is not shown."""
    from pipeprof.cli.command_line import change_command
    from pipeprof.cli.streams import say

    command = change_command(shown, number, "fix", out=[f"change-{number}.patch"])
    if (saved.findings or [])[number - 1].diff is not None and command is not None:
        say(f"pipeprof: note: the diff is made from the file as it is: {command}")


def _remade(saved: Profile, outputs: Outputs) -> Profile:
    """A saved profile with texts that are made from its edits; says why not, where the text of a spec is wanted."""
    from pipeprof.cli.report.findings import is_in_diff
    from pipeprof.cli.streams import say
    from pipeprof.cli.targets.remade import remade, spec_as_measured, write_spec_again
    from pipeprof.pipelines.errors import PipeprofError

    profile = remade(saved, None)
    try:
        loaded = spec_as_measured(saved)
        profile = remade(saved, loaded)
        if profile.fix is not None and profile.fix.edits:
            write_spec_again(profile.fix, loaded)
    except PipeprofError as error:
        if saved.fix is not None and {"yaml", "patch"} & {outputs.stdout, *(kind for _, kind in outputs.files)}:
            say(f"pipeprof: note: {error}")
    if any(one.status == "kept" and one.python and not is_in_diff(one) for one in saved.findings or ()):
        say("pipeprof: note: lines of code are in the report of the run alone: those of a saved file are not printed")
    return profile


def _show_result(paths: Sequence[Path], outputs: Outputs, selection: Selection, color: str) -> None:
    from pipeprof.cli.comparing.session import write_result
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.judge.saved import load_result

    if len(paths) > 1:
        raise UsageError(f"{paths[0]} and others: a result of compare or gate is shown alone")
    if selection.sections or selection.finding is not None:
        raise UsageError(f"{paths[0]} is a result of compare or gate: it has no sections or findings")
    # A command to paste would be one of the file.
    result = load_result(paths[0]).model_copy(update={"command": []})
    write_result(result, paths[0], outputs, color, verbose=selection.verbose)


def _find_latest() -> Path:
    """Find the latest profile below the current folder, and name it on stderr."""
    import os

    from pipeprof.cli.streams import say
    from pipeprof.cli.targets.saved import own_profiles
    from pipeprof.pipelines.errors import ProfileError
    from pipeprof.profiles.document.store import FOLDER

    own, others = own_profiles()
    for theirs, why in others.items() if not own else ():
        raise ProfileError(f"{why}; name it: pipeprof show {theirs}")
    if not own:
        try:
            os.listdir(FOLDER)  # noqa: PTH208 - only whether that is possible
        except PermissionError:
            raise ProfileError(f"{FOLDER}/ cannot be read: permission denied") from None
        except OSError:
            pass
        raise ProfileError(f"{FOLDER}/ has no saved profile: `pipeprof run` saves one, or give a file")
    say(f"pipeprof: showing {own[0]}")
    return own[0]


def _note_unknown(path: Path, saved: SavedProfile) -> None:
    """Name the fields that are not shown, on stderr."""
    from pipeprof.cli.streams import say

    count = len(saved.unknown)
    if not count:
        return
    shown = ", ".join(saved.unknown[:_FIELDS_NAMED]) + (", …" if count > _FIELDS_NAMED else "")
    fields = (
        f"{count:,} fields that this version does not know" if count > 1 else "a field that this version does not know"
    )
    say(f"pipeprof: note: {path}, by pipeprof {saved.profile.tool.version}, has {fields}; left out: {shown}")


def _require_one(paths: Sequence[Path], given: object, flag: str) -> None:
    from pipeprof.pipelines.errors import UsageError

    if given not in (None, []) and len(paths) > 1:
        raise UsageError(f"{flag} takes one profile, got {len(paths)}: show them one by one")


def _require_finding(profile: Profile, number: int) -> None:
    from pipeprof.pipelines.errors import UsageError

    count = len(profile.findings or ())
    if not 1 <= number <= count:
        numbers = f"has findings 1 to {count}" if count > 1 else "has only finding 1" if count else "has no findings"
        raise UsageError(f"--finding: got {number}, but this profile {numbers}")
