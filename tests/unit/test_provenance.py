"""Where each field of a profile comes from: the table names every field, and modules that have it."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.document.findings import Finding, Verdict
from pipeprof.profiles.document.measured import Device, Throughput
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Steps
from pipeprof.profiles.document.stages import Stage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PARTS: dict[str, type[Any]] = {
    "profile": Profile,
    "steps": Steps,
    "throughput": Throughput,
    "device": Device,
    "memory": Memory,
    "stages": Stage,
    "verdict": Verdict,
    "findings": Finding,
}
TABLE = tomllib.loads((ROOT / "docs" / "provenance.toml").read_text(encoding="utf-8"))
HOME = {
    0: ("profiles/worker/", "profiles/host/", "profiles/harness/", "pipelines/graph/"),
    1: ("profiles/",),
    2: ("cli/", "profiles/wording"),
}
"""Where modules may be that measure, compute and print."""


def fault(field: str, column: int, named: str, root: Path = ROOT) -> str | None:
    """What is wrong with one cell."""
    module, _, word = named.partition("#")
    path = root / f"{module}.py"
    if not module.startswith(HOME[column]):
        return f"{field}: {module} is in none of {', '.join(HOME[column])}"
    if not path.is_file():
        return f"{field}: there is no {module}.py"
    if not re.search(rf"\b{re.escape(word or field)}\b", path.read_text(encoding="utf-8")):
        return f"{field}: {module}.py does not mention {word or field}"
    return None


def fields_of(part: type[Any]) -> list[str]:
    return [field.name for field in fields(part)] if is_dataclass(part) else list(part.model_fields)


@pytest.mark.parametrize("part", PARTS)
def test_every_field_is_there_in_the_order_of_the_document(part: str) -> None:
    assert list(TABLE) == list(PARTS)
    assert list(TABLE[part]) == fields_of(PARTS[part])


def test_modules_exist_and_have_the_field() -> None:
    cells = [
        (field, column, named)
        for rows in TABLE.values()
        for field, row in rows.items()
        for column, named in enumerate(row)
        if named
    ]
    assert len(cells) > 200
    assert [found for cell in cells if (found := fault(*cell)) is not None] == []
    assert [field for rows in TABLE.values() for field, row in rows.items() if len(row) != 3 or not row[1]] == []


@pytest.mark.parametrize(
    ("field", "column", "named", "words"),
    [
        ("count", 0, "cli/report/steps", "is in none of"),
        ("count", 2, "profiles/host/sampler", "is in none of"),
        ("count", 1, "profiles/none", "there is no"),
        ("no_such_field", 1, "profiles/time/verdict", "does not mention no_such_field"),
        ("count", 1, "profiles/time/verdict#no_such_word", "does not mention no_such_word"),
    ],
)
def test_a_fault_is_found(field: str, column: int, named: str, words: str) -> None:
    assert words in (fault(field, column, named) or "")
