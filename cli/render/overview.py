"""The text of ``pipeprof check``: that a target is right, and what it says, resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.render.page import Page
from pipeprof.cli.render.pipeline import name_of, place_of
from pipeprof.cli.render.table import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.render.style import Style
    from pipeprof.profiles.profile import Stage


def render_overview(text: str, facts: Sequence[tuple[str, str]], stages: Sequence[Stage], style: Style) -> str:
    """``spec.yaml: no errors``, the stages with their lines, and what else the spec says.

    Args:
        text: The target as typed.
        facts: Keys and values to list.
        stages: Written stages; empty for a function, whose stages only a run shows.
        style: Width, colour and characters.

    Returns:
        Lines that end with a newline.
    """
    page = Page(style)
    page.prose(f"{text}: no errors", indent=0)
    if stages:
        page.table(
            [
                Column("", [place_of(stage.id) for stage in stages], right=False, style="dim"),
                Column("", ["  " * stage.depth + name_of(stage) for stage in stages], right=False),
                Column("", [_line(stage) for stage in stages], right=False, keep=0, style="dim"),
            ]
        )
    for key, value in facts:
        page.key_value(f"  {key}", value)
    return page.render()


def _line(stage: Stage) -> str:
    return f"line {stage.location.line}" if stage.location else ""
