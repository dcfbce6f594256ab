"""The process that builds targets for `check`, as its parent sees it: started once, for any number of them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from typing import TYPE_CHECKING

from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.pipelines.host_files import nameless_file
from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.harness.process import WorkerOutput
from pipeprof.profiles.host.run_family import LedProcess, RunFamily
from pipeprof.profiles.protocol.channel import encode
from pipeprof.profiles.protocol.messages import Sketch
from pipeprof.profiles.protocol.options import READY, LookAnswer, Options, to_worker

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
    """Builds specs with placeholders for their data, and calls functions, in another process."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._stack = contextlib.ExitStack()
        self._process: LedProcess | None = None

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def look_at(self, target: ParsedTarget, loaded: LoadedSpec | None) -> LookAnswer:
        """The graph of a target as written.

        Raises:
            SpecError: TensorFlow refuses it.
            UsageError: The function is none, or its arguments do not fit.
            NotMadeError: It reads data that has not been made.
            PipelineFailedError: The user's Python raised, or building did not come to its end.
            PipeprofError: The process could not be started, or TensorFlow is not there.
        """
        job = Options(target, loaded=loaded, data_dirs=_made(loaded) if loaded is not None else {})
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            answer = self._ask(job)
        except BaseException:
            self._end()
            raise
        if not sys.platform.startswith("linux"):
            # It answers once.
            self._end()
        if answer.kind:
            raise error_of(answer, str(target), loaded)
        return answer

    def _start(self) -> None:
        self._end()
        self._printed = self._stack.enter_context(nameless_file())
        family = self._stack.enter_context(RunFamily())
        reads, self._jobs = os.pipe()
        self._answers, writes = os.pipe()
        for ours in (self._jobs, self._answers):
            self._stack.callback(os.close, ours)
        command = child_command("pipeprof.profiles.worker.look", str(writes))
        try:
            process = family.start(command, (reads, self._printed, self._printed), (writes,), _NO_DEVICES)
        except OSError as error:
            raise PipeprofError(f"the process could not be started: {error.strerror or error}") from error
        finally:
            os.close(reads)
            os.close(writes)
        self._stack.callback(process.wait)
        self._stack.callback(family.end, process.pid)
        self._process, self._unread, self._is_ready = process, b"", False

    def _end(self) -> None:
        self._process = None
        self._stack.close()

    def _ask(self, job: Options) -> LookAnswer:
        """Have a target built.

        Raises:
            PipeprofError: There is no answer in time, or at all.
        """
        if not self._is_ready:
            line = self._line(START_SECONDS)
            if line is None:
                raise PipeprofError(f"TensorFlow was not loaded after {START_SECONDS:g} s; {_WITHOUT}")
            if line != READY:
                return _answer(line)
            self._is_ready = True
        text = encode(to_worker(job)).encode()
        with contextlib.suppress(BrokenPipeError):
            while text:
                text = text[os.write(self._jobs, text) :]
        line = self._line(self._seconds)
        if line is None:
            raise PipelineFailedError(f"{job.target}: its dataset was not built after {self._seconds:g} s; {_WITHOUT}")
        return _answer(line)

    def _line(self, seconds: float) -> bytes | None:
        """The next line of its answers; None where it does not come in time."""
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            if left <= 0:
                return None
            data = b""
            if select.select([self._answers], [], [], min(left, _LOOK_SECONDS))[0]:
                data = os.read(self._answers, 1 << 16)
            elif self._process is not None and self._process.poll() is None:
                continue
            if not data:
                raise self._ended()
            self._unread += data
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


def _answer(line: bytes) -> LookAnswer:
    fields = json.loads(line)
    sketch = fields.pop("sketch")
    return LookAnswer(**fields, sketch=Sketch(**sketch) if sketch is not None else None)


def _made(loaded: LoadedSpec) -> dict[str, str]:
    if not loaded.spec.data:
        return {}
    from pipeprof.pipelines.data.cache import locate
    from pipeprof.pipelines.data.recipes import entry_name

    folder = locate()
    if folder is None:
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
