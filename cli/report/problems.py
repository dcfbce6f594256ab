"""Errors with the user's own frames, the pipeline's output, and warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from pipeprof.cli.report.blocks import Block, Code, Heading, Text
from pipeprof.profiles.document.profile import NOTES, Message, Problem, Profile
from pipeprof.profiles.wording import stage_label

OUTPUT_LINES = 8
SCRIPT_LINES = 4
"""A training prints a log of its own, to be read in the profile."""
_WHERE = re.compile(r"^The (?:pipeline|script|step) raised [^\n]*?, phase \w+(?: element)?(?: after [\d,]+ steps)?:\s*")
"""Beginning of the message of an exception: the verdict and the frames have it."""
_IN_THE_VERDICT = frozenset({"hung-up", "interrupted", "terminated"})
_SAID = frozenset({"disturbed", "leak", "not-settled"})
"""Codes of warnings whose content the default report has elsewhere: in the verdict, in Memory and in Caution."""


def build_errors(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build each error with its place and the user's own frames, in full the whole traceback, and the last output."""
    for problem in profile.errors:
        if problem.code in _IN_THE_VERDICT:
            continue
        said = "" if full or profile.verdict is None else profile.verdict.sentence
        yield Heading("Error", _head(problem, profile, said))
        yield Text(_WHERE.sub("", problem.message) if problem.frames and not full else problem.message)
        yield from _traceback(problem, full=full)
    if profile.errors and profile.output and profile.output.strip():
        yield Text(f"The {_whose(profile)}'s last output:", style="dim")
        yield Code("\n".join(count_repeats(profile.output).splitlines()[-OUTPUT_LINES:]), indent=4, cut=True)
    if not profile.complete and profile.errors and profile.steps:
        yield Text("The rest of this report is what was measured until then.", indent=0)


def last_place(profile: Profile) -> str:
    """The place, as in messages, that the frames of the error end with; empty where they do not have it."""
    problem = profile.errors[0] if profile.errors else None
    if problem is None or not problem.frames or problem.code in _IN_THE_VERDICT:
        return ""
    place, last = f"{problem.file}:{problem.line}", problem.frames[-1]
    return place if place == f"{last.file}:{last.line}" else ""


def _whose(profile: Profile) -> str:
    return "script" if profile.target.kind == "script" else "pipeline"


def _traceback(problem: Problem, *, full: bool) -> Iterator[Block]:
    """The user's own frames, the innermost last, each with its line of source; in full also the complete traceback."""
    if problem.frames:
        yield Text("In your code, the most recent call last:", style="dim")
        for frame in problem.frames:
            where = f" in {frame.function}" if frame.function else ""
            yield Code(f"{frame.file}:{frame.line}{where}", indent=4)
            if frame.source:
                yield Code(frame.source, indent=6, cut=True)
    if full and problem.traceback:
        yield Text("The complete traceback:", style="dim")
        lines = [line.rstrip() for line in problem.traceback.splitlines()]
        yield Code("\n".join(filter(None, lines)), indent=4)


def build_output(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build what the user's code printed, logged or warned of: in short how many lines there are of it."""
    if profile.errors or not profile.output or not profile.output.strip():
        return
    lines = count_repeats(profile.output).splitlines()
    many = f"{len(lines):,} line{'' if len(lines) == 1 else 's'}"
    yield Heading(f"Printed by the {_whose(profile)}", f"{many} without TensorFlow's own log")
    most = len(lines) if full else SCRIPT_LINES
    if len(lines) > most:
        yield Text(f"{len(lines) - most:,} more before: pipeprof show -v", indent=4, style="dim")
    yield Code("\n".join(lines[-most:]), indent=4, cut=True)


def build_warnings(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build one paragraph a warning, its code first: in short those that matter for what the report concludes."""
    warnings = profile.warnings if full else select_warnings(profile)
    if warnings:
        yield Heading("Warnings", "what to do: pipeprof rules CODE")
        yield from (Text(f"{warning.code}: {warning.message}") for warning in warnings)


def select_warnings(profile: Profile) -> list[Message]:
    """The warnings that matter for what the default report concludes."""
    elsewhere = _SAID if profile.steps else frozenset()
    return [warning for warning in profile.warnings if warning.code not in NOTES | elsewhere]


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
        parts += [] if ":".join(place[:2]) in said else [":".join(place)]
    return ", ".join([problem.code, *(part for part in parts if part not in said)])
