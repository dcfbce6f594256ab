"""Measured constants: what TensorFlow, glibc, the kernel and Python cost or do, each with its source.

A number belongs here if it was found by measurement or read in TensorFlow's source, so that another version may change
it. Thresholds of rules and the verdict, budgets of pipeprof and numbers of layout do not. `make verify` measures again
what has a benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """One measured number.

    Attributes:
        name: Of the variable in this module.
        value: The number.
        unit: ``B``, ``µs``, ``× the array``, …
        meaning: What it is the number of.
        source: What was measured, or where it was read.
        tensorflow: The version; ``None`` where TensorFlow has no part in it.
        benchmark: The folder or file below ``benchmarks/`` that measures it again; ``None`` where none does.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    tensorflow: str | None
    benchmark: str | None


CONSTANTS: dict[str, Constant] = {}
"""All of them, by name."""


def _constant(
    name: str,
    value: float,
    unit: str,
    meaning: str,
    source: str,
    *,
    tensorflow: str | None = "2.21",
    benchmark: str | None = None,
) -> float:
    CONSTANTS[name] = Constant(name, value, unit, meaning, source, tensorflow, benchmark)
    return value


MOST_CALL_OVERHEAD = _constant(
    "MOST_CALL_OVERHEAD",
    3.0,
    "× the traced turns of the executor",
    "CPU time of calling a function at most, its waking threads included",
    "1 to 3 times the turns in pipelines of small functions, 15 to 50 µs a call",
)
MOST_TRACE_SLOWDOWN = _constant(
    "MOST_TRACE_SLOWDOWN",
    2.0,
    "× the time without a trace",
    "How much longer a stage may take while it is traced",
    "elements of a microsecond",
)
