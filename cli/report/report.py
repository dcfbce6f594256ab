"""The report on one measurement: on one screen by default, in full, or some of its sections.

What changes gain is known last, and stands last, next to the prompt: no part before it depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pipeprof.cli.report.finding import build_all_findings, build_finding
from pipeprof.cli.report.findings import build_findings
from pipeprof.cli.report.fix import build_all_steps_tried, build_fix
from pipeprof.cli.report.footer import build_conditions, build_footer
from pipeprof.cli.report.ledger import build_ledger
from pipeprof.cli.report.memory import build_memory, build_phases
from pipeprof.cli.report.pipeline import build_pipeline
from pipeprof.cli.report.problems import (
    build_all_errors,
    build_errors,
    build_output,
    build_warnings,
    last_place,
    list_warnings,
)
from pipeprof.cli.report.stages import build_stages
from pipeprof.cli.report.steps import build_all_steps, build_gaps, build_steps
from pipeprof.cli.report.time import build_time
from pipeprof.cli.report.blocks import Block, KeyValue, Prose, TextSpan, list_spare, with_texts, without
from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}

_LABEL_WIDTH = 12
MOST_LINES = 45
"""Of a screen."""
MOST_MEASURED = 27
"""Of these, until what to change, which is not known when they are written."""
LEAST_REST = MOST_LINES - MOST_MEASURED - 1
"""Lines for the rest, after an empty one, also where an error's text has left fewer."""
_WIDTH = 100
_SPARED = {"cores": 4, "start-up": 6, "step": 6, "at best": 7, "thrown away": 8, "restarts": 8, "memory": 8}
"""Details of the verdict that a full screen leaves to `show -v`, as `without` has it; its warning stays."""
_LAST_SPARE = 10
SHOW = "pipeprof show"
"""The command that shows the latest profile of the folder for profiles."""
_SHOWS_MORE = re.compile(rf"\b{SHOW}(?= -v\b| --finding\b)")


def build_verdict(profile: Profile, *, brief: bool = False) -> Iterator[Block]:
    """Build the headline, and one line for each detail.

    Args:
        brief: Leave out what other lines of the same screen have.
    """
    verdict = profile.verdict
    if verdict is None:
        yield Prose((TextSpan("No verdict yet: the run has not ended.", "bold red"),), indent=0)
        return
    failed = not profile.complete or bool(profile.exit_code)
    color = "red" if failed else _COLORS.get(verdict.bound or "", "")
    headline, details = verdict.headline or verdict.sentence, verdict.details if verdict.headline else []
    if brief and (place := last_place(profile)):
        headline = headline.replace(f" at {place}", "", 1)
    # The first colon that ends words, not one in a place as ``train.py:19``.
    head, colon, rest = headline.partition(": ")
    label, text = (f"{head}:", f" {rest}") if colon else (head, "")
    yield Prose((TextSpan(label, f"bold {color}".strip()), TextSpan(text)), indent=0)
    width = max((len(detail.label) + 2 for detail in details), default=0)
    for detail in details:
        spare = _SPARED.get(detail.label, 0)
        yield KeyValue(detail.label, detail.text, indent=2, width=max(width, _LABEL_WIDTH), spare=spare)


@dataclass(frozen=True)
class Selection:
    """The part of a report to build; without anything set, the default report.

    Attributes:
        sections: Only the sections with these names (`--section`).
        finding: Only the finding with this number, in full (`--finding`); numbers start with 1.
    """

    verbose: bool = False
    sections: tuple[str, ...] = ()
    finding: int | None = None


_KNOWN_FIRST: dict[str, Callable[[Profile], Iterator[Block]]] = {
    "verdict": build_verdict,
    "errors": build_all_errors,
    "steps": build_all_steps,
    "gaps": build_gaps,
    "pipeline": build_stages,
    "time": build_time,
    "memory": build_phases,
    "ledger": build_ledger,
    "conditions": build_conditions,
}
_KNOWN_LAST: dict[str, Callable[[Profile], Iterator[Block]]] = {
    "warnings": lambda profile: list_warnings(profile.warnings),
    "output": build_output,
    "findings": build_all_findings,
}
SECTIONS = {**_KNOWN_FIRST, **_KNOWN_LAST}
"""The sections of the complete report, in their order, by the names that `--section` takes."""


