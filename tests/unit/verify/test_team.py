"""A team of workers that are made up: what becomes of an answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.protocol.messages import Raised, WorkerMessage
from pipeprof.profiles.protocol.turn_messages import Built, EditRefused
from pipeprof.profiles.protocol.turns import BatchDigest
from pipeprof.profiles.verify import team
from pipeprof.profiles.verify.team import MemberFailedError, Team

BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)


class Worker:
    """A process that has said one thing and waits; its pipes are ready to be read."""

    def __init__(self, said: WorkerMessage, _family: object) -> None:
        self.messages, write = os.pipe()
        os.close(write)
        self.printed = self.messages
        self.returncode = None
        self.state = "runs"
        self._said = [said]

    def read_messages(self) -> list[WorkerMessage]:
        said, self._said = self._said, []
        return said

    def read_output(self) -> None: ...

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


def jobs(**said: WorkerMessage) -> Any:
    return said


def states(made: Team) -> dict[str, str]:
    return {name: member.worker.state for name, member in made._members.items()}


def test_workers_that_are_ready_are_stopped(made: Team) -> None:
    assert made.start(jobs(A1=BUILT, B1=BUILT), seconds=5.0) == {"A1": BUILT, "B1": BUILT}
    assert states(made) == {"A1": "is stopped", "B1": "is stopped"}


def test_one_that_refuses_says_nothing_against_the_edit(made: Team) -> None:
    with pytest.raises(MemberFailedError, match="writes files") as caught:
        made.start(jobs(A1=EditRefused("writes files")), seconds=5.0)
    assert (caught.value.name, caught.value.refused, caught.value.crowded) == ("A1", True, False)


def test_one_that_fails_is_ended_and_the_others_go_on(made: Team) -> None:
    raised = Raised("build", "raised", "ValueError: no\nmore of it")
    found = made.start_each(jobs(A1=BUILT, C1=raised, C2=EditRefused("writes files")), seconds=5.0)
    assert found["A1"] == BUILT
    assert [(str(found[name]), found[name].refused) for name in ("C1", "C2")] == [
        ("raised: ValueError: no", False),
        ("writes files", True),
    ]
    assert states(made) == {"A1": "is stopped"}
