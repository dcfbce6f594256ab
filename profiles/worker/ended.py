"""Ends of a worker: of a script, as failures and not exceptions of its code; the words of errors; the process."""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError
from pipeprof.profiles.user_frames import text_of


class ScriptEndedError(PipelineFailedError):
    """The run ended; each kind has a stable code."""

    code: str


class WriteRefusedError(ScriptEndedError):
    """The script would have overwritten or deleted a file before there was a step."""

    code = "write-before-steps"


class ProcessExitedError(ScriptEndedError):
    """The script ended its process by ``os._exit``."""

    code = "exited"


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


class OneEnd:
    """The end of a measurement, for which several threads may come: the first one ends it.

    Attributes:
        reason: Why it is to come, from when on enough was measured.
        failed: Whether it comes with an error of the script's: then nothing is traced, as an error belongs to the phase
            in which it came.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.failed = False
        self._claiming = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a thread came for it."""
        return self._thread is not None

    @property
    def is_here(self) -> bool:
        """Whether this thread was the first."""
        return self._thread is threading.current_thread()

    @property
    def went_on(self) -> bool:
        """Whether the process goes on after the measurement."""
        return self._over.is_set()

    def claim(self) -> bool:
        """Return whether this thread is the first; where another one is, wait until the process ends, or goes on."""
        with self._claiming:
            first = self._thread is None
            self._thread = self._thread or threading.current_thread()
        if not self.is_here:
            self._over.wait()
        return first

    def go_on(self) -> None:
        """Let the other threads go on."""
        self._over.set()


LONGEST = 400
_NOISE = (
    # AutoGraph's prefix of an error; the place is reported separately.
    re.compile(r"in user code:\n.*\n\s+(?:[\w.]+(?:Error|Exception): )?", re.DOTALL),
    re.compile(r"\x1b\[[0-9;]*[A-Za-z]"),
    re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*"),
    re.compile(r"Error in user-defined function passed to \S+ transformation with iterator: \S+: "),
    re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL),
    re.compile(r"\n\s*\[\[.*", re.DOTALL),
    # Text that `tf.debugging` and `list_files` put around the cause.
    re.compile(r"Expected '[^']*' to be true\. Summarized data: "),
    re.compile(r"\s*\[Op:\w+\](?: name:.*)?", re.DOTALL),
)


def essence(text: str) -> str:
    """Shorten a TensorFlow error to its cause, without nodes, tracebacks and op names."""
    for noise in _NOISE:
        text = noise.sub("", text)
    sentence = " ".join(text.split())
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"


def underlying(error: BaseException) -> BaseException:
    """The user's exception in AutoGraph's `StagingError`, which takes the place of classes it cannot create again."""
    while type(error).__name__ == "StagingError" and error.__context__ is not None:
        error = error.__context__
    return error


def first_line(error: BaseException) -> str:
    """Return the class and the first line of an error; a sentence of our own needs no class."""
    error = underlying(error)
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else text_of(error.code, repr)})"
    said = essence(text_of(error))
    if isinstance(error, PipeprofError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
