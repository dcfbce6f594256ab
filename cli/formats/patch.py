"""The changes that `fix` has proven, as a diff for `patch` and `git apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.cli.formats.yaml import NO_FORM, NOTHING

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile


def _render(output: Output) -> str:
    fix = output.profile.fix
    return (fix.diff if fix is not None else None) or ""


def _lack(profile: Profile) -> str | None:
    if profile.fix is None or not profile.fix.edits:
        return NOTHING
    if profile.fix.diff:
        return None
    if profile.fix.status == "interrupted" and profile.target.kind == "function":
        return "the search was interrupted; the report has the best changes so far"
    return NO_FORM


FORMAT = Format("patch", (".patch", ".diff"), frozenset({"fix", "show"}), _render, order=71, exact=True, lack=_lack)
