"""Opening files that a stranger may have put there: a pipe has no writer, and a device has no end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file, itself or behind links, for reading.

    Raises:
        OSError: It cannot be opened, or is something else.
    """
    # Without O_NONBLOCK, the call waits for somebody who writes into a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "a device or a pipe", str(path))


def read_regular(path: Path, most: int) -> bytes:
    """Read a regular file of at most `most` bytes.

    Raises:
        OSError: It cannot be read, is larger, or is something else.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data
