"""What has changed for users: one sentence a file in `news/`, from which the changelog is made."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
NEWS = ROOT / "news"
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
KINDS = [kind["directory"] for kind in CONFIGURATION["type"]]
OTHERS = {*CONFIGURATION["ignore"]}
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
MOST_LINES = 60
WIDTH = 120


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a fragment."""
    found = []
    if not re.fullmatch(rf"[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(KINDS)})\.md", name):
        found.append(f"{name}: the name is not NAME.KIND.md, with a kind of {', '.join(KINDS)}")
    if not text.endswith("\n") or text != f"{text.strip()}\n":
        found.append(f"{name}: not one paragraph with a line end")
    sentence = " ".join(text.split())
    plain = re.sub(r"`[^`]*`", "x", sentence)
    if not plain.endswith(".") or re.search(r"[.!?] +[A-Z`]", plain):
        found.append(f"{name}: not one sentence that ends with a full stop")
    if sentence.startswith(("-", "*", "#")):
        found.append(f"{name}: begins with a mark of Markdown, which the template writes")
    if any(len(line) > WIDTH for line in text.splitlines()):
        found.append(f"{name}: a line of more than {WIDTH} characters")
    return found


def fragments() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in NEWS.iterdir() if path.name not in OTHERS}


def test_fragments_are_well_formed() -> None:
    assert [fault for name, text in fragments().items() for fault in faults(name, text)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.feature.md", "It is new.\n"),
        ("added.md", "It is new.\n"),
        ("A_b.added.md", "It is new.\n"),
        ("a.added.txt", "It is new.\n"),
        ("a.added.md", "It is new."),
        ("a.added.md", "It is new\n"),
        ("a.added.md", "It is new. It is good.\n"),
        ("a.added.md", "- It is new.\n"),
        ("a.added.md", "It is new.\n\nIt is good.\n"),
        ("a.added.md", f"It is {'very ' * 30}new.\n"),
    ],
)
def test_a_fault_is_found(name: str, text: str) -> None:
    assert faults(name, text)


def test_dots_in_names_end_no_sentence() -> None:
    assert faults("a-b2.added.md", "`tf.data. X` of Python 3.13 is\nread; so is `b.C`.\n") == []


def section(version: str) -> list[str]:
    """The lines of a version in the changelog, its heading included."""
    start = re.search(rf"^## {re.escape(version)}\b.*$", CHANGELOG, re.MULTILINE)
    assert start is not None
    end = CHANGELOG.find("\n## ", start.end())
    return CHANGELOG[start.start() : end if end > 0 else None].splitlines()


def test_the_first_version_fits_on_a_page() -> None:
    assert len(section("0.1.0")) <= MOST_LINES


def test_no_line_is_added_to_the_changelog_by_hand() -> None:
    assert "unreleased" not in CHANGELOG.lower()
    before, mark, after = CHANGELOG.partition(CONFIGURATION["start_string"])
    assert mark
    assert after.lstrip("\n").startswith("## ")
    assert not re.search(r"^## ", before, re.MULTILINE)


def test_the_template_and_the_folder_exist() -> None:
    assert (ROOT / CONFIGURATION["template"]).is_file()
    assert (ROOT / CONFIGURATION["directory"]) == NEWS
    assert all((NEWS / name).is_file() for name in OTHERS)


def test_the_readme_names_every_kind() -> None:
    text = (NEWS / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
