"""How parent and worker talk: one JSON object a line, over a pair of pipes.

The worker's end keeps a thread on the parent's pipe. It answers questions while the main thread is held up in
TensorFlow, passes on the wish to stop, and ends the worker's whole process group when the parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Message = dict[str, Any]


class WorkerEnd:
    """The worker's end of the channel."""

    def __init__(self, reading: IO[str], writing: IO[str]) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()
        self._held: dict[int, list[str]] = {}
        self.stop = threading.Event()
        self.answer: Callable[[str], Message] | None = None

    @classmethod
    def open(cls, read_fd: int, write_fd: int) -> WorkerEnd:
        """Open both pipes by descriptor; neither is passed on to children of the worker."""
        os.set_inheritable(read_fd, False)
        os.set_inheritable(write_fd, False)
        return cls(os.fdopen(read_fd, encoding="utf-8"), os.fdopen(write_fd, "w", encoding="utf-8"))

    def receive_job(self) -> Message:
        """The first line: what to do."""
        job: Message = json.loads(self._reading.readline())
        return job

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send one message."""
        line = json.dumps({"m": kind, **fields}, separators=(",", ":")) + "\n"
        held = self._held.get(threading.get_ident())
        if held is not None:
            held.append(line)
        else:
            self._write(line)

    def _write(self, text: str) -> None:
        with self._lock:
            self._writing.write(text)
            self._writing.flush()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What this thread sends meanwhile goes out at the end, in one piece: each piece wakes the parent."""
        me = threading.get_ident()
        self._held[me] = []
        try:
            yield
        finally:
            if lines := self._held.pop(me):
                self._write("".join(lines))

    def listen(self) -> None:
        """Start the thread that hears the parent."""
        threading.Thread(target=self._hear, name="pipeprof-channel", daemon=True).start()

    def _hear(self) -> None:
        # A parent that no longer takes answers is gone as well.
        with contextlib.suppress(OSError):
            for line in self._reading:
                self._obey(_message(line).get("c"))
        os.killpg(0, signal.SIGKILL)

    def _obey(self, word: str | None) -> None:
        if word == "stop":
            self.stop.set()
        elif word is not None and self.answer is not None:
            self.send("answer", to=word, **self._answer_to(word, self.answer))

    @staticmethod
    def _answer_to(word: str, answer: Callable[[str], Message]) -> Message:
        """The answer. It looks at what the main thread is changing: should that fail, the thread must go on hearing."""
        try:
            return answer(word)
        except Exception as error:
            return {"measured": None, "failed": f"{type(error).__name__}: {error}"}


def _message(line: str | bytes) -> Message:
    """A line as a message; empty for a line that is none, as one that its writer's death cut off."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class ParentEnd:
    """The parent's end: writes commands, takes bytes and gives back messages."""

    def __init__(self, write_fd: int) -> None:
        self._write_fd = write_fd
        self._pending = b""

    def send(self, message: Message) -> bool:
        """Send a line; returns whether the worker could still take it."""
        try:
            os.write(self._write_fd, (json.dumps(message) + "\n").encode())
        except (BrokenPipeError, BlockingIOError, OSError):
            return False
        return True

    def feed(self, data: bytes) -> list[Message]:
        """Messages completed by `data`; a line that the worker's death cut off is dropped."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [message for message in map(_message, lines) if "m" in message]
