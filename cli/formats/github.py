"""Annotations as GitHub Actions reads them from a step's output: one line an error, warning or finding.

``::error file=spec.yaml,line=5,col=13,endColumn=23,title=unknown-argument::unknown argument …``
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.pipelines.log_commands import spell_brackets, spell_commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.cli.render.remarks import Remark

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}
_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def render_github(output: Output) -> str:
    """All annotations; a last line says so where there are none."""
    from pipeprof.pipelines.errors import escape
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.words import headline

    lines = [_annotation(remark) for remark in output.remarks()]
    if not lines and isinstance(output.document, Profile):
        lines = [spell_commands(f"{escape(output.document.target.text)}: no errors")]
    elif not lines and isinstance(output.document, GapsReport):
        lines = [_line("notice", {"title": "pipeprof gaps"}, "no device idles more than is allowed")]
    elif not lines:
        label, rest, _ = headline(output.result)
        lines = [_line("notice", {"title": "pipeprof gate"}, f"{label}{rest}")]
    return "".join(f"{line}\n" for line in lines)


def _annotation(remark: Remark) -> str:
    place = remark.place
    properties = {
        "file": place.file if place is not None else None,
        "line": place.line if place is not None else None,
        "col": place.column if place is not None else None,
        "endColumn": place.end_column if place is not None else None,
        "title": remark.title,
    }
    return _line(_LEVELS[remark.level], properties, remark.text)


def _line(level: str, properties: Mapping[str, object], message: str) -> str:
    written = ",".join(f"{name}={_escaped(str(value), _PROPERTY)}" for name, value in properties.items() if value)
    return f"::{level}{f' {written}' if written else ''}::{_escaped(message, _MESSAGE)}"


def _escaped(text: str, letters: dict[str, str]) -> str:
    """Text that can neither end the line nor begin another command, nor do anything to a terminal."""
    from pipeprof.pipelines.errors import escape

    return spell_brackets(escape("".join(letters.get(letter, letter) for letter in text)))


FORMAT = Format(
    "github", (), frozenset({"run", "show", "check", "gate", "gaps"}), render_github, order=3, redacted=True
)
