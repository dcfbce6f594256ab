"""Changes that are tried with real workers: what becomes of their findings, and that nobody is left behind."""

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


def until_it_races(process: forked.Started) -> None:
    """Read what the session says until its first round is over."""
    for line in process.stderr:
        if line.startswith("tick"):
            return
    pytest.fail("the session ended before its first round")


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A session that is interrupted in the middle of its race."""
    folder = tmp_path_factory.mktemp("tried")
    process = start(folder, 600, "other-batches", "raises", "parallel")
    until_it_races(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("other-batches", "rejected", "batch 1 has 4 elements instead of 8"),
        ("raises", "rejected", "the dataset is empty"),
        ("parallel", "unverified", ""),
    ],
)
def test_each_change_is_what_it_was_tried_as(tried: dict[str, Any], name: str, status: str, reason: str) -> None:
    found = tried["findings"][name]
    assert found["status"] == status
    assert reason in found["reason"]
    assert (tried["exit_code"], tried["verification"]["tried"]) == (130, 3)


def test_where_there_is_no_change_the_stage_is_replaced_by_a_replay(tmp_path: Path) -> None:
    out, err = start(tmp_path, 60).communicate()
    assert out, err
    assert err.count("upper bound: the pipeline without work") == 1
    ended = json.loads(out)
    # Whether it gains depends on the machine.
    bounds = [one["measured"]["replayed"] for one in ended["findings"].values() if one["status"] == "ceiling"]
    assert bounds == [["stages.0"]] or len(ended["verification"]["bounds"]) == 1, ended


def test_no_stopped_worker_outlives_a_parent_that_was_killed_and_the_run_is_saved(tmp_path: Path) -> None:
    process = start(tmp_path, 600, "other-batches", "parallel")
    until_it_races(process)
    assert len(psutil.Process(process.pid).children(recursive=True)) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(load_profile(tmp_path / "saved.json").findings or ()) == 2
