"""The ``budgets:`` of a spec: what the gate judges, and how much of a change it lets pass."""

import re
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Document
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.values.units import meant_size, parse_duration, parse_size

Level = Literal["off", "warn", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*s\s*")
_LEAST_LIMIT, _MOST_LIMIT = 1e-12, 1e19
"""Between them, the ratio of any value to a limit is a number, and so is its logarithm."""
_MOST_SHARE = 1e4
_FORMS = "a share such as 5%, {example}, off, or a mapping of change, limit and level"
_EXAMPLES = {
    "ms": "a limit such as 20ms",
    "s": "a limit such as 2s",
    "B": "a limit such as 2GiB",
    "1/s": "a limit such as 800/s",
}


class Budget(Document):
    """Limits of a metric: how much worse than the baseline, and the largest (of a rate: the smallest) value."""

    change: float | None = Field(default=None, description="Share that it may be worse, such as 5%.")
    limit: float | None = Field(default=None, description="Value that it may not exceed; of a rate, not fall below.")
    level: Level = Field(default="error", description="off: shown only; warn: exit code 0 with a warning; error: 3.")


def parse_share(value: Any) -> float:
    """A share written in percent.

    Example:
        >>> parse_share("5%")
        0.05
    """
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise mismatch(value, "share", "a share such as 5%")
    share = float(match[1]) / 100
    if share > _MOST_SHARE:
        raise mismatch(value, "share", f"a share of at most {_MOST_SHARE:.0%}")
    return share


def parse_limit(value: Any, unit: str) -> float:
    """A value with its unit, in the unit in which the metric is stored.

    Args:
        unit: ``ms``, ``s``, ``B`` or ``1/s``; empty for a share.

    Example:
        >>> parse_limit("0.02s", "ms"), parse_limit("2KiB", "B"), parse_limit("800/s", "1/s")
        (20.0, 2048.0, 800.0)
    """
    if unit == "ms":
        return 1e3 * parse_duration(value)
    if unit == "s":
        return parse_duration(value)
    if unit == "B":
        return float(parse_size(value))
    if unit == "1/s":
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise mismatch(value, "rate", "a rate such as 800/s")
        return float(match[1])
    return parse_share(value)


def parse_budget(value: Any, unit: str, *, zero: bool = False) -> Budget:
    """Read a budget as it is written in a spec or after ``--limit NAME=``.

    Args:
        zero: The metric may be 0, and so may a limit; else values are compared by their ratio.

    Example:
        >>> parse_budget("5%", "ms").change, parse_budget("20ms", "ms").limit, parse_budget("off", "B").level
        (0.05, 20.0, 'off')
    """
    if isinstance(value, dict):
        unknown = [key for key in value if key not in Budget.model_fields]
        if unknown:
            raise mismatch(unknown[0], "budget", "change, limit or level", Budget.model_fields)
        level = value.get("level", "error")
        if level not in LEVELS:
            raise mismatch(level, "level", "off, warn or error", LEVELS)
        change, limit = value.get("change"), value.get("limit")
        return Budget.model_construct(
            change=parse_share(change) if change is not None else None,
            limit=_checked_limit(parse_limit(limit, unit), limit, unit, zero=zero) if limit is not None else None,
            level=level,
        )
    if value in LEVELS:
        return Budget.model_construct(change=None, limit=None, level=value)
    if value is False:
        # YAML 1.1 reads `off` as no.
        return Budget.model_construct(change=None, limit=None, level="off")
    if isinstance(value, str) and "%" in value and unit:
        return Budget.model_construct(change=parse_share(value), limit=None, level="error")
    try:
        limit = parse_limit(value, unit)
    except ValueError:
        expected = _FORMS.format(example=_EXAMPLES.get(unit, "off"))
        raise mismatch(value, "budget", expected) from None
    return Budget.model_construct(change=None, limit=_checked_limit(limit, value, unit, zero=zero), level="error")


def _checked_limit(limit: float, value: Any, unit: str, *, zero: bool) -> float:
    if unit == "B" and not zero and (meant := meant_size(value)) is not None:
        raise mismatch(value, "budget", f"a size with its unit — did you mean {meant}?")
    if _LEAST_LIMIT <= limit <= _MOST_LIMIT or (zero and limit == 0):
        return limit
    raise mismatch(value, "budget", "a larger limit" if limit < 1 else "a smaller limit")


_BUDGET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "description": "A share such as 5%, a value with its unit, or a level."},
        {"type": "number"},
        {"const": False},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "change": {
                    "type": "string",
                    "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$",
                    "description": "Share that it may be worse than the baseline's, such as 5%.",
                },
                "limit": {
                    "type": ["string", "number"],
                    "description": "Value that it may not exceed; of a rate, not fall below.",
                },
                "level": {
                    "enum": list(LEVELS),
                    "description": "off: shown only; warn: exit code 0 with a warning; error: exit code 3.",
                },
            },
        },
    ]
}
UNITS = {
    "step_ms": "ms", "elements_per_second": "1/s", "wait_ms": "ms", "idle_share": "", "cpu_ms_per_element": "ms",
    "peak_bytes": "B", "first_batch_s": "s", "disk_bytes_per_element": "B",
}  # fmt: skip
"""Units of the metrics, in which they are stored; a share has none."""
_JSON = WithJsonSchema(_BUDGET_SCHEMA)
Milliseconds = Annotated[Budget | None, Checked(partial(parse_budget, unit="ms")), _JSON]
Waits = Annotated[Budget | None, Checked(partial(parse_budget, unit="ms", zero=True)), _JSON]
Seconds = Annotated[Budget | None, Checked(partial(parse_budget, unit="s")), _JSON]
Bytes = Annotated[Budget | None, Checked(partial(parse_budget, unit="B")), _JSON]
Reads = Annotated[Budget | None, Checked(partial(parse_budget, unit="B", zero=True)), _JSON]
Rate = Annotated[Budget | None, Checked(partial(parse_budget, unit="1/s")), _JSON]
Share = Annotated[Budget | None, Checked(partial(parse_budget, unit="", zero=True)), _JSON]


