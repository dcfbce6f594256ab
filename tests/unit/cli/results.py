"""Results of `compare` and `gate` with known values."""

from __future__ import annotations

from typing import Any

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Message, Tool
from pipeprof.profiles.judge.metrics import rows_of, rows_of_arms
from pipeprof.profiles.judge.result import Arm, PairValues, Result, Side, StageChange
from pipeprof.profiles.judge.verdict import conclude, conclude_gate

GATE = ["pipeprof", "gate", "spec.yaml", "--against", "git:main", "--step=simulate:8ms"]
NOISE = (0.0, 0.05, -0.05, 0.1, -0.1)
SAME = "the first 8 batches are equal byte by byte"
DECODE = {"a_cpu_ms_per_batch": 4.0, "b_cpu_ms_per_batch": 6.0, "a_share": 0.9, "b_share": 0.95}
STAGES = [
    StageChange(name="range", status="same", a_share=0.001, b_share=0.001),
    StageChange(name="decode", status="changed", b=Location(file="spec.yaml", line=12), **DECODE),
    StageChange(name="shuffle", status="only b", b_cpu_ms_per_batch=0.3, b_share=0.04),
]


def result_of(kind: Any = "compare", factor: float = 1.12, *changes: str, line: int = 8, **fields: Any) -> Result:
    """Five pairs of which B takes `factor` times as long, with changes that are all in one line."""
    pairs = [
        PairValues(
            order=["A", "B", "A′"],
            a={"step_ms": 10.0 + one, "peak_bytes": 600e6, "wait_ms": 0.0},
            b={"step_ms": factor * (10.0 - one), "peak_bytes": 600e6 + 1e5 * one, "wait_ms": 1.5 + one},
            again={"step_ms": 10.0 - one / 2, "peak_bytes": 600e6 - 1e5 * one, "wait_ms": 0.0},
        )
        for one in NOISE
    ]
    sides = {"a": Side(text="git:main:spec.yaml", ref="0123456789abcdef"), "b": Side(text="spec.yaml", dirty=True)}
    said = {"order": "turns", "step": "simulate: 8ms", "data": f"A and B give the same: {SAME}", "seconds": 61.0}
    given: dict[str, Any] = {**sides, **said, **fields}
    found = Result(kind=kind, tool=Tool(version="0.1.0"), metrics=rows_of(pairs), pairs=pairs, **given)
    found.command = GATE if kind == "gate" else ["pipeprof", kind, "git:main", "spec.yaml", "--pairs=5"]
    found.changes = list(changes)
    found.change_places = [Location(file="specs/spec.yaml", line=line) for _ in changes]
    (conclude_gate if kind == "gate" else conclude)(found)
    return found


def of_four() -> Result:
    """A comparison of four pipelines."""
    found = result_of(factor=0.8)
    for pair, one in zip(found.pairs, NOISE, strict=True):
        pair.further = {
            "c": {"step_ms": 4.0 + one / 2, "peak_bytes": 700e6, "wait_ms": 0.0},
            "d": {"step_ms": 10.0 - one / 3, "peak_bytes": 600e6, "wait_ms": 0.0},
        }
    rows = rows_of_arms(found.pairs, ["b", "c", "d"])
    found.metrics, found.further = rows["b"], []
    for name, data in (("c", f"A and C give the same: {SAME}"), ("d", "D gives other data: batch 1 has other values")):
        side, place = Side(text=f"{name}.yaml"), Location(file=f"{name}.yaml", line=2)
        arm = Arm(name=name, side=side, data=data, metrics=rows[name], changes=["seed: 1 → 2"], change_places=[place])
        found.further.append(arm)
    return found


def interrupted(kind: str = "compare") -> Result:
    """A session that was ended after five pairs."""
    found = result_of(kind, 1.34)
    found.errors = [Message(code="interrupted", message="Interrupted; the pairs so far are complete.")]
    found.exit_code = 130
    return found
