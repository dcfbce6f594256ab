"""Pair of pipes between harness and worker: one JSON object per line.

The worker's end keeps a thread on the harness's pipe. It answers questions while the main thread is inside TensorFlow,
passes on the request to stop, and ends the worker's whole process group when the harness is gone.

The user's code runs in the same process. It may fork and go on in both processes: only the first one may speak, the
other one is ended. And it may close all descriptors: whatever has their numbers then is the user's and is not written.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import queue
import signal
import threading
from collections.abc import Callable
from functools import cache
from typing import IO, Any, ClassVar, Literal, TypeAlias

from pipeprof.profiles.protocol.messages import Answer, Raised, Sample, Warned
from pipeprof.profiles.protocol.options import Options, in_worker, to_worker
from pipeprof.profiles.protocol.turns import TurnRequest

Command = Literal["look", "stop", "examine"]
"""Commands of the harness after the job: a query of the worker's state, the request to stop, or that to find out whose
a growth of memory is."""

Changes: TypeAlias = "dict[str, Any]"
"""Fields of a `Sample`, by their names."""
_FIELDS = Sample.__dataclass_fields__.keys()
CHANNEL_LOST = 117
"""Exit status of a worker whose descriptors were closed by the user's code, so that it can say nothing more."""

_FORKED = Warned(
    "forked",
    "The pipeline's code forked the process and went on in both. pipeprof ended the copy; all numbers are those of the "
    "first process. Start processes with subprocess or multiprocessing, or end a forked child with os._exit().",
)


class WorkerEnd:
    """The worker's end of the channel."""

    in_worker: ClassVar[bool] = False
    """Whether this process is a worker, in which the user's code is measured already."""

    def __init__(self, reading: IO[str], writing: IO[str]) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()
        self._pid = os.getpid()
        # Memory that copies of this process share with it: the only way in which they may speak.
        self._copied = mmap.mmap(-1, 1)
        self._pipes = _identity(reading), _identity(writing)
        self.stop = threading.Event()
        self.examine = threading.Event()
        self._turns: queue.SimpleQueue[TurnRequest | None] = queue.SimpleQueue()
        self.answer: Callable[[], Answer] | None = None

    @classmethod
    def open(cls, read_fd: int, write_fd: int) -> WorkerEnd:
        """Open both pipes by descriptor; neither is passed on to children of the worker."""
        os.set_inheritable(read_fd, False)
        os.set_inheritable(write_fd, False)
        return cls(os.fdopen(read_fd, encoding="utf-8"), os.fdopen(write_fd, "w", encoding="utf-8"))

    def receive_job(self) -> Options:
        """Read the first line: what to do."""
        return in_worker(json.loads(self._reading.readline()))

    def next_turn(self) -> TurnRequest | None:
        """Wait for the next turn; None at the request to stop."""
        return None if self.stop.is_set() else self._turns.get()

    @property
    def is_copy(self) -> bool:
        """Whether the user's code forked this process from the one that was started."""
        return os.getpid() != self._pid

    def send(self, **changes: Any) -> None:
        """Send fields of the `Sample` that have changed; ends a copy of the process, and one without descriptors.

        Without any it is a sign of life.
        """
        if self.is_copy:
            self._copied[0] = 1
            os._exit(0)
        if self._copied[0]:
            self._copied[0] = 0
            self.send(warnings=[_FORKED])
        line = encode(changes)
        with self._lock:
            if _identity(self._writing) != self._pipes[1]:
                os._exit(CHANNEL_LOST)
            self._writing.write(line)
            self._writing.flush()

    def warn(self, code: str, text: str) -> None:
        """Send a warning for the profile."""
        self.send(warnings=[Warned(code, text)])

    def listen(self) -> None:
        """Start the thread that reads commands."""
        threading.Thread(target=self._hear, name="pipeprof-channel", daemon=True).start()

    def _hear(self) -> None:
        # A harness that no longer takes answers is gone as well.
        with contextlib.suppress(OSError):
            for line in self._reading:
                self._obey(_fields(line) or {})
        if _identity(self._reading) != self._pipes[0]:
            os._exit(CHANNEL_LOST)
        os.killpg(0, signal.SIGKILL)

    def _obey(self, fields: dict[str, object]) -> None:
        command = fields.get("c")
        if command == "stop":
            self.stop.set()
            self._turns.put(None)
        elif command == "examine":
            self.examine.set()
        elif isinstance(turn := fields.get("turn"), dict):
            self._turns.put(TurnRequest(**turn))
        elif command == "look" and self.answer is not None:
            answer = Answer()
            # It reads state that the main thread changes: if that fails, this thread must continue.
            with contextlib.suppress(Exception):
                answer = self.answer()
            self.send(answer=answer)


def _identity(file: IO[str]) -> tuple[int, int] | None:
    """Device and inode behind a descriptor: its number may have been closed and given to another file since."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def encode(record: object) -> str:
    """Encode a dataclass, or fields of one, as one line of JSON."""
    return json.dumps(record, separators=(",", ":"), default=vars) + "\n"


def _fields(line: str | bytes) -> dict[str, Any] | None:
    """Parse the JSON object of a line; None for any other line, such as one truncated by its writer's death."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


class HarnessEnd:
    """The harness's end of the channel: writes the job and commands, reads what has changed in the worker's sample."""

    def __init__(self, write_fd: int) -> None:
        self._write_fd = write_fd
        self._pending = b""

    def send_job(self, job: Options) -> bool:
        """Send the first line; returns whether the worker could still take it."""
        return self._send_line(encode(to_worker(job)))

    def send(self, command: Command | TurnRequest) -> bool:
        """Send a command or a turn; returns whether the worker could still take it."""
        return self._send_line(encode({"turn" if isinstance(command, TurnRequest) else "c": command}))

    def _send_line(self, line: str) -> bool:
        try:
            os.write(self._write_fd, line.encode())
        except (BrokenPipeError, BlockingIOError, OSError):
            return False
        return True

    def feed(self, data: bytes) -> list[Changes]:
        """Return the changes completed by `data`; a line cut by the worker's death, and what is none, is dropped."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        found = (_fields(line) for line in lines)
        return [checked(fields) for fields in found if fields is not None and fields.keys() <= _FIELDS]


def checked(fields: dict[str, Any]) -> Changes:
    """Fields of a `Sample` by their types, or the error that they are not: the user's code runs where they are sent.

    A number that is not finite is none: what was measured before stands, and the run ends with the error.
    """
    from pydantic import ValidationError

    try:
        sample = _sample().validate_python(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        text = f"The worker reported {place}, which is not what it must be: {fault['msg'].lower()}."
        return {"error": Raised("crashed", text, kind="installation")}
    return {name: getattr(sample, name) for name in fields}


@cache
def _sample() -> Any:
    # Not in the worker, whose environment need not have it.
    from pydantic import TypeAdapter

    return TypeAdapter(Sample)


class LocalEnd(WorkerEnd):
    """End of a channel without pipes: nothing ends the process, and a copy of it is silent."""

    def __init__(self, take: Callable[[Changes], None]) -> None:
        self._take = take
        self._pid = os.getpid()
        self._sending = threading.RLock()
        self.stop = threading.Event()
        self.answer = None

    def send(self, **changes: Any) -> None:
        """Hand over changes; what changes in them afterwards is not seen."""
        if self.is_copy:
            return
        copied = checked(json.loads(encode(changes)))
        with self._sending:
            self._take(copied)
