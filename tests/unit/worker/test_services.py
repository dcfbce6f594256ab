"""A tf.data service: what a run registers there, why it gives nothing, and the end of pipeprof's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType
from typing import Any

import pytest

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.harness import failure
from pipeprof.profiles.harness.failure import cause_of_error, cause_of_silence
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


AT = "localhost:7500"


@pytest.mark.parametrize(
    ("address", "there", "said"),
    [
        ("localhost:7500", False, "nothing listens at localhost:7500"),
        ("localhost", False, "no port is in localhost, the address of the dispatcher"),
        ("localhost:7500", True, "the tf.data service at localhost:7500 gave no element in this time"),
    ],
)
def test_silence_has_a_cause(monkeypatch: pytest.MonkeyPatch, address: str, there: bool, said: str) -> None:
    monkeypatch.setattr(failure, "listens", lambda _address: there)
    assert said in cause_of_silence(address)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("NotFoundError: Protocol 'xyz' is not available for worker localhost:1", "data_transfer_protocol 'xyz'"),
        ("Worker localhost:8202 is not in the workers list.", "does not know worker localhost:8202"),
        ("No credentials factory has been registered for protocol http. The available types are: [ grpc ]", "http://"),
        ("FailedPreconditionError: Round robin reads require that the dataset", "add repeat() before distribute"),
        ("ValueError: Could not find callback with key=pyfunc_3 in the registry", "Python runs in parse (in.py:7)"),
        ("NotFoundError: Iteration id 2000 not found", "was started anew without its state"),
        (
            "ResourceExhaustedError: Failed to get element: OOM when allocating tensor",
            "has no memory left for an element",
        ),
        (
            "ResourceExhaustedError: Failed to get element: Error in user-defined function passed to MapDataset:2 "
            "transformation with iterator: Iterator::Root::Map: OOM when allocating tensor",
            "has no memory left for an element",
        ),
        (
            "*** Check failure stack trace: ***\n @ grpc::internal::CallOpSendMessage::AddOp()\n"
            " @ tensorflow::data::DataServiceDispatcherClient::RegisterDataset()",
            "the graph of the dataset is larger than 2 GB",
        ),
    ],
)
def test_an_error_of_tensorflows_has_a_cause(message: str, said: str) -> None:
    assert said in (cause_of_error(message, [ErrorFrame("in.py", 7, "parse")]) or "")


def test_other_errors_have_no_cause_in_the_service() -> None:
    assert cause_of_error("InvalidArgumentError: Expected image (JPEG, PNG, or GIF)") is None
    on_worker = (
        "InvalidArgumentError: Failed to get element: Error in user-defined function passed to MapDataset:2 "
        "transformation with iterator: Iterator::Root::Map: Expected image (JPEG, PNG, or GIF)"
    )
    assert cause_of_error(on_worker, [ErrorFrame("in.py", 7, "parse")]) is None
    assert "Python runs in a stage before distribute" in (
        cause_of_error("Could not find callback with key=pyfunc_0") or ""
    )
