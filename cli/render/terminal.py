"""The text report: verdict first, then the numbers, then what was found, what it all rests on and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pipeprof.cli.render.findings import render_findings
from pipeprof.cli.render.footer import change_flags, render_footer
from pipeprof.cli.render.gaps import render_gaps
from pipeprof.cli.render.memory import render_memory
from pipeprof.cli.render.page import Page
from pipeprof.cli.render.pipeline import render_pipeline
from pipeprof.cli.render.problems import render_errors, render_output, render_warnings
from pipeprof.cli.render.steps import render_steps
from pipeprof.cli.render.time import render_time

if TYPE_CHECKING:
    from pipeprof.cli.render.style import Style
    from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}


def render_report(profile: Profile, style: Style, saved: str | None = None) -> str:
    """The whole report as text.

    Depends on its arguments alone, so a saved profile gives the same bytes again.

    Args:
        profile: A complete or partial profile.
        style: Width, colour and characters.
        saved: Path of the saved profile as it is to be shown, if there is one.

    Returns:
        Lines that end with a newline, without an ESC byte unless ``style.color``.
    """
    page = Page(style)
    _render_verdict(page, profile)
    render_errors(page, profile)
    render_steps(page, profile)
    render_pipeline(page, profile)
    render_time(page, profile)
    render_memory(page, profile)
    render_gaps(page, profile)
    render_findings(page, profile)
    render_warnings(page, profile.warnings)
    render_output(page, profile)
    render_footer(page, profile, saved)
    return page.render()


def _render_verdict(page: Page, profile: Profile) -> None:
    sentence = page.clean(profile.verdict.sentence if profile.verdict else "No verdict yet: the run has not ended.")
    head, colon, rest = sentence.partition(":")
    failed = not profile.complete or bool(profile.exit_code)
    bound = profile.verdict.bound if profile.verdict else None
    color = "red" if failed else _COLORS.get(bound or "", "")
    text = Text().append(f"{head}{colon}", style=f"bold {color}".strip()).append(rest)
    page.prose(text, indent=0)
    overrides = "".join(f"  {' '.join(flag)}" for flag in change_flags(profile))
    named = f"{profile.target.name}  " if profile.target.name else ""
    page.prose(f"{named}{profile.target.text}{overrides}", indent=0, style="dim")
