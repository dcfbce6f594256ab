"""Ends of a training script that are failures, not exceptions of its code; and the end of a worker's process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

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
