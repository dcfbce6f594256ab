"""Whether the lock of Python's interpreter is the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.profiles.document.stages import Causes

PYTHON_FROM = 0.60
"""Share of the traced time with Python running."""
PYTHON_CORES = (0.6, 1.6)
"""Cores of a worker that is limited by the GIL: one, give or take TensorFlow's own."""
PYTHON_ALWAYS = 0.90
"""Share of the traced time from which Python is the limit also on a machine that others use."""
PYTHON_LEAST = 0.3
"""Cores that the worker must get even then: below it Python mostly waits."""
LOCK_FROM = 0.50
"""Share of the time inside Python functions with the lock taken; seen are 0.93 to 1 of those that compute in Python,
0.02 to 0.05 of those that sleep or leave the work to NumPy."""


@dataclass(frozen=True)
class GilMarks:
    """Marks from which the GIL is the limit."""

    python_from: float = PYTHON_FROM
    cores: tuple[float, float] = PYTHON_CORES
    always: float = PYTHON_ALWAYS
    least: float = PYTHON_LEAST
    lock_from: float = LOCK_FROM


_MARKS = GilMarks()


def lock_is_gil(causes: Causes) -> bool:
    """Decide whether calls of Python that wait for each other wait for the GIL, and not for a lock of a library."""
    return causes.python_lock_share is None or causes.python_lock_share >= LOCK_FROM


def gil_is_full(causes: Causes) -> bool:
    """Decide whether the GIL limits the pipeline, from all that was measured."""
    lock, used, wanted = causes.python_lock_share, causes.worker_cores, causes.demanded_cores
    return limited_by_gil(causes.python_share, used, wanted, lock)


def limited_by_gil(
    share: float | None,
    worker_cores: float | None,
    demanded_cores: float | None,
    lock_share: float | None = None,
    *,
    marks: GilMarks = _MARKS,
) -> bool:
    """Decide whether the GIL limits the pipeline.

    Where other processes use the cores, threads that wake up for the GIL wait for a core as well, and the demand looks
    larger than it is; then Python must have run nearly all of the time.

    Args:
        share: Part of the traced time in which Python of the pipeline ran.
        worker_cores: CPU seconds of the worker per second.
        demanded_cores: The same if no thread had waited for a core.
        lock_share: Part of the time inside its functions with the GIL held; `None` where it was not sampled.
    """
    low, high = marks.cores
    if share is None or demanded_cores is None or share < marks.python_from:
        return False
    if lock_share is not None and lock_share < marks.lock_from:
        return False
    if demanded_cores <= high:
        return demanded_cores >= low
    return share >= marks.always and worker_cores is not None and marks.least <= worker_cores <= high
