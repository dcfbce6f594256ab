"""Annotations as GitHub Actions reads them from a step's output: one line an error, warning or finding.

``::error file=spec.yaml,line=5,col=13,endColumn=23,title=unknown-argument::unknown argument …``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeprof.cli.report.comparison import headline_of
from pipeprof.cli.report.remarks import Remark
from pipeprof.cli.streams import spell_brackets, spell_commands
from pipeprof.pipelines.errors import escape
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.judge.result import Result

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}
_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def annotate(document: Profile | Result | GapsReport, remarks: Sequence[Remark]) -> str:
    """All annotations; one line says so where there are none."""
    if remarks:
        lines = [_annotation(remark) for remark in remarks]
    elif isinstance(document, Profile):
        lines = [spell_commands(f"{escape(document.target.text)}: no errors")]
    elif isinstance(document, GapsReport):
        lines = [_line("notice", {"title": "pipeprof gaps"}, "no device idles more than is allowed")]
    else:
        headline = headline_of(document)
        lines = [_line("notice", {"title": "pipeprof gate"}, f"{headline.label}: {headline.text}")]
    return "".join(f"{line}\n" for line in lines)


def _annotation(remark: Remark) -> str:
    place = remark.place
    at = {"file": place.file, "line": place.line, "col": place.column, "endColumn": place.end_column} if place else {}
    return _line(_LEVELS[remark.level], {**at, "title": remark.title or remark.code}, remark.text)


def _line(level: str, properties: Mapping[str, object], message: str) -> str:
    written = ",".join(f"{name}={_escaped(str(value), _PROPERTY)}" for name, value in properties.items() if value)
    return f"::{level}{f' {written}' if written else ''}::{_escaped(message, _MESSAGE)}"


def _escaped(text: str, letters: Mapping[str, str]) -> str:
    """Text that can neither end the line nor begin another command, nor do anything to a terminal."""
    return spell_brackets(escape("".join(letters.get(letter, letter) for letter in text)))
