"""A history in a file of lines: appended to, never rewritten."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from pipeprof.pipelines.errors import PipeprofError, ProfileError, UsageError
from pipeprof.profiles.document.store import reason
from pipeprof.profiles.history.lines import ReadLines, read_lines

_MOST_BYTES = 1 << 30


def read_file(path: Path, repository: str | None, *, missing: bool = False) -> ReadLines:
    """Read a history.

    Args:
        missing: Whether there may be none yet.

    Raises:
        UsageError: Nothing can be appended there, or the file is not a history.
        ProfileError: It cannot be read, or is not there and has to be.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not missing:
            raise ProfileError(f"{path}: no such history; pipeprof gate --history {path} begins one") from None
        if not path.parent.is_dir():
            raise UsageError(f"--history {path}: the folder {path.parent} does not exist; create it first") from None
        return ReadLines(str(path))
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {reason(error)}") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe, not a file"
        raise UsageError(f"--history {path}: this is {what}; name a file")
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {reason(error)}") from None
    if len(data) > _MOST_BYTES:
        raise ProfileError(f"{path} has more than 1 GiB: no history of gates has")
    lines = ((f"{path}:{number}", line) for number, line in enumerate(data.split(b"\n"), 1))
    found = read_lines(str(path), lines, repository)
    if found.damaged and not found.entries:
        raise UsageError(f"--history {path}: this is no history of pipeprof gate ({found.damaged[0]}); name a new file")
    if missing and not os.access(path, os.W_OK):
        raise UsageError(f"--history {path}: nothing can be appended there (permission denied)")
    return found


def append_line(path: Path, line: bytes) -> None:
    """Append one line, all or nothing, while no other process does.

    A line that a killed process left without its end stays alone on its line, and so damages none but itself.

    Raises:
        PipeprofError: It could not be written; what the file had is untouched.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise PipeprofError(f"--history {path}: this gate could not be added ({reason(error)})") from None
    try:
        # Where a file system has no locks, an append of one write is as much as there is.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        ended = not size or os.pread(descriptor, 1, size - 1) == b"\n"
        data = line if ended else b"\n" + line
        try:
            written = os.write(descriptor, data)
            if written < len(data):
                raise OSError(28, "no space left on device")
            os.fsync(descriptor)
        except OSError as error:
            # Only what was written here is beyond that size: the lock is held.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise PipeprofError(f"--history {path}: this gate could not be added ({reason(error)})") from None
    finally:
        os.close(descriptor)
