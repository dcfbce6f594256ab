"""The report on one measurement: on one screen by default, in full, or some of its sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.cli.report.finding import build_all_findings, build_finding
from pipeprof.cli.report.findings import build_findings
from pipeprof.cli.report.footer import build_conditions, build_footer
from pipeprof.cli.report.ledger import build_ledger
from pipeprof.cli.report.memory import build_memory, build_memory_line, build_phases
from pipeprof.cli.report.pipeline import build_pipeline
from pipeprof.cli.report.problems import build_all_errors, build_errors, build_output, build_warnings, list_warnings
from pipeprof.cli.report.stages import build_stages
from pipeprof.cli.report.steps import build_all_steps, build_gaps, build_steps
from pipeprof.cli.report.time import build_time
from pipeprof.cli.report.verdict import build_verdict

if TYPE_CHECKING:
    from pipeprof.cli.text.blocks import Block
    from pipeprof.profiles.document.profile import Profile


@dataclass(frozen=True)
class Selection:
    """The part of a report to build; without anything set, the default report.

    Attributes:
        verbose: Everything there is to say (`-v`).
        sections: Only the sections with these names (`--section`).
        finding: Only the finding with this number, in full (`--finding`); numbers start with 1.
    """

    verbose: bool = False
    sections: tuple[str, ...] = ()
    finding: int | None = None


SECTIONS: dict[str, Callable[[Profile], Iterator[Block]]] = {
    "verdict": build_verdict,
    "errors": build_all_errors,
    "findings": build_all_findings,
    "steps": build_all_steps,
    "gaps": build_gaps,
    "pipeline": build_stages,
    "time": build_time,
    "memory": build_phases,
    "ledger": build_ledger,
    "warnings": lambda profile: list_warnings(profile.warnings),
    "output": build_output,
    "conditions": build_conditions,
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
        yield from build_finding(profile, selection.finding, complete=selection.verbose)
    elif selection is not None and selection.sections:
        for name, build in SECTIONS.items():
            if name in selection.sections:
                yield from build(profile)
    elif selection is not None and selection.verbose:
        for build in SECTIONS.values():
            yield from build(profile)
        yield from build_footer(profile, saved, complete=True)
    else:
        yield from _build_screen(profile, saved)


def _build_screen(profile: Profile, saved: str | None) -> Iterator[Block]:
    """Build the report on one screen; a section that has nothing to report builds no blocks."""
    yield from build_verdict(profile)
    yield from build_errors(profile)
    yield from build_findings(profile)
    yield from build_steps(profile)
    yield from build_pipeline(profile)
    yield from (build_memory_line if _needs_no_memory(profile) else build_memory)(profile)
    yield from build_warnings(profile)
    yield from build_output(profile)
    yield from build_footer(profile, saved)


def _needs_no_memory(profile: Profile) -> bool:
    """Whether one line on memory is enough: the run failed, or nothing is wrong."""
    if profile.errors:
        return True
    memory_named = any(detail.label == "memory" for detail in profile.verdict.details) if profile.verdict else False
    return profile.findings == [] and not memory_named
