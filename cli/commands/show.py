"""``pipeprof show``: the report of a saved profile."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import ShowOptions
from pipeprof.cli.output import Outputs, plan_outputs
from pipeprof.cli.render.style import style_of
from pipeprof.cli.report.changes import is_in_diff
from pipeprof.cli.reports import as_text, write_reports, write_result
from pipeprof.cli.streams import say, write_stdout
from pipeprof.cli.targets.remade import remade, spec_as_measured, write_spec_again
from pipeprof.cli.targets.saved import own_profiles
from pipeprof.pipelines.errors import PipeprofError, ProfileError, UsageError
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import FOLDER, load_profile
from pipeprof.profiles.judge.result import kind_of_result, load_result


def show(given: ShowOptions) -> int:
    """Print the report of saved profiles, or of a result of compare or gate."""
    paths = [Path(text) for text in given.profiles or ()] or [_find_latest()]
    kinds = [kind for path in paths if (kind := kind_of_result(path)) is not None]
    outputs = plan_outputs(given, "show" if not kinds else "compare" if kinds[0] == "compare" else "gate")
    if kinds and len(paths) > 1:
        raise UsageError(f"{paths[0]} and others: a result of compare or gate is shown alone")
    if kinds:
        # A command to paste would be one of the file.
        write_result(load_result(paths[0]).model_copy(update={"command": []}), paths[0], outputs)
        return OK
    if len(paths) > 1 and (outputs.files or outputs.stdout in ("html", "sarif")):
        what = "--out" if outputs.files else f"--format {outputs.stdout}"
        raise UsageError(f"{what} takes one profile, got {len(paths)}: show them one by one")
    documents = [_load(path, outputs, named=bool(given.profiles)) for path in paths]
    if len(documents) == 1:
        write_reports(documents[0], outputs, paths[0])
    else:
        _print(documents, paths, outputs)
    return OK


def _print(documents: Sequence[Profile], paths: Sequence[Path], outputs: Outputs) -> None:
    style = style_of(sys.stdout)
    kind = outputs.stdout or "text"
    texts = [as_text(one, kind, style, path, outputs) for one, path in zip(documents, paths, strict=True)]
    if kind == "json":
        joined = ",\n".join(text.rstrip("\n") for text in texts)
        write_stdout(f"[\n{joined}\n]\n", "json")
    else:
        write_stdout("\n\n".join(texts), kind)


def _load(path: Path, outputs: Outputs, *, named: bool) -> Profile:
    """A saved profile with texts that are made from its edits; says what is not shown, and why."""
    saved = load_profile(path)
    if named:
        # Without its name, a command takes the change of that number of the latest run.
        saved.reads_from(str(path))
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


def _find_latest() -> Path:
    """Find the latest profile below the current folder, and name it on stderr."""
    own, others = own_profiles()
    for theirs, why in others.items() if not own else ():
        raise ProfileError(f"{why}; name it: pipeprof show {shlex.quote(str(theirs))}")
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
