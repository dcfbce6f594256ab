"""Decisions drawn from recorded pairs: pure functions.

A decision is a session of up to 15 pairs. Each of its pairs is one that was recorded, of processes that were measured
in turns at the same time, so that the load of that time is in all of them; which pairs, and in which order, is drawn.
A slow-down or growth is put into the recorded values of B as a factor.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules import RULES

from pipeprof.profiles.experiment.decision import Verdict
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.judge.metrics import rows_of
from pipeprof.profiles.judge.result import PairValues
from pipeprof.profiles.judge.verdict import looks_within

Recorded = Mapping[str, Any]
NAMES = ("step_ms", "peak_bytes")


@dataclass(frozen=True)
class Decision:
    """What the gate says of one drawn session, and how long its pairs took when they were recorded."""

    verdicts: dict[str, Verdict]
    pairs: int
    seconds: float

    def failed(self, name: str | None = None) -> bool:
        """Whether a metric, or any of them, is called regressed."""
        return any(verdict == "regressed" for key, verdict in self.verdicts.items() if name in (None, key))

    def inconclusive(self) -> bool:
        """Whether the gate can neither pass nor fail."""
        return not self.failed() and "cannot tell" in self.verdicts.values()


def decide(pairs: Sequence[Recorded], factors: Mapping[str, float]) -> Decision:
    """Let the gate decide on recorded pairs, B's values multiplied by metric, until it has seen enough."""
    values = [
        PairValues(
            order=[],
            a={name: pair["a"][name] for name in NAMES},
            b={name: pair["b"][name] * factors.get(name, 1.0) for name in NAMES},
            again={name: pair["again"][name] for name in NAMES},
        )
        for pair in pairs[: GATE.most]
    ]
    verdicts: dict[str, Verdict] = {}
    look = 0
    for look in looks_within(min(GATE.most, len(values))):
        verdicts = {row.name: row.verdict for row in rows_of(values[:look])}
        if "regressed" in verdicts.values() or "cannot tell" not in verdicts.values():
            break
    return Decision(verdicts, look, sum(pair["seconds"] for pair in pairs[:look]))


def sessions(bank: Sequence[Recorded], count: int, seed: int, *, roles: bool) -> Iterator[list[Recorded]]:
    """Draw sessions; with `roles` any process of a pair may take the place of B, else only A's two are drawn."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    for _ in range(count):
        drawn = chance.sample(list(bank), min(GATE.most, len(bank)))
        session: list[Recorded] = []
        for pair in drawn:
            names = ["a", "b", "again"]
            if roles:
                chance.shuffle(names)
            elif chance.random() < 0.5:
                names = ["again", "b", "a"]
            session.append({**pair, "a": pair[names[0]], "b": pair[names[1]], "again": pair[names[2]]})
        yield session


def others(session: Sequence[Recorded], slower: float) -> dict[str, bool]:
    """Which other tools would call B slower, its blocks made slower by a share, each on as many runs as it takes."""
    found: dict[str, bool] = {}
    for name, (runs, rule) in RULES.items():
        a = [pair["a"]["blocks_ms"] for pair in session[:runs]]
        b = [[(1 + slower) * value for value in pair["b"]["blocks_ms"]] for pair in session[:runs]]
        found[name] = rule(a, b)
    return found
