"""Temporary folders for trees: locked while they are used, and removed when their command was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TREES = "pipeprof-trees-"
"""Beginning of their names."""
NEW_SECONDS = 60.0
"""A folder of this age or less may be about to be locked by the command that made it."""


@contextlib.contextmanager
def folder_for_trees(within: Path | None = None) -> Iterator[Path]:
    """Make a temporary folder; those that killed commands left, which are not locked, are removed.

    Args:
        within: Where; None for the system's folder for temporary files.
    """
    folder = Path(tempfile.mkdtemp(prefix=TREES, dir=within))
    try:
        with contextlib.ExitStack() as held:
            # Where a file system has no locks, nothing is removed either.
            with contextlib.suppress(OSError):
                held.enter_context(_held(folder))
            for other in Path(within or tempfile.gettempdir()).glob(f"{TREES}*"):
                with contextlib.suppress(OSError):
                    _remove_abandoned(other)
            yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        OSError: Another process holds it, or the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of this user's that is not new and not locked."""
    found = folder.lstat()
    if found.st_uid == os.getuid() and time.time() - found.st_ctime > NEW_SECONDS:
        with _held(folder):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; its links are removed, never followed.

    `tempfile.TemporaryDirectory` changes the permissions of what links lead to, where a folder cannot be written to
    (Python before 3.11.8 and 3.12.1).
    """

    def open_up(function: Callable[..., Any], path: str, _error: object) -> None:
        parent = Path(path).parent
        with contextlib.suppress(OSError):
            parent.chmod(stat.S_IRWXU)
            if function in (os.rmdir, os.scandir, os.open) and not Path(path).is_symlink():
                Path(path).chmod(stat.S_IRWXU)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()

    shutil.rmtree(folder, onerror=open_up)
