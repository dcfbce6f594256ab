"""The headline is told as soon as it is known, before the trace, and stays; a worker that is lost then is a warning."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import DONE, FakeSampler, beat, changes, drained, facts, measured, observed, phase, phase_end

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness import harness
from pipeprof.profiles.harness.event_loop import Ended, Reason
from pipeprof.profiles.harness.harness import Run
from pipeprof.profiles.protocol.messages import UNTRACED, Trace
from pipeprof.profiles.protocol.options import Options

KNOWN = (phase("measure"), measured(drained()), phase_end("measure", peak=1), phase("trace"))


class Events(list[str]):
    """What happens, as the progress and the report see it."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        del seconds_expected
        self.append(name)

    def close(self) -> None:
        self.append("closed")

    def tell(self, profile: Profile) -> None:
        assert profile.verdict is not None
        self.append(profile.verdict.headline)


class Sampled(FakeSampler):
    """A sampler that follows."""

    started = 100.0

    def sample(self) -> None:
        pass

    def enter_phase(self, name: str) -> None:
        pass


def run(events: Events, *messages: Any, kind: str = "function", tells: bool = True) -> Run:
    made = Run.__new__(Run)
    made._options = Options(target=ParsedTarget(kind, Path("train.py")))  # type: ignore[arg-type]
    made._observed, made._facts = observed(*messages), facts()
    made._facts.sampler_cores = 0.0
    made._progress, made._tell = events, events.tell if tells else None  # type: ignore[assignment]
    made._early = None
    made._headline, made._phases_told = None, 1
    made._outside = SimpleNamespace(is_open=False)  # type: ignore[assignment]
    return made


def test_the_headline_is_told_once_before_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()
    monkeypatch.setattr(harness, "slips_in", lambda *_: ())
    made = run(events, *KNOWN)
    made._follow_phases(Sampled())  # type: ignore[arg-type]
    assert events == ["replay"]
    for message in ({"trace_ends_in": 12.0}, Trace()):
        made._observed.take(changes(message))
        made._follow_phases(Sampled())  # type: ignore[arg-type]
    assert events == ["replay", "closed", made._headline, "trace"]
    assert made._headline
    # Whatever is known later.
    made._headline = "As it was told."
    profile = made._concluded(Sampled())  # type: ignore[arg-type]
    assert profile.verdict is not None
    assert profile.verdict.headline == "As it was told."


def test_a_command_that_tells_nothing_yet_only_follows() -> None:
    events = Events()
    made = run(events, *KNOWN, {"trace_ends_in": 12.0}, tells=False)
    made._follow_phases(Sampled())  # type: ignore[arg-type]
    assert events == ["replay", "closed", "trace"]
    assert not made._headline


def test_of_a_script_nothing_is_told_before_its_device_was_traced() -> None:
    events = Events()
    made = run(events, *KNOWN, {"trace_ends_in": 12.0}, kind="script")
    made._follow_phases(Sampled())  # type: ignore[arg-type]
    assert events == ["trace"]


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
