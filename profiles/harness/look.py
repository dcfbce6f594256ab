"""The process that builds targets for `check`, as its parent sees it: started once, for any number of them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.pipelines.host_files import nameless_file
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.harness.process import WorkerOutput
from pipeprof.profiles.host.run_family import LedProcess, RunFamily
from pipeprof.profiles.protocol.job import as_pairs
from pipeprof.profiles.protocol.look import READY, LookAnswer, LookJob
from pipeprof.profiles.protocol.records import decode_record, encode_record

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget

START_SECONDS = 300.0
"""For TensorFlow's import, which takes a minute from a cold disk."""
SECONDS = 120.0
"""For the dataset of one target."""
_LOOK_SECONDS = 0.2
"""Between two looks at whether the process still runs."""
_WITHOUT = "`pipeprof check --no-build` only reads the text"
_NO_DEVICES = {"CUDA_VISIBLE_DEVICES": "-1"}
"""Nothing is computed, and a copy of a process could not use a device that it has opened."""


class NotMadeError(PipeprofError):
    """A spec can only be built once its data has been made."""


class Looker:
    """Builds specs with placeholders for their data, and calls functions, in another process.

    Args:
        seconds: For each.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._started: _Started | None = None

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def look_at(self, target: ParsedTarget, loaded: LoadedSpec | None) -> LookAnswer:
        """The graph of a target as written.

        Args:
            loaded: The spec; None for a function.

        Raises:
            SpecError: TensorFlow refuses it.
            UsageError: The function is none, or its arguments do not fit.
            NotMadeError: It reads data that has not been made.
            PipelineFailedError: The user's Python raised, or building did not come to its end.
            PipeprofError: The process could not be started, or TensorFlow is not there.
        """
        if self._started is None or not self._started.runs:
            self._end()
            self._started = _Started()
        job = LookJob(str(target), str(target.path), list(target.arguments))
        if loaded is not None:
            job = replace(job, data=as_pairs(loaded.data), base_dir=str(loaded.base_dir), made=_made(loaded))
        try:
            answer = self._started.ask(job, self._seconds)
        except BaseException:
            self._end()
            raise
        if not sys.platform.startswith("linux"):
            # It answers once.
            self._end()
        if answer.kind:
            raise error_of(answer, str(target), loaded)
        return answer

    def _end(self) -> None:
        if self._started is not None:
            self._started.end()
            self._started = None


def _made(loaded: LoadedSpec) -> dict[str, str]:
    """Folders of the entries under ``data:`` that have been made."""
    if not loaded.spec.data:
        return {}
    from pipeprof.pipelines.data.cache import locate
    from pipeprof.pipelines.data.recipes import entry_name

    try:
        folder = locate().folder
    except PipeprofError:
        return {}
    made = {name: folder / entry_name(recipe) for name, recipe in loaded.spec.data.items()}
    return {name: str(path) for name, path in made.items() if path.is_dir()}


def error_of(answer: LookAnswer, target: str, loaded: LoadedSpec | None) -> PipeprofError:
    """What a user is told of a target that could not be built."""
    if answer.kind == "spec" and loaded is not None:
        address = f"{answer.address}.{answer.op_path}" if answer.op_path else answer.address
        return loaded.error_at(address, "build", answer.message)
    if answer.kind == "installation":
        return PipeprofError(f"{answer.message}; {_WITHOUT}")
    if answer.kind == "ended":
        return PipelineFailedError(f"{target}: the process that built it ended ({answer.message}); {_WITHOUT}")
    if answer.kind == "target":
        return UsageError(answer.message)
    place = loaded.locate(answer.address) if loaded is not None and answer.address else None
    said = f"{place or target}: {answer.message}"
    if answer.kind == "unmade":
        return NotMadeError(f"{said}: `pipeprof run {target}` makes the data; until then only the text is checked")
    return PipelineFailedError("\n".join([said, *(f"    {line}" for line in answer.lines)]))


class _Started:
    """The process, with the ends of its pipes.

    Raises:
        PipeprofError: It cannot be started.
    """

    def __init__(self) -> None:
        self._printed: IO[bytes] = nameless_file()
        self._family = RunFamily()
        reads, self._jobs = os.pipe()
        self._answers, writes = os.pipe()
        self._unread = b""
        self._is_ready = False
        try:
            command = child_command("pipeprof.profiles.worker.look", str(writes))
            self._process: LedProcess = self._family.start(
                command, (reads, self._printed, self._printed), (writes,), _NO_DEVICES
            )
        except OSError as error:
            self._close()
            self._family.__exit__()
            raise PipeprofError(f"the process could not be started: {error.strerror or error}") from error
        finally:
            os.close(reads)
            os.close(writes)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(self, job: LookJob, seconds: float) -> LookAnswer:
        """Have a target built.

        Raises:
            PipeprofError: There is no answer in time, or at all.
        """
        if not self._is_ready:
            line = self._line(START_SECONDS)
            if line is None:
                raise PipeprofError(f"TensorFlow was not loaded after {START_SECONDS:g} s; {_WITHOUT}")
            if line != READY:
                return decode_record(LookAnswer, json.loads(line))
            self._is_ready = True
        text = encode_record(job).encode()
        with contextlib.suppress(BrokenPipeError):
            while text:
                text = text[os.write(self._jobs, text) :]
        line = self._line(seconds)
        if line is None:
            raise PipelineFailedError(f"{job.target}: its dataset was not built after {seconds:g} s; {_WITHOUT}")
        return decode_record(LookAnswer, json.loads(line))

    def _line(self, seconds: float) -> bytes | None:
        """The next line of its answers; None where it does not come in time."""
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            if left <= 0:
                return None
            if select.select([self._answers], [], [], min(left, _LOOK_SECONDS))[0]:
                data = os.read(self._answers, 1 << 16)
                if not data:
                    raise self._ended()
                self._unread += data
            elif not self.runs:
                raise self._ended()
        line, _, self._unread = self._unread.partition(b"\n")
        return line + b"\n"

    def _ended(self) -> PipeprofError:
        output = WorkerOutput()
        self._printed.seek(0)
        while chunk := self._printed.read(1 << 16):
            output.add(chunk)
        said = "\n".join((output.users() or "").splitlines()[-20:])
        return PipelineFailedError(
            f"the process that builds targets ended by itself; {_WITHOUT}" + (f":\n{said}" if said else "")
        )

    def _close(self) -> None:
        os.close(self._jobs)
        os.close(self._answers)
        self._printed.close()

    def end(self) -> None:
        """End it, with all that it started."""
        self._close()
        self._family.end(self._process.pid)
        self._process.wait()
        self._family.__exit__()
