"""A worker writes elements into a folder: refused before it begins, watched while it writes, nothing half-done after.

The process that writes, the disk and the clock come from outside.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeprof.profiles.convert.folder import (
    ConvertTarget,
    FolderError,
    LateFolderError,
    bytes_below,
    check_distance,
    check_room,
    complete,
    free_bytes,
    full,
    partial_folder,
)
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.process import WorkerProcess
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.messages import Raised, WorkerMessage
from pipeprof.profiles.protocol.store import Stored, StoreEstimated
from pipeprof.profiles.protocol.turns import EditRefused, TurnRequest
from pipeprof.profiles.wording import size

LOOK_SECONDS = 0.5
"""Between two looks at the disk."""
LEAST_FREE_BYTES = 50_000_000
"""On the disk while files are written: below it, other programs would fail with this one."""
LINE_SECONDS = 5.0
LINE_SHARE = 0.1
"""Pause until the next line as a share of the time so far, so that an hour has some thirty lines."""
_FULL = ("No space left", "Disk quota exceeded")
_TOO_LARGE = "File too large"
_Message = TypeVar("_Message", "StoreEstimated", "Stored")


class NotConvertedError(Exception):
    """The elements cannot be kept in files; the message says why, in one sentence."""


class InterruptedConversionError(Exception):
    """The user wants an end."""


@dataclass(frozen=True)
class Written:
    """Files that are complete; `compared` first elements were the same in two epochs and in the files."""

    elements: int
    bytes: int
    seconds: float
    compared: int


@dataclass
class FileWriting:
    """One conversion."""

    target: ConvertTarget
    name: str
    start: Callable[[Path], WriterProcess]
    progress: RunProgress
    interrupted: Callable[[], bool]
    inputs: Iterable[Path] = ()
    end_at: float | None = None
    clock: Callable[[], float] = time.monotonic
    free: Callable[[Path], int] = free_bytes

    def run(self, description: dict[str, object]) -> Written:
        """Write the files.

        Raises:
            NotConvertedError: The elements cannot be kept in files, or the process failed.
            InterruptedConversionError: The user wants an end.
            LateFolderError: The folder belongs to the original data, or cannot be made.
            NoRoomError: The disk is too small, or became full.
        """
        try:
            return self._run(description)
        except FolderError as error:
            # What a pipeline reads may be known only now: a function may read anything.
            raise LateFolderError(f"{error} (the pipeline had to run before this was known)") from None

    def _run(self, description: dict[str, object]) -> Written:
        began = self.clock()
        check_distance(self.target.folder, self.inputs)
        with partial_folder(self.target) as partial:
            writer = self.start(partial)
            try:
                estimated = self._await(writer, StoreEstimated, lambda: None)
                check_distance(self.target.folder, [Path(folder) for folder in estimated.sources])
                check_room(self.name, self.target.folder, estimated.bytes, free=self.free)
                about = f"{estimated.elements:,} elements of {self.name}, about {size(estimated.bytes)}"
                self.progress.note(f"converting: {about}, into {self.target.data}")
                self.progress.phase(f"converting {self.name}", None)
                follow = _Followed(self, partial, estimated.bytes)
                writer.go()
                stored = self._await(writer, Stored, follow.look)
            finally:
                writer.end()
            written = Written(stored.elements, bytes_below(partial), self.clock() - began, estimated.compared)
            complete(self.target, partial, {**description, "elements": written.elements, "bytes": written.bytes})
        return written

    def _await(self, writer: WriterProcess, kind: type[_Message], look: Callable[[], None]) -> _Message:
        while True:
            messages = writer.wait(LOOK_SECONDS)
            if self.interrupted():
                raise InterruptedConversionError
            for message in messages or ():
                if isinstance(message, kind):
                    return message
                self._refuse(message)
            if messages is None:
                raise NotConvertedError(f"the process that wrote the files {writer.end()}")
            if self.end_at is not None and self.clock() >= self.end_at:
                raise NotConvertedError("the time of the command (--max-time) ran out")
            look()

    def _refuse(self, message: WorkerMessage) -> None:
        if isinstance(message, EditRefused):
            raise NotConvertedError(message.reason)
        if isinstance(message, Raised):
            lines = message.message.strip().splitlines()
            text = lines[0] if lines else "an error"
            if any(words in message.message for words in _FULL) or self.free(self.target.folder) < LEAST_FREE_BYTES:
                raise full(self.name, self.target.folder)
            if _TOO_LARGE in message.message:
                where = f"{self.target.folder} does not take a file as large as {self.name}"
                raise NotConvertedError(f"{where} (ulimit -f, or the file system)")
            raise NotConvertedError(f"the pipeline raised while its elements were written: {text}")


class _Followed:
    def __init__(self, writing: FileWriting, partial: Path, total: int) -> None:
        self._writing = writing
        self._partial = partial
        self._total = max(1, total)
        self._began = writing.clock()
        self._next = LINE_SECONDS

    def look(self) -> None:
        """Report how far it is, and end it before the disk is full.

        Raises:
            NoRoomError: The disk is nearly full.
        """
        writing = self._writing
        if writing.free(writing.target.folder) < LEAST_FREE_BYTES:
            raise full(writing.name, writing.target.folder)
        done, spent = bytes_below(self._partial), writing.clock() - self._began
        share = min(1.0, done / self._total)
        writing.progress.tick(None, share * self._total, float(self._total))
        if spent >= self._next:
            self._next = spent + max(LINE_SECONDS, LINE_SHARE * spent)
            writing.progress.note(progress_words(done, self._total, spent))


def progress_words(done: int, total: int, spent: float) -> str:
    """State how far a conversion is, and when it ends at this rate.

    Example:
        >>> progress_words(100 << 20, 400 << 20, 10.0)
        'converting: 100 MiB of about 400 MiB (25 %), 30 s left'
    """
    share = min(1.0, done / total) if total else 1.0
    left = f", {spent * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
    return f"converting: {size(done)} of about {size(total)} ({share:.0%}){left}".replace("%)", " %)")


class WriterProcess:
    """The process that writes."""

    def __init__(self, job: Job, signals: Signals) -> None:
        self._signals = signals
        self._family = RunFamily()
        self._ended: str | None = None
        try:
            self._worker = WorkerProcess(job, self._family)
        except BaseException:
            self._family.__exit__()
            raise

    def wait(self, seconds: float) -> list[WorkerMessage] | None:
        """Return what it has said within so many seconds; None once it has ended."""
        worker, signals = self._worker, self._signals
        readable, _, _ = select.select([worker.messages, worker.printed, signals.read_fd], [], [], seconds)
        if signals.read_fd in readable:
            signals.rest()
        worker.read_output()
        return worker.read_messages()

    def go(self) -> None:
        """Let it write."""
        self._worker.send_turn(TurnRequest("block", 0.0))

    def end(self) -> str:
        """End it; return how it ended, in words."""
        if self._ended is None:
            code = self._worker.returncode
            if code is None:
                self._ended = "was ended"
            else:
                self._ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
            self._worker.end()
            self._worker.close()
            self._family.__exit__()
        return self._ended
