"""``pipeprof worker`` before it becomes TensorFlow's worker: what it refuses, and what it hands over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.profiles.service import ask
from pipeprof.profiles.service.ask import ServiceState

Pipeprof = Callable[..., Any]
AT = "localhost:5000"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[ServiceState], list[str]]:
    """Let a dispatcher answer; return the words that the process is replaced by."""

    def answer(state: ServiceState) -> list[str]:
        words: list[str] = []
        monkeypatch.setattr(ask, "listens", lambda *_: state.listens)
        monkeypatch.setattr(ask, "ask", lambda *_: state)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        monkeypatch.setattr(os, "execve", lambda _path, given, _environment: words.extend(given))
        return words

    return answer


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--dispatcher HOST:PORT"),
        (["--dispatcher", "http://h1:5000"], "--dispatcher: got 'http://h1:5000', expected host:port or grpc://"),
        (["--dispatcher", AT, "--address", "h1"], "--address: got 'h1', expected host:port"),
        (["--dispatcher", AT, "--port", "70000"], "--port: got 70000, expected a port from 1 to 65535"),
        (["--dispatcher", AT, "--trace-port", "x"], "--trace-port: got 'x'"),
        (["--dispatcher", AT, "--port", "9", "--trace-port", "9"], "9 is the port of the worker as well"),
    ],
)
def test_what_is_no_address_or_port_is_refused(pipeprof: Pipeprof, words: list[str], said: str) -> None:
    result = pipeprof("worker", *words)
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (ServiceState(AT, listens=False), f"nothing listens at {AT}, where the dispatcher should be"),
        (ServiceState(AT, listens=True), f"what listens at {AT} does not answer as the dispatcher"),
    ],
)
def test_a_dispatcher_that_is_none_ends_it(
    pipeprof: Pipeprof, answers: Callable[[ServiceState], list[str]], state: ServiceState, said: str
) -> None:
    words = answers(state)
    result = pipeprof("worker", "--dispatcher", f"grpc://{AT}", "--wait", "0.01")
    assert (result.code, words) == (5, [])
    assert said in result.err


def test_it_becomes_the_server(pipeprof: Pipeprof, answers: Callable[[ServiceState], list[str]]) -> None:
    words = answers(ServiceState(AT, True, ()))
    assert pipeprof("worker", "--dispatcher", AT).code == 0
    assert words[-4:] == [AT, "", "0", "0"]
    pipeprof("worker", "--dispatcher", AT, "--address", "w:1", "--port", "1", "--trace-port", "2")
    assert words[-4:] == [AT, "w:1", "1", "2"]
    assert "serving.serve" in words[-5]
