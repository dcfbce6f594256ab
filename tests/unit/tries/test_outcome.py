"""What of a search is written into its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.document.findings import Finding, Fix, FixStep, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.tries.outcome import forget_best, mark_rejected, taken, write_best

TEXT = "version: 1\nsource: {range: {stop: 9}}\nstages: [{batch: {batch_size: 3}}]\n"
CACHE = InsertStage("cache", {}, "source")
EMPTY: dict[str, Any] = {"edits": [], "environment": {}, "changes": [], "text": None, "diff": None}


@pytest.fixture
def start(tmp_path: Path) -> Version:
    path = tmp_path / "spec.yaml"
    path.write_text(TEXT)
    return Version((), load_spec(path, []))


def result() -> Fix:
    return Fix(status="interrupted", reason="", seconds=1.0, budget_seconds=60.0, wall_seconds=2.0, allow=["same"])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_best_pipeline_is_written_and_forgotten(start: Version, mark: str) -> None:
    found = result()
    write_best(found, start.then([CACHE]), start, mark)
    assert (found.text or "").startswith(f"{mark}version: 1\n")
    assert "+stages: [{cache: {}}, {batch" in (found.diff or "")
    assert [[edit.kind for edit in step] for step in found.edits] == [["InsertStage"]]
    forget_best(found)
    assert found.model_dump(include=set(EMPTY)) == EMPTY


@pytest.mark.parametrize(("status", "expected"), [("kept", "taken"), ("unverified", "not-proven")])
def test_a_change_of_an_earlier_run_is_taken_as_it_is(start: Version, status: Any, expected: str) -> None:
    finding = Finding(rule="cache", title="a", status=status, semantics="order", measured={"speedup": 2.0})
    found = taken(finding, [CACHE], start)
    assert (found.status, found.semantics, found.allow) == (expected, "order", ["same", "order"])
    assert (found.measured is not None) is (status == "kept")
    assert "cache" in (found.text or "")


def calls(number: int) -> dict[str, Any]:
    return {"edit": documents_of([SetArgument("stages.0", "map", "num_parallel_calls", number)])}


def test_only_the_finding_whose_change_was_rejected_on_the_pipeline_as_it_is_is_no_proposal(
    recorded: Callable[[str], Profile],
) -> None:
    profile, found = recorded("input-bound"), result()
    same: dict[str, Any] = {"rule": "parallel-calls", "stage": "stages.0", "title": "Run f in parallel"}
    rejected = Finding(**same, **calls(2), status="unverified")
    other = Finding(**same, **calls(4), status="unverified")
    later = Finding(**{**same, "stage": "stages.1"}, status="unverified")
    profile.findings = [rejected, other, later]
    step = {"result": "rejected", "round": 1, **same}
    found.steps = [
        FixStep(**step, **calls(2), reason="it changes the data"),
        FixStep(**{**step, "title": "Cache", "result": "taken", "round": 2}, reason="3.00×"),
        FixStep(**{**step, "stage": "stages.1", "round": 3}, reason="no gain"),
    ]
    mark_rejected(profile, found)
    assert [one.status for one in profile.findings] == ["rejected", "unverified", "unverified"]
    assert "it changes the data" in (rejected.reason or "")


def test_a_diff_has_the_lines_of_git_and_patch() -> None:
    before = "# a\u2028b\fc\na: 1\n"
    assert " # a\u2028b\fc\n-a: 1\n+a: 2\n" in unified(before, before.replace("1", "2"), "x.yaml")
