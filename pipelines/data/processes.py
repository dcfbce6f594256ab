"""Clean-up of child processes whose parent has ended: what Linux does of itself if it is asked to."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


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
