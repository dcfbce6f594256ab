"""Timed calls of a Python function of the pipeline, a part of the trace's message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PythonCalls:
    """Calls of one Python function in the trace window.

    Attributes:
        seconds: In them by the wall clock, without TensorFlow's conversions and waiting for the GIL before the call.
        contended_seconds: Not on a core, in calls that began or ended while another one was under way.
        function: Its name; None for an object without one.
        file: Where it is.
        line: Its first.
    """

    calls: int
    seconds: float
    cpu_seconds: float
    contended_seconds: float = 0.0
    function: str | None = None
    file: str | None = None
    line: int | None = None
