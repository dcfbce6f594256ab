"""Ends of a training script that are failures, not exceptions of its code; and the end of a worker's process."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pipeprof.pipelines.errors import PipelineFailedError


class ScriptEndedError(PipelineFailedError):
    """The run ended; each kind has a stable code."""

    code: str


class WriteRefusedError(ScriptEndedError):
    """The script would have overwritten or deleted a file before there was a step."""

    code = "write-before-steps"


class ProcessExitedError(ScriptEndedError):
    """The script ended its process by ``os._exit``."""

    code = "exited"


class SignalHandledError(ScriptEndedError):
    """The script's own handler of a signal ended it."""

    code = "killed"


_FROM_OUTSIDE = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
"""Signals that others send to end a process; a script's own timers send it others."""


def handled_signal(ending: BaseException) -> str | None:
    """Return the name of the signal whose handler, in Python, raised what ended the script; None where none did."""
    codes = {frame.f_code for frame, _ in traceback.walk_tb(ending.__traceback__) if _was_interrupted_for(frame)}
    for name in _FROM_OUTSIDE:
        handler: Any = signal.getsignal(getattr(signal, name))
        # A bound method has the code of its function.
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
        if code in codes:
            return name
    return None


def _was_interrupted_for(frame: FrameType) -> bool:
    """Whether a call has its caller's frame among its arguments, as a handler has that of what was interrupted."""
    values = list(frame.f_locals.values())
    # `def handler(*arguments)` has both in one.
    values += [one[1] for one in values if isinstance(one, tuple) and len(one) == 2]
    return frame.f_back is not None and any(one is frame.f_back for one in values)


def raise_oom_score() -> None:
    """Raise the OOM score, so that the kernel kills the worker first when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def end_at_once() -> NoReturn:
    """End the process without what Python does at its end.

    Processes of `multiprocessing` end before it: without their parent, each of them would print a traceback.
    """
    module = sys.modules.get("multiprocessing")
    if module is not None:
        with suppress(Exception):
            for child in module.active_children():
                child.kill()
    for stream in (sys.stdout, sys.stderr):
        # The user's code may have closed them.
        with suppress(Exception):
            stream.flush()
    os._exit(0)
