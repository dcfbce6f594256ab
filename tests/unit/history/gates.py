"""Gates for tests: entries of a history, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.profiles.history.entry import HostClass, KeptGate, State
from pipeprof.profiles.judge.verdicts.result import Identity, PairValues

HOST = HostClass(cpu_model="one", machine="x86_64", cores=2.0, memory_gib=8)
OTHER = HostClass(cpu_model="another", machine="x86_64", cores=8.0, memory_gib=32)
TARGET = Identity(file="spec.yaml", digest="0" * 64)


def state(number: int) -> State:
    """A pipeline by its number."""
    return State(text=f"git:{number}", commit=f"{number:x}" * 40, digest=f"pipeline {number}")


def pairs(
    factor: float, *, steps: float = 10.0, count: int = 6, noise: float = 0.004, memory: float = 1.0
) -> list[PairValues]:
    """Pairs whose B takes `factor` times as long, with a noise that is the same each time."""
    found = []
    for number in range(count):
        wiggle = noise * ((number * 7) % 5 - 2) / 2
        found.append(
            PairValues(
                order=[],
                a={"step_ms": steps, "peak_bytes": 1e9},
                b={"step_ms": steps * factor * (1 + wiggle), "peak_bytes": 1e9 * memory * (1 + wiggle / 4)},
                again={"step_ms": steps * (1 - wiggle / 2), "peak_bytes": 1e9},
                reference={"step_ms": 2.0},
            )
        )
    return found


def entry(one: int, other: int, factor: float = 1.0, **given: object) -> KeptGate:
    """A gate of two pipelines."""
    found: dict[str, object] = {
        "started": f"2026-01-{other % 28 + 1:02}T00:00:00+00:00",
        "repository": "a" * 40,
        "target": TARGET,
        "a": state(one),
        "b": state(other),
        "host": HOST,
        "step": "none",
        "verdict": "not regressed",
        "pairs": pairs(factor),
    }
    return KeptGate.model_validate(found | given)


def chain(factors: Sequence[float], **given: object) -> list[KeptGate]:
    """Gates of which each begins with the pipeline that the one before ended with."""
    return [entry(number, number + 1, factor, **given) for number, factor in enumerate(factors)]
