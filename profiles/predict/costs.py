"""Fixed costs of elements and calls."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.profiles.constants import (
    BATCH_ROW_US,
    BATCHED_SHARE,
    CACHED_ELEMENT_US,
    COPIED_BYTES_PER_US,
    EPOCH_START_US,
    FEW_CALLS_US,
    MANY_CALLS_US,
    MAP_CALL_US,
    SHORT_OP_US,
    THREAD_HAND_OVER_MS,
)


@dataclass(frozen=True)
class Costs:
    """Fixed costs, in microseconds unless the name says otherwise.

    Attributes:
        call_us: A call of a map's function.
        hand_over_us: An element from one thread to the next.
        op_us: An op that has next to nothing to do.
        batched_share: Part of a function's own time that its elements take in a call for a whole batch.
        epoch_us: A new iterator for an epoch.
        row_us: An element put into a batch, its bytes excluded.
        few_calls_us: CPU time of a call of next to nothing, with as many calls at a time as cores: after each call
            threads fall asleep, and are woken for the next one.
        many_calls_us: The same with eight times as many calls at a time.
    """

    call_us: float = float(MAP_CALL_US)
    hand_over_us: float = 1000 * THREAD_HAND_OVER_MS
    op_us: float = SHORT_OP_US
    batched_share: float = BATCHED_SHARE
    epoch_us: float = EPOCH_START_US
    row_us: float = BATCH_ROW_US
    cached_us: float = CACHED_ELEMENT_US
    bytes_per_us: float = COPIED_BYTES_PER_US
    few_calls_us: float = FEW_CALLS_US
    many_calls_us: float = MANY_CALLS_US


DEFAULT = Costs()
"""Costs of the machine on which the constants were measured."""
