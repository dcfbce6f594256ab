"""The ``step:`` of a spec and ``--step``: none, or one of the kinds of the registry."""

import functools
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, WithJsonSchema, create_model, model_validator

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Document
from pipeprof.pipelines.ops.problems import error, mismatch
from pipeprof.pipelines.ops.values.values import is_integer
from pipeprof.pipelines.steps.registry import forms, step_kind, written_kinds


def _dispatch(value: Any) -> Any:
    if value == "sync" or (is_integer(value) and value >= 1):
        return value
    raise mismatch(value, "dispatch", "sync or the number of steps in flight (1 or more)", ["sync"])


AnyDispatch = Annotated[
    int | Literal["sync"],
    Checked(_dispatch),
    WithJsonSchema({"anyOf": [{"const": "sync"}, {"type": "integer", "minimum": 1}]}),
]


class Step(Document):
    """Training step: none, a simulated device or code of yours."""

    dispatch: AnyDispatch = Field(
        default="sync",
        description="sync: wait for each step before fetching the next batch; a number: steps in flight.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Step":
        given = self._given()
        if len(given) > 1:
            message = f"{'both ' if len(given) == 2 else ''}{' and '.join(given)}: expected exactly one of {forms()}"
            raise error(message, "step")
        return self

    def _given(self) -> list[str]:
        return [kind.name for kind in written_kinds() if getattr(self, kind.name, None) is not None]

    @property
    def kind(self) -> str:
        """Name of its kind."""
        return next(iter(self._given()), "none")

    @property
    def value(self) -> Any:
        """What stands under the name of its kind, as `StepKind.annotation` has it; None without a step."""
        return getattr(self, self.kind, None)

    @property
    def text(self) -> str:
        """What it is in a report.

        Example:
            ``none``, ``simulate: 12ms, 400ms every 1000``, ``python: train.py:step``
        """
        return "none" if self.value is None else f"{self.kind}: {step_kind(self.kind).text(self.value)}"


@functools.cache
def step_model() -> type[Step]:
    """`Step` with a key for each kind that users write."""
    fields: dict[str, Any] = {
        kind.name: (kind.annotation() | None, Field(default=None, description=kind.description))
        for kind in written_kinds()
    }
    return create_model("Step", __base__=Step, __doc__=Step.__doc__, **fields)


def no_step() -> Step:
    """Return the step of a spec without one."""
    return step_model()()


def parse_step(value: Any) -> Step:
    """A step from a spec (a mapping or a word) or from the command line (``simulate:12ms``, ``python:f.py:fn``).

    Raises:
        ValueError: What is wrong, as pydantic's ValidationError or PydanticCustomError.
    """
    if isinstance(value, Step):
        return value
    names = [kind.name for kind in written_kinds()]
    if isinstance(value, dict):
        if not value.keys() & set(names) and value.keys() <= step_model().model_fields.keys():
            raise mismatch(value, "step", forms())
        return step_model().model_validate(value)
    kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if value == "none":
        return no_step()
    if kind in names and colon:
        try:
            return step_model().model_validate({kind: rest})
        except ValidationError as problems:
            # Without the key, which was never written.
            first = problems.errors(include_url=False)[0]
            context = first.get("ctx", {})
            message, candidates = context.get("message", first["msg"]), context.get("candidates", ())
            raise error(message, first["type"], got=context.get("got", rest), candidates=candidates) from None
    raise mismatch(value, "step", forms(), ["none"])


AnyStep = Annotated[Step, Checked(parse_step), WithJsonSchema({SCHEMA_PLACEHOLDER: "step"})]


def word_pattern() -> str:
    """Regular expression of a step as one word."""
    return f"^({'|'.join(f'{kind.name}:{kind.pattern}' for kind in written_kinds())})$"
