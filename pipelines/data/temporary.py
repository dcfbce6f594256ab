"""Temporary files where there may be no place for any, as in a container with a read-only file system."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only the place; names in it are made by tempfile


def temporary_folder() -> Path | None:
    """The folder for temporary files; None where none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def short_lived_folder() -> Path | None:
    """The same for files that are read again at once; they may lie in memory."""
    found = temporary_folder()
    if found is None and _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return _SHARED_MEMORY
    return found


def nameless_file() -> IO[bytes]:
    """A file that is gone when it is closed; it lies in memory where there is no folder for it.

    Raises:
        OSError: There is neither.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        return os.fdopen(os.memfd_create("pipeprof"), "w+b")
