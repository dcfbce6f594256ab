"""What arms that took turns have measured, and what that says of one of them against the base: pure records.

Several processes run the base, one or more run an arm. A round gives each of them one block, in the next round
backwards: a slow drift of the machine falls on all alike. An arm is compared with the mean of the copies of the base in
the same round, and each round is one observation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import geometric_mean

from pipeprof.profiles.protocol.turns import Built, TurnEnded

BASELINES = ("A1", "A2")
MEMORY_BYTES = 20_000_000
"""By which a peak has to fall at least, to count."""
MEMORY_SHARE = 0.10
"""The same as a share of what the pipeline adds to TensorFlow's own."""


@dataclass(frozen=True)
class Evidence:
    """The blocks of each complete round that counts, by the worker's name; `alone` if each is a process of its own."""

    built: dict[str, Built] = field(default_factory=dict)
    rounds: list[dict[str, TurnEnded]] = field(default_factory=list)
    alone: bool = False
    base: tuple[str, ...] = BASELINES
    arm: tuple[str, ...] = ()

    def ratios(self) -> list[float]:
        """Steps per second of the arm over those of the base, in each round in which both had steps."""
        found = []
        for blocks in self.rounds:
            base, arm = ([rate(blocks[name]) for name in names if name in blocks] for names in (self.base, self.arm))
            if len(base) == len(self.base) and arm and all((*base, *arm)):
                found.append(geometric_mean(arm) / geometric_mean(base))
        return found

    def blocks(self, names: Collection[str]) -> list[TurnEnded]:
        """All blocks of some processes."""
        return [block for blocks in self.rounds for name, block in blocks.items() if name in names]

    def restarts(self) -> int:
        """How often the data set of a process had ended and begun again, at most."""
        return max((block.restarts or 0 for blocks in self.rounds for block in blocks.values()), default=0)

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
