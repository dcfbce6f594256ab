"""How the end of a training script is told: as the script's, with what pipeprof has to do with it."""

from __future__ import annotations

import argparse
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from unit.harness.test_failure import around
from unit.worker.fakes import observed, phase

from pipeprof.profiles.harness.event_loop import Ended
from pipeprof.profiles.harness.failure import diagnose
from pipeprof.profiles.protocol.messages import Raised
from pipeprof.profiles.worker import ended
from pipeprof.profiles.worker.ended import ProcessExitedError, WriteRefusedError
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.steps.loop import NeverIteratedError

SCRIPT: Any = SimpleNamespace(
    job=SimpleNamespace(kind="script"),
    phase="build",
    pipeline=SimpleNamespace(written_graph=lambda: None, place_of=lambda _: None),
)


def raised_by(code: Any) -> Raised:
    try:
        code()
    except BaseException as error:
        return describe_error(error, SCRIPT)
    raise AssertionError


def refuse(error: BaseException) -> Any:
    def code() -> None:
        raise error

    return code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (refuse(EOFError("EOF when reading a line")), "gives a script no standard input"),
        (lambda: argparse.ArgumentParser().parse_args(["--epochs"]), "the script's own arguments follow `--`"),
    ],
)
def test_what_pipeprof_has_to_do_with_an_error(code: Any, words: str) -> None:
    assert words in raised_by(code).message


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NeverIteratedError("train.py never iterated"), "never-iterated", "Nothing to measure: train.py never"),
        (WriteRefusedError("train.py:3 would delete a"), "write-before-steps", "Nothing to measure: train.py:3 would"),
        (ProcessExitedError("os._exit(3)"), "exited", "Your code called exit"),
        (ValueError("no"), "raised", "The script raised an exception"),
    ],
)
def test_the_sentence_of_an_end(error: BaseException, code: str, words: str) -> None:
    message = raised_by(refuse(error))
    failure = diagnose(Ended("exit", 0), observed(phase("build"), message), around(script=True, stages={}))
    assert failure is not None
    assert (failure.problem.code, failure.exit_code) == (code, 5)
    assert failure.problem.message.startswith(words)


def test_an_end_that_nothing_raised_has_no_traceback() -> None:
    assert describe_error(ProcessExitedError("os._exit(3)"), SCRIPT).traceback is None


def test_processes_that_would_complain_end_before_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a pool prints a traceback where the other end of its pipe is gone."""
    happened: list[object] = []
    children = [SimpleNamespace(kill=lambda name=name: happened.append(name)) for name in ("one", "two")]
    monkeypatch.setitem(sys.modules, "multiprocessing", SimpleNamespace(active_children=lambda: children))  # type: ignore[arg-type]
    monkeypatch.setattr(ended.os, "_exit", happened.append)
    ended.end_at_once()
    assert happened == ["one", "two", 0]
