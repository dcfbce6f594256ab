"""Lock for one measuring command at a time: two at once would disturb each other.

The lock belongs to a user on a machine. The kernel holds it for the process (``flock``), so any end of the process
releases it; the file stays and names the holder.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.host_files import check_private, temporary_folder

POLL_SECONDS = 0.25
DEFAULT_LIMIT = 60.0
_BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})


class LockTimeoutError(PipeprofError):
    """Another pipeprof was measuring for longer than this one could wait."""

    def __init__(self, pid: int | None, seconds: float) -> None:
        who = "another pipeprof" if pid is None else f"another pipeprof (pid {pid})"
        super().__init__(f"{who} is measuring; waited {seconds:.0f} s; --max-time waits longer")
        self.pid = pid
        self.seconds = seconds


@dataclass(frozen=True)
class LockState:
    """Result of acquiring the lock.

    Attributes:
        held: Whether it is held; ``False`` if locking is impossible here.
    """

    held: bool
    waited_seconds: float = 0.0
    warning: str | None = None


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


def _open(folder: Path) -> int:
    """Open or create the lock file. Raises ``OSError``, also for a folder that another user could have created."""
    folder.mkdir(mode=0o700, parents=False, exist_ok=True)
    check_private(folder)
    return os.open(folder / "measure.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def _holder(fd: int) -> int | None:
    """Return the holder's process id; ``None`` between acquiring and writing."""
    try:
        told = json.loads(os.pread(fd, 1 << 16, 0))
    except (OSError, ValueError):
        return None
    pid = told.get("pid") if isinstance(told, dict) else None
    return pid if isinstance(pid, int) else None


def _wait(
    fd: int,
    limit: float,
    waiting: Callable[[int | None, float], None] | None,
    wait: Callable[[float], object],
    clock: Callable[[], float],
) -> float:
    """Wait for the lock; return the seconds waited."""
    start = clock()
    while True:
        waited = clock() - start
        if waited >= limit:
            raise LockTimeoutError(_holder(fd), waited)
        if waiting is not None:
            waiting(_holder(fd), waited)
        wait(min(POLL_SECONDS, limit - waited))
        if _try(fd):
            return clock() - start


def waiting_note(note: Callable[[str], object], limit: float) -> Callable[[int | None, float], None]:
    """Make a receiver of the pauses of :func:`measuring_lock` that says who is waited for, once for each holder.

    Args:
        limit: Seconds to wait at most.

    Example:
        >>> waiting = waiting_note(print, 60)
        >>> waiting(17, 0.0), waiting(17, 0.25)
        waiting up to 60 s for another pipeprof (pid 17) to finish measuring
        (None, None)
    """
    named: set[int | None] = set()

    def waiting(pid: int | None, _seconds: float) -> None:
        if pid not in named:
            named.add(pid)
            who = f" (pid {pid})" if pid else ""
            note(f"waiting up to {limit:g} s for another pipeprof{who} to finish measuring")

    return waiting


@contextmanager
def measuring_lock(
    command: Sequence[str] = (),
    *,
    folder: Path | None = None,
    limit: float = DEFAULT_LIMIT,
    waiting: Callable[[int | None, float], None] | None = None,
    wait: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[LockState]:
    """Hold the lock while the body runs.

    Args:
        command: Command line of this process, written for those that wait.
        folder: Where the lock file lives, by default :func:`lock_folder`.
        limit: Seconds to wait for another one.
        waiting: Called before each pause with the other's process id (None if unknown) and the seconds waited.
        wait: Pauses for so many seconds; an event's ``wait`` makes it end early.
        clock: Seconds, monotonic.

    Yields:
        Whether the lock is held; where the folder cannot be written or knows no locks, the body runs without.

    Raises:
        LockTimeoutError: Another one still had it after ``limit`` seconds.

    Example:
        >>> import tempfile
        >>> with measuring_lock(["pipeprof", "run"], folder=Path(tempfile.mkdtemp())) as state:
        ...     state.held
        True
    """
    pause = threading.Event().wait if wait is None else wait
    fd, had, warning = -1, False, None
    try:
        try:
            fd = _open(lock_folder() if folder is None else folder)
            had = _try(fd)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            warning = f"no lock against other measuring commands: {place}{error.strerror or error}"
        if warning is None:
            waited = 0.0 if had else _wait(fd, limit, waiting, pause, clock)
            _write(fd, command)
            yield LockState(True, waited)
        else:
            yield LockState(False, warning=warning)
    finally:
        if fd >= 0:
            os.close(fd)


def _write(fd: int, command: Sequence[str]) -> None:
    """Write the holder's process id; on a full disk others only miss the name."""
    text = json.dumps({"pid": os.getpid(), "command": list(command)}).encode()
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, text, 0)
    except OSError:
        return
