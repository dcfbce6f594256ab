"""Whether the lock of Python's interpreter is the limit."""

from __future__ import annotations

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


def limited_by_gil(
    share: float | None, worker_cores: float | None, demanded_cores: float | None, lock_share: float | None = None
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
    low, high = PYTHON_CORES
    if share is None or demanded_cores is None or share < PYTHON_FROM:
        return False
    if lock_share is not None and lock_share < LOCK_FROM:
        return False
    if demanded_cores <= high:
        return demanded_cores >= low
    return share >= PYTHON_ALWAYS and worker_cores is not None and PYTHON_LEAST <= worker_cores <= high
