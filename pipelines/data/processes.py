"""Clean-up of child processes whose parent has ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int | None = None) -> None:
    """Ask the kernel to kill this process as soon as its parent ends, however that happens.

    Call it first thing in a child. Linux only; elsewhere it does nothing, and the parent must end its children.

    Args:
        parent_pid: The parent's process id, if the child knows it. With it the moment before this call is covered
            too: a parent that is already gone ends this process at once.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        # Sandboxes may forbid the call; the parent still ends its children by their group.
        return
    if parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def end_group(pid: int) -> None:
    """Kill the process group that ``pid`` leads; a group that is already gone is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
