"""Annotations as GitHub Actions reads them from a step's output: one line an error, warning or finding.

``::error file=spec.yaml,line=5,col=13,endColumn=23,title=unknown-argument::unknown argument …``
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.pipelines.log_commands import spell_brackets, spell_commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Problem
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.judge.verdicts.result import Result

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}


def render_github(profile: Profile) -> str:
    """All annotations, and a last line that says so where there are none.

    Args:
        profile: Its errors, warnings and findings become annotations.
    """
    from pipeprof.pipelines.spec.errors.diagnostics import escape

    lines = [_error(problem) for problem in profile.errors]
    lines += [_line("warning", {"title": warning.code}, warning.message) for warning in profile.warnings]
    lines += [_finding(finding) for finding in profile.findings or ()]
    return "".join(f"{line}\n" for line in lines or [spell_commands(f"{escape(profile.target.text)}: no errors")])


def _error(problem: Problem) -> str:
    in_file = problem.flag is None
    end = problem.column + problem.length if in_file and problem.column and problem.length else None
    properties = {
        "file": problem.file if in_file else None,
        "line": problem.line if in_file else None,
        "col": problem.column if in_file else None,
        "endColumn": end,
        "title": problem.code,
    }
    return _line("error", properties, f"{problem.flag}: {problem.message}" if problem.flag else problem.message)


def _finding(finding: Finding) -> str:
    place = finding.location
    properties = {
        "file": place.file if place is not None else None,
        "line": place.line if place is not None else None,
        "col": place.column if place is not None else None,
        "title": finding.rule,
    }
    parts = (finding.title, finding.sentence, finding.recommendation)
    return _line("warning", properties, " ".join(f"{part.rstrip('.')}." for part in parts if part))


def _line(level: str, properties: Mapping[str, object], message: str) -> str:
    written = ",".join(f"{name}={_escaped(str(value), _PROPERTY)}" for name, value in properties.items() if value)
    return f"::{level}{f' {written}' if written else ''}::{_escaped(message, _MESSAGE)}"


def _escaped(text: str, letters: dict[str, str]) -> str:
    """Text that can neither end the line nor begin another command, nor do anything to a terminal."""
    from pipeprof.pipelines.spec.errors.diagnostics import escape

    return spell_brackets(escape("".join(letters.get(letter, letter) for letter in text)))


def render_result(result: Result) -> str:
    """One annotation for each regression, and for what cannot be decided; a notice where all has passed.

    Args:
        result: Of a gate.
    """
    from pipeprof.profiles.judge.words import headline, sentence_of

    place = {"file": result.b.text.partition(":")[0] if result.b.ref is None else None}
    lines = [_line("error", {**place, "title": problem.code}, problem.message) for problem in result.errors]
    for metric in result.metrics:
        if metric.level == "off" or metric.verdict == "not regressed":
            continue
        level = "error" if metric.verdict == "regressed" and metric.level == "error" else "warning"
        title = f"{metric.title}: {metric.verdict}"
        lines.append(_line(level, {**place, "title": title}, sentence_of(metric)))
    lines += [_line("warning", {"title": warning.code}, warning.message) for warning in result.warnings]
    label, rest, _ = headline(result)
    return "".join(f"{line}\n" for line in lines or [_line("notice", {"title": "pipeprof gate"}, f"{label}{rest}")])


def _render(output: Output) -> str:
    from pipeprof.profiles.document.profile import Profile

    if isinstance(output.document, Profile):
        return render_github(output.document)
    return render_result(output.result)


FORMAT = Format("github", (), frozenset({"check", "gate"}), _render, order=3)
