"""One HTML file with pictures, readable without a network or a script."""

from __future__ import annotations

from pipeprof.cli.formats.registry import Format, Output


def _render(output: Output) -> str:
    return output.page()


FORMAT = Format(
    "html", (".html",), frozenset({"run", "show", "fix", "compare", "gate", "gaps"}), _render, order=5, redacted=True
)
