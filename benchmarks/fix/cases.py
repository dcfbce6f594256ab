"""The pipelines of this benchmark: those with one flaw, healthy ones, and public shapes; specs and Python functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ADVICE, PUBLIC = BENCHMARKS / "advice", BENCHMARKS / "public"


@dataclass(frozen=True)
class Case:
    """One pipeline, as `pipeprof fix` takes it, what takes its batches, and classes of changes for `--allow`."""

    target: str
    step: str = "none"
    allow: tuple[str, ...] = ()


CASES = {
    "serial_stateful_map": Case(f"{ADVICE}/flawed.py:serial_stateful_map", "simulate:3ms", ("randomness",)),
    "one_hot_map": Case(f"{ADVICE}/flawed.py:one_hot_map"),
    "zip_of_slow_sides": Case(f"{ADVICE}/flawed.py:zip_of_slow_sides", "simulate:5ms"),
    "healthy_parallel": Case(f"{ADVICE}/flawed.py:healthy_parallel", "simulate:3ms", ("randomness",)),
    "serial_stateful_map_spec": Case(f"{ADVICE}/serial_stateful_map.yaml", "none", ("randomness",)),
    "scalar_map_spec": Case(f"{ADVICE}/scalar_map.yaml", "simulate:1ms"),
    "pool_too_small_spec": Case(f"{ADVICE}/pool_too_small.yaml"),
    "healthy_batched_spec": Case(f"{ADVICE}/healthy_batched.yaml", "simulate:2ms"),
    "serial_decode": Case(f"{PUBLIC}/images.py:serial_decode", "simulate:10ms", ("randomness",)),
    "csv_lines": Case(f"{PUBLIC}/tables.py:csv_lines"),
}
