"""Functions over elements: a chain of calls under ``ops:``, or a function in a Python file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipeprof.pipelines.ops.base import SCHEMA_PLACEHOLDER
from pipeprof.pipelines.ops.features import parse_features
from pipeprof.pipelines.ops.functions import (
    DTYPE_PARAMETERS,
    FEATURE_PARAMETERS,
    Function,
    function,
    refusal,
    table,
)
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch, shown, unknown
from pipeprof.pipelines.ops.structures import parse_constant
from pipeprof.pipelines.ops.values import DTYPES, Python, check_dtype, parse_field
from pipeprof.pipelines.ops.values import Field as FieldKey

_EXAMPLE = "tf.image.resize: {size: [224, 224]}"
_ROUTES = ("on", "to")


@dataclass(frozen=True)
class OpCall:
    """One call: a function of the allowlist, constants by name, and which fields go in and out.

    ``on`` is None for the whole element, a field, or a tuple of fields (empty: no input at all). ``to`` is None when it
    was not written.
    """

    name: str
    arguments: dict[str, Any]
    on: FieldKey | tuple[FieldKey, ...] | None = None
    to: FieldKey | None = None
    bare: bool = False
    """Written as a name alone."""

    @property
    def target(self) -> FieldKey | None:
        """Where the result goes: ``to``, else the field that ``on`` picked; None replaces the whole element."""
        return self.on if self.to is None and not isinstance(self.on, tuple) else self.to

    def inputs(self) -> list[str]:
        """Names of the parameters that the inputs go to, in order of the inputs."""
        called = function(self.name)
        count = _input_count(called, self.on, set(self.arguments)) if called else 0
        return (called.inputs(set(self.arguments), count) or []) if called else []


def _input_count(called: Function, on: FieldKey | tuple[FieldKey, ...] | None, given: set[str]) -> int:
    if isinstance(on, tuple):
        return len(on)
    if on is None and called.makes_tensor and called.parameters[0].name in given:
        return 0
    return 1


def _routes(call: dict[str, Any], problems: Problems) -> tuple[FieldKey | tuple[FieldKey, ...] | None, FieldKey | None]:
    """``on`` and ``to`` of a call."""
    on: FieldKey | tuple[FieldKey, ...] | None = None
    to: FieldKey | None = None
    try:
        given = call.get("on")
        on = tuple(parse_field(item) for item in given) if isinstance(given, list) else _optional_field(given)
    except ValueError:
        problems.add(("on",), mismatch(call["on"], "field", "a key or an index of the element, or a list of them"))
    try:
        to = _optional_field(call.get("to"))
    except ValueError:
        problems.add(("to",), mismatch(call["to"], "field", "a key or an index of the element"))
    return on, to


def _optional_field(value: Any) -> FieldKey | None:
    return None if value is None else parse_field(value)


def _argument(name: str, value: Any) -> Any:
    if name in FEATURE_PARAMETERS and isinstance(value, dict):
        return parse_features(value)
    if name in DTYPE_PARAMETERS and value is not None:
        return check_dtype(value)
    return parse_constant(value)


def _arguments(called: Function, call: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The constants of a call, checked against the parameters of the function."""
    parsed = {}
    for key, value in call.items():
        if key in _ROUTES:
            continue
        if key not in called.names():
            known = [*called.names(), *_ROUTES]
            problems.add((str(key),), unknown("argument", key, known, f"one of {called.name}'s: {', '.join(known)}"))
            continue
        try:
            parsed[key] = parse_record_defaults(value) if key == "record_defaults" else _argument(key, value)
        except ValidationError as found:
            problems.extend(found, key)
        except PydanticCustomError as found:
            problems.add((key,), found, value)
    return parsed


def _check_complete(called: Function, call: dict[str, Any], on: Any, problems: Problems) -> None:
    """Every required parameter has a value, and every input a parameter."""
    given = {key for key in call if key not in _ROUTES}
    count = _input_count(called, on, given)
    filled = called.inputs(given, count)
    if filled is None:
        names = ", ".join(called.names())
        inputs = f"{count} input{'s' * (count != 1)}"
        message = f"got {inputs} for {called.name}, expected no more than its free parameters ({names})"
        problems.add(("on",) if "on" in call else (), error(message, "inputs", got=count))
        return
    missing = [p.name for p in called.parameters if p.required and p.name not in given and p.name not in filled]
    if missing:
        listed = ", ".join(missing)
        message = f"got no {listed} for {called.name}, expected a value for every required argument"
        problems.add((), error(message, "missing_argument", got=None, candidates=missing))


