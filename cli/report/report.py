"""The report on one measurement: on one screen by default, in full, or some of its sections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
from pipeprof.cli.text.blocks import Block, KeyValue, Prose, TextSpan, list_spare, with_texts, without
from pipeprof.profiles.document.findings import VerdictDetail
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.proven import AS_IF_FREE

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}

_LABEL_WIDTH = 12
MOST_LINES = 45
"""Of a screen."""
_WIDTH = 100
_SPARED = {
    "cores": 4,
    "start-up": 6,
    "step": 6,
    "at best": 7,
    "bound": 7,
    "measured": 7,
    "thrown away": 8,
    "restarts": 8,
    "memory": 8,
}
"""Details of the verdict that a full screen leaves to `show -v`, as `without` has it; its warning stays."""
_IN_FINDINGS = ("bound", "cache", "measured")
"""Details whose gain stands with a finding of the same screen."""
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
    if brief:
        place = last_place(profile)
        headline = headline.replace(f" at {place}", "", 1) if place else headline
        at_best = any(one.label == "at best" for one in details)
        details = [one for one in details if one.label not in _IN_FINDINGS or (at_best and _explains_bound(one))]
    # The first colon that ends words, not one in a place as ``train.py:19``.
    head, colon, rest = headline.partition(": ")
    label, text = (f"{head}:", f" {rest}") if colon else (head, "")
    yield Prose((TextSpan(label, f"bold {color}".strip()), TextSpan(text)), indent=0)
    width = max((len(detail.label) + 2 for detail in details), default=0)
    for detail in details:
        spare = _SPARED.get(detail.label, 0)
        yield KeyValue(detail.label, detail.text, indent=2, width=max(width, _LABEL_WIDTH), spare=spare)


def _explains_bound(detail: VerdictDetail) -> bool:
    """Whether it says why a gain is larger than "at best" has it."""
    return detail.label in ("bound", "measured") and AS_IF_FREE in detail.text


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
    chosen = selection or Selection()
    blocks: Iterable[Block] = _build(profile, saved, chosen)
    if again != SHOW:
        blocks = [with_texts(block, lambda text: _SHOWS_MORE.sub(lambda _found: again, text)) for block in blocks]
    yield from _fit(list(blocks)) if chosen == Selection() and profile.fix is None else blocks


def _build(profile: Profile, saved: str | None, chosen: Selection) -> Iterator[Block]:
    if chosen.finding is not None:
        yield from build_finding(profile, chosen.finding, complete=chosen.verbose)
    elif chosen.sections:
        for name, build in SECTIONS.items():
            if name in chosen.sections:
                yield from build(profile)
    elif chosen.verbose:
        for build in SECTIONS.values():
            yield from build(profile)
        if profile.fix is not None:
            yield from build_all_steps_tried(profile, profile.fix)
        yield from build_footer(profile, saved, complete=True)
    elif profile.fix is not None:
        yield from build_fix(profile, profile.fix, saved)
    else:
        yield from _build_screen(profile, saved)


def _build_screen(profile: Profile, saved: str | None) -> Iterator[Block]:
    """Build the report on one screen; a section that has nothing to report builds no blocks."""
    yield from build_verdict(profile, brief=True)
    yield from build_errors(profile)
    yield from build_findings(profile)
    yield from build_steps(profile)
    yield from build_pipeline(profile)
    yield from build_memory(profile, brief=_needs_no_memory(profile))
    yield from build_warnings(profile)
    yield from build_output(profile)
    yield from build_footer(profile, saved)


def _fit(blocks: list[Block]) -> list[Block]:
    """Leave out what a screen has no place for and `show -v` has, the least needed first, of like ones the last."""
    for spare in range(1, _LAST_SPARE + 1):
        if _fits(blocks):
            break
        left = without(blocks, spare)
        if _fits(left):
            going = list_spare(blocks, spare)
            shorter = (without(blocks, spare, going[:kept]) for kept in range(len(going) - 1, 0, -1))
            return next(filter(_fits, shorter), left)
        blocks = left
    return blocks


def _fits(blocks: list[Block]) -> bool:
    from pipeprof.cli.text.paint import paint
    from pipeprof.cli.text.style import Style

    return paint(blocks, Style(width=_WIDTH)).count("\n") <= MOST_LINES


def _needs_no_memory(profile: Profile) -> bool:
    """Whether one line on memory is enough: the run failed, or nothing is wrong."""
    if profile.errors:
        return True
    memory_named = any(detail.label == "memory" for detail in profile.verdict.details) if profile.verdict else False
    return profile.findings == [] and not memory_named
