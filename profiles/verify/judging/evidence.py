"""What alternating workers have measured of a pipeline and an edited one: pure records.

Two workers run the pipeline as it is, two the edited one, each in a fresh process. A round gives every worker one
block, in the order A1 B1 B2 A2, in the next round backwards. So each round has two pairs of neighbours, (A1, B1) and
(A2, B2); a slow drift of the machine falls on both sides alike. The second pair of processes repeats what the first
one says, A1 against A2 shows what the machine makes of the same pipeline, and each pair has a peak of memory.

Where the memory or a GPU is for one process at a time, each block of a round is a process of its own: the order is the
same, and a pair is one of processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeprof.profiles.protocol.turns import Built, TurnEnded
from pipeprof.profiles.verify.judging.ratio import Ratio, ratio_of

ROUND = ("A1", "B1", "B2", "A2")
"""Order of the workers in the first round; the next one runs backwards."""
BASELINES = ("A1", "A2")
EDITED = ("B1", "B2")
PROCESS_PAIRS = tuple(zip(BASELINES, EDITED, strict=True))


def order_of(number: int) -> tuple[str, ...]:
    """The order of the workers in a round.

    Args:
        number: Of the round, from 0.

    Example:
        >>> order_of(0), order_of(1)
        (('A1', 'B1', 'B2', 'A2'), ('A2', 'B2', 'B1', 'A1'))
    """
    return ROUND if number % 2 == 0 else ROUND[::-1]


@dataclass(frozen=True)
class Evidence:
    """What was measured.

    Attributes:
        built: What each worker said once it had built its pipeline, by its name.
        rounds: The blocks of each complete round, by the worker's name.
        alone: Whether each block is a process of its own.
        left_out: Number of rounds that do not count, because something else took the cores meanwhile.
    """

    built: dict[str, Built] = field(default_factory=dict)
    rounds: list[dict[str, TurnEnded]] = field(default_factory=list)
    alone: bool = False
    left_out: int = 0

    def speedup(self) -> Ratio | None:
        """Steps per second of the edited pipeline over those of the pipeline as it is, over all pairs."""
        return ratio_of([*self._ratios("B1", "A1"), *self._ratios("B2", "A2")])

    def repeated(self) -> tuple[Ratio | None, Ratio | None]:
        """The same for each pair of processes alone."""
        return ratio_of(self._ratios("B1", "A1")), ratio_of(self._ratios("B2", "A2"))

    def same(self) -> Ratio | None:
        """The pipeline as it is, one process over the other: what is no difference."""
        return ratio_of(self._ratios("A2", "A1"))

    def restarts(self) -> int:
        """How often the data set of a process had ended and begun again, at most."""
        return max((block.restarts or 0 for blocks in self.rounds for block in blocks.values()), default=0)

    def spread(self) -> float:
        """The fastest block of the pipeline as it is over its slowest one; infinite without two of them."""
        rates = [rate(blocks[name]) for blocks in self.rounds for name in BASELINES if blocks[name].seconds]
        return max(rates) / min(rates) if len(rates) > 1 and min(rates) > 0 else math.inf

    def _ratios(self, one: str, other: str) -> list[float]:
        pairs = [(blocks[one], blocks[other]) for blocks in self.rounds]
        return [rate(block) / rate(base) for block, base in pairs if block.seconds and base.seconds and base.steps]

    def ratios(self) -> list[float]:
        """The ratio of every pair, in the order of the rounds."""
        return [
            ratio for pair in zip(self._ratios("B1", "A1"), self._ratios("B2", "A2"), strict=True) for ratio in pair
        ]

    def peaks(self) -> list[tuple[int, int, int]]:
        """Peaks of memory of each pair of processes: as it is, edited, and TensorFlow's own of the first one."""
        if not self.rounds:
            return []
        last, found = self.rounds[-1], []
        for base, edited in zip(BASELINES, EDITED, strict=True):
            before, after, runtime = last[base].peak_bytes, last[edited].peak_bytes, self.built[base].runtime_bytes
            if before is not None and after is not None and runtime is not None:
                found.append((before, after, runtime))
        return found


def rate(block: TurnEnded) -> float:
    """Steps per second of a block."""
    return block.steps / block.seconds


def seconds_of(rounds: Sequence[dict[str, TurnEnded]]) -> float:
    """Seconds that were measured, all workers together."""
    return sum(block.seconds for blocks in rounds for block in blocks.values())
