"""Files and processes of the host: temporary ones where there may be no place, files that strangers may have put there.

A container may have a read-only file system, and a parent may be killed: Linux cleans up if it is asked to.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only the place; names in it are made by tempfile
_NOWHERE = Path("/tmp")  # noqa: S108 - it cannot be written to
TEMPORARY = "PIPEPROF_TEMPORARY_FOLDER"  # of the process before: trying one leaves a file if killed meanwhile
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def temporary_folder() -> Path | None:
    """The folder for temporary files; None where none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def check_private(folder: Path) -> None:
    """Check that no other user can have put anything into a folder, in a place where every user may make folders.

    Raises:
        OSError: It is a link, belongs to another user, can be written to by others, or is not there.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(errno.EPERM, "not a folder", str(folder))
    if found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "the folder belongs to another user", str(folder))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "other users may write to the folder", str(folder))


def settled_temporary_folder() -> Path:
    """The folder for temporary files; where Python finds none: shared memory, else one that cannot be written to."""
    found = temporary_folder()
    if found is not None:
        return found
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else _NOWHERE


def settle_temporary_folder() -> None:
    """Set the temporary folder: that of the process before, whose variable goes, else one where Python finds none.

    TensorFlow needs the name of the folder for its import, even if it writes nothing there.
    """
    tempfile.tempdir = os.environ.pop(TEMPORARY, tempfile.tempdir) or str(settled_temporary_folder())


def nameless_file() -> IO[bytes]:
    """A file that is gone when it is closed; it lies in memory where there is no folder for it."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        return os.fdopen(os.memfd_create("pipeprof"), "w+b")


def die_with_parent(parent_pid: int | None = None) -> None:
    """Ask the kernel to kill this process as soon as its parent ends, however that happens.

    Call it first thing in a child. Linux only; elsewhere it does nothing, and the parent must end its children.

    Args:
        parent_pid: The parent's process id, if the child knows it. With it the moment before this call is covered
            too: a parent that is already gone ends this process at once.
    """
    # Sandboxes may forbid the call; the parent still ends its children by their group.
    if _ask_kernel(_PR_SET_PDEATHSIG, signal.SIGKILL) and parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def wake_with_parent() -> None:
    """Ask the kernel to let this process go on, if it is stopped, as soon as its parent ends. Linux only."""
    _ask_kernel(_PR_SET_PDEATHSIG, signal.SIGCONT)


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends; return whether that is possible. Linux only."""
    return _ask_kernel(_PR_SET_CHILD_SUBREAPER, 1)


def _ask_kernel(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def end_group(pid: int) -> None:
    """Kill the process group that ``pid`` leads; a group that is already gone is fine."""
    # macOS refuses the permission if only ended processes are left in it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


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
