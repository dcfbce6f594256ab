"""Lock for one measuring command at a time: two at once would disturb each other.

The lock belongs to a user on a machine. The kernel holds it for the process (``flock``), so any end of the process
releases it; the file stays and names the holder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.host_files import check_private, temporary_folder

POLL_SECONDS = 0.25


class LockTimeoutError(PipeprofError):
    """Another pipeprof was measuring for longer than this one could wait."""


def lock_folder(uid: int | None = None) -> Path:
    """Return the folder of the lock file: the user's runtime folder, else a folder of the user's in the temporary one.

    The runtime folder is skipped if it is missing or, after a change of user, another user's.

    Raises:
        OSError: There is no place for it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        return Path(runtime) / "pipeprof"
    temporary = temporary_folder()
    if temporary is None:
        raise FileNotFoundError(errno.ENOENT, "no folder for temporary files can be written to")
    return temporary / f"pipeprof-{os.getuid() if uid is None else uid}"


@contextmanager
def measuring_lock(
    note: Callable[[str], object],
    limit: float | None,
    *,
    folder: Path | None = None,
    go_on: Callable[[], object] = lambda: None,
) -> Iterator[str | None]:
    """Hold the lock while the body runs.

    Args:
        note: Receives for whom this process waits.
        limit: Seconds to wait for another one; None for no lock.
        go_on: Called before each pause; what it raises ends the wait.

    Yields:
        Why there is no lock where the folder cannot be written or knows none; the body runs without.

    Raises:
        LockTimeoutError: Another one still had it after ``limit`` seconds.
    """
    with ExitStack() as stack:
        warning = None
        try:
            if limit is not None:
                file = stack.enter_context(_open(lock_folder() if folder is None else folder))
                _wait(file, note, limit, go_on)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            warning = f"no lock against other measuring commands: {place}{error.strerror or error}"
        yield warning


def _open(folder: Path) -> IO[bytes]:
    """Open or create the lock file. Raises ``OSError``, also for a folder that another user could have created."""
    folder.mkdir(mode=0o700, parents=False, exist_ok=True)
    check_private(folder)
    return os.fdopen(os.open(folder / "measure.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", 0)


def _wait(file: IO[bytes], note: Callable[[str], object], limit: float, go_on: Callable[[], object]) -> None:
    until, noted = time.monotonic() + limit, False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        go_on()
        pid = os.pread(file.fileno(), 20, 0)
        who = f"another pipeprof (pid {int(pid)})" if pid.isdigit() else "another pipeprof"
        left = until - time.monotonic()
        if left <= 0:
            raise LockTimeoutError(f"{who} is measuring; waited {limit:.0f} s; --max-time waits longer")
        if not noted:
            note(f"waiting up to {limit:g} s for {who} to finish measuring")
        noted = True
        time.sleep(min(POLL_SECONDS, left))
    # On a full disk others only miss the name.
    with suppress(OSError):
        file.truncate(0)
        os.pwrite(file.fileno(), b"%d" % os.getpid(), 0)
