"""What docs/promises.md says: files of older versions load, and which TensorFlow is supported."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeprof.cli.main import invoke
from pipeprof.pipelines.edits.plan import read_plan
from pipeprof.profiles.document.store import load_saved
from pipeprof.profiles.judge.baseline import load_baseline
from pipeprof.profiles.judge.saved import load_result
from pipeprof.profiles.protocol.tensorflow_versions import NEWEST, OLDEST, as_text, is_newer, is_older, minor_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ROOT / "tests" / "recorded" / "versions"
FOLDERS = sorted((path for path in VERSIONS.iterdir() if path.is_dir()), key=lambda path: minor_of(path.name) or (0, 0))
FILES = ("baseline.json", "changes.plan.json", "fix.json", "profile.json", "result.json")
PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def kept(folders: list[str], current: str) -> set[str]:
    """Names of the folders that the promise needs: of the two minor versions before the current one."""
    now = minor_of(current)
    assert now is not None
    older = sorted(minor for name in folders if (minor := minor_of(name)) is not None and minor < now)
    return {as_text(minor) for minor in older[-2:]}


def test_which_versions_are_kept() -> None:
    assert kept(["0.1", "0.2", "0.9", "0.10"], "0.11.2") == {"0.9", "0.10"}
    assert kept(["0.1"], "0.1.0") == set()


def test_the_last_minor_versions_are_there() -> None:
    # Documents of a minor version are stored before its first release, so those of this one are there, too.
    names = {path.name for path in FOLDERS}
    assert {".".join(version("pipeprof").split(".")[:2]), *kept(list(names), version("pipeprof"))} <= names
    assert [path.name for path in FOLDERS if sorted(file.name for file in path.iterdir()) != sorted(FILES)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
class TestOlderFilesLoad:
    @pytest.mark.parametrize("name", ["profile.json", "fix.json"])
    def test_profile(self, folder: Path, name: str) -> None:
        saved = load_saved(folder / name)
        assert saved.unknown == ()
        assert saved.profile.complete
        assert saved.profile.steps is not None
        assert saved.profile.stages
        assert saved.profile.verdict is not None
        assert (saved.profile.fix is not None) == (name == "fix.json")

    def test_result(self, folder: Path) -> None:
        result = load_result(folder / "result.json")
        assert result.pairs
        assert result.metrics

    def test_baseline(self, folder: Path) -> None:
        identity = load_result(folder / "baseline.json").a.identity
        assert identity is not None
        result = load_baseline(folder / "baseline.json", "spec.yaml", identity)
        assert len(result.pairs) == 5

    def test_plan(self, folder: Path) -> None:
        plan = read_plan((folder / "changes.plan.json").read_text(encoding="utf-8"), "changes.plan.json")
        assert plan.steps

    @pytest.mark.parametrize("name", ["profile.json", "fix.json", "result.json"])
    def test_show(self, folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert invoke(["show", str(folder / name), "-v"]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        assert shown.out

    def test_nothing_of_a_machine_is_in_them(self, folder: Path) -> None:
        text = "".join((folder / name).read_text(encoding="utf-8") for name in FILES)
        assert not re.search(r"/(tmp|home|root|work|opt)/", text)
        assert all(len((folder / name).read_bytes()) < 150_000 for name in FILES)
        assert {json.loads((folder / name).read_text())["tool"]["name"] for name in FILES} == {"pipeprof"}


def test_the_supported_versions_are_those_of_the_page_and_of_the_package() -> None:
    assert f"TensorFlow {as_text(OLDEST)} to {as_text(NEWEST)}" in PROMISES
    assert f"older than {as_text(OLDEST)} is refused" in PROMISES
    assert f"newer than {as_text(NEWEST)} is measured" in PROMISES
    assert f"tensorflow>={as_text(OLDEST)}" in PROJECT["dependencies"]
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert f"Python {pythons[0]} to {pythons[-1]}" in PROMISES


def test_the_newest_version_was_run() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "compatibility.json").read_text(encoding="utf-8"))
    worked = [case["figures"] for case in result["cases"].values() if case["outcome"] == "holds"]
    assert max(minor_of(row["tensorflow"]) or (0, 0) for row in worked) == NEWEST
    assert f"\ntensorflow=={as_text(NEWEST)}." in (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "older", "newer"),
    [
        ("2.17.1", True, False),
        ("2.18.0rc1", False, False),
        ("2.21.9", False, False),
        ("2.22.0-dev20260101", False, True),
        ("3.0.0", False, True),
        ("unknown", False, False),
        ("", False, False),
    ],
)
def test_older_and_newer(text: str, older: bool, newer: bool) -> None:
    assert (is_older(text), is_newer(text)) == (older, newer)
