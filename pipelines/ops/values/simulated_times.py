"""Times of a simulated step: a duration, or a mapping of what makes it up."""

from typing import Annotated, Any

from pydantic import Field

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Document
from pipeprof.pipelines.ops.problems import Problems, mismatch
from pipeprof.pipelines.ops.values.units import DURATION_SCHEMA, Duration, parse_duration
from pipeprof.pipelines.ops.values.values import is_integer


def _every(value: Any) -> dict[int, float]:
    if not isinstance(value, dict):
        raise mismatch(value, "every", "a mapping of a number of steps to a duration, such as {1000: 400ms}")
    problems = Problems()
    parsed = {}
    for steps, duration in value.items():
        if not is_integer(steps) or steps < 1:
            problems.add((str(steps),), mismatch(steps, "every", "a number of steps of at least 1"))
            continue
        try:
            parsed[steps] = parse_duration(duration)
        except ValueError:
            problems.add((steps,), mismatch(duration, "duration", "a duration with its unit, such as 400ms"), duration)
    problems.raise_if_any()
    return parsed


Every = Annotated[
    dict[int, float],
    Checked(
        _every,
        {"type": "object", "propertyNames": {"pattern": "^[1-9][0-9]*$"}, "additionalProperties": {"type": "string"}},
    ),
]


class Simulated(Document):
    """Times of the simulated device; all in seconds once read."""

    base: Duration = Field(default=0.0, description="Time per step.")
    per_mb: Duration = Field(default=0.0, description="Additional time per megabyte (10**6 bytes) of the batch.")
    stdev: Duration = Field(default=0.0, description="Standard deviation of the step time.")
    every: Every = Field(default_factory=dict, description="Additional time every N steps, such as a checkpoint.")


def _from_text(value: Any) -> Simulated:
    if isinstance(value, dict | Simulated):
        return Simulated.model_validate(value)
    return Simulated.model_construct(base=parse_duration(value), per_mb=0.0, stdev=0.0, every={})


Times = Annotated[Simulated, Checked(_from_text, {SCHEMA_PLACEHOLDER: "simulated"})]
DEFINITIONS = {"simulated": {"anyOf": [DURATION_SCHEMA, {"$ref": "#/definitions/Simulated"}]}, "Simulated": Simulated}
"""What the schema of `Times` refers to."""
