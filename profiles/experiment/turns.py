"""Turns of processes: how much of the cores something else took in each, and which of them count: pure functions.

A turn is one block of each process, half a second to two seconds in all. A neighbour that computes for a second, or a
hypervisor that gives the cores to another machine, falls on some blocks of a turn and not on the others. Such turns are
left out, for all processes alike and whatever their blocks took, and others are measured in their place. Load that does
not change is in every turn, and leaves none out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from pipeprof.profiles.host.machine import Taken

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.turns import TurnEnded

BEYOND_USUAL = 0.10
"""Share of the cores that something else takes beyond the quietest quarter, in a turn or a pair left out."""
MOST_TURNS = 1.5
"""Turns of a round, as a multiple of those that are wanted."""


@dataclass(frozen=True)
class Turn:
    """One block of each process; `taken` is what went elsewhere, None where not known."""

    order: tuple[str, ...]
    blocks: Mapping[str, TurnEnded]
    taken: Taken | None = None


def undisturbed(turns: Sequence[Turn]) -> list[Turn]:
    """The turns that count: those in which not much more went elsewhere than in the quietest quarter of all turns.

    Example:
        >>> shares = (0.02, 0.0, 0.6, 0.03)
        >>> [turn.taken.elsewhere for turn in undisturbed([Turn((), {}, Taken(share)) for share in shares])]
        [0.02, 0.0, 0.03]
    """
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
    """The shares of the cores' time that something else takes in a usual turn; None where not known.

    Example:
        >>> usually_taken([Turn((), {}, Taken(share, share / 2)) for share in (0.1, 0.3, 0.2)])
        Taken(elsewhere=0.2, stolen=0.1)
    """
    known = [turn.taken for turn in turns if turn.taken is not None]
    if not known:
        return None
    return Taken(median(one.elsewhere for one in known), median(one.stolen for one in known))
