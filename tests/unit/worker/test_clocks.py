"""Clocks of the worker, which the code that is measured cannot replace."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from pipeprof.pipelines import clocks
from pipeprof.profiles.worker.steps import loop

PIPELINES = Path(clocks.__file__).parent
ROOMS = (PIPELINES / "steps", PIPELINES.parent / "profiles" / "worker")


def test_code_that_freezes_time_does_not_stop_the_clock_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("perf_counter_ns", "perf_counter", "monotonic", "process_time_ns", "thread_time_ns"):
        monkeypatch.setattr(time, name, lambda: 0)
        assert getattr(clocks.time, name)() > 0
    assert loop.time is clocks.time


def test_no_other_module_of_the_worker_uses_the_shared_clock() -> None:
    files = [file for room in ROOMS for file in room.rglob("*.py")]
    assert len(files) > 30
    for file in files:
        imported = {
            alias.name
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "time" not in imported, file
