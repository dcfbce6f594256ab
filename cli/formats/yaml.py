"""The spec with the changes that `fix` has proven: its own file's text."""

from __future__ import annotations

from pipeprof.cli.formats.registry import Format, Output


def _render(output: Output) -> str:
    fix = output.profile.fix
    return (fix.text if fix is not None else None) or ""


FORMAT = Format("yaml", (".yaml", ".yml"), frozenset({"fix"}), _render, order=70, exact=True)
