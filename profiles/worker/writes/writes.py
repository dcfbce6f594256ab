"""What a training script is about to overwrite or delete, and what it has written.

Python's own calls are heard through `sys.addaudithook`, before they do anything; TensorFlow's and Keras' writers, which
are not Python's, through the methods that `hooks` wraps. What cannot be seen beforehand stands in docs/targets.md.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

from pipeprof.pipelines.target.user_files import is_generated
from pipeprof.profiles.document.shared import ErrorFrame, WrittenFile
from pipeprof.profiles.user_frames import users_frame_of
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.writes.existing import Existing, files_at
from pipeprof.profiles.worker.writes.touches import EVENTS, Touch, Verb, touches_of_event, touches_of_method

_DESCRIPTORS = Path("/proc/self/fd")
_MOST_FILES = 10_000
"""That are looked at for the list of what was written."""


@dataclass(frozen=True)
class Loss:
    """A file that the script is about to make the user lose.

    Attributes:
        path: Absolute.
        call: What would do it: ``open``, ``os.remove``, ``keras.Model.save``.
        frame: The user's line; None where a thread of a library does it.
        folder: The one in which the script began, which may have left it.
    """

    path: str
    verb: Verb
    call: str
    frame: ErrorFrame | None = None
    folder: Path | None = None

    def __str__(self) -> str:
        frame = self.frame
        who = f"{as_typed(frame.file, self.folder)}:{frame.line}" if frame is not None else "the script"
        return f"{who} would {self.verb} {as_typed(self.path, self.folder)}: `--allow-writes`"


class WriteWatch:
    """The watch over one script; there is one in a process, because an audit hook stays to the process's end.

    Args:
        refuse: Called in the thread that is about to write, before it does; it returns only if that thread may go on.
            None to let everything be written.
    """

    def __init__(self, existing: Existing, refuse: Callable[[Loss], None] | None) -> None:
        self._existing = existing
        self._refuse = refuse
        self._places: dict[tuple[str, str], Touch] = {}
        self._inherited: frozenset[str] | None = None
        self._process = 0
        self._folder: Path | None = None

    def begin(self) -> None:
        """Watch from now on."""
        self._inherited = frozenset(_open_for_writing())
        self._process = os.getpid()
        with contextlib.suppress(OSError):  # it is gone
            self._folder = Path.cwd()
        sys.addaudithook(self._hear)

    def end(self) -> None:
        """Watch no more."""
        self._process = 0

    def saving(self, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """A wrapped method is about to run; `method` is its name in `hooks.WRAPPED`."""
        if self._process == os.getpid():
            self._consider(method, touches_of_method(method, arguments, named))

    def written(self) -> list[WrittenFile]:
        """The files that were written so far and are still there, by path; no caches and no temporary files.

        Paths are relative to the folder in which the watch began. None where it never did.
        """
        if self._inherited is None:
            return []
        opened = _open_for_writing()
        unseen = (Touch(path, "overwrite" if opened[path] else None) for path in opened.keys() - self._inherited)
        found: dict[str, WrittenFile] = {}
        for touch in (*self._places.values(), *unseen):
            for path in islice(files_at(touch), _MOST_FILES):
                if path not in found and self._is_result(path) and len(found) < _MOST_FILES:
                    new = self._existing.is_new(path, anew=touch.verb is not None)
                    size = os.lstat(path).st_size
                    found[path] = WrittenFile(file=as_typed(path, self._folder), bytes=size, new=new)
        return [found[path] for path in sorted(found)]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        # Called for all that Python does: what does not concern it must cost next to nothing. At the interpreter's end
        # the names of this module are None.
        if not EVENTS or event not in EVENTS or self._process != os.getpid():
            return
        # What is raised here would be raised by the script's call.
        with contextlib.suppress(Exception):
            touches = touches_of_event(event, arguments)
            empties = event == "open" and arguments[2] & os.O_TRUNC
            if touches and (empties or not _maps_memory(inspect.currentframe())):
                self._consider(event, touches)

    def _consider(self, call: str, touches: Iterable[Touch]) -> None:
        for touch in touches:
            lost = self._existing.lost(touch) if self._refuse is not None else None
            if lost is not None and touch.verb is not None and self._refuse is not None:
                self._refuse(Loss(lost, touch.verb, call, users_frame_of(inspect.currentframe()), self._folder))
        for touch in touches:
            self._existing.note(touch)
            if touch.verb != "delete" and len(self._places) < _MOST_FILES:
                self._places[touch.path, touch.kind] = touch

    def _is_result(self, path: str) -> bool:
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return False
        if not stat.S_ISREG(found.st_mode) or is_generated(path) or self._existing.is_cache(path):
            return False
        return self._existing.was_written(path)


def _maps_memory(hearing: FrameType | None) -> bool:
    """Whether `numpy.memmap` opens the file: for changes by default, and most scripts only read from it."""
    caller = hearing.f_back if hearing is not None else None
    memmap = getattr(sys.modules.get("numpy"), "memmap", None)
    return caller is not None and memmap is not None and caller.f_code is memmap.__new__.__code__


def _open_for_writing() -> dict[str, bool]:
    """The regular files that this process has open for writing, and whether they were opened to write them anew."""
    found: dict[str, bool] = {}
    for entry in _descriptors():
        try:
            flags = next(
                int(line.split()[1], 8)
                for line in Path(f"/proc/self/fdinfo/{entry.name}").read_text().splitlines()
                if line.startswith("flags:")
            )
            if flags & os.O_ACCMODE != os.O_RDONLY and stat.S_ISREG(entry.stat().st_mode):
                path = str(entry.readlink())
                # An existing file is changed in place by what also reads it or appends to it, such as a database.
                anew = flags & (os.O_ACCMODE | os.O_APPEND) == os.O_WRONLY
                found[path] = anew and found.get(path, True)
        except (OSError, StopIteration, ValueError):
            continue
    return found


def _descriptors() -> list[Path]:
    try:
        return list(_DESCRIPTORS.iterdir())
    except OSError:
        return []
