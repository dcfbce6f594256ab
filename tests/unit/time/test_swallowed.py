"""Warnings about errors that `ignore_errors` hides, with an example where one was seen."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.protocol.messages import Swallowed
from pipeprof.profiles.time.stage_notes import swallowed_message

LOAD = Stage(id="stages.0", origin="written", op="map", name="load")
END = Stage(id="stages.1", origin="written", op="ignore_errors")
SEEN = Swallowed("InvalidArgumentError: Expected size[0] in [0, 171], but got 172.", 3, 205)


@pytest.mark.parametrize("seen", [None, SEEN])
def test_counted_errors(seen: Swallowed | None) -> None:
    note = swallowed_message(END, LOAD, 615, 9.8, seen)
    assert note.stages == ["stages.0", "stages.1"]
    assert "of 615 elements that went into load (map), at least 10 (1.6 %) raised one" in note.message
    assert note.message.endswith("`ignore_errors(log_warning=True)` prints them.")
    shown = "The first error: InvalidArgumentError: Expected size[0] in [0, 171], but got 172. `"
    assert (shown in note.message) is (seen is not None)


def test_errors_that_the_counters_do_not_show() -> None:
    note = swallowed_message(END, None, SEEN.elements, SEEN.errors, SEEN)
    assert note.stages == ["stages.1"]
    assert "of 205 elements that were read before it after the measurement, 3 (1.5 %) raised one" in note.message
    assert "The first error: InvalidArgumentError" in note.message
