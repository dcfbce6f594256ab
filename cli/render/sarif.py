"""Remarks as SARIF 2.1.0, the format of code scanning: rules, results on lines, and fingerprints.

What is about the measurement and not about the pipeline is a notification of the run, and so is what has no place in
the repository: GitHub refuses a whole file for one result without a location.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pipeprof.cli.report.remarks import GAPS, GATE, Remark, about
from pipeprof.cli.streams import visible
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.judge.result import Result

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
    more = f"pipeprof {command} --help" if code.startswith((GATE, GAPS)) else f"pipeprof rules {code}"
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
