"""Errors with the user's own frames, the pipeline's output, and warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Alternatives, Blank, Block, Code, Heading, Prose
from pipeprof.profiles.document.messages import NOTES
from pipeprof.profiles.wording import stage_label

if TYPE_CHECKING:
    from pipeprof.profiles.document.messages import NOTES, Message, Problem
    from pipeprof.profiles.document.profile import Profile

FRAMES_SHOWN = 3
"""Of a long traceback on a full screen, those next to the error."""
OUTPUT_LINES = 8
SCRIPT_LINES = 4
"""A training prints a log of its own, to be read in the profile."""
_WHERE = re.compile(r"^The (?:pipeline|script|step) raised [^\n]*?, phase \w+(?: element)?(?: after [\d,]+ steps)?:\s*")
"""Beginning of the message of an exception: the verdict and the frames have it."""
_IN_THE_VERDICT = frozenset({"hung-up", "interrupted", "terminated"})
_SAID = frozenset({"disturbed", "leak", "not-settled"})
"""Codes of warnings whose content the default report has elsewhere: in the verdict, in Memory and in Caution."""


def build_errors(profile: Profile) -> Iterator[Block]:
    """Build each error with its place and the user's own frames, and the end of the pipeline's output."""
    yield from _errors(profile, complete=False)


def build_all_errors(profile: Profile) -> Iterator[Block]:
    """Build each error with its complete traceback."""
    yield from _errors(profile, complete=True)


def _errors(profile: Profile, *, complete: bool) -> Iterator[Block]:
    for problem in profile.errors:
        if problem.code in _IN_THE_VERDICT:
            continue
        said = "" if complete or profile.verdict is None else profile.verdict.sentence
        yield Heading("Error", _head(problem, profile, said))
        yield Prose(_WHERE.sub("", problem.message) if problem.frames and not complete else problem.message)
        yield from _traceback(problem, complete=complete)
    if profile.errors and profile.output and profile.output.strip():
        yield Prose(f"The {_whose(profile)}'s last output:", style="dim")
        yield Code("\n".join(count_repeats(profile.output).splitlines()[-OUTPUT_LINES:]), indent=4, cut=True)
    if not profile.complete and profile.errors and profile.steps:
        yield Blank()
        yield Prose("The rest of this report is what was measured until then.", indent=0)


def last_place(profile: Profile) -> str:
    """The place, as in messages, that the frames of the error end with; empty where they do not have it."""
    problem = profile.errors[0] if profile.errors else None
    if problem is None or not problem.frames or problem.code in _IN_THE_VERDICT:
        return ""
    place, last = f"{problem.file}:{problem.line}", problem.frames[-1]
    return place if place == f"{last.file}:{last.line}" else ""


def _whose(profile: Profile) -> str:
    return "script" if profile.target.kind == "script" else "pipeline"


def _traceback(problem: Problem, *, complete: bool) -> Iterator[Block]:
    """The user's own frames, the innermost last, each with its line of source; in full also the complete traceback."""
    if problem.frames:
        yield Prose("In your code, the most recent call last:", style="dim")
        for left, frame in zip(range(len(problem.frames), 0, -1), problem.frames, strict=True):
            where, spare = f" in {frame.function}" if frame.function else "", 7 if left > FRAMES_SHOWN else 0
            yield Code(f"{frame.file}:{frame.line}{where}", indent=4, spare=spare)
            if frame.source:
                yield Code(frame.source, indent=6, cut=True, spare=spare)
    if complete and problem.traceback:
        yield Prose("The complete traceback:", style="dim")
        lines = [line.expandtabs(4).rstrip() for line in problem.traceback.splitlines()]
        yield Code("\n".join(line for line in lines if line), indent=4)


def build_output(profile: Profile) -> Iterator[Block]:
    """Build what the user's code printed, logged or warned of, apart from everything that pipeprof reports."""
    if profile.errors or not profile.output or not profile.output.strip():
        return
    lines = count_repeats(profile.output).splitlines()
    count = f"{len(lines):,} lines" if len(lines) != 1 else "1 line"
    title = f"Printed by the {_whose(profile)}"
    heading = Heading(title, f"to stdout and stderr, {count} without TensorFlow's own log")
    most = SCRIPT_LINES if profile.target.kind == "script" else OUTPUT_LINES
    if len(lines) > most:
        half = most // 2
        rest = len(lines) - 2 * half
        left_out = f"… {rest:,} line{'' if rest == 1 else 's'}, in the profile"
        lines = [*lines[:half], left_out, *lines[-half:]]
    instead = [Heading(title, f"{count}: pipeprof show -v", spare=9)]
    yield Alternatives([[heading, Code("\n".join(lines), indent=4, cut=True)]], spare=7, instead=instead)


def build_warnings(profile: Profile) -> Iterator[Block]:
    """Build the warnings that matter for what the default report concludes."""
    yield from list_warnings(select_warnings(profile))


def select_warnings(profile: Profile) -> list[Message]:
    """The warnings that matter for what the default report concludes."""
    elsewhere = _SAID if profile.steps else frozenset()
    return [warning for warning in profile.warnings if warning.code not in NOTES | elsewhere]


def list_warnings(warnings: Sequence[Message]) -> Iterator[Block]:
    """Build one paragraph a warning, its code first."""
    if not warnings:
        return
    yield Heading("Warnings", "what to do: pipeprof explain CODE")
    for warning in warnings:
        yield Prose(f"! {warning.code}: {warning.message}", hang=2)


def count_repeats(text: str) -> str:
    """Write repeated identical lines once with their number, for output that repeats a line a thousand times."""
    counted = [(line, sum(1 for _ in group)) for line, group in groupby(text.splitlines())]
    return "\n".join(line if count == 1 else f"{line}  ({count:,} times)" for line, count in counted)


def _head(problem: Problem, profile: Profile, said: str) -> str:
    """The code of an error and where it is, as far as other sentences do not say it."""
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    parts = []
    if stage or (problem.stage and not problem.file):
        parts.append(f"at {stage_label(stage) if stage else problem.stage}")
    if problem.file:
        place = [problem.file, *(str(number) for number in (problem.line, problem.column) if number is not None)]
        parts.append(":".join(place))
    return ", ".join([problem.code, *(part for part in parts if part not in said)])
