"""The report on one measurement: its sections in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.findings import render_findings
from pipeprof.cli.report.footer import change_flags, render_footer
from pipeprof.cli.report.gaps import render_gaps
from pipeprof.cli.report.memory import render_memory
from pipeprof.cli.report.pipeline import render_pipeline
from pipeprof.cli.report.problems import render_errors, render_output, render_warnings
from pipeprof.cli.report.steps import render_steps
from pipeprof.cli.report.time import render_time
from pipeprof.cli.text.blocks import Block, Prose, Span

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}


def build_report(profile: Profile, saved: str | None = None) -> Iterator[Block]:
    """Build the whole report.

    Depends on its arguments alone, so a saved profile gives the same report again.

    Args:
        profile: A complete or partial profile.
        saved: Path of the saved profile as it is to be shown, if there is one.
    """
    yield from _render_verdict(profile)
    yield from render_errors(profile)
    yield from render_steps(profile)
    yield from render_pipeline(profile)
    yield from render_time(profile)
    yield from render_memory(profile)
    yield from render_gaps(profile)
    yield from render_findings(profile)
    yield from render_warnings(profile.warnings)
    yield from render_output(profile)
    yield from render_footer(profile, saved)


def _render_verdict(profile: Profile) -> Iterator[Block]:
    sentence = profile.verdict.sentence if profile.verdict else "No verdict yet: the run has not ended."
    head, colon, rest = sentence.partition(":")
    failed = not profile.complete or bool(profile.exit_code)
    bound = profile.verdict.bound if profile.verdict else None
    color = "red" if failed else _COLORS.get(bound or "", "")
    yield Prose((Span(f"{head}{colon}", f"bold {color}".strip()), Span(rest)), indent=0)
    overrides = "".join(f"  {' '.join(flag)}" for flag in change_flags(profile))
    named = f"{profile.target.name}  " if profile.target.name else ""
    yield Prose(f"{named}{profile.target.text}{overrides}", indent=0, style="dim")
