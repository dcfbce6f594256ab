"""Prose in documents has lines of at most 120 characters, so that a change of a word is a change of a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 120
FILES = (
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "RELEASE.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "news").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "examples" / "README.md",
)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside of tables, code fences and generated parts, with their numbers."""
    fenced = generated = False
    for number, line in enumerate(text.splitlines(), 1):
        start = line.strip()
        if start.startswith("<!-- generated"):
            generated = True
        elif start.startswith("<!-- /generated"):
            generated = False
        elif start.startswith("```") and not generated:
            fenced = not fenced
        elif not (fenced or generated or start.startswith("|")):
            yield number, line


def test_tables_code_and_generated_parts_are_no_prose() -> None:
    text = "a\n| b |\n```\nc\n```\nd\n<!-- generated: make docs -->\n```\ne\n<!-- /generated -->\nf\n"
    assert list(prose(text)) == [(1, "a"), (6, "d"), (11, "f")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lines_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A line that is one long word, such as a link, cannot be broken.
    long = [number for number, line in prose(text) if len(line) > WIDTH and " " in line.strip()]
    assert long == [], f"lines of more than {WIDTH} characters: {long}"
