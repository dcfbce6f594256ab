"""The changes that `fix` has proven, as a diff for `patch` and `git apply`."""

from __future__ import annotations

from pipeprof.cli.formats.registry import Format, Output


def _render(output: Output) -> str:
    fix = output.profile.fix
    return (fix.diff if fix is not None else None) or ""


FORMAT = Format("patch", (".patch", ".diff"), frozenset({"fix"}), _render, order=71, exact=True)
