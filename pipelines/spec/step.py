"""The ``step:`` of a spec: none, a simulated device or a Python function."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Document
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch
from pipeprof.pipelines.ops.values.python_ref import PlainPython, parse_plain_python_ref
from pipeprof.pipelines.ops.values.units import Duration, parse_duration
from pipeprof.pipelines.ops.values.values import is_integer

NOT_YET = ("tensorflow", "keras", "jax", "torch")
_FORMS = 'none, {simulate: 12ms} or {python: "file.py:function"}'


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
    Checked(_every),
    WithJsonSchema(
        {"type": "object", "propertyNames": {"pattern": "^[1-9][0-9]*$"}, "additionalProperties": {"type": "string"}}
    ),
]


class Simulated(Document):
    """Times of the simulated device; all in seconds once read."""

    base: Duration = Field(default=0.0, description="Time per step.")
    per_mb: Duration = Field(default=0.0, description="Additional time per megabyte (10**6 bytes) of the batch.")
    stdev: Duration = Field(default=0.0, description="Standard deviation of the step time.")
    every: Every = Field(default_factory=dict, description="Additional time every N steps, such as a checkpoint.")


def _from_text(value: Any) -> Simulated:
    """A duration alone is the time of each step."""
    if isinstance(value, dict | Simulated):
        return Simulated.model_validate(value)
    return Simulated.model_construct(base=parse_duration(value), per_mb=0.0, stdev=0.0, every={})


def _dispatch(value: Any) -> Any:
    if value == "sync" or (is_integer(value) and value >= 1):
        return value
    raise mismatch(value, "dispatch", "sync or the number of steps in flight (1 or more)", ["sync"])


Times = Annotated[Simulated, Checked(_from_text), WithJsonSchema({"x-pipeprof-definition": "simulated"})]
Dispatch = Annotated[
    int | Literal["sync"],
    Checked(_dispatch),
    WithJsonSchema({"anyOf": [{"const": "sync"}, {"type": "integer", "minimum": 1}]}),
]


class Step(Document):
    """Training step: none, a simulated device or a Python function."""

    simulate: Times | None = Field(default=None, description="A simulated device, busy for a given time per step.")
    python: PlainPython | None = Field(
        default=None, description='A function of the batch, "file.py:function", relative to the spec.'
    )
    dispatch: Dispatch = Field(
        default="sync",
        description="sync: wait for each step before fetching the next batch; a number: steps in flight.",
    )

    @model_validator(mode="before")
    @classmethod
    def _known_kinds(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for kind in NOT_YET:
                if kind in value:
                    raise failure((kind,), error(not_yet(kind), "not_yet", got=kind), value)
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if self.simulate is not None and self.python is not None:
            message = f"both simulate and python: expected exactly one of {_FORMS}"
            raise error(message, "step")
        return self

    @property
    def kind(self) -> Literal["none", "simulate", "python"]:
        """Which of the kinds it is."""
        if self.simulate is not None:
            return "simulate"
        return "python" if self.python is not None else "none"

    @property
    def text(self) -> str:
        """What it is in a report.

        Example:
            ``none``, ``simulate: 12ms, 400ms every 1000``, ``python: train.py:step``
        """
        if self.python is not None:
            return f"python: {self.python}"
        if self.simulate is None:
            return "none"
        times = self.simulate
        words = [f"{times.base * 1e3:g}ms"]
        if times.per_mb:
            words.append(f"{times.per_mb * 1e3:g}ms per MB")
        if times.stdev:
            words.append(f"stdev {times.stdev * 1e3:g}ms")
        words += [f"{seconds * 1e3:g}ms every {n}" for n, seconds in times.every.items()]
        return f"simulate: {', '.join(words)}"


def not_yet(kind: str) -> str:
    """The sentence about a kind of step that is planned."""
    return f"step {kind} is not supported yet: expected {_FORMS}"


def parse_step(value: Any) -> Step:
    """A step from a spec (a mapping or a word) or from the command line (``simulate:12ms``, ``python:f.py:fn``).

    Raises:
        ValueError: What is wrong, as pydantic's ValidationError or PydanticCustomError.
    """
    if isinstance(value, Step):
        return value
    if isinstance(value, dict):
        if not value.keys() & {"simulate", "python", *NOT_YET} and not any(
            str(key) not in Step.model_fields for key in value
        ):
            raise mismatch(value, "step", _FORMS)
        return Step.model_validate(value)
    kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if value == "none":
        return Step()
    if kind in NOT_YET:
        raise error(not_yet(kind), "not_yet", got=kind)
    if kind == "simulate" and colon:
        return Step(simulate=_from_text(rest))
    if kind == "python" and colon:
        return Step(python=parse_plain_python_ref(rest))
    raise mismatch(value, "step", _FORMS, ["none"])
