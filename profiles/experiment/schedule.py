"""Orders, blocks and numbers of processes of an experiment: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeprof.profiles.experiment.purposes import GATE

Mode = Literal["alternating", "sequential"]
"""How many processes exist at a time: all of them, or one."""
FEWEST_BLOCKS = 4
"""Of each process, where blocks are long; even, so that no process is always the first one."""
MOST_BLOCKS = 14
LONG_BLOCK_STEPS = 6
LONG_BLOCK_SECONDS = 0.6
"""A block of long steps ends after the first of these: what is dropped at its beginning is then a quarter of it."""
DROPPED_STEPS = 2
"""Of a block of long steps: the one that was stopped in its middle, and the one after it."""
PROCESS_SECONDS = 6.4
"""That all blocks of a process take, where fewer of them are enough for it."""


def order_of(number: int, names: Sequence[str]) -> tuple[str, ...]:
    """The order of the processes in a round, numbered from 0: backwards in every other one.

    Example:
        >>> order_of(0, "AB"), order_of(1, "AB")
        (('A', 'B'), ('B', 'A'))
    """
    return tuple(names) if number % 2 == 0 else tuple(names[::-1])


def blocks_of(interval: float) -> int:
    """How many blocks each process of a pair has, from their longest step interval in seconds.

    Example:
        >>> [blocks_of(interval) for interval in (0.001, 0.08, 0.2, 2.0)]
        [14, 10, 6, 4]
    """
    block = block_seconds(interval) + max(GATE.settle_seconds, DROPPED_STEPS * interval)
    return max(FEWEST_BLOCKS, min(MOST_BLOCKS, int(PROCESS_SECONDS / block) // 2 * 2))


def block_seconds(interval: float) -> float:
    """How long the counted part of a pair's block is, from the longest step interval in seconds.

    Example:
        >>> [round(block_seconds(interval), 2) for interval in (0.001, 0.08, 0.15, 2.0)]
        [0.2, 0.48, 0.6, 6.0]
    """
    longer = min(LONG_BLOCK_STEPS * interval, LONG_BLOCK_SECONDS)
    return max(GATE.block_seconds, GATE.block_steps * interval, longer)
