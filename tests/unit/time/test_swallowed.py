"""Warnings about errors that `ignore_errors` hides."""

from __future__ import annotations

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.stage_notes import swallowed_message

LOAD = Stage(id="stages.0", origin="written", op="map", name="load")
END = Stage(id="stages.1", origin="written", op="ignore_errors")


def test_counted_errors() -> None:
    note = swallowed_message(LOAD, END, 615, 9.8)
    assert note.stages == ["stages.0", "stages.1"]
    assert "of 615 elements that went into load (map), at least 10 (1.6 %) raised one" in note.message
    assert note.message.endswith("`ignore_errors(log_warning=True)` prints them.")
