"""The wait of a consumer at a bounded buffer: TensorFlow's own formula.

The times of both sides are taken as exponential, which overstates the wait for a steady producer; what was seen of it
in a run scales it (`Flow.bursts`).
"""

from __future__ import annotations

import math

_EQUAL = 1e-9


def empty_probability(consumer_ms: float, producer_ms: float, buffer: float) -> float:
    """Return the probability that the consumer finds the buffer empty.

    Args:
        consumer_ms: From one request to the next, without waiting.
        buffer: Elements that it holds at most.

    Example:
        >>> empty_probability(10, 10, 1)
        0.5
        >>> round(empty_probability(10, 8, 2), 3)
        0.262
    """
    if producer_ms <= 0:
        return 0.0
    ratio = consumer_ms / producer_ms
    if math.isinf(buffer):
        return max(0.0, 1 - ratio)
    if abs(ratio - 1) < _EQUAL:
        return 1 / (buffer + 1)
    if ratio > 1:
        # The larger power would have no bound.
        power = math.pow(ratio, -(buffer + 1))
        return (ratio - 1) * power / (1 - power)
    return (1 - ratio) / (1 - math.pow(ratio, buffer + 1))


def wait_ms(consumer_ms: float, producer_ms: float, buffer: float) -> float:
    """Return how long the consumer waits for an element on average.

    Example:
        >>> wait_ms(10, 8, 0), round(wait_ms(10, 8, 2), 1)
        (8.0, 2.1)
    """
    return empty_probability(consumer_ms, producer_ms, buffer) * producer_ms


def burst_ms(consumer_ms: float, producer_ms: float, buffer: float) -> float:
    """Return the part of the wait that is due to the times not being steady."""
    return max(0.0, wait_ms(consumer_ms, producer_ms, buffer) - max(0.0, producer_ms - consumer_ms))
