"""Pipelines for the tests of the model: ``line(part("source", "range"), part("map", "map", 8.0))``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pipeprof.profiles.predict.costs import Costs
from pipeprof.profiles.predict.flow import Flow, Part

FREE = Costs(
    epoch_us=0, call_us=0, hand_over_us=0, op_us=0, row_us=0, cached_us=0, bytes_per_us=math.inf,
    few_calls_us=0, many_calls_us=0,
)  # fmt: skip
"""Nothing but what was measured costs anything."""


def part(id: str, op: str, ms: float = 0.0, *, waits: bool = False, **facts: Any) -> Part:
    """A stage that computes, or waits, for so long per batch; one element of 100 bytes for a batch."""
    times = {"waiting_ms": ms} if waits else {"computing_ms": ms, "cpu_ms": ms}
    given: dict[str, Any] = {"per_batch": 1.0, "element_bytes": 100.0, "pooled": op == "map"}
    if op == "map":
        given["calls_per_batch"] = 1.0
    return Part(id, op, id, **{**given, **times, **facts})


def line(*parts: Part, **facts: Any) -> Flow:
    """Parts that read each other in their order, on four cores; TensorFlow adds nothing to them."""
    read = [
        one if one.reads or not place else replace(one, reads=(parts[place - 1].id,)) for place, one in enumerate(parts)
    ]
    return Flow(tuple(read), **{"cores": 4.0, "pool": 4.0, "injects": False, **facts})
