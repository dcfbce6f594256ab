"""Which pairs of a session count: pure functions.

Pairs during which a hypervisor gave the cores to other machines for much of the time are left out, whatever they show,
as long as four count; the number of pairs stays within the user's limit. It takes a core for seconds, from one process
of a pair more than from the others: pairs of JPEGs differed by up to 70 % where it took 35 to 41 % of the cores, and by
12 % where it took 3 to 11 %. Other processes leave no pair out: the kernel shares the cores among processes every few
milliseconds. Where all pairs have as much taken from them, all count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.turns import are_usual

if TYPE_CHECKING:
    from pipeprof.profiles.judge.verdicts.result import PairValues


def mark(pairs: Sequence[PairValues]) -> None:
    """Write into each pair whether it counts."""
    quiet = are_usual([pair.stolen_share for pair in pairs])
    for pair, is_quiet in zip(pairs, quiet, strict=True):
        # As many as a gate looks at first count in any case.
        pair.counts = is_quiet or sum(quiet) < GATE.early


def counted(pairs: Sequence[PairValues]) -> list[PairValues]:
    """The pairs that count."""
    return [pair for pair in pairs if pair.counts]
