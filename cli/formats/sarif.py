"""Findings as SARIF 2.1.0, the format of code scanning: rules, results on lines, and fingerprints.

A proven finding is a ``warning``, a suspicion a ``note``; messages say which of the two. What is about the measurement
and not about the pipeline is a notification of the run, and so is what has no place in the repository: GitHub refuses
a whole file for one result without a location. Files are named from the root of the repository.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.cli.streams import visible
from pipeprof.cli.render.remarks import Remark, numbered

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
_FINGERPRINT = "pipeprof/v1"
_DIGITS = 32


def sarif(output: Output) -> dict[str, Any]:
    """The document."""
    document = output.document
    remarks = numbered(output.remarks())
    results = [remark for remark in remarks if _is_result(remark)]
    codes = list(dict.fromkeys(remark.code for remark in results))
    failed = document.exit_code in {1, 2, 5, 6}
    invocation = {
        "executionSuccessful": not failed,
        "commandLine": visible(" ".join(document.command)),
        "toolExecutionNotifications": [_notification(remark) for remark in remarks if not _is_result(remark)],
    }
    if document.exit_code is not None:
        invocation["exitCode"] = document.exit_code
    run = {
        "tool": {"driver": _driver(document.tool.version, codes, results)},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [invocation],
        "results": [_result(remark, codes) for remark in results],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _is_result(remark: Remark) -> bool:
    return remark.place is not None and not remark.on_run


def _driver(version: str, codes: Sequence[str], results: Sequence[Remark]) -> dict[str, Any]:
    first = {remark.code: remark for remark in reversed(results)}
    return {"name": "pipeprof", "version": version, "rules": [_rule(first[code]) for code in codes]}


def _rule(remark: Remark) -> dict[str, Any]:
    code = remark.code
    short, why, action = (text or visible(code) for text in remark.about)
    return {
        "id": code,
        "shortDescription": {"text": short},
        "fullDescription": {"text": why},
        "help": {"text": f"{action} ({_more(code)})", "markdown": f"{action}\n\n`{_more(code)}`"},
        "defaultConfiguration": {"level": remark.level},
    }


def _more(code: str) -> str:
    command = code.partition("/")[0]
    return f"pipeprof {command} --help" if command in ("gate", "gaps") else f"pipeprof explain {code}"


def _result(remark: Remark, codes: Sequence[str]) -> dict[str, Any]:
    head = {"ruleId": remark.code, "ruleIndex": codes.index(remark.code)}
    return {**head, **_said(remark), "partialFingerprints": {_FINGERPRINT: _fingerprint(remark)}, **_locations(remark)}


def _notification(remark: Remark) -> dict[str, Any]:
    return {"descriptor": {"id": remark.code}, **_said(remark), **_locations(remark)}


def _said(remark: Remark) -> dict[str, Any]:
    return {"level": remark.level, "message": {"text": visible(remark.text) or remark.code}}


def _locations(remark: Remark) -> dict[str, Any]:
    place = remark.place
    if place is None:
        return {}
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(visible(place.file), safe="/"), "uriBaseId": _ROOT}}
    if place.line is not None:
        columns = {"startColumn": place.column, "endColumn": place.end_column}
        physical["region"] = {"startLine": place.line} | {key: value for key, value in columns.items() if value}
    return {"locations": [{"physicalLocation": physical}]}


def _fingerprint(remark: Remark) -> str:
    """A hash that stays the same while the lines of the file move."""
    import hashlib

    parts = (remark.code, remark.place.file if remark.place is not None else "", remark.key)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _render(output: Output) -> str:
    return json.dumps(sarif(output), indent=2, ensure_ascii=True) + "\n"


FORMAT = Format(
    "sarif",
    (".sarif",),
    frozenset({"run", "show", "check", "gate", "gaps"}),
    _render,
    order=7,
    exact=True,
    redacted=True,
)
