"""``pipeprof fix`` around the search, which a recorded profile and a written result stand in for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.targets.load import Changes, load_target
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.profiles.document.findings import Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.version import Version
from pipeprof.profiles.harness.harness import target_of
from pipeprof.profiles.harness.settings import RunSettings
from tests.unit.cli.reports import Recorded, finding, fix, measured

Pipeprof = Callable[..., Any]
TEXT = "version: 1  # mine\nsource: {range: {stop: 9}}\n"
FASTER = TEXT + "stages: [{prefetch: {buffer_size: 2}}]\n"
NONE: dict[str, Any] = {"steps": [], "edits": [], "measured": None, "diff": None}


@dataclass
class Session:
    """Gives a profile in place of the measurement and a result in place of the search, and keeps what it was asked.

    Attributes:
        meanwhile: Called while it searches.
        first: Changes that the search gets first, as an earlier run has proven them.
    """

    profile: Profile
    result: Fix
    meanwhile: Callable[[], object] = lambda: None
    asked: list[RunSettings] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    def run_sample(self, settings: RunSettings, writer: ProfileWriter, progress: Any, *_: object) -> Profile:
        progress.phase("measure", 4.0)
        self.asked.append(settings)
        self.profile.target.sha256 = hashlib.sha256(settings.target.path.read_bytes()).hexdigest()
        writer.write(self.profile, final=True)
        return self.profile

    def search(
        self, profile: Profile, settings: RunSettings, ideas: Any, budget: float, progress: Any, **options: Any
    ) -> None:
        progress.note("searching")
        self.asked.append(settings)
        self.options = {**options, "budget": budget}
        self.first = [one.title for one in ideas(profile, Version()) if one.measured is not None]
        profile.fix = self.result
        self.meanwhile()
        profile.exit_code = 130 if self.result.status == "interrupted" else profile.exit_code


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, recorded: Recorded, tmp_path: Path) -> Session:
    (tmp_path / "spec.yaml").write_text(TEXT)
    (tmp_path / "spec.yaml").chmod(0o640)
    (tmp_path / "train.py").write_text("def make():\n    return data()\n")
    profile = recorded("input-bound")
    profile.command = ["pipeprof", "fix", "spec.yaml"]
    found = Session(profile, fix(text=FASTER, diff=unified(TEXT, FASTER, "spec.yaml")))
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", found.run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.fix.find_best", found.search)
    return found


def test_files_are_written_by_their_ending_and_the_spec_stays(pipeprof: Pipeprof, session: Session) -> None:
    names = ["new.yaml", "new.patch", "run.json", "report.txt"]
    found = pipeprof("fix", "spec.yaml", "--budget", "30", *(word for name in names for word in ("--out", name)))
    assert (found.code, Path("spec.yaml").read_text()) == (0, TEXT)
    assert (Path("new.yaml").read_text(), Path("new.patch").read_text()) == (FASTER, session.result.diff)
    assert json.loads(Path("run.json").read_text())["fix"]["steps"][0]["speedup"] == 1.8
    head = {found.out, Path("report.txt").read_text(), pipeprof("show", "run.json").out}
    assert {text.partition("\n")[0].split(":")[0] for text in head} == {"Fixed"}
    assert (session.asked[0].seconds, session.asked[0].memory_limit) == (3.0, None)


def test_write_changes_the_file_and_keeps_its_permissions(pipeprof: Pipeprof, session: Session) -> None:
    found = pipeprof("fix", "spec.yaml", "--write", "--memory-limit", "2GiB", "--allow", "order", "--budget", "30")
    assert (found.code, Path("spec.yaml").read_text()) == (0, FASTER)
    assert Path("spec.yaml").stat().st_mode & 0o777 == 0o640
    assert session.asked[-1].memory_limit == 2 * 2**30
    assert (list(session.options["allow"]), session.options["budget"]) == (["order"], 30.0)


@pytest.mark.parametrize(
    ("result", "edited", "code", "new"),
    [
        (None, "# somebody was here\n", 1, True),
        (fix("nothing", **NONE), "", 0, False),
        (fix("interrupted", text=FASTER), "", 130, True),
    ],
)
def test_a_file_that_was_edited_or_whose_changes_are_not_proven_stays(
    result: Fix | None, edited: str, code: int, new: bool, pipeprof: Pipeprof, session: Session
) -> None:
    session.result = result or session.result
    session.meanwhile = lambda: Path("spec.yaml").write_text(f"{TEXT}{edited}")
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "new.yaml")
    assert (found.code, Path("spec.yaml").read_text(), Path("new.yaml").exists()) == (code, f"{TEXT}{edited}", new)
    assert "spec.yaml is unchanged" in found.err


def test_what_was_measured_is_reported_and_saved_whatever_ends_the_search(pipeprof: Pipeprof, session: Session) -> None:
    def breaks() -> None:
        session.options["save"]()
        assert json.loads(Path("run.json").read_text())["fix"]["steps"]
        msg = "a fault of the search"
        raise ValueError(msg)

    session.meanwhile = breaks
    found = pipeprof("fix", "spec.yaml", "--out", "run.json", "--out", "new.yaml")
    assert (found.code, "a fault of the search" in found.err, found.out.startswith("Fixed")) == (1, True, True)
    assert Path("new.yaml").read_text() == FASTER
    session.meanwhile = lambda: setattr(session.profile, "exit_code", 2)
    assert pipeprof("fix", "spec.yaml").code == 2
    session.profile.exit_code, session.asked[:] = 5, []
    assert (pipeprof("fix", "spec.yaml").code, len(session.asked)) == (5, 1), "what fails is not searched"


def test_the_spec_is_changed_also_where_the_report_cannot_be_written(pipeprof: Pipeprof, session: Session) -> None:
    Path("away").mkdir()
    session.meanwhile = Path("away").rmdir
    assert pipeprof("fix", "spec.yaml", "--write", "--out", "away/new.yaml").code == 1
    assert Path("spec.yaml").read_text() == FASTER


def test_a_function_whose_diff_cannot_be_made_gets_none(pipeprof: Pipeprof, session: Session) -> None:
    session.result, session.profile.target.kind = fix(diff=None), "function"
    found = pipeprof("fix", "train.py:make", "--out", "fast.patch")
    assert (found.code, "no diff: " in found.err, Path("fast.patch").exists()) == (0, True, False)


def test_what_can_not_work_is_refused_before_anything_runs(pipeprof: Pipeprof, session: Session) -> None:
    for words in (
        ("train.py:make", "--write"), ("train.py:make", "--out", "a.yaml"), ("spec.yaml", "--allow", "ordre"),
        ("spec.yaml", "--budget", "0"), ("-",), ("spec.yaml", "--out", "a.sarif"),
    ):  # fmt: skip
        found = pipeprof("fix", *words)
        assert (found.code, session.asked, found.err.count("\n")) == (2, [], 1)


@pytest.mark.parametrize(("more", "known"), [("", ["proven"]), ("# more\n", [])])
def test_the_search_begins_with_what_the_latest_run_of_the_same_files_has_proven(
    more: str, known: list[str], pipeprof: Pipeprof, session: Session, recorded: Recorded, tmp_path: Path
) -> None:
    spec = str(tmp_path / "spec.yaml")
    saved = recorded("input-bound")
    saved.target = target_of(RunSettings(*load_target(spec, Changes(), no_python=False)))
    saved.command = ["pipeprof", "run", spec]
    saved.findings = [finding("kept", measured=measured(2.0), title="proven")]
    Path("pipeprof-out").mkdir()
    Path("pipeprof-out/spec-20260101T000000Z.json").write_text(saved.model_dump_json())
    Path(spec).write_text(f"{TEXT}{more}")
    session.profile.target = target_of(RunSettings(*load_target(spec, Changes(), no_python=False)))
    assert pipeprof("fix", spec).code == 0
    assert session.first == known
