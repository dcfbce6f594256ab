"""The spec with the changes that `fix` has proven: its own file's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

NOTHING = "no change was proven to help"
"""Why there is no file with changes."""
NO_FORM = "the changes have no form in the text of this file"
"""The same, where there are some."""


def _render(output: Output) -> str:
    fix = output.profile.fix
    return (fix.text if fix is not None else None) or ""


def _lack(profile: Profile) -> str | None:
    if profile.fix is None or not profile.fix.edits:
        return NOTHING
    return NO_FORM if profile.fix.text is None else None


FORMAT = Format(
    "yaml", (".yaml", ".yml"), frozenset({"fix", "show"}), _render, order=70, exact=True, printed=False, lack=_lack
)
