"""The ``budgets:`` of a spec: what the gate judges, and how much of a change it lets pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from pipeprof.pipelines.errors import shown
from pipeprof.pipelines.units import meant_size, parse_duration, parse_size

Level = Literal["off", "warn", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
_METRICS = {
    "step_ms": ("ms", "Step interval, e.g. 5% or 20ms."),
    "elements_per_second": ("1/s", "Throughput, e.g. 5% or 800/s."),
    "wait_ms": ("ms", "Wait per step, e.g. 2ms."),
    "idle_share": ("", "Idle share of the device, e.g. 10%."),
    "cpu_ms_per_element": ("ms", "CPU time per element, e.g. 5%."),
    "peak_bytes": ("B", "Peak memory, e.g. 5% or 2GiB."),
    "first_batch_s": ("s", "Time until the first batch, e.g. 20% or 5s."),
    "disk_bytes_per_element": ("B", "Bytes read from the disk per element, e.g. 1kB."),
}
_OF_STAGES = {"time_ms": ("ms", "Time in the stage per batch, of all its threads, e.g. 10% or 5ms.")}
UNITS = {name: unit for name, (unit, _) in _METRICS.items()}
"""Units of the metrics, in which they are stored; a share has none."""
STAGE_UNITS = {name: unit for name, (unit, _) in _OF_STAGES.items()}
"""Units of the metrics of one stage."""
MAY_BE_ZERO = ("wait_ms", "idle_share", "disk_bytes_per_element")
"""Others are compared by their ratio."""
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*s\s*")
_LEAST_LIMIT, _MOST_LIMIT = 1e-12, 1e19
"""Between them, the ratio of any value to a limit is a number, and so is its logarithm."""
_MOST_SHARE = 1e4
_EXAMPLES = {"ms": "20ms", "s": "2s", "B": "2GiB", "1/s": "800/s", "": "5%"}


@dataclass(frozen=True)
class Budget:
    """Limits of a metric.

    Attributes:
        change: how much worse than the baseline it may be, as a share.
        limit: the largest value; of a rate, the smallest.
        level: off: shown only; warn: exit code 0 with a warning; error: 3.
    """

    change: float | None = None
    limit: float | None = None
    level: Level = "error"


Budgets: TypeAlias = Mapping[str, Budget]
"""By metric; those of a stage as `stage_metric` has them."""


class BudgetError(ValueError):
    """A budget that is wrong; ``place`` is where, among the budgets."""

    def __init__(self, message: str, *place: str) -> None:
        """Keep the place."""
        super().__init__(message)
        self.place = place


def parse_budgets(written: Mapping[str, Any]) -> dict[str, Budget]:
    """Read the budgets of a spec; metrics that do not exist are left out.

    Raises:
        BudgetError: The first one that is wrong.
    """
    found = {name: _at(written[name], name, name) for name in UNITS if written.get(name) is not None}
    stages = written.get("stages")
    for stage, budgets in stages.items() if isinstance(stages, Mapping) else ():
        for name in STAGE_UNITS:
            if isinstance(budgets, Mapping) and budgets.get(name) is not None:
                found[stage_metric(stage, name)] = _at(budgets[name], name, "stages", stage, name)
    return found


def _at(value: Any, metric: str, *place: str) -> Budget:
    try:
        return parse_budget(value, {**UNITS, **STAGE_UNITS}[metric], zero=metric in MAY_BE_ZERO)
    except ValueError as problem:
        raise BudgetError(str(problem), *place) from None


def parse_budget(value: Any, unit: str, *, zero: bool = False) -> Budget:
    """Read a budget as it is written in a spec or after ``--limit NAME=``.

    Args:
        zero: The metric may be 0, and so may a limit; else values are compared by their ratio.

    Example:
        >>> parse_budget("5%", "ms").change, parse_budget("20ms", "ms").limit, parse_budget("off", "B").level
        (0.05, 20.0, 'off')
    """
    if isinstance(value, Mapping):
        if unknown := value.keys() - {"change", "limit", "level"}:
            raise ValueError(f"got {min(map(str, unknown))!r}, expected change, limit or level")
        level = value.get("level", "error")
        if level not in LEVELS:
            raise ValueError(f"got {shown(level)}, expected off, warn or error")
        change, limit = value.get("change"), value.get("limit")
        return Budget(
            parse_share(change) if change is not None else None,
            _checked_limit(parse_limit(limit, unit), limit, unit, zero=zero) if limit is not None else None,
            level,
        )
    if value in LEVELS:
        return Budget(level=value)
    if isinstance(value, str) and "%" in value and unit:
        return Budget(change=parse_share(value))
    try:
        limit = parse_limit(value, unit)
    except ValueError:
        forms = f"a share such as 5%, a limit such as {_EXAMPLES[unit]}, off, or a mapping of change, limit and level"
        raise ValueError(f"got {shown(value)}, expected {forms}") from None
    return Budget(limit=_checked_limit(limit, value, unit, zero=zero))


def parse_share(value: Any) -> float:
    """A share written in percent.

    Example:
        >>> parse_share("5%")
        0.05
    """
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) / 100 > _MOST_SHARE:
        raise ValueError(f"got {shown(value)}, expected a share such as 5%")
    return float(match[1]) / 100


def parse_limit(value: Any, unit: str) -> float:
    """A value with its unit, in the unit in which the metric is stored.

    Args:
        unit: ``ms``, ``s``, ``B`` or ``1/s``; empty for a share.

    Example:
        >>> parse_limit("0.02s", "ms"), parse_limit("2KiB", "B"), parse_limit("800/s", "1/s")
        (20.0, 2048.0, 800.0)
    """
    if unit in ("ms", "s"):
        return parse_duration(value) * (1e3 if unit == "ms" else 1)
    if unit == "B":
        return float(parse_size(value))
    if unit == "1/s":
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"got {shown(value)}, expected a rate such as 800/s")
        return float(match[1])
    return parse_share(value)


def _checked_limit(limit: float, value: Any, unit: str, *, zero: bool) -> float:
    if unit == "B" and not zero and (meant := meant_size(value)) is not None:
        raise ValueError(f"got {shown(value)}, expected a size with its unit — did you mean {meant}?")
    if _LEAST_LIMIT <= limit <= _MOST_LIMIT or (zero and limit == 0):
        return limit
    raise ValueError(f"got {shown(value)}, expected a {'larger' if limit < 1 else 'smaller'} limit")


def budget_definitions() -> dict[str, Any]:
    """The JSON schema (draft-07) of ``budgets:`` and its parts; `parse_budget` says the rest."""
    budget = {
        "description": "A share such as 5%, a value with its unit, a level, or a mapping of change, limit and level.",
        "type": ["string", "number", "boolean", "object", "null"],
        "$comment": "key",
        "properties": {
            "change": {"description": "Share that it may be worse than the baseline's, such as 5%."},
            "limit": {"description": "Value that it may not exceed; of a rate, not fall below."},
            "level": {"description": "off: shown only; warn: exit code 0 with a warning; error: exit code 3."},
        },
        "additionalProperties": False,
    }
    notes = {"patternProperties": {"^x-": {}}, "additionalProperties": False}
    all_, of_stage = (
        {
            name: {"description": about, "allOf": [{"$ref": "#/definitions/budget"}]}
            for name, (_, about) in table.items()
        }
        for table in (_METRICS, _OF_STAGES)
    )
    about = "Budgets of single stages, by name or address."
    stages = {"description": about, "type": "object", "additionalProperties": {"$ref": "#/definitions/stage_budgets"}}
    return {
        "budget": budget,
        "stage_budgets": {"type": "object", "$comment": "metric", "properties": of_stage, **notes},
        "budgets": {"type": "object", "$comment": "metric", "properties": {**all_, "stages": stages}, **notes},
    }


def stage_metric(stage: str, metric: str = "time_ms") -> str:
    """The name of a stage's metric in JSON.

    Example:
        >>> stage_metric("decode")
        'stages.decode.time_ms'
    """
    return f"stages.{stage}.{metric}"


def stage_of(metric: str) -> str | None:
    """The stage that a metric is about; None for one of the whole pipeline.

    Example:
        >>> stage_of("stages.stages.1.time_ms"), stage_of("step_ms")
        ('stages.1', None)
    """
    return metric.removeprefix("stages.").rpartition(".")[0] if metric.startswith("stages.") else None
