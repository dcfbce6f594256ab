"""What arms that took turns have measured, and what that says of one of them against the base: pure records.

Several processes run the base, one or more run an arm. A round gives each of them one block, in the next round
backwards: a slow drift of the machine falls on all alike. An arm is compared with the mean of the copies of the base in
the same round, and each round is one observation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pipeprof.profiles.document.findings import Facts
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.protocol.turns import Built, TurnEnded

BASELINES = ("A1", "A2")
EDITED = ("B1", "B2")
MEMORY_BYTES = 20_000_000
"""By which a peak has to fall at least, to count."""
MEMORY_SHARE = 0.10
"""The same as a share of what the pipeline adds to TensorFlow's own."""


@dataclass(frozen=True)
class Evidence:
    """What was measured.

    Attributes:
        rounds: The blocks of each complete round, by the worker's name.
        alone: Whether each block is a process of its own.
        left_out: Number of rounds that do not count, because something else took the cores meanwhile.
    """

    built: dict[str, Built] = field(default_factory=dict)
    rounds: list[dict[str, TurnEnded]] = field(default_factory=list)
    alone: bool = False
    left_out: int = 0
    base: tuple[str, ...] = BASELINES
    arm: tuple[str, ...] = EDITED

    def comparison(self) -> Comparison | None:
        """The arm against the base, as logarithms of steps per second; None without a complete round."""
        base, arm = self._logs(self.base), self._logs(self.arm)
        complete = [number for number in range(len(self.rounds)) if base[number] and arm[number]]
        same = [base[number][-1] - base[number][0] for number in complete] if len(self.base) > 1 else []
        other = [arm[number][-1] - arm[number][0] for number in complete] if len(self.arm) > 1 else []
        changes = [fmean(arm[number]) - fmean(base[number]) for number in complete]
        share = (1 / len(self.base) + 1 / len(self.arm)) / 2
        found = estimate(changes, [*same, *other], share, len(complete) * len(self.arm))
        if found is None:
            return None
        return Comparison(found, estimate(same), self._copies(complete, base, arm), not self.alone)

    def _copies(
        self, complete: Sequence[int], base: Sequence[Sequence[float]], arm: Sequence[Sequence[float]]
    ) -> tuple[float, ...]:
        """The change of each copy of the arm against its neighbour; none where it has only one."""
        if len(self.arm) < 2 or len(self.arm) != len(self.base):
            return ()
        return tuple(fmean(arm[number][at] - base[number][at] for number in complete) for at in range(len(self.arm)))

    def _logs(self, names: Sequence[str]) -> list[list[float]]:
        """Logarithms of the rates of some workers in each round; empty where one has none."""
        found = []
        for blocks in self.rounds:
            rates = [rate(blocks[name]) if name in blocks else 0.0 for name in names]
            found.append([math.log(one) for one in rates] if all(rates) else [])
        return found

    def speedup(self) -> Interval | None:
        """Steps per second of the arm over those of the base."""
        compared = self.comparison()
        return compared.change if compared is not None else None

    def same(self) -> Interval | None:
        """The base in one process over the same in another: what is no difference."""
        compared = self.comparison()
        return compared.same if compared is not None else None

    def ratios(self) -> list[float]:
        """The ratio of every pair of neighbours, in the order of the rounds; of one copy, of every round."""
        base, arm = self._logs(self.base), self._logs(self.arm)
        found = []
        for before, after in zip(base, arm, strict=True):
            if before and after:
                against = before if len(before) == len(after) else [fmean(before)] * len(after)
                found += [math.exp(one - other) for one, other in zip(after, against, strict=True)]
        return found

    def measured(self) -> Facts | None:
        """The gain with its interval and pairs, as a profile has it; None where nothing was measured."""
        speedup = self.speedup()
        if speedup is None:
            return None
        return {
            "speedup": round(speedup.value, 4),
            "low": round(speedup.low, 4),
            "high": round(speedup.high, 4) if math.isfinite(speedup.high) else None,
            "pairs": [round(ratio, 4) for ratio in self.ratios()],
        }

    def restarts(self) -> int:
        """How often the data set of a process had ended and begun again, at most."""
        return max((block.restarts or 0 for blocks in self.rounds for block in blocks.values()), default=0)

    def spread(self) -> float:
        """The fastest block of the base over its slowest one; infinite without two of them."""
        rates = [rate(blocks[name]) for blocks in self.rounds for name in self.base if name in blocks]
        return max(rates) / min(rates) if len(rates) > 1 and min(rates) > 0 else math.inf

    def peaks(self) -> list[tuple[int, int, int]]:
        """Peaks of memory of each pair of processes: of the base, the arm, and TensorFlow's own of the first one."""
        if not self.rounds:
            return []
        last, found = self.rounds[-1], []
        for base, edited in zip(self.base, self.arm, strict=False):
            before, after, runtime = last[base].peak_bytes, last[edited].peak_bytes, self.built[base].runtime_bytes
            if before is not None and after is not None and runtime is not None:
                found.append((before, after, runtime))
        return found


def rate(block: TurnEnded) -> float:
    """Steps per second of a block; 0 of one without a step."""
    return block.steps / block.seconds if block.seconds else 0.0


def saves_memory(before: int, after: int, runtime: int) -> bool:
    """Whether a peak, with `runtime` as the part of TensorFlow itself, falls by as much as counts."""
    return before - after >= max(MEMORY_BYTES, MEMORY_SHARE * (before - runtime))
