"""Turns of processes: orders, blocks, how much of the cores something else took, and which count: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.host.limits import Taken

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.turns import TurnEnded

Mode = Literal["alternating", "sequential"]
"""How many processes exist at a time: all of them, or one."""
BEYOND_USUAL = 0.10
"""Share of the cores that something else takes beyond the quietest quarter, in a turn or a pair left out."""
MOST_TURNS = 1.5
"""Turns of a round, as a multiple of those that are wanted."""
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


@dataclass(frozen=True)
class Turn:
    """One block of each process; `taken` is what went elsewhere, None where not known."""

    order: tuple[str, ...]
    blocks: Mapping[str, TurnEnded]
    taken: Taken | None = None


def undisturbed(turns: Sequence[Turn]) -> list[Turn]:
    """The turns that count: those in which not much more went elsewhere than in the quietest quarter of all turns."""
    usual = are_usual([turn.taken.elsewhere if turn.taken is not None else None for turn in turns])
    return [turn for turn, is_usual in zip(turns, usual, strict=True) if is_usual]


def are_usual(shares: Sequence[float | None]) -> list[bool]:
    """Which shares are not much larger than in the quietest quarter; all where one is not known.

    Example:
        >>> are_usual([0.02, 0.0, 0.6, 0.03]), are_usual([0.6, None])
        ([True, True, False, True], [True, True])
    """
    known = sorted(share for share in shares if share is not None)
    most = known[len(known) // 4] + BEYOND_USUAL if known and len(known) == len(shares) else math.inf
    return [share is None or share <= most for share in shares]


def are_enough(turns: Sequence[Turn], wanted: int) -> bool:
    """Whether no more turns are measured."""
    return len(turns) >= wanted and (len(undisturbed(turns)) >= wanted or len(turns) >= int(MOST_TURNS * wanted))


def usually_taken(turns: Sequence[Turn]) -> Taken | None:
    """The shares of the cores' time that something else takes in a usual turn; None where not known."""
    known = [turn.taken for turn in turns if turn.taken is not None]
    if not known:
        return None
    return Taken(median(one.elsewhere for one in known), median(one.stolen for one in known))


def order_of(number: int, names: Sequence[str]) -> tuple[str, ...]:
    """The order of the processes in a round, numbered from 0: backwards in every other one."""
    return tuple(names) if number % 2 == 0 else tuple(names[::-1])


def blocks_of(interval: float) -> int:
    """How many blocks each process of a pair has, from their longest step interval in seconds."""
    block = block_seconds(interval) + max(GATE.settle_seconds, DROPPED_STEPS * interval)
    return max(FEWEST_BLOCKS, min(MOST_BLOCKS, int(PROCESS_SECONDS / block) // 2 * 2))


def block_seconds(interval: float) -> float:
    """How long the counted part of a pair's block is, from the longest step interval in seconds."""
    longer = min(LONG_BLOCK_STEPS * interval, LONG_BLOCK_SECONDS)
    return max(GATE.block_seconds, GATE.block_steps * interval, longer)
