"""A worker that is lost after the measurement: a warning says so, and what is not known for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import DONE, beat, drained, measured, observed, phase

from pipeprof.profiles.harness.event_loop import Ended, Reason
from pipeprof.profiles.harness.harness import Run
from pipeprof.profiles.protocol.messages import UNTRACED, Trace


def warnings(reason: Reason, *messages: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    run = SimpleNamespace(_observed=observed(*messages), warn=lambda code, text: found.append((code, text)))
    Run._note_lost_end(run, Ended(reason, -9))
    return found


MEASURED = (phase("measure"), measured(drained()), phase("trace"))


def test_a_trace_that_was_given_up_is_a_warning() -> None:
    assert warnings("long-trace", *MEASURED) == [("no-trace", f"The trace took too long and was stopped: {UNTRACED}.")]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("exit", "died"),
        ("hung", "hung"),
        ("memory-limit", "reached the memory limit"),
        ("max-time", "reached --max-time"),
    ],
)
def test_a_worker_that_is_lost_while_tracing(reason: Reason, words: str) -> None:
    lost = f"The worker {words} after the measurement, in phase trace"
    assert warnings(reason, *MEASURED) == [("lost-end", f"{lost}: {UNTRACED}.")]
    assert warnings(reason, *MEASURED, Trace()) == [("lost-end", f"{lost}.")]


@pytest.mark.parametrize(
    ("reason", "messages"),
    [("exit", (*MEASURED, DONE)), ("exit", (phase("measure"), beat(3))), ("interrupted", MEASURED)],
)
def test_other_ends_are_told_elsewhere(reason: Reason, messages: tuple[Any, ...]) -> None:
    assert warnings(reason, *messages) == []
