"""Text for a terminal, a log or a file."""

from __future__ import annotations

from pipeprof.cli.formats.registry import Format, Output


def _render(output: Output) -> str:
    from pipeprof.cli.render.terminal import paint

    return paint(output.blocks(), output.style)


FORMAT = Format(
    "text", (".txt",), frozenset({"run", "show", "check", "fix", "compare", "gate", "gaps", "rules"}), _render, order=1
)
