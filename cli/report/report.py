"""The report on one measurement: short by default, in full, or as a page.

What changes gain is known last, and stands last, next to the prompt: no part before it depends on it. A page begins
with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from pipeprof.cli.report import charts
from pipeprof.cli.report.blocks import Block, Card, Chart, Code, Heading, Pairs, Span, Text
from pipeprof.cli.report.changes import build_changes
from pipeprof.cli.report.fix import build_ending, build_fix
from pipeprof.cli.report.memory import build_memory
from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.problems import build_errors, build_output, build_warnings, last_place
from pipeprof.cli.report.reliability import build_footer, build_reliability
from pipeprof.cli.report.steps import build_steps
from pipeprof.cli.report.time import build_time
from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}
_SHORT = frozenset(
    {*("because", "limit", "speed", "most work", "thrown away", "restarts"), *("known", "ended", "until then")}
)
"""Details of the verdict that the short report has; the others are in the full one."""
SHOW = "pipeprof show"
"""The command that shows the latest profile of the folder for profiles."""
_SHOWS_MORE = re.compile(rf"\b{SHOW}(?= -v\b)")


def build_verdict(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build the headline, and one line for each detail."""
    verdict = profile.verdict
    if verdict is None:
        yield Text((Span("No verdict yet: the run has not ended.", "bold red"),), indent=0)
        return
    failed = not profile.complete or bool(profile.exit_code)
    color = "red" if failed else _COLORS.get(verdict.bound or "", "")
    headline, details = verdict.headline or verdict.sentence, verdict.details if verdict.headline else []
    if not full and (place := last_place(profile)):
        headline = headline.replace(f" at {place}", "", 1)
    # The first colon that ends words, not one in a place as ``train.py:19``.
    head, colon, rest = headline.partition(": ")
    label, text = (f"{head}:", f" {rest}") if colon else (head, "")
    yield Text((Span(label, f"bold {color}".strip()), Span(text)), indent=0)
    rows = [(detail.label, detail.text) for detail in details if full or detail.label in _SHORT]
    if rows:
        yield Pairs(rows)


def build_report(
    profile: Profile, saved: str | None = None, *, full: bool = False, again: str = SHOW
) -> Iterator[Block]:
    """Build the report; it depends on its arguments alone, so a saved profile gives the same report again.

    Args:
        again: The command that shows this profile; without a file it shows the latest one.
    """
    for part in build_parts(profile, saved, full=full, again=again):
        yield from part


def build_parts(
    profile: Profile, saved: str | None = None, *, full: bool = False, again: str = SHOW
) -> list[list[Block]]:
    """Build the same in three parts: the headline, what was measured, and the rest."""
    if profile.fix is not None and not full:
        rest = [*build_fix(profile, profile.fix, full=False), *build_ending(profile, profile.fix, saved)]
        return [[], [], [_with_command(block, again) for block in rest]]
    headline, *measured = [*build_verdict(profile, full=full), *_measured(profile, full=full)]
    parts = [[headline], measured, list(_rest(profile, saved, full=full))]
    return [[_with_command(block, again) for block in part] for part in parts]


def _measured(profile: Profile, *, full: bool) -> Iterator[Block]:
    """What does not depend on what is tried; a section that has nothing to report builds no blocks."""
    yield from build_errors(profile, full=full)
    yield from build_steps(profile, full=full)
    yield from build_time(profile, full=full)
    yield from build_memory(profile, full=full)
    yield from build_reliability(profile, full=full)


def _rest(profile: Profile, saved: str | None, *, full: bool) -> Iterator[Block]:
    yield from build_warnings(profile, full=full)
    yield from build_output(profile, full=full)
    command = next_command(profile, saved)
    yield from build_changes(profile, full=full, next_line=command.line if command is not None else "")
    if profile.fix is not None:
        yield from build_fix(profile, profile.fix, full=True)
        yield from build_ending(profile, profile.fix, saved)
    else:
        yield from build_footer(profile, saved, full=full)


def build_page(profile: Profile, saved: str | None = None) -> list[Block]:
    """Build the whole report for a page: the verdict and what to change first, then pictures, then all numbers."""
    found = [*build_verdict(profile, full=True), *build_errors(profile, full=True)]
    if profile.fix is not None:
        found += [*build_fix(profile, profile.fix, full=True), *build_ending(profile, profile.fix, saved)]
    found += _drawn(build_changes(profile, full=True), charts.changes(profile))
    found += _drawn(build_steps(profile, full=True), charts.steps_over_time(profile))
    found += _drawn(build_time(profile, full=True), charts.stage_times(profile))
    found += _drawn(build_memory(profile, full=True), charts.memory_over_time(profile), charts.memory_by_owner(profile))
    found += [*build_reliability(profile, full=True), *build_warnings(profile, full=True)]
    found += build_output(profile, full=True)
    return found if profile.fix is not None else [*found, *build_footer(profile, saved, full=True)]


def _drawn(section: Iterator[Block], *pictures: Iterator[Chart]) -> list[Block]:
    """A section with its pictures below its heading."""
    heading, rest = list(islice(section, 1)), list(section)
    return [*heading, *chain(*pictures), *rest]


def _with_command(block: Block, again: str) -> Block:
    """A block whose hints at `pipeprof show` name the file of this profile, where that is not the latest one."""
    if again == SHOW:
        return block
    match block:
        case Heading():
            return replace(block, rest=_SHOWS_MORE.sub(lambda _found: again, block.rest))
        case Text(text=str()):
            return replace(block, text=_SHOWS_MORE.sub(lambda _found: again, str(block.text)))
        case Code():
            return replace(block, note=_SHOWS_MORE.sub(lambda _found: again, block.note))
        case Card():
            return replace(block, blocks=[_with_command(inner, again) for inner in block.blocks])
    return block
