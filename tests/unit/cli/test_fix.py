"""``pipeprof fix`` around the search, which a recorded profile and a written result stand in for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.in_words import unified
from pipeprof.profiles.document.findings import Fix
from tests.unit.cli.patches import TEXT, Harness, proven, save_run
from tests.unit.cli.reports import Pipeprof, fix

FASTER = TEXT + "- prefetch: {buffer_size: 2}\n"
NONE: dict[str, Any] = {"steps": [], "edits": [], "measured": None, "diff": None}


@pytest.fixture
def session(harness: Harness) -> Harness:
    """A search that finds a faster spec."""
    harness.profile.command = ["pipeprof", "fix", "spec.yaml"]
    harness.result = fix(text=FASTER, diff=unified(TEXT, FASTER, "spec.yaml"))
    return harness


def test_files_are_written_by_their_ending_and_the_spec_stays(pipeprof: Pipeprof, session: Harness) -> None:
    names = ["new.yaml", "new.patch", "run.json", "report.txt"]
    found = pipeprof("fix", "spec.yaml", "--budget", "30", *(word for name in names for word in ("--out", name)))
    assert (found.code, Path("spec.yaml").read_text()) == (0, TEXT)
    assert session.result is not None
    assert (Path("new.yaml").read_text(), Path("new.patch").read_text()) == (FASTER, session.result.diff)
    assert json.loads(Path("run.json").read_text())["fix"]["steps"][0]["speedup"] == 1.8
    heads = {found.out, Path("report.txt").read_text(), pipeprof("show", "run.json").out}
    assert {text.partition("\n")[0].split(":")[0] for text in heads} == {"Fixed"}
    assert (session.asked[0].seconds, session.asked[0].memory_limit) == (3.0, None)


def test_write_changes_the_file_and_keeps_its_permissions(pipeprof: Pipeprof, session: Harness) -> None:
    Path("spec.yaml").chmod(0o640)
    found = pipeprof("fix", "spec.yaml", "--write", "--memory-limit", "2GiB", "--allow", "order", "--budget", "30")
    assert (found.code, Path("spec.yaml").read_text()) == (0, FASTER)
    assert Path("spec.yaml").stat().st_mode & 0o777 == 0o640
    (tried,) = session.tried
    assert tried["settings"].memory_limit == 2 * 2**30
    assert (list(tried["allow"]), tried["budget"]) == (["order"], 30.0)


@pytest.mark.parametrize(
    ("result", "edited", "code", "new"),
    [
        (None, "# somebody was here\n", 1, True),
        (fix("nothing", **NONE), "", 0, False),
        (fix("interrupted", text=FASTER), "", 130, True),
    ],
)
def test_a_file_that_was_edited_or_whose_changes_are_not_proven_stays(
    result: Fix | None, edited: str, code: int, new: bool, pipeprof: Pipeprof, session: Harness
) -> None:
    def meanwhile(_options: dict[str, Any]) -> None:
        Path("spec.yaml").write_text(f"{TEXT}{edited}")
        session.profile.exit_code = 130 if code == 130 else None

    session.result, session.meanwhile = result or session.result, meanwhile
    for name in ("old.yaml", "old.txt"):
        Path(name).write_text("earlier")
    names = ("new.yaml", "old.yaml", "old.txt")
    found = pipeprof("fix", "spec.yaml", "--write", "--force", *(word for name in names for word in ("--out", name)))
    if code == 130:
        assert "old.yaml stays as it was: the measurement is not complete; what was measured is in" in found.err
        assert (Path("old.yaml").read_text(), Path("old.txt").read_text() == "earlier") == ("earlier", False)
    assert (found.code, Path("spec.yaml").read_text(), Path("new.yaml").exists()) == (code, f"{TEXT}{edited}", new)
    assert "spec.yaml is unchanged" in found.err


def test_what_was_measured_is_reported_and_saved_whatever_ends_the_search(pipeprof: Pipeprof, session: Harness) -> None:
    def breaks(options: dict[str, Any]) -> None:
        options["save"]()
        assert json.loads(Path("run.json").read_text())["fix"]["steps"]
        msg = "a fault of the search"
        raise ValueError(msg)

    session.meanwhile = breaks
    found = pipeprof("fix", "spec.yaml", "--out", "run.json", "--out", "new.yaml")
    assert (found.code, "a fault of the search" in found.err, found.out.startswith("Fixed")) == (1, True, True)
    assert Path("new.yaml").read_text() == FASTER
    session.meanwhile = lambda _: setattr(session.profile, "exit_code", 2)
    assert pipeprof("fix", "spec.yaml").code == 2
    session.profile.exit_code, session.tried[:] = 5, []
    assert (pipeprof("fix", "spec.yaml").code, session.tried) == (5, []), "what fails is not searched"


def test_the_spec_is_changed_also_where_the_report_cannot_be_written(pipeprof: Pipeprof, session: Harness) -> None:
    Path("away").mkdir()
    session.meanwhile = lambda _: Path("away").rmdir()
    assert pipeprof("fix", "spec.yaml", "--write", "--out", "away/new.yaml").code == 1
    assert Path("spec.yaml").read_text() == FASTER
    session.result, session.meanwhile = fix(diff=None), lambda _: None
    found = pipeprof("fix", "train.py:make", "--out", "fast.patch")
    assert (found.code, "no diff: " in found.err, Path("fast.patch").exists()) == (0, True, False)


def test_what_can_not_work_is_refused_before_anything_runs(pipeprof: Pipeprof, session: Harness) -> None:
    for words in (
        ("train.py:make", "--write"), ("train.py", "--write"), ("train.py:make", "--change", "1", "--write"),
        ("train.py:make", "--out", "a.yaml"), ("spec.yaml", "--allow", "ordre"),
        ("spec.yaml", "--budget", "0"), ("-",), ("spec.yaml", "--out", "a.sarif"),
    ):  # fmt: skip
        found = pipeprof("fix", *words)
        assert (found.code, session.asked, found.err.count("\n")) == (2, [], 1)


@pytest.mark.parametrize(("more", "known"), [("", ["proven"]), ("# more\n", [])])
def test_the_search_begins_with_what_the_latest_run_of_the_same_files_has_proven(
    more: str, known: list[str], pipeprof: Pipeprof, session: Harness
) -> None:
    save_run(proven(title="proven"))
    Path("spec.yaml").write_text(f"{TEXT}{more}")
    assert pipeprof("fix", "spec.yaml").code == 0
    assert session.tried[0]["known"] == known
