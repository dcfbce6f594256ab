"""Which service the Python code of TensorFlow waits for."""

from __future__ import annotations

import sys
from types import FrameType

from pipeprof.profiles.worker.services import awaited_service

REGISTERS = """
import sys

def register(service, address):
    return waits()

def waits():
    return sys._getframe()
"""


def frame_in(module: str, address: str) -> FrameType:
    """The innermost frame of a call that a module's function makes with an address."""
    made: dict[str, object] = {"__name__": module}
    exec(REGISTERS, made)
    register = made["register"]
    assert callable(register)
    frame = register("grpc", address)
    assert isinstance(frame, FrameType)
    return frame


def test_the_address_is_that_of_the_call_which_waits() -> None:
    frame = frame_in("tensorflow.python.data.experimental.ops.data_service_ops", "grpc://localhost:5000")
    assert awaited_service([sys._getframe(), frame]) == "localhost:5000"


def test_code_that_waits_for_no_service_has_none() -> None:
    assert awaited_service([sys._getframe(), frame_in("train", "grpc://localhost:5000")]) is None
