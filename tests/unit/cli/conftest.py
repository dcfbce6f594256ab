"""A harness that measures nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.patches import FUNCTION, TEXT, Harness
from tests.unit.cli.reports import Recorded


@pytest.fixture
def harness(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Measures nothing; the current folder has a spec, a function and a folder for what is saved."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(TEXT)
    Path("train.py").write_text(FUNCTION)
    Path("pipeprof-out").mkdir()
    found = Harness(recorded("input-bound"))
    found.profile.command = ["pipeprof", "run", "spec.yaml"]
    for command, tries in (("run", "try_changes"), ("fix", "find_best")):
        monkeypatch.setattr(f"pipeprof.cli.commands.{command}.run_sample", found.run_sample)
        monkeypatch.setattr(f"pipeprof.cli.commands.{command}.{tries}", found.try_changes)
    return found
