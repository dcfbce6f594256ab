"""Temporary files where there may be no place for any, as in a container with a read-only file system."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only the place; names in it are made by tempfile
_NOWHERE = Path("/tmp")  # noqa: S108 - it cannot be written to
TEMPORARY = "PIPEPROF_TEMPORARY_FOLDER"  # of the process before: trying one leaves a file if killed meanwhile


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


def is_private(folder: Path) -> bool:
    """Whether `check_private` finds nothing."""
    try:
        check_private(folder)
    except OSError:
        return False
    return True


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
