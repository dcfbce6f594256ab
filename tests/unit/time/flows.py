"""Pipelines for the tests of the model: ``line(part("source"), part("map", 8.0))``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeprof.profiles.time.flow import Flow, Part, PartTimes


def part(id: str, ms: float = 0.0, *, waits: bool = False, **facts: Any) -> Part:
    """A stage that computes, or waits, for so long per batch."""
    times = {"waiting_ms": ms} if waits else {"computing_ms": ms, "cpu_ms": ms}
    times |= {name: facts.pop(name) for name in [*facts] if name.endswith("_ms")}
    return Part(id, id, times=PartTimes(**times), **facts)


def prefetch(id: str, buffer: float = 2.0, **facts: Any) -> Part:
    return part(id, ahead=True, buffer=buffer, **facts)


def line(*parts: Part, **facts: Any) -> Flow:
    """Parts that read each other in their order, on four cores."""
    read = [
        one if one.reads or not place else replace(one, reads=(parts[place - 1].id,)) for place, one in enumerate(parts)
    ]
    return Flow(tuple(read), **{"cores": 4.0, "pool": 4.0, **facts})
