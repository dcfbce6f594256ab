"""Worker process as seen by its parent: started in its own process group, ended with all its children."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.processes import is_stopped
from pipeprof.profiles.host.system_faults import system_fault
from pipeprof.profiles.protocol.channel import Changes, Command, HarnessEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pipeprof.profiles.host.run_family import LedProcess, RunFamily
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.protocol.turns import TurnRequest

_WORKER = "pipeprof.profiles.worker.main"
OUTPUT_BYTES = 64 * 1024
HEAD_BYTES = 8 * 1024
MOST_CHUNKS = 64
MOST_LINES = 100
MOST_LETTERS = 8_000
_TENSORFLOWS_OWN = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |[IWEF]\d{4} \d\d:\d\d:\d\d|WARNING: All log messages before absl"
    r"|To enable the following instructions|Starting to trace for \d+ ms\. Remaining attempt"
    r"|WARNING:tensorflow:From .*(?:is|are) deprecated|\s*$)"
)
_INSTRUCTIONS = "Instructions for updating:"
"""Of what TensorFlow deprecates: they are in the next line."""

_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_GOES_ON = re.compile(r"^(?:\s|Traceback |\w+(?:Error|Exception)\b|\[\[)")


class WorkerOutput:
    """Bounded beginning and end of the worker's output."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._head = b""
        self._lost = 0

    def add(self, chunk: bytes) -> None:
        """Add a chunk of output."""
        self._head += chunk[: max(0, HEAD_BYTES - len(self._head))]
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size > OUTPUT_BYTES and len(self._chunks) > 1:
            gone = len(self._chunks.popleft())
            self._size -= gone
            self._lost += gone

    def text(self) -> str:
        """Return the text kept."""
        return b"".join(self._chunks)[-OUTPUT_BYTES:].decode("utf-8", "replace")

    def users(self) -> str | None:
        """Return beginning and end without TensorFlow's log lines; `None` if nothing is left."""
        lines = list(_without_log(_lines(self.text())))
        head: list[str] = []
        if self._lost > len(self._head):
            head = list(_without_log(_lines(self._head.decode("utf-8", "replace"))[:-1]))
        whole = "\n".join([*head, *lines])
        if not head and len(lines) <= MOST_LINES and len(whole) <= MOST_LETTERS:
            return whole or None
        first, last = (head or lines)[: MOST_LINES // 4], lines[-MOST_LINES // 2 :]
        start = "\n".join(first)[: MOST_LETTERS // 4]
        end = "\n".join(last)[-MOST_LETTERS // 2 :]
        return f"{start}\n… more was printed …\n{end}"


def _lines(text: str) -> list[str]:
    """Return the lines as a terminal shows them: without colours, of overwritten text only the last."""
    lines = _COLOURS.sub("", text).replace("\r\n", "\n").split("\n")
    seen = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return seen if seen[-1] else seen[:-1]


def _without_log(lines: Iterable[str]) -> Iterator[str]:
    """Drop TensorFlow's log, also the tracebacks that it copies into it."""
    within = deprecated = False
    for line in lines:
        if deprecated or line == _INSTRUCTIONS:
            deprecated = line == _INSTRUCTIONS
        elif _TENSORFLOWS_OWN.match(line):
            within = within or "INVALID_ARGUMENT" in line or "UNKNOWN" in line or "Error" in line
        elif not (within and _GOES_ON.match(line)):
            within = False
            yield line


def _read_all(descriptor: int, into: WorkerOutput) -> bool:
    """Read the available bytes, at most `MOST_CHUNKS` times 64 KiB; return whether more may come.

    A child of the pipeline may print faster than this can be read; the loop has signals and limits to look at, too.
    """
    for _ in range(MOST_CHUNKS):
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        into.add(data)
    return True


Starter: TypeAlias = "Callable[[Sequence[int], RunFamily, Mapping[str, str]], LedProcess]"
"""Starts a worker with the ends of four pipes, the family that it leads, and variables of its environment."""


def start_process(pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]) -> LedProcess:
    """Start a worker as a new process; see `Starter`.

    Raises:
        OSError: That is not possible.
    """
    to_worker, _, _, from_worker, _, prints, _, stacks = pipes
    return family.start(
        child_command(_WORKER, *map(str, (to_worker, from_worker, stacks))),
        (subprocess.DEVNULL, prints, prints),
        (to_worker, from_worker, stacks),
        variables,
    )


class WorkerProcess:
    """Worker process with its pipes."""

    def __init__(self, job: Options, family: RunFamily, start: Starter | None = None) -> None:
        self._family = family
        pipes: list[int] = []
        try:
            for _ in range(4):
                pipes += os.pipe()
            # Allocators and libraries read their variables when they are loaded, long before the job arrives.
            variables = dict(job.turns.environment) if job.turns is not None else {}
            # A script decides about TensorFlow's settings before it imports it: it is no copy of a process that has.
            start = start if start is not None and job.kind != "script" else start_process
            self._process = start(pipes, family, variables)
        except BaseException as error:
            for descriptor in pipes:
                os.close(descriptor)
            if not isinstance(error, OSError) or system_fault(error) is not None:
                raise
            raise PipeprofError(f"the worker could not be started: {error.strerror or error}") from error
        to_worker, self._commands, self.messages, from_worker, self.printed, prints, self.dumped, stacks = pipes
        for descriptor in (to_worker, from_worker, prints, stacks):
            os.close(descriptor)
        self.pid = self._process.pid
        self._command_line = procfs.command_line(self.pid)
        self._end = HarnessEnd(self._commands)
        self.output = WorkerOutput()
        self.stacks = WorkerOutput()
        self._end.send_job(job)
        os.set_blocking(self._commands, False)
        os.set_blocking(self.messages, False)
        os.set_blocking(self.printed, False)
        os.set_blocking(self.dumped, False)

    def send(self, command: Command | TurnRequest) -> bool:
        """Send a command or a turn; returns whether it could be taken."""
        return self._end.send(command)

    def pause(self) -> None:
        """Stop all threads of the worker's process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGCONT)

    def read_messages(self) -> list[Changes] | None:
        """Return the messages received; `None` once the worker has closed its end."""
        found: list[Changes] = []
        while True:
            try:
                data = os.read(self.messages, 1 << 20)
            except BlockingIOError:
                return found
            if not data:
                return found or None
            # Right after its start, a process may have no command line yet.
            self._command_line = self._command_line or procfs.command_line(self.pid)
            found += self._end.feed(data)

    def read_output(self) -> bool:
        """Read output and dumped stacks; return whether more output may come."""
        _read_all(self.dumped, self.stacks)
        return _read_all(self.printed, self.output)

    @property
    def returncode(self) -> int | None:
        """Return the exit status, or minus the signal; `None` while it runs."""
        return self._process.poll()

    @property
    def is_suspended(self) -> bool:
        """Return whether a signal or a debugger has stopped the process."""
        return is_stopped(self.pid)

    @property
    def successor(self) -> str | None:
        """The command line of another program that runs in the worker's process: its code called exec()."""
        now = procfs.command_line(self.pid)
        return now if now is not None and self._command_line is not None and now != self._command_line else None

    def dump_stacks(self) -> None:
        """Make the worker print the stacks of all threads, even while the GIL is held."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> int:
        """Kill the worker and all processes that it started, stopped ones included, and wait for the worker."""
        self._family.end(self.pid)
        return self._process.wait()

    def close(self) -> None:
        """Close all pipes."""
        for descriptor in (self._commands, self.messages, self.printed, self.dumped):
            os.close(descriptor)
