"""What the commands measure, in one table: lengths and numbers by purpose, never what a set of blocks means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Purpose:
    """How long and how often arms are measured for one purpose.

    Attributes:
        block_seconds: Of a block, at least.
        block_steps: Of a block, at least.
        settle_seconds: Of a block, not counted: threads have just been started again.
        warm_seconds: Of a warm-up, at most: it ends as soon as the step time has settled.
        warm_share: Of the budget, where there is one, that a warm-up takes at most.
        early: Pairs from which an arm can be given up.
        pairs: That usually decide.
        looks: Numbers of pairs at which a gain or a regression may be called: at every pair, some would be by chance.
        errors: Of each look, on each side: the chance that it calls a change of exactly the floor beyond it. Without
            them, each look has `pipeprof.profiles.experiment.statistics.ERROR`.
    """

    block_seconds: float
    block_steps: int
    settle_seconds: float
    warm_seconds: float
    warm_share: float
    early: int
    pairs: int
    looks: tuple[int, ...]
    errors: tuple[float, ...] = ()

    @property
    def most(self) -> int:
        """Pairs after which nothing more is measured."""
        return self.looks[-1]

    def is_look(self, pairs: int, before: int = 0) -> bool:
        """Whether a look is due: rounds that count again later may take the pairs beyond a planned number.

        Args:
            before: The most pairs that there were until now: each look is taken once.

        Example:
            >>> [TRIES.is_look(*pairs) for pairs in ((12, 10), (14, 10), (14, 12), (34, 28))]
            [True, True, False, True]
        """
        return any(before < look <= pairs for look in self.looks)

    def error_at(self, pairs: int) -> float:
        """The error of the look that so many pairs are due for; of the next one where its time ended it early.

        Example:
            >>> [TRIES.error_at(pairs) for pairs in (6, 7, 30, 32)]
            [0.0015, 0.0013, 0.0009, 0.0009]
        """
        due = [error for look, error in zip(self.looks, self.errors, strict=True) if look >= pairs]
        return due[0] if due else self.errors[-1]


TRIES = Purpose(
    0.25,
    4,
    0.05,
    1.5,
    1 / 60,
    early=3,
    pairs=4,
    looks=(3, 4, 6, 8, 12, 20, 30),
    errors=(0.0016, 0.0016, 0.0015, 0.0013, 0.001, 0.0009, 0.0009),
)
"""A race of several changes, in rounds of one block of each and of two copies of the base: a pair is a round.

The looks share an error of 1 % on each side for all entrants together, much of it spent on the first two. These are the
levels of Student's t that spend it, for the spread of a race, as simulated."""
GATE = Purpose(0.2, 3, 0.03, 0.5, 1.0, early=4, pairs=5, looks=(4, 6, 8, 11, 15))
"""`compare` and `gate`: a pair is one of fresh processes."""
