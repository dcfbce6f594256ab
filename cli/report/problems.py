"""Report: what ended a run, what the pipeline itself said, and the warnings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Blank, Block, Code, Heading, Prose
from pipeprof.profiles.wording import stage_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.messages import Message, Problem
    from pipeprof.profiles.document.profile import Profile

OUTPUT_LINES = 8
_IN_THE_VERDICT = frozenset({"interrupted", "terminated"})


def render_errors(profile: Profile) -> Iterator[Block]:
    """Each error with its place, the end of the pipeline's own output, and that the profile is partial."""
    for problem in profile.errors:
        if problem.code in _IN_THE_VERDICT:
            continue
        yield Heading("Error", _head(problem, profile))
        yield Prose(problem.message)
    if profile.errors and profile.output and profile.output.strip():
        yield Prose("The pipeline's last output:", style="dim")
        yield Code("\n".join(runs(profile.output).splitlines()[-OUTPUT_LINES:]), indent=4)
    if not profile.complete:
        yield Blank()
        what = "what was measured until then" if profile.steps else "what is known"
        yield Prose(f"Partial profile: below is {what}.", indent=0)


def render_output(profile: Profile) -> Iterator[Block]:
    """What the user's code printed, logged or warned of, apart from everything that pipeprof says."""
    if profile.errors or not profile.output or not profile.output.strip():
        return
    lines = runs(profile.output).splitlines()
    count = f"{len(lines):,} lines" if len(lines) != 1 else "1 line"
    yield Heading("Printed by the pipeline", f"to stdout and stderr, {count} without TensorFlow's own log")
    if len(lines) > OUTPUT_LINES:
        half = OUTPUT_LINES // 2
        rest = len(lines) - 2 * half
        left_out = f"… {rest:,} line{'' if rest == 1 else 's'}, in the profile"
        lines = [*lines[:half], left_out, *lines[-half:]]
    yield Code("\n".join(lines), indent=4)


def render_warnings(warnings: Sequence[Message]) -> Iterator[Block]:
    """One paragraph a warning, its code first."""
    if not warnings:
        return
    yield Heading("Warnings")
    for warning in warnings:
        yield Prose(f"! {warning.code}: {warning.message}", hang=2)


def _head(problem: Problem, profile: Profile) -> str:
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    parts = [problem.code]
    if stage or problem.stage:
        parts.append(f"at {stage_label(stage) if stage else problem.stage}")
    if problem.file:
        place = [problem.file, *(str(number) for number in (problem.line, problem.column) if number is not None)]
        parts.append(":".join(place))
    return ", ".join(parts)


def runs(text: str) -> str:
    """Repeated identical lines as one with a count, for output that says the same thing a thousand times."""
    counted = [(line, sum(1 for _ in group)) for line, group in groupby(text.splitlines())]
    return "\n".join(line if count == 1 else f"{line}  ({count:,} times)" for line, count in counted)
