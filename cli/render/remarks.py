"""Remarks for code scanning: GitHub's annotations, a line each, and SARIF 2.1.0 with rules and results on lines."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pipeprof.cli.report.comparison import headline_of
from pipeprof.cli.report.remarks import GAPS, GATE, Remark, about
from pipeprof.cli.streams import spell_brackets, spell_commands, visible
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


_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"


def sarif(document: Profile | Result | GapsReport, remarks: Sequence[Remark]) -> str:
    """The document."""
    results = [remark for remark in remarks if remark.place is not None and not remark.on_run]
    others = [remark for remark in remarks if remark.place is None or remark.on_run]
    codes = {remark.code: remark.level for remark in reversed(results)}
    ids = list(dict.fromkeys(remark.code for remark in results))
    invocation = {
        "executionSuccessful": document.exit_code not in {1, 2, 5, 6},
        "commandLine": visible(" ".join(document.command)),
        "toolExecutionNotifications": [{"descriptor": {"id": one.code}, **_said(one)} for one in others],
        **({"exitCode": document.exit_code} if document.exit_code is not None else {}),
    }
    rules = [_rule(code, codes[code]) for code in ids]
    run = {
        "tool": {"driver": {"name": "pipeprof", "version": document.tool.version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [invocation],
        "results": [
            {
                "ruleId": remark.code,
                "ruleIndex": ids.index(remark.code),
                "partialFingerprints": {"pipeprof/v1": _fingerprint(remark)},
                **_said(remark),
            }
            for remark in results
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str, level: str) -> dict[str, Any]:
    short, why, action = (text or visible(code) for text in about(code))
    command = code.partition("/")[0]
    more = f"pipeprof {command} --help" if code.startswith((GATE, GAPS)) else f"pipeprof rules {shlex.quote(code)}"
    return {
        "id": code,
        "shortDescription": {"text": short},
        "fullDescription": {"text": why},
        "help": {"text": f"{action} ({more})", "markdown": f"{action}\n\n`{more}`"},
        "defaultConfiguration": {"level": level},
    }


def _said(remark: Remark) -> dict[str, Any]:
    """The text of a remark and its place."""
    said: dict[str, Any] = {"level": remark.level, "message": {"text": visible(remark.text) or remark.code}}
    if (place := remark.place) is None:
        return said
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(visible(place.file), safe="/"), "uriBaseId": _ROOT}}
    region = {"startLine": place.line, "startColumn": place.column, "endColumn": place.end_column}
    if place.line is not None:
        physical["region"] = {name: value for name, value in region.items() if value}
    return {**said, "locations": [{"physicalLocation": physical}]}


def _fingerprint(remark: Remark) -> str:
    """A hash that stays the same while the lines of the file move."""
    parts = (remark.code, remark.place.file if remark.place is not None else "", remark.key)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