def build_report(
    profile: Profile, saved: str | None = None, selection: Selection | None = None, again: str = SHOW
) -> Iterator[Block]:
    """Build the report, or the part of it that is selected.

    Depends on its arguments alone, so a saved profile gives the same report again.

    Args:
        saved: Path of the saved profile as it is to be shown, if there is one.
        selection: The part; ``None`` is the default report.
        again: The command that shows this profile; without a file it shows the latest one.
    """
    for part in build_parts(profile, saved, selection, again):
        yield from part


def build_parts(
    profile: Profile, saved: str | None = None, selection: Selection | None = None, again: str = SHOW
) -> list[list[Block]]:
    """Build the same in three parts: the headline, what was measured, and the rest; something selected is the rest."""
    chosen = selection or Selection()
    selected = chosen.finding is not None or chosen.sections or (not chosen.verbose and profile.fix)
    if selected:
        parts: list[list[Block]] = [[], [], list(_build_selected(profile, saved, chosen))]
    else:
        headline, *measured = _build_measured(profile, chosen)
        parts = [[headline], measured, list(_build_rest(profile, saved, chosen))]
    if again != SHOW:
        with_file = partial(_SHOWS_MORE.sub, lambda _found: again)
        parts = [[with_texts(block, with_file) for block in part] for part in parts]
    if not selected and not chosen.verbose:
        measured = _fit([*parts[0], *parts[1]], MOST_MEASURED)[1:]
        # A heading has an empty line before it.
        left = MOST_LINES - _lines([*parts[0], *measured]) - 1
        parts[1:] = [measured, _fit(parts[2], max(left, LEAST_REST))]
    return parts


def _build_selected(profile: Profile, saved: str | None, chosen: Selection) -> Iterator[Block]:
    if chosen.finding is not None:
        yield from build_finding(profile, chosen.finding, complete=chosen.verbose)
    elif chosen.sections:
        for name, build in SECTIONS.items():
            if name in chosen.sections:
                yield from build(profile)
    elif profile.fix is not None:
        yield from build_fix(profile, profile.fix, saved)


def _build_measured(profile: Profile, chosen: Selection) -> Iterator[Block]:
    """Build what does not depend on what is tried; a section that has nothing to report builds no blocks."""
    if chosen.verbose:
        for build in _KNOWN_FIRST.values():
            yield from build(profile)
        return
    yield from build_verdict(profile, brief=True)
    yield from build_errors(profile)
    yield from build_steps(profile)
    yield from build_pipeline(profile)
    yield from build_memory(profile, brief=_needs_no_memory(profile))


def _build_rest(profile: Profile, saved: str | None, chosen: Selection) -> Iterator[Block]:
    if chosen.verbose:
        for build in _KNOWN_LAST.values():
            yield from build(profile)
        if profile.fix is not None:
            yield from build_all_steps_tried(profile, profile.fix)
    else:
        yield from build_warnings(profile)
        yield from build_output(profile)
        yield from build_findings(profile)
    yield from build_footer(profile, saved, complete=chosen.verbose)


def _fit(blocks: list[Block], most: int) -> list[Block]:
    """Leave out what a screen has no place for and `show -v` has, the least needed first, of like ones the last.

    Args:
        most: Lines that there is place for.
    """
    for spare in range(1, _LAST_SPARE + 1):
        if _lines(blocks) <= most:
            break
        left = without(blocks, spare)
        if _lines(left) <= most:
            going = list_spare(blocks, spare)
            shorter = (without(blocks, spare, going[:kept]) for kept in range(len(going) - 1, 0, -1))
            return next((one for one in shorter if _lines(one) <= most), left)
        blocks = left
    return blocks


def _lines(blocks: Sequence[Block]) -> int:
    from pipeprof.cli.text.paint import paint
    from pipeprof.cli.text.style import Style

    return paint(blocks, Style(width=_WIDTH)).count("\n")


def _needs_no_memory(profile: Profile) -> bool:
    """Whether one line on memory is enough: the run failed, or memory is no problem."""
    details = profile.verdict.details if profile.verdict is not None else []
    return bool(profile.errors) or not any(detail.label == "memory" for detail in details)
