"""Workflows, issue forms and what a release checks: pinned, with few permissions, and in agreement with the project."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from source_trees import script

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
released = script(".ci/released.py")
USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@(\S+) +# (v[\d.]+)")


def load(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        yield from ((name, step) for step in job["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pins = USES.findall(text)
    assert len(pins) == text.count("uses: ")
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit, _ in pins)


def test_one_action_has_one_version_everywhere() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*WORKFLOWS, ROOT / "docs" / "ci.md")]
    pins = {pin for text in texts for pin in USES.findall(text)}
    assert len(pins) == len({action for action, _, _ in pins})


def test_permissions_are_given_to_jobs_alone() -> None:
    assert [path.name for path in WORKFLOWS if load(path)["permissions"] != {}] == []
    writing = {name: job["permissions"] for name, job in jobs() if "write" in job["permissions"].values()}
    assert writing == {
        "release.yml: attest": {"attestations": "write", "id-token": "write"},
        "release.yml: publish": {"id-token": "write"},
    }


def test_jobs_end() -> None:
    assert [name for name, job in jobs() if not job.get("timeout-minutes")] == []


def test_no_credentials_stay_in_a_checkout() -> None:
    checkouts = [(name, step) for name, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= 6
    assert [name for name, step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_no_expression_is_put_into_a_script() -> None:
    assert [name for name, step in steps() if "${{" in step.get("run", "")] == []


def test_every_supported_python_is_tested() -> None:
    supported = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    matrix = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert matrix["test"]["strategy"]["matrix"]["python"] == supported
    # The oldest TensorFlow is not there for the newest Python; the Makefile refuses that pair.
    assert matrix["oldest"]["strategy"]["matrix"]["python"] == [name for name in supported if name != "3.13"]
    assert "(3, 10) <= sys.version_info < (3, 13)" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_citation_agrees_with_the_project() -> None:
    citation = load(ROOT / "CITATION.cff")
    assert [citation[key] for key in ("title", "abstract", "license", "keywords")] == [
        PROJECT[key] for key in ("name", "description", "license", "keywords")
    ]
    assert citation["version"] == PROJECT["version"]
    assert all(set(author) == {"name"} for author in citation["authors"])


@pytest.mark.parametrize(
    ("tag", "changed", "part"),
    [
        ("v1.2.3", {}, None),
        *((tag, {}, "pyproject.toml, 1.2.3") for tag in ("1.2.3", "v1.2.4", "v1.2.3.post1", "v1.2")),
        ("v1.2.3", {"CITATION.cff": "version: 1.2.2\n"}, "CITATION.cff"),
        ("v1.2.3", {"CITATION.cff": "title: x\n"}, "CITATION.cff"),
        ("v1.2.3", {"CHANGELOG.md": "## 1.2.34\n"}, "no section 1.2.3"),
    ],
)
def test_the_parts_of_a_release_agree(tag: str, changed: dict[str, str], part: str | None, tmp_path: Path) -> None:
    right = {
        "pyproject.toml": '[project]\nversion = "1.2.3"\n',
        "CITATION.cff": "title: x\nversion: 1.2.3\n",
        "CHANGELOG.md": "# Changelog\n\n## 1.2.3 (2030-01-01)\n",
    }
    for name, text in {**right, **changed}.items():
        (tmp_path / name).write_text(text)
    found = released.faults(tmp_path, tag)
    assert (len(found), part is None or part in found[0]) == (part is not None, True)
