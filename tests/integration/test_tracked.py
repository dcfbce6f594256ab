"""State of pipeprof that a checkout holds: it is not read where git tracks it, unless the command line names it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from integration.repositories import commit_all, git
from unit.cli.patches import CACHE, SAVED, proven, save
from unit.conftest import RECORDED

from pipeprof.cli.main import invoke
from pipeprof.pipelines.data.recipes import entry_name
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.document.store import load_profile

TEXT = "version: 1\nsource: {range: {stop: 9}}\nstages:\n- batch: {batch_size: 3}\n"
WITH_DATA = """version: 1
data: {rows: {csv: {rows: 1000, columns: 20}}}
source: {TextLineDataset: {filenames: "data:rows/*.csv"}}
"""


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is the current folder."""
    work = tmp_path / "work"
    (work / "pipeprof-out").mkdir(parents=True)
    (work / "spec.yaml").write_text(TEXT)
    git(work, "init", "-q")
    monkeypatch.chdir(work)
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    return work


def keep(title: str | None = None, path: str = SAVED) -> None:
    """Save a profile with a proven change."""
    save(load_profile(RECORDED / "input-bound.json"), proven(CACHE, **({"title": title} if title else {})), path=path)


@pytest.fixture
def pipeprof(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str) -> tuple[int, str, str]:
        code = invoke(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_committed_profile_is_taken_only_by_its_name(work: Path, pipeprof: Command) -> None:
    keep()
    git(work, "add", "spec.yaml")
    assert pipeprof("fix", "spec.yaml", "--change", "1", "--out", "own.yaml")[0] == 0
    commit_all(work)
    for command in ("fix", "run"):
        code, _, errors = pipeprof(command, "spec.yaml", "--change", "1")
        assert code == 6
        assert "came with the checkout" in errors
        assert "--change FILE.json:1" in errors
    code, _, errors = pipeprof("show")
    assert code == 6
    assert "name it: pipeprof show pipeprof-out/" in errors
    assert pipeprof("show", SAVED)[0] == 0
    assert pipeprof("fix", "spec.yaml", "--change", f"{SAVED}:1", "--out", "named.yaml")[0] == 0


def test_a_profile_of_ones_own_beside_a_committed_one_is_taken(work: Path, pipeprof: Command) -> None:
    own = SAVED.replace("2026", "2025")
    keep("Theirs")
    commit_all(work)
    keep("Mine", own)
    os.utime(own, (1, 1))
    assert f"showing {own}" in pipeprof("show")[2]
    assert pipeprof("fix", "spec.yaml", "--change", "1", "--out", "own.yaml")[0] == 0


@pytest.mark.parametrize("how", ["link to the file", "link to the folder"])
def test_a_committed_profile_behind_a_link_is_one(how: str, work: Path, pipeprof: Command) -> None:
    keep()
    if how == "link to the file":
        Path(SAVED).rename("other.json")
        Path(SAVED).symlink_to("../other.json")
    else:
        Path("pipeprof-out").rename("other")
        Path("pipeprof-out").symlink_to("other")
    commit_all(work)
    assert pipeprof("fix", "spec.yaml", "--change", "1")[0] == 6


def test_where_git_does_not_tell_a_profile_is_taken_only_by_its_name(
    work: Path, pipeprof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep()
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, errors = pipeprof("fix", "spec.yaml", "--change", "1")
    assert code == 6
    assert "git does not say whether" in errors
    shutil.rmtree(work / ".git")
    assert pipeprof("fix", "spec.yaml", "--change", "1", "--out", "own.yaml")[0] == 0


def plant(folder: Path, spec: Path) -> Path:
    """An entry of two bytes a file, as a checkout could hold it."""
    (entry,) = load_spec(spec).spec.data.values()
    made = folder / entry_name(entry)
    for name in entry.file_names():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("1\n")
    return made


@pytest.mark.parametrize("words", [("run",), ("gate", "--against", "git:main"), ("data",)])
def test_generated_data_of_a_checkout_are_refused(
    words: tuple[str, ...], work: Path, pipeprof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "spec.yaml").write_text(WITH_DATA)
    cache = work / ".pipeprof-cache"
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(cache))
    commit_all(work)
    plant(cache, work / "spec.yaml")
    given = ("data", "list") if words == ("data",) else (words[0], "spec.yaml", *words[1:])
    if words == ("data",):
        assert pipeprof(*given)[0] == 0
    commit_all(work)
    code, _, errors = pipeprof(*given)
    assert code == 2
    assert f"git tracks files in {cache}" in errors
