"""The report on one measurement: its sections in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.findings import build_finding, render_findings
from pipeprof.cli.report.footer import change_flags, render_footer
from pipeprof.cli.report.gaps import render_gaps
from pipeprof.cli.report.memory import render_memory
from pipeprof.cli.report.pipeline import render_pipeline
from pipeprof.cli.report.problems import render_errors, render_output, render_warnings
from pipeprof.cli.report.selection import Selection
from pipeprof.cli.report.steps import render_steps
from pipeprof.cli.report.time import render_time
from pipeprof.cli.text.blocks import Block, Prose, Span

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}


SECTIONS: dict[str, Callable[[Profile, str | None], Iterator[Block]]] = {
    "verdict": lambda profile, _: _render_verdict(profile),
    "errors": lambda profile, _: render_errors(profile),
    "steps": lambda profile, _: render_steps(profile),
    "pipeline": lambda profile, _: render_pipeline(profile),
    "time": lambda profile, _: render_time(profile),
    "memory": lambda profile, _: render_memory(profile),
    "gaps": lambda profile, _: render_gaps(profile),
    "findings": lambda profile, _: render_findings(profile),
    "warnings": lambda profile, _: render_warnings(profile.warnings),
    "output": lambda profile, _: render_output(profile),
    "footer": render_footer,
}
"""The sections of the complete report, in their order, by the names that `--section` takes."""


def build_report(profile: Profile, saved: str | None = None, selection: Selection | None = None) -> Iterator[Block]:
    """Build the report, or the part of it that is selected.

    Depends on its arguments alone, so a saved profile gives the same report again.

    Args:
        profile: A complete or partial profile.
        saved: Path of the saved profile as it is to be shown, if there is one.
        selection: The part; ``None`` is the default report.
    """
    if selection is not None and selection.finding is not None:
        yield from build_finding(profile, selection.finding)
        return
    for name, build in SECTIONS.items():
        if selection is None or not selection.sections or name in selection.sections:
            yield from build(profile, saved)


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
