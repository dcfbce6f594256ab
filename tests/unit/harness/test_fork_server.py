"""When a worker is copied, and when it is started in the usual way; the servers are made up."""

from __future__ import annotations

import errno
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.harness import fork_server
from pipeprof.profiles.harness.fork_server import Copies

PIPES = range(8)


class Server:
    """A server that gets ready, or does not."""

    made: list[Server]
    ready = True

    def __init__(self) -> None:
        self.retired = self.closed = False
        self.signals: list[int] = []
        Server.made.append(self)

    def wait_until_ready(self, _is_readable: object) -> bool:
        return self.ready

    def copy(self, _pipes: object, _family: object) -> str | None:
        return "a copy"

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def retire(self) -> None:
        assert not self.retired
        self.retired = True

    def close(self) -> None:
        assert self.retired
        assert not self.closed
        self.closed = True


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Copies:
    monkeypatch.setattr(Server, "made", [], raising=False)
    monkeypatch.setattr(fork_server, "_LINUX", True)
    monkeypatch.setattr(fork_server, "ForkServer", Server)
    monkeypatch.setattr(fork_server, "start_process", lambda *given: f"new, with {given[2]}")
    return Copies()


def start(servers: Copies, **variables: str) -> Any:
    family: Any = SimpleNamespace()
    return servers.start(lambda _descriptor: True, PIPES, family, variables)


def closed() -> list[bool]:
    return [server.closed for server in Server.made]


def test_all_workers_but_those_with_variables_of_their_own_are_copies_of_one_server(servers: Copies) -> None:
    assert start(servers, OMP_NUM_THREADS="1") == "new, with {'OMP_NUM_THREADS': '1'}"
    assert Server.made == []
    assert [start(servers), start(servers)] == ["a copy"] * 2
    assert len(Server.made) == 1
    servers.close()
    assert closed() == [True]


@pytest.mark.parametrize(("what", "fails"), [("ready", False), ("copy", lambda *_: None)])
def test_a_server_that_cannot_copy_or_fails_to_is_ended_and_not_asked_again(servers, monkeypatch, what, fails):
    monkeypatch.setattr(Server, what, fails)
    assert [start(servers), start(servers)] == ["new, with {}"] * 2
    assert [(server.retired, server.closed) for server in Server.made] == [(True, False)]
    servers.close()


def test_a_server_that_cannot_be_started_stops_nobody(servers: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(fork_server, "ForkServer", refuse)
    assert [start(servers), start(servers)] == ["new, with {}"] * 2
    servers.close()


@pytest.mark.usefixtures("servers")
def test_only_linux_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "_LINUX", False)
    assert start(Copies()) == "new, with {}"
    assert Server.made == []


def test_a_server_that_was_begun_early_rests_until_it_makes_the_copies(servers: Copies) -> None:
    servers.begin()
    servers.pause()
    servers.begin()
    (server,) = Server.made
    assert server.signals == [signal.SIGSTOP]
    assert start(servers) == "a copy"
    assert server.signals == [signal.SIGSTOP, signal.SIGCONT]
    for _ in range(2):
        servers.close()
    assert (Server.made, closed()) == ([server], [True])