STAGE_UNITS = {"time_ms": "ms"}
"""Units of the metrics of one stage."""


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


class StageBudgets(Document):
    """Budgets of one stage, by metric."""

    time_ms: Milliseconds = Field(
        default=None, description="Time in the stage per batch, of all its threads, e.g. 10% or 5ms."
    )


class Budgets(Document):
    """Budgets of the gate, by metric."""

    step_ms: Milliseconds = Field(default=None, description="Step interval, e.g. 5% or 20ms.")
    elements_per_second: Rate = Field(default=None, description="Throughput, e.g. 5% or 800/s.")
    wait_ms: Waits = Field(default=None, description="Wait per step, e.g. 2ms.")
    idle_share: Share = Field(default=None, description="Idle share of the device, e.g. 10%.")
    cpu_ms_per_element: Milliseconds = Field(default=None, description="CPU time per element, e.g. 5%.")
    peak_bytes: Bytes = Field(default=None, description="Peak memory, e.g. 5% or 2GiB.")
    first_batch_s: Seconds = Field(default=None, description="Time until the first batch, e.g. 20% or 5s.")
    disk_bytes_per_element: Reads = Field(default=None, description="Bytes read from the disk per element, e.g. 1kB.")
    stages: dict[str, StageBudgets] = Field(
        default_factory=dict, description="Budgets of single stages, by name or address."
    )

    @property
    def given(self) -> dict[str, Budget]:
        """The budgets that the spec has, by metric."""
        budgets = {name: getattr(self, name) for name in UNITS}
        for stage, given in self.stages.items():
            budgets |= {stage_metric(stage, name): getattr(given, name) for name in STAGE_UNITS}
        return {name: budget for name, budget in budgets.items() if budget is not None}
