"""Errors that the system around a program has caused, in a sentence that names the cause.

They may come from anywhere, also from an import: few open files, no memory, no current folder.
"""

from __future__ import annotations

import errno
from pathlib import Path

from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.profiles.host.limits import address_space, open_files
from pipeprof.profiles.wording import size


def system_fault(error: Exception) -> PipeprofError | None:
    """The fault behind an error; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return PipeprofError(
            f"too many open files: a process may have {open_files()} (ulimit -n); raise the limit, e.g. ulimit -n 256"
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return PipeprofError(f"the system gave pipeprof no more memory{_address_limit()}")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        limits = _address_limit() or ": look at the limits of processes (ulimit -u) and of memory"
        return PipeprofError(f"the system let pipeprof start no more threads{limits}")
    if isinstance(error, FileNotFoundError) and not has_current_folder():
        return UsageError("the current folder was deleted: change to another one")
    return None


def _address_limit() -> str:
    limit = address_space()
    return "" if limit is None else f": a process may have {size(limit)} of addresses (ulimit -v)"


def has_current_folder() -> bool:
    """Whether the folder that this process runs in still exists."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True
