"""Growth of the process while the user's function builds the dataset, and the lines that cause it.

Resident memory is read fifty times a second, with the line that the function is at: 60 µs each, next to a build in
which nothing is measured. A call that holds Python's lock, as many in numpy and pandas do, is followed by a sample
before the next line begins, because the thread that waits for the lock gets it when the call returns. What grows while
TensorFlow's own Python code is on the stack is TensorFlow's: tensors, traced functions, graphs.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import BuildMemory, WorkerMessage

EVERY_SECONDS = 0.02
SEND_BYTES = 32_000_000
"""Growth of memory from which the harness gets a message, in case that this process dies while it builds."""

_Place = tuple[str, int, str]


def _anonymous_bytes() -> int | None:
    """Resident memory without mapped files."""
    found = procfs.pages("self")
    return found.anonymous_bytes if found is not None else None


class BuildWatch:
    """Samples memory and the line of this thread within a ``with`` block.

    Args:
        send: Takes what is known each time that memory has grown by `SEND_BYTES`.
        resident: Tells resident memory, None if unknown.
    """

    def __init__(
        self,
        send: Callable[[WorkerMessage], None] = lambda _message: None,
        own: Callable[[str], bool] = is_users,
        library: Path | None = None,
        resident: Callable[[], int | None] = _anonymous_bytes,
    ) -> None:
        self._send = send
        self._own = own
        self._library = str(library) if library is not None else None
        self._resident = resident
        self._thread = threading.get_ident()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._run, name="pipeprof-build", daemon=True)
        self._last = self._resident()
        self._most = self._sent = self._last or 0
        self._lines: defaultdict[_Place | None, int] = defaultdict(int)
        self._at_peak = 0

    def __enter__(self) -> BuildWatch:
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._sampler.join()
        # What grew since the last sample was the last thing that the function did.
        self.sample(None)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.sample(sys._current_frames().get(self._thread))

    def sample(self, frame: FrameType | None) -> None:
        """Take what memory has grown by since the last sample to the line that the thread is at.

        Args:
            frame: The innermost frame of the thread; None if the function has ended.
        """
        now, before = self._resident(), self._last
        if now is None or before is None:
            return
        self._last = now
        place, is_tensorflows = self._at(frame)
        if not is_tensorflows:
            self._lines[place] += now - before
        if now > self._most:
            self._most, self._at_peak = now, sum(self._lines.values())
        if now >= self._sent + SEND_BYTES:
            self._sent = now
            self._send(self.found())

    def _at(self, frame: FrameType | None) -> tuple[_Place | None, bool]:
        """The user's innermost line, and whether TensorFlow is called there."""
        found: _Place | None = None
        for type_ in _outwards(frame):
            file, name = type_.f_code.co_filename, type_.f_code.co_name
            if found is None and self._library is not None and file.startswith(self._library):
                return None, True
            if self._own(file):
                found = (file, type_.f_lineno, name) if found is None else (*found[:2], name)
                # A comprehension or a lambda has the name of the function that it stands in.
                if not name.startswith("<"):
                    break
        return found, False

    def found(self) -> BuildMemory:
        """The growth so far."""
        lines = {place: grown for place, grown in self._lines.items() if place is not None and grown > 0}
        file, line, function = max(lines, key=lambda one: lines[one], default=(None, None, None))
        return BuildMemory(
            python_peak=max(0, self._at_peak),
            python=max(0, sum(self._lines.values())),
            arrow=_arrow_bytes(),
            file=file,
            line=line,
            function=function,
        )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _arrow_bytes() -> int | None:
    """Bytes in pyarrow's own memory pool, which is no part of glibc's heap; 0 where it is not imported.

    None where it is imported and does not tell: while its import is under way, or where another module has its name.
    """
    if "pyarrow" not in sys.modules:
        return 0
    try:
        return int(sys.modules["pyarrow"].total_allocated_bytes())
    except Exception:
        return None
