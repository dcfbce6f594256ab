"""When a worker is copied, and when it is started in the usual way; the servers are made up."""

from __future__ import annotations

import errno
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.harness import fork_server
from pipeprof.profiles.harness.fork_server import EarlyServer, ForkServers

PIPES = range(8)


class Server:
    """A server that gets ready, or does not."""

    made: list[Server]
    ready = True

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self.retired = self.closed = False
        self.signals: list[int] = []
        Server.made.append(self)

    def wait_until_ready(self, _is_readable: object) -> bool:
        return self.ready

    def copy(self, _pipes: object, _family: object) -> str | None:
        return f"a copy with {self.variables}"

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
def servers(monkeypatch: pytest.MonkeyPatch) -> ForkServers:
    monkeypatch.setattr(Server, "made", [], raising=False)
    monkeypatch.setattr(fork_server, "_LINUX", True)
    monkeypatch.setattr(fork_server, "ForkServer", Server)
    monkeypatch.setattr(fork_server, "start_process", lambda *given: f"new, with {given[2]}")
    return ForkServers(lambda _descriptor: True)


def start(servers: ForkServers, **variables: str) -> Any:
    family: Any = SimpleNamespace()
    return servers.start(PIPES, family, variables)


def retired() -> list[bool]:
    return [server.retired for server in Server.made]


def closed() -> list[bool]:
    return [server.closed for server in Server.made]


def test_all_workers_of_an_environment_are_copies_of_one_server(servers: ForkServers) -> None:
    assert [start(servers), start(servers)] == ["a copy with {}"] * 2
    assert len(Server.made) == 1
    servers.close()
    assert closed() == [True]


def test_there_is_one_server_for_another_environment_at_a_time(servers: ForkServers) -> None:
    assert start(servers) == "a copy with {}"
    assert start(servers, OMP_NUM_THREADS="1") == "a copy with {'OMP_NUM_THREADS': '1'}"
    assert start(servers, OMP_NUM_THREADS="1") == "a copy with {'OMP_NUM_THREADS': '1'}"
    assert start(servers, OMP_NUM_THREADS="2") == "a copy with {'OMP_NUM_THREADS': '2'}"
    assert start(servers) == "a copy with {}"
    assert retired() == [False, True, False]
    # Copies of the one that is no longer asked may still run.
    assert not any(closed())
    servers.close()
    assert closed() == [True] * 3


def test_a_server_that_cannot_copy_is_ended_and_not_asked_again(
    servers: ForkServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "ready", False)
    assert [start(servers), start(servers)] == ["new, with {}"] * 2
    assert (retired(), closed()) == ([True], [False])
    servers.close()


def test_a_server_that_cannot_be_started_stops_nobody(servers: ForkServers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(fork_server, "ForkServer", refuse)
    assert [start(servers), start(servers)] == ["new, with {}"] * 2
    servers.close()


def test_a_server_that_fails_to_copy_is_given_up(servers: ForkServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "copy", lambda *_: None)
    assert [start(servers), start(servers)] == ["new, with {}"] * 2
    assert (retired(), closed()) == ([True], [False])


def test_only_linux_copies(servers: ForkServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "_LINUX", False)
    assert start(servers) == "new, with {}"
    assert Server.made == []


def test_an_early_server_rests_until_it_is_taken_and_makes_the_copies(servers: ForkServers) -> None:
    early = EarlyServer()
    early.begin()
    early.pause()
    early.begin()
    (server,) = Server.made
    assert server.signals == [signal.SIGSTOP]
    taken: Any = early.take()
    assert server.signals == [signal.SIGSTOP, signal.SIGCONT]
    early.close()
    servers = ForkServers(lambda _descriptor: True, taken)
    assert [start(servers), Server.made] == ["a copy with {}", [taken]]
    servers.close()
    assert closed() == [True]


@pytest.mark.usefixtures("servers")
def test_an_early_server_that_nobody_takes_is_ended() -> None:
    early = EarlyServer()
    early.begin()
    early.close()
    assert closed() == [True]
    assert EarlyServer().take() is None
