"""What is compared of two pipelines: names, units, directions and floors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeprof.pipelines.spec.budgets import stage_of

Scale = Literal["ratio", "difference"]
"""How two values are compared: B over A, or B less A where 0 is a usual value."""


@dataclass(frozen=True)
class MetricKind:
    """One quantity of a process.

    Attributes:
        name: In options, budgets and JSON.
        title: In reports.
        unit: In which values are stored.
        floor: Smallest change that counts: a share for a ratio, in the unit for a difference.
        higher_is_worse: Whether a larger value is a regression.
        scale: How values are compared.
        judged: Whether the gate judges it without being asked.
        exact: The same pipeline gives the same value in each process.
        is_speed: A change is called faster or slower, not more or less.
    """

    name: str
    title: str
    unit: str
    floor: float
    higher_is_worse: bool = True
    scale: Scale = "ratio"
    judged: bool = False
    exact: bool = False
    is_speed: bool = False


FLOOR = 0.03
"""Smallest share that counts (DESIGN §5): below it, processes of the same pipeline differ on shared machines."""

METRICS: tuple[MetricKind, ...] = (
    MetricKind("step_ms", "step interval", "ms", FLOOR, judged=True, is_speed=True),
    MetricKind("elements_per_second", "throughput", "1/s", FLOOR, higher_is_worse=False, is_speed=True),
    MetricKind("wait_ms", "wait per step", "ms", 0.1, scale="difference"),
    MetricKind("idle_share", "idle share", "", 0.01, scale="difference"),
    MetricKind("cpu_ms_per_element", "CPU per element", "ms", FLOOR),
    MetricKind("peak_bytes", "peak memory", "B", FLOOR, judged=True),
    MetricKind("first_batch_s", "first batch after", "s", 0.1, is_speed=True),
    MetricKind("disk_bytes_per_element", "disk per element", "B", 1.0, scale="difference", exact=True),
)


def kinds_of(names: Iterable[str]) -> tuple[MetricKind, ...]:
    """All metrics of a session: those of the whole pipeline, then those of single stages.

    Args:
        names: Of what is judged.

    Example:
        >>> [kind.title for kind in kinds_of(["step_ms", "stages.decode.time_ms"])][-1]
        'time in decode'
    """
    stages = [(name, stage) for name in names if (stage := stage_of(name)) is not None]
    own = tuple(MetricKind(name, f"time in {stage}", "ms", FLOOR, is_speed=True) for name, stage in stages)
    return (*METRICS, *own)


BY_NAME = {metric.name: metric for metric in METRICS}
