"""A team of workers that are made up: what becomes of an answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.experiment import team
from pipeprof.profiles.experiment.team import OutOfTimeError, Team
from pipeprof.profiles.host.limits import OomReport
from pipeprof.profiles.protocol.channel import Changes
from pipeprof.profiles.protocol.messages import Raised
from pipeprof.profiles.protocol.turns import BatchDigest, Built

BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)


class Worker:
    """A process that has said one thing and waits, or that a signal has ended; its pipes are ready to be read."""

    def __init__(self, said: Any, _family: object, _start: object) -> None:
        self.messages, write = os.pipe()
        os.close(write)
        self.printed = self.messages
        self.returncode = -said if isinstance(said, int) else None
        self.state = "runs"
        self._said = [] if isinstance(said, int) else [{"built": said} if isinstance(said, Built) else said]

    def read_messages(self) -> list[Changes]:
        said, self._said = self._said, []
        return said

    def read_output(self) -> None: ...

    @property
    def output(self) -> Any:
        return SimpleNamespace(text=lambda: self.printed_text)

    printed_text = ""

    def pause(self) -> None:
        self.state = "is stopped"

    def end(self) -> None:
        self.state = "has ended"

    def close(self) -> None:
        os.close(self.messages)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    reader, writer = os.pipe()
    monkeypatch.setattr(team, "WorkerProcess", Worker)
    monkeypatch.setattr(team, "RunFamily", lambda: SimpleNamespace(__exit__=lambda *_: None))
    signals: Any = SimpleNamespace(read_fd=reader, asked=None)
    with Team(signals, None).closing() as found:
        yield found
    os.close(reader)
    os.close(writer)


def dead(made: Team, monkeypatch: pytest.MonkeyPatch, number: int, oom: OomReport, printed: str = "") -> Any:
    monkeypatch.setattr(made, "_oom", SimpleNamespace(report=lambda: oom))
    monkeypatch.setattr(Worker, "printed_text", printed)
    return dict(made.start({"A1": BUILT, "B1": number}, seconds=5.0))["B1"]


def states(made: Team) -> dict[str, str]:
    return {name: member.worker.state for name, member in made._members.items()}


def test_workers_that_are_ready_are_stopped(made: Team) -> None:
    assert dict(made.start({"A1": BUILT, "B1": BUILT}, seconds=5.0)) == {"A1": BUILT, "B1": BUILT}
    assert states(made) == {"A1": "is stopped", "B1": "is stopped"}


def test_no_worker_is_waited_for_when_the_time_of_the_command_is_over(made: Team) -> None:
    made._end_at = made._clock() + 3600
    assert dict(made.start({"A1": BUILT}, seconds=5.0)) == {"A1": BUILT}
    made._end_at = made._clock()
    with pytest.raises(OutOfTimeError):
        list(made.start({"B1": BUILT}, seconds=5.0))


def test_one_that_fails_is_ended_and_the_others_go_on(made: Team) -> None:
    raised = {"error": Raised("raised", "ValueError: no\nmore of it")}
    found: Any = dict(made.start({"A1": BUILT, "C1": raised, "C2": {"refused": "writes files"}}, seconds=5.0))
    assert found["A1"] == BUILT
    said = [(str(found[name]), found[name].refused) for name in ("C1", "C2")]
    assert said == [("raised: ValueError: no", False), ("writes files", True)]
    assert states(made) == {"A1": "is stopped"}


def test_the_end_of_a_services_process_says_nothing_against_the_edit(made: Team) -> None:
    raised = {"error": Raised("service", "worker 1 of 2 was killed")}
    ((_, error),) = made.start({"A1": raised}, seconds=5.0)
    assert (str(error), error.outside) == ("worker 1 of 2 was killed", True)


def test_a_kill_for_lack_of_memory_says_nothing_against_one_alone(made: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    oom = OomReport(True, by="cgroup", limit_bytes=2 << 30)
    error = dead(made, monkeypatch, signal.SIGKILL, oom)
    assert error.reason == "was killed by the kernel at the memory limit of 2.00 GiB of its control group"
    assert (error.name, error.crowded, error.outside) == ("B1", True, False)


@pytest.mark.parametrize(
    ("number", "printed", "reason", "outside"),
    [
        (signal.SIGKILL, "", "was ended by SIGKILL", True),
        (signal.SIGTERM, "", "was ended by SIGTERM", True),
        (signal.SIGSEGV, "", "was ended by SIGSEGV", False),
        (signal.SIGABRT, "", "was ended by SIGABRT", False),
        (signal.SIGABRT, "std::bad_alloc", "could not allocate memory", False),
    ],
)
def test_what_ended_a_worker_is_named(
    number: int, printed: str, reason: str, outside: bool, made: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = dead(made, monkeypatch, number, OomReport(False), printed)
    assert (error.reason, error.outside, error.crowded) == (reason, outside, False)


def test_the_time_in_which_this_process_was_stopped_does_not_count(made: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Worker):
        looks = 0

        def read_messages(self) -> list[Changes]:
            self.looks += 1
            return [] if self.looks == 1 else super().read_messages()

    moments = iter([0.0, 0.0, 0.0, 1000.0, *[1000.0] * 20])
    monkeypatch.setattr(made, "_clock", lambda: next(moments))
    monkeypatch.setattr(team, "WorkerProcess", Late)
    assert dict(made.start({"A1": BUILT}, seconds=5.0)) == {"A1": BUILT}
