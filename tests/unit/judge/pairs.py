"""Pairs of processes with known values."""

from __future__ import annotations

from pipeprof.profiles.judge.result import PairValues


def pairs(factor: float, *, count: int) -> list[PairValues]:
    """Pairs whose B takes `factor` times as long, with a noise that is the same each time."""
    found = []
    for number in range(count):
        wiggle = 0.004 * ((number * 7) % 5 - 2) / 2
        found.append(
            PairValues(
                order=[],
                a={"step_ms": 10.0, "peak_bytes": 1e9},
                b={"step_ms": 10.0 * factor * (1 + wiggle), "peak_bytes": 1e9 * (1 + wiggle / 4)},
                again={"step_ms": 10.0 * (1 - wiggle / 2), "peak_bytes": 1e9},
            )
        )
    return found