def _unknown_function(name: Any) -> PydanticCustomError:
    reason = refusal(name) if isinstance(name, str) else None
    if reason:
        message = f"got {name}, which is not allowed in `ops:`: {reason}"
        return error(message, "refused_function", got=name)
    known = table()
    full = [each for each in known if isinstance(name, str) and each.endswith(f".{name}")]
    if full:
        message = f"got {shown(name)}, expected a function's full name: {' or '.join(full)}"
        return error(message, "unknown_function", got=name, candidates=full)
    return unknown("function", name, known, "one of the allowlist; others go into `python: file.py:function`")


def parse_call(value: Any) -> OpCall:
    """One item of ``ops:``: a name, or a mapping of a name to keyword arguments.

    Raises:
        ValidationError: Everything that is wrong with it.
    """
    if isinstance(value, OpCall):
        return value
    bare = isinstance(value, str)
    if not bare and (not isinstance(value, dict) or len(value) != 1):
        raise mismatch(value, "call", f"a function's name, or a mapping with exactly one key such as `{_EXAMPLE}`")
    name, call = (value, {}) if bare else next(iter(value.items()))
    place: tuple[str | int, ...] = () if bare else (str(name),)
    called = function(name) if isinstance(name, str) else None
    if called is None:
        raise failure(place, _unknown_function(name), value)
    call = {} if call is None else call
    if not isinstance(call, dict):
        raise failure(place, mismatch(call, "arguments", f"a mapping of {name}'s arguments"), call)
    problems = Problems()
    inner = Problems()
    on, to = _routes(call, inner)
    arguments = _arguments(called, call, inner)
    _check_complete(called, call, on, inner)
    try:
        inner.raise_if_any()
    except ValidationError as found:
        problems.extend(found, *place)
        problems.raise_if_any()
    return OpCall(name, arguments, on, to, bare)


def parse_record_defaults(value: Any) -> tuple[Any, ...]:
    """Defaults of CSV columns: a dtype's name makes the column required, anything else stands in where it is empty.

    Raises:
        ValidationError: A default is no number or text.
    """
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "record_defaults", "a list with a default or a dtype for each column")
    problems = Problems()
    for place, item in enumerate(value):
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            problems.add((place,), mismatch(item, "record_default", "a number, text or a dtype"), item)
    problems.raise_if_any()
    return tuple(Required(item) if item in DTYPES else item for item in value)


@dataclass(frozen=True)
class Required:
    """A column that must have a value of this dtype."""

    dtype: str


Call = Annotated[OpCall, PlainValidator(parse_call), WithJsonSchema({SCHEMA_PLACEHOLDER: "call"})]
RecordDefaults = Annotated[
    tuple[Any, ...],
    PlainValidator(parse_record_defaults),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"type": ["number", "string"]}}),
]

OPS = "A chain of public TensorFlow functions; the element flows through as the first argument."
PYTHON = 'A function in a Python file, "file.py:function", relative to the spec; it is run with your rights.'


def check_targets(calls: list[OpCall], place: tuple[str, ...], *, predicate: bool) -> None:
    """Calls with several inputs say where the result goes; the last one of a ``predicate`` is its answer.

    Raises:
        ValidationError: A call has a list in ``on`` and no ``to``.
    """
    problems = Problems()
    for index, operation in enumerate(calls):
        answers = predicate and index == len(calls) - 1
        if isinstance(operation.on, tuple) and operation.on and operation.to is None and not answers:
            message = "got several inputs in `on` without `to`, expected `to: field` for the result"
            problems.add((*place, "ops", index, operation.name, "on"), error(message, "missing_to"))
    problems.raise_if_any()


class ElementFunction(Closed):
    """A function over elements, under TensorFlow's own name of the argument."""

    ways: ClassVar[tuple[str, ...]] = ("ops", "python")

    ops: Annotated[list[Call] | None, Field(min_length=1)] = Field(default=None, description=OPS)
    python: Python | None = Field(default=None, description=PYTHON)
