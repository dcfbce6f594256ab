"""Errors that an ``ignore_errors`` hides: read after the measurement from what stands before it.

TensorFlow keeps neither the errors nor their number. An iterator of the dataset before raises them, and goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import Swallowed
from pipeprof.profiles.worker.error_text import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 1.0
LONGEST_START_SECONDS = 2.0
"""First element from which the pipeline is not started for it."""
ENOUGH = 20
"""Errors after which no more are read: where each element raises one, the iterator would never get on."""


def read_swallowed(source: Any, stop: Callable[[], bool]) -> Swallowed | None:
    """Return an error of those that are hidden; None where none is seen within a second.

    Args:
        source: The dataset before an ``ignore_errors``.
        stop: Whether the user wants an end.
    """
    import tensorflow as tf

    until = time.perf_counter() + SECONDS
    iterator, elements, errors, message = iter(source), 0, 0, ""
    while errors < ENOUGH and time.perf_counter() < until and not stop():
        try:
            next(iterator)
        except StopIteration:
            break
        except tf.errors.OpError as error:
            errors, message = errors + 1, message or first_line(error)
        elements += 1
    return Swallowed(message, errors, elements) if errors else None
