"""The services that a pipeline reads from: which its code waits for, and the end of one of pipeprof's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType
from typing import Any

import pytest

from pipeprof.profiles.worker.services import SEND_BYTES, BuildWatch, LocalService, awaited_service, wait_for_end

REGISTERS = """
import sys
waits = lambda: sys._getframe()
def register(service, address): return waits()
"""


def frame_in(module: str, address: str) -> FrameType:
    """The innermost frame of a call that a module's function makes with an address."""
    made: dict[str, Any] = {"__name__": module}
    exec(REGISTERS, made)
    return made["register"]("grpc", address)


def test_the_address_is_that_of_the_call_which_waits() -> None:
    own, users = sys._getframe(), frame_in("train", "grpc://localhost:5000")
    frame = frame_in("tensorflow.python.data.experimental.ops.data_service_ops", "grpc://localhost:5000")
    assert awaited_service([own, frame]) == "localhost:5000"
    assert awaited_service([own, users]) is None


def test_growth_of_a_build_is_told_once_for_each_step_of_it() -> None:
    resident = iter([SEND_BYTES, 2 * SEND_BYTES - 1, 2 * SEND_BYTES, 2 * SEND_BYTES + 1, None, 3 * SEND_BYTES])
    sent: list[Any] = []
    watch = BuildWatch(lambda **changes: sent.append(changes), lambda: next(resident))
    told = []
    for _ in range(5):
        watch.look()
        told.append(len(sent))
    assert told == [0, 1, 1, 1, 2]
    assert sent == [{"grows": True}] * 2


@pytest.mark.parametrize(
    ("number", "how", "said"),
    [
        (1, signal.SIGKILL, "worker 1 of 2 of the local tf.data service was killed (SIGKILL): from outside, or by the"),
        (2, signal.SIGTERM, "worker 2 of 2 of the local tf.data service was ended by SIGTERM"),
        (0, None, "the dispatcher of the local tf.data service ended with exit status 1"),
    ],
)
def test_the_end_of_a_process_is_named(number: int, how: signal.Signals | None, said: str) -> None:
    waits = [sys.executable, "-S", "-c", "raise SystemExit(len(input()))"]
    started = [subprocess.Popen(waits, stdin=subprocess.PIPE) for _ in range(3)]
    one = started[number]
    assert one.stdin is not None
    if how is not None:
        one.send_signal(how)
    else:
        one.stdin.write(b"x\n")
        one.stdin.flush()
    try:
        assert wait_for_end(LocalService("localhost:1", tuple(process.pid for process in started))).startswith(said)
    finally:
        for process in started:
            process.kill()
            process.communicate()
