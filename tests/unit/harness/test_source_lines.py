"""Files in which stages are written, as they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Caller, Stage
from pipeprof.profiles.harness.source_lines import shorten


def test_files_below_the_working_directory_are_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    callers = [Caller(file=str(tmp_path / "main.py"), line=1, function="main")]
    stages = [
        Stage(id="source", origin="written", op="range", location=Location(file="/elsewhere/input.py", line=3)),
        Stage(
            id="stages.0",
            origin="written",
            op="map",
            location=Location(file=str(tmp_path / "data" / "input.py"), line=7),
            called_from=callers,
        ),
        Stage(id="injected.0", origin="injected", op="prefetch"),
    ]
    shorten(stages)
    assert [stage.location and stage.location.file for stage in stages] == [
        "/elsewhere/input.py",
        "data/input.py",
        None,
    ]
    assert callers[0].file == "main.py"
