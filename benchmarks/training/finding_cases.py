"""Pairs of scripts, a planted flaw of a training and a near twin that is healthy: what runs find."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FINDINGS = Path(__file__).resolve().parent / "findings"
CASES: dict[str, Any] = tomllib.loads((FINDINGS / "pairs.toml").read_text(encoding="utf-8"))

Json = dict[str, Any]


def judge(name: str, shown: Json, healthy: Json, rules: set[str]) -> tuple[Json, dict[str, bool]]:
    """Return figures of two profiles, and what holds: the one finding with its line, and none about the twin."""
    case = CASES[name]
    said = [_reported(profile, rules) for profile in (shown, healthy)]
    figures = {"said": said[0], "said_of_twin": said[1], "expected": case["rule"], "line": case["line"]}
    return figures, {"found": said[0] == [[case["rule"], f"{name}.py", case["line"]]], "twin": not said[1]}


def _reported(profile: Json, rules: set[str]) -> list[list[Any]]:
    found = [one for one in profile.get("findings") or [] if one["rule"] in rules]
    places = [(one["rule"], one.get("location") or {}) for one in found]
    return [[rule, Path(place.get("file") or "").name, place.get("line")] for rule, place in places]
