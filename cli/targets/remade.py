"""What a person may paste or write of a saved profile, made again from its edits: the file may be a stranger's.

Diffs and lines of code in it are never printed. The changes in words are made from edits that a search writes, the text
of a spec from these and the spec as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePath

from pipeprof.cli.targets.load import load_target
from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.changes.in_spec import can_change
from pipeprof.pipelines.changes.in_spec_text import spec_diff
from pipeprof.pipelines.changes.in_words import in_words
from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.spec_file import byte_order_mark
from pipeprof.profiles.document.findings import Edit, Fix
from pipeprof.profiles.document.profile import Profile, Target
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.tries.outcome import write_best


def remade(saved: Profile, loaded: LoadedSpec | None) -> Profile:
    """A copy of a profile that was read, without texts of its own that a person may paste.

    Args:
        loaded: The spec that it is about, if that is as it was measured.
    """
    profile = saved.model_copy(deep=True)
    for finding in profile.findings or ():
        edits = _checked(finding.documents)
        finding.diff, finding.python = "" if finding.diff else None, None
        finding.patch = spec_diff(loaded, edits) if loaded is not None and edits else None
        finding.in_spec = loaded is not None and can_change(loaded.data, edits)
    if profile.verification is not None:
        profile.verification.bounds = [text.partition("\n")[0] for text in profile.verification.bounds]
    if profile.fix is not None:
        edits = [edit for step in profile.fix.edits for edit in _checked(step)]
        profile.fix.changes = list(filter(None, map(in_words, edits)))
        profile.fix.environment = {edit.variable: edit.value for edit in edits if isinstance(edit, SetEnvironment)}
        profile.fix.text = profile.fix.diff = None
    return profile


def spec_as_measured(profile: Profile) -> LoadedSpec:
    """Read the spec that a saved profile is about; an error if none is below this folder, or it was changed."""
    # Of other targets, nothing of what measures is needed, which takes longer to import than a report to show.
    from pipeprof.profiles.harness.settings import target_of

    target = profile.target
    if target.kind != "spec":
        raise ProfileError("a saved profile has no text of Python code: pipeprof fix makes it")
    place = PurePath(target.text)
    if place.is_absolute() or ".." in place.parts:
        raise ProfileError(f"{target.text} is not below the current folder, or was measured with other files")
    parsed, loaded = load_target(target.text, sets=target.overrides, env=target.variables is not None)
    if (why := why_other(profile, target_of(make_options(parsed, loaded)), loaded)) is not None:
        raise ProfileError(why)
    if loaded is None:
        raise ProfileError(f"{target.text} is no spec")
    return loaded


def why_other(profile: Profile, target: Target, loaded: LoadedSpec | None) -> str | None:
    """Why a profile is about another target, or other text in its files, in words; None where it is not."""
    was, edited = profile.target, edited_since(profile, loaded)
    if was.edits:
        return "it already measures a change: name the profile of the run without --change"
    if (was.kind, was.text) != (target.kind, target.text):
        return f"it is about {was.text}, not {target.text}"
    if edited or was.sha256 != target.sha256:
        name = (edited or [target.text.partition(":")[0]])[0]
        return f"{name} is not the file that was measured: measure it again with `pipeprof run`"
    if was != target:
        given = f": -- {shlex.join(was.script_arguments)}" if was.script_arguments else ""
        what = f"arguments of the script{given}" if was.kind == "script" else "values of --set, --env or --arg"
        return f"it was measured with different {what}; use the same ones"
    if not profile.complete or profile.exit_code:
        return "its run did not finish, so nothing is known about its changes: measure again"
    return None


def edited_since(profile: Profile, loaded: LoadedSpec | None) -> list[str]:
    """Names of the Python files of a spec that were written after a run began: a profile has no hashes of them."""
    files: Sequence[Path] = sorted(loaded.python_files) if loaded is not None else ()
    if not files:
        return []
    try:
        began = datetime.fromisoformat((profile.started or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return [path.name for path in files]
    return [path.name for path in files if not path.exists() or path.stat().st_mtime > began]


def write_spec_again(fix: Fix, loaded: LoadedSpec) -> None:
    """Write the changes of a search into the text of its spec; raises a PipeprofError where they do not fit."""
    if loaded.overrides or loaded.variables is not None:
        raise ProfileError("flags have changed the spec that was measured: pipeprof fix with the same ones writes it")

    start = best = Version((), loaded)
    for step in fix.edits:
        best = best.then(_checked(step))
    write_best(fix, best, start, byte_order_mark(loaded.path))


def _checked(documents: Sequence[Edit]) -> list[PipelineEdit]:
    """Edits that a search writes; none where one of them is another."""
    try:
        return checked_edits([edit.model_dump() for edit in documents])
    except RefusedEditError:
        return []
