"""Deleting an ended iterator without waiting for its AUTOTUNE thread."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TASKS = Path("/proc/self/task")


@contextmanager
def without_sleeping() -> Iterator[None]:
    """Let no other thread of this process run while the body does, unless the body waits; does nothing but on Linux.

    TensorFlow cancels the AUTOTUNE thread of an iterator by waking it, and notes only after that that it is cancelled
    (seen on 2.21). A thread that is quick sees nothing, sleeps on, and the deletion waits for it: in 9 of 12 deletions
    for about as long as the epoch took, also where nothing else uses the cores. On the core of the thread that deletes,
    as a batch job, it runs only once that waits, and sees that it is cancelled: none of 30 deletions took 2 ms.

    Where the kernel does not permit it, the body runs as it would anyway.
    """
    before: dict[int, tuple[set[int], int]] = {}
    own = _one_core()
    try:
        for number in _others() if own else ():
            with suppress(OSError):
                before[number] = os.sched_getaffinity(number), os.sched_getscheduler(number)
                _put(number, {min(own)}, os.SCHED_BATCH if before[number][1] == os.SCHED_OTHER else None)
        yield
    finally:
        # What was started meanwhile has inherited the core.
        for number in _others() if own else ():
            with suppress(OSError):
                _put(number, *before.get(number, (own, os.sched_getscheduler(0))))
        if own:
            with suppress(OSError):
                os.sched_setaffinity(0, own)


def _put(number: int, cores: set[int], policy: int | None) -> None:
    """Give a thread cores, and a policy unless that is one with priorities."""
    os.sched_setaffinity(number, cores)
    if policy in {os.SCHED_OTHER, os.SCHED_BATCH} and os.sched_getscheduler(number) != policy:
        os.sched_setscheduler(number, policy, os.sched_param(0))


def _one_core() -> set[int]:
    """Move this thread to the first of its cores; return those that it had, none where that is not possible."""
    if not hasattr(os, "sched_setscheduler") or not _TASKS.is_dir():
        return set()
    try:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(own)})
    except OSError:
        return set()
    return own


def _others() -> list[int]:
    """The other threads of this process."""
    numbers = (int(entry.name) for entry in _TASKS.iterdir())
    return [number for number in numbers if number != threading.get_native_id()]
