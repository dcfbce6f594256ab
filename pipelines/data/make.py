"""Making the files of a recipe in a process of its own, which may import TensorFlow.

The process gets a JSON job ``{"entry": {…}, "folder": "…", "parent": 123}`` on standard input. It writes JSON lines to
standard output: ``{"done": 3, "total": 10}``, and before a failure ``{"error": "…", "errno": 28}``.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any

from pipeprof.pipelines.data.recipes import Recipe, entry_of, recipe_of
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.host_files import die_with_parent, end_group, nameless_file, settle_temporary_folder
from pipeprof.pipelines.target.modules import child_command

MEND = "set PIPEPROF_CACHE_DIR to another folder"
Report = Callable[[int, int], None]
_SECONDS_BETWEEN_LINES = 0.1
_MAKERS = {"csv": "tables", "image_folder": "photos", "npy": "tables", "text": "tables", "tfrecord": "records"}


def make_in_child(name: str, recipe: Recipe, folder: Path, report: Report) -> None:
    """Make the files of an entry in its empty folder; whatever ends this early ends the process, too.

    Raises:
        PipeprofError: The process failed, or could not be started.
    """
    job = json.dumps({"entry": entry_of(recipe), "folder": str(folder), "parent": os.getpid()})
    failure: dict[str, Any] = {}
    with nameless_file() as noise:
        try:
            child = subprocess.Popen(
                child_command(__name__), stdin=PIPE, stdout=PIPE, stderr=noise, start_new_session=True, text=True
            )
        except OSError as error:
            msg = f"the process that generates {name} could not be started: {error.filename}: {error.strerror}"
            raise PipeprofError(msg) from error
        with child:
            try:
                assert child.stdin is not None  # noqa: S101 - for the type checker
                assert child.stdout is not None  # noqa: S101
                # A child that is already dead has its say through its exit code.
                with suppress(BrokenPipeError), child.stdin:
                    child.stdin.write(job)
                for line in child.stdout:
                    message = json.loads(line)
                    if "error" in message:
                        failure = message
                    else:
                        report(message["done"], message["total"])
                child.wait()
            finally:
                if child.poll() is None:
                    end_group(child.pid)
        if child.returncode != 0:
            noise.seek(0)
            lines = noise.read().decode(errors="replace").strip().splitlines()
            raise _failed(name, folder.parent, failure, child.returncode, lines)


def cannot_generate(name: str, folder: Path, error: OSError) -> PipeprofError:
    """The error for what the file system refuses, such as a full disk."""
    return PipeprofError(f"cannot generate {name} in {folder} ({error.strerror}); {MEND}")


def _failed(name: str, folder: Path, failure: dict[str, Any], code: int, lines: list[str]) -> PipeprofError:
    if failure.get("errno") is not None:
        return cannot_generate(name, folder, OSError(failure["errno"], os.strerror(failure["errno"])))
    if code < 0:
        hint = "; it may have run out of memory" if -code == signal.SIGKILL else ""
        return PipeprofError(f"the process that generates {name} was killed by {signal.Signals(-code).name}{hint}")
    said = failure.get("error") or (lines[-1] if lines else f"exit code {code}")
    return PipeprofError(f"generating {name} failed: {said}")


class Progress:
    """Counts finished items from several threads and reports them, ten times a second at most.

    Args:
        report: Called with (done, total), from one thread at a time; the last call has ``done == total``.
    """

    def __init__(self, total: int, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._done = 0
        self._report = report
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def advance(self, items: int = 1) -> None:
        """Count ``items`` more as finished."""
        with self._lock:
            self._done += items
            now = self._clock()
            if now >= self._next or self._done == self._total:
                self._next = now + _SECONDS_BETWEEN_LINES
                self._report(self._done, self._total)


def make(recipe: Recipe, folder: Path, report: Report) -> None:
    """Write the files of ``recipe`` into the empty ``folder``. Only images and records import TensorFlow."""
    module = importlib.import_module(f"pipeprof.pipelines.data.{_MAKERS[recipe.kind]}")
    getattr(module, f"make_{recipe.kind}")(recipe, folder, Progress(recipe.items(), report))


def main() -> int:
    """Do the job on standard input; returns the exit code."""
    job = json.load(sys.stdin)
    die_with_parent(job["parent"])
    settle_temporary_folder()
    # TensorFlow may write to descriptor 1; only the parent's messages belong there.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # A GPU is of no use here, and taking one would disturb whoever is using it.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    def say(**message: Any) -> None:
        messages.write(json.dumps(message) + "\n")
        messages.flush()

    try:
        make(recipe_of(job["entry"]), Path(job["folder"]), lambda done, total: say(done=done, total=total))
    except Exception as error:
        # TensorFlow reports a full disk in its own words.
        full = type(error).__name__ == "ResourceExhaustedError" and "space" in str(error)
        number = errno.ENOSPC if full else getattr(error, "errno", None)
        say(error=f"{type(error).__name__}: {error}", errno=number)
        raise
    return 0
