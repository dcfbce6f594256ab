"""Edits that are tried with real workers: what becomes of their findings, and that nobody is left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from integration import forked

from pipeprof.profiles.document.store import load_profile

SESSION = "from integration.verification.session import main; main()"


def start(folder: Path, budget: float, *names: str) -> forked.Started:
    """Start a session."""
    return forked.start([str(folder), str(budget), *names], folder, SESSION)


def until(process: forked.Started, *beginnings: str) -> None:
    """Read what the session says until it has come to a place."""
    left_over = list(beginnings)
    for line in process.stderr:
        if line.startswith(left_over[0]):
            left_over.pop(0)
        if not left_over:
            return
    pytest.fail(f"the session ended before {left_over[0]!r}")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A session that is interrupted in the middle of its last edit."""
    folder = tmp_path_factory.mktemp("tried")
    process = start(folder, 600, "other-batches", "raises", "other-values", "no-such-stage", "parallel")
    until(process, "trying 3", "tick")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


def test_an_edit_that_changes_the_batches_is_rejected(tried: dict[str, Any]) -> None:
    found = tried["findings"]["other-batches"]
    assert found["status"] == "rejected"
    assert found["reason"] == "the edit changes the data: batch 1 has 4 elements instead of 8"
    assert len(found["measured"]["pairs"]) == 2


def test_an_edit_that_cannot_run_is_rejected_with_its_error(tried: dict[str, Any]) -> None:
    found = tried["findings"]["raises"]
    assert (found["status"], found["measured"]) == ("rejected", None)
    assert found["reason"].startswith("the edited pipeline raised: ")
    assert "the dataset is empty" in found["reason"]


def test_what_is_not_tried_states_the_reason(tried: dict[str, Any]) -> None:
    values, missing = tried["findings"]["other-values"], tried["findings"]["no-such-stage"]
    assert (values["status"], values["reason"]) == ("unverified", "not tried: it may change values")
    assert missing["status"] == "unverified"
    assert missing["reason"].startswith("not tried: the edit does not apply (")
    assert tried["verification"]["tried"] == 3


def test_an_interruption_keeps_what_was_tried(tried: dict[str, Any]) -> None:
    assert tried["exit_code"] == 130
    found = tried["findings"]["parallel"]
    assert found["status"] == "unverified"
    assert found["reason"].startswith("interrupted; so far ")
    assert len(found["measured"]["pairs"]) >= 2
    assert tried["findings"]["other-batches"]["status"] == "rejected"


def test_where_no_edit_exists_the_stage_is_replaced_by_a_replay_after_what_can_be_tried(tmp_path: Path) -> None:
    out, err = start(tmp_path, 60, "without-edit", "without-edit-too", "raises").communicate()
    assert out, err
    assert err.index("trying 1 of 1: raises") < err.index("upper bound: the pipeline without work")
    # The bound of a stage is that of every finding about it.
    assert err.count("upper bound: the pipeline without work") == 1
    found, too = (json.loads(out)["findings"][name] for name in ("without-edit", "without-edit-too"))
    assert (too["measured"], too["status"], too["reason"]) == (found["measured"], found["status"], found["reason"])
    assert found["measured"]["replayed"] == ["stages.0"]
    assert len(found["measured"]["pairs"]) >= 6
    assert found["measured"]["other_cpu_ms_per_batch"] > 0
    beginnings = {"ceiling": "without work at most ", "rejected": "even without work no ", "unverified": "not tried"}
    assert found["reason"].startswith(beginnings[found["status"]])


def test_what_a_prefetch_gains_is_stated_with_dispatch_sync_and_with_a_step_in_flight(tmp_path: Path) -> None:
    out, err = start(tmp_path, 60, "overlap").communicate()
    assert out, err
    found = json.loads(out)["findings"]["overlap"]
    assert found["status"] == "kept", found
    other = found["measured"]["other_dispatch"]
    assert other["dispatch"] == 1
    assert len(other["pairs"]) >= 4
    # The same processes measure both: no other trial begins.
    assert "the other mode of dispatch" not in err


def test_no_stopped_worker_outlives_a_parent_that_was_killed_and_what_was_tried_is_saved(tmp_path: Path) -> None:
    process = start(tmp_path, 600, "other-batches", "parallel")
    until(process, "trying 2", "tick")
    assert len(psutil.Process(process.pid).children(recursive=True)) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    saved = load_profile(tmp_path / "saved.json")
    found = {finding.rule: finding.status for finding in saved.findings or ()}
    assert found == {"other-batches": "rejected", "parallel": "unverified"}
    assert saved.verification is not None
    assert saved.verification.tried == 1
