"""Functions over elements: a chain of calls under ``ops:``, or a function in a Python file."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError
from pydantic_core import PydanticCustomError

from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.opcall import ANSWERS, ROUTES, On, OpCall, chain_path, input_count, parse_routes
from pipeprof.pipelines.ops.calls.seed_scope import seeded
from pipeprof.pipelines.ops.calls.seeds import takes_seed, unseeded
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.functions.catalog import (
    DTYPE_PARAMETERS,
    FEATURE_PARAMETERS,
    Function,
    function,
    refusal,
    table,
)
from pipeprof.pipelines.ops.functions.layers import layer, layer_table
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, argument
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch, shown, unknown
from pipeprof.pipelines.ops.values.features import parse_features
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.structures import parse_constant
from pipeprof.pipelines.ops.values.values import DTYPES, ArrayFile, check_dtype
from pipeprof.pipelines.ops.values.values import Field as FieldKey

_EXAMPLE = "tf.image.resize: {size: [224, 224]}"
_COLUMN = "a number, text, a dtype, or `{repeat: float32, count: 430}`"
MOST_COLUMNS = 100_000
"""Columns of a table."""
_MANY_ALIKE = 8
"""So many columns that are alike are written once."""


def _argument(name: str, value: Any) -> Any:
    if name == "record_defaults":
        return parse_record_defaults(value)
    if name == "vocabulary" and isinstance(value, str):
        return ArrayFile(value)
    if name in FEATURE_PARAMETERS:
        return parse_features(value)
    if name in DTYPE_PARAMETERS and value is not None:
        return check_dtype(value)
    return parse_constant(value)


def _arguments(called: Function, call: dict[str, Any], problems: Problems) -> dict[str, Any]:
    parsed = {}
    for key, value in call.items():
        if key in ROUTES:
            continue
        if key not in called.names():
            known = [*called.names(), *ROUTES]
            problems.add((str(key),), unknown("argument", key, known, f"one of {called.name}'s: {', '.join(known)}"))
            continue
        parsed[key] = problems.read(partial(_argument, key), value, key)
    return parsed


def _check_complete(called: Function, call: dict[str, Any], on: On | None, problems: Problems) -> None:
    given = {key for key in call if key not in ROUTES}
    if isinstance(on, dict):
        if not _check_names(called, on, given, problems):
            return
        given |= on.keys()
    count = input_count(called, on, given)
    filled = called.inputs(given, count)
    if filled is None:
        names = ", ".join(called.names())
        inputs = f"{count} input{'s' * (count != 1)}"
        message = f"{inputs} for {called.name}: expected at most one for each free parameter ({names})"
        problems.add(("on",) if "on" in call else (), error(message, "inputs", got=count))
        return
    missing = [p.name for p in called.parameters if p.required and p.name not in given and p.name not in filled]
    if missing == ["seed"] and takes_seed(called) and seeded.get():
        return
    if missing:
        problems.add((), _without(called, missing))


def _check_names(called: Function, on: dict[str, FieldKey], given: set[str], problems: Problems) -> bool:
    for name in on:
        if name not in called.names():
            known = called.names()
            problems.add(("on", name), unknown("argument", name, known, f"one of {called.name}'s: {', '.join(known)}"))
        elif name in given:
            message = f"{name} is given twice: expected either a constant or a field in `on`"
            problems.add(("on", name), error(message, "argument_twice", got=name))
    return all(name in called.names() and name not in given for name in on)


def _without(called: Function, missing: list[str]) -> PydanticCustomError:
    form = ", ".join(f"{name}: …" for name in missing)
    message = f"missing {' and '.join(missing)} of {called.name}: expected `{called.name}: {{{form}}}`"
    return error(message, "missing_argument", got=None, candidates=missing)


def _unknown_function(name: Any) -> PydanticCustomError:
    reason = refusal(name) if isinstance(name, str) else None
    if reason:
        known_layers = layer_table() if isinstance(name, str) and name.startswith("tf.keras.layers.") else ()
        message = f"{name} is not allowed in `ops:`: {reason}"
        return error(message, "refused_function", got=name, candidates=known_layers)
    known = [*table(), *special_calls(), *layer_table()]
    full = [other_name for other_name in known if isinstance(name, str) and other_name.endswith(f".{name}")]
    if full:
        listed = f": {' or '.join(full)}" if len(full) > 1 else ""
        message = f"{shown(name)} is not a full function name{listed}"
        return error(message, "unknown_function", got=name, candidates=full)
    hint = "a function that `ops:` supports; call others with `python: file.py:function`"
    return unknown("function", name, known, hint)


def parse_call(value: Any) -> OpCall:
    """One item of ``ops:``: a name, or a mapping of a name to keyword arguments."""
    if isinstance(value, OpCall):
        return value
    bare = isinstance(value, str)
    if not bare and (not isinstance(value, dict) or len(value) != 1):
        raise mismatch(value, "call", f"a function's name, or a mapping with exactly one key such as `{_EXAMPLE}`")
    name, call = (value, {}) if bare else next(iter(value.items()))
    place: tuple[str | int, ...] = () if bare else (str(name),)
    problems = Problems()
    try:
        return _parsed(name, call, bare=bare)
    except ValidationError as found:
        problems.extend(found, *place)
        problems.raise_if_any()
        raise
    except PydanticCustomError as found:
        raise failure(place, found, value) from None


def _parsed(name: Any, call: Any, *, bare: bool) -> OpCall:
    special = special_calls().get(name) if isinstance(name, str) else None
    called = function(name) if isinstance(name, str) else None
    found = layer(name) if isinstance(name, str) else None
    if special is None and called is None and found is None:
        raise _unknown_function(name)
    instead = unseeded(name) if seeded.get() else None
    if instead is not None:
        message = f"{name} draws different numbers for each field of `for_each`: expected {instead}"
        raise error(message, "unseeded", got=name)
    if special is not None:
        return special.parse(call, bare=bare)
    call = {} if call is None else call
    if not isinstance(call, dict):
        raise mismatch(call, "arguments", f"a mapping of {name}'s arguments")
    problems = Problems()
    on, to = parse_routes(call, problems)
    if called is not None:
        arguments = _arguments(called, call, problems)
        _check_complete(called, call, on, problems)
    elif found is not None:
        arguments = _arguments(found, call, problems)
        missing = [
            parameter.name for parameter in found.parameters if parameter.required and parameter.name not in call
        ]
        if missing:
            problems.add((), _without(found, missing))
    problems.raise_if_any()
    return OpCall(name, arguments, on, to, bare)


def parse_chain(value: Any) -> tuple[OpCall, ...]:
    """A chain of calls inside a call; it may be empty."""
    if not isinstance(value, list | tuple):
        raise mismatch(value, "chain", "a list of calls such as `[tf.image.flip_left_right]`")
    problems = Problems()
    calls = [problems.read(parse_call, item, index) for index, item in enumerate(value)]
    problems.raise_if_any()
    return tuple(call for call in calls if call is not None)


def parse_record_defaults(value: Any) -> tuple[Any, ...]:
    """Defaults of CSV columns: a dtype's name makes the column required, anything else stands in where it is empty.

    ``{repeat: float32, count: 430}`` stands for 430 columns that are alike.
    """
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "record_defaults", "a list with a default or a dtype for each column")
    problems = Problems()
    columns: list[Any] = []
    for place, item in enumerate(value):
        alike, count = (item["repeat"], item["count"]) if _repeats(item) else (item, 1)
        if isinstance(alike, bool) or not isinstance(alike, str | int | float):
            problems.add((place,), mismatch(item, "record_default", _COLUMN), item)
        elif isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_COLUMNS - len(columns):
            expected = f"a number of columns, at least 1 and at most {MOST_COLUMNS} in all"
            problems.add((place, "count"), mismatch(count, "record_default", expected), count)
        else:
            columns += [Required(alike) if alike in DTYPES else alike] * count
    problems.raise_if_any()
    return tuple(columns)


def _repeats(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"repeat", "count"}


def record_defaults(columns: Sequence[Any]) -> list[Any]:
    """Defaults of columns as a spec has them: many that are alike in a row are written once.

    Example:
        >>> record_defaults(["int64", *["float32"] * 430])
        ['int64', {'repeat': 'float32', 'count': 430}]
    """
    found: list[Any] = []
    # 0 and 0.0 are columns of different types.
    for (_, default), run in itertools.groupby(columns, lambda column: (type(column), column)):
        count = len(list(run))
        found += [{"repeat": default, "count": count}] if count >= _MANY_ALIKE else [default] * count
    return found


@dataclass(frozen=True)
class Required:
    """A column that must have a value of this dtype."""

    dtype: str


_DEFAULT = {"type": ["number", "string"]}
_DEFAULTS = {
    "type": "object",
    "properties": {
        "repeat": {"description": "What each of these columns has.", **_DEFAULT},
        "count": {"description": "How many they are.", "type": "integer", "minimum": 1, "maximum": MOST_COLUMNS},
    },
    "required": ["repeat", "count"],
    "additionalProperties": False,
}
Call = Annotated[OpCall, Checked(parse_call, {SCHEMA_PLACEHOLDER: "call"})]
RecordDefaults = Annotated[
    tuple[Any, ...],
    Checked(parse_record_defaults, {"type": "array", "minItems": 1, "items": {"anyOf": [_DEFAULT, _DEFAULTS]}}),
]

OPS = "A chain of public TensorFlow functions; each gets the previous result as its first argument."
PYTHON = 'A function in a Python file, "file.py:function", relative to the spec; it runs with your permissions.'


def check_targets(calls: Sequence[OpCall], place: tuple[str | int, ...], *, predicate: bool) -> None:
    """Calls with several inputs say where the result goes; the last one of a ``predicate`` is its answer."""
    problems = Problems()
    _check_targets(calls, (*place, "ops"), problems, answers=predicate)
    problems.raise_if_any()


def _check_targets(calls: Sequence[OpCall], place: tuple[str | int, ...], problems: Problems, *, answers: bool) -> None:
    for index, operation in enumerate(calls):
        here = (*place, index, operation.name)
        alone = answers and index == len(calls) - 1
        if isinstance(operation.on, tuple | dict) and operation.on and operation.to is None and not alone:
            message = "missing `to`: several inputs in `on` need `to: field` for the result"
            problems.add((*here, "on"), error(message, "missing_to"))
        for name, chain in operation.chains.items():
            _check_targets(chain, (*here, *chain_path(name)), problems, answers=name in ANSWERS)


class ElementFunction(Closed):
    """A function over elements, under TensorFlow's own name of the argument."""

    ways: ClassVar[tuple[str, ...]] = ("ops", "python")

    ops: Annotated[list[Call] | None, Field(min_length=1)] = argument(OPS, default=None)
    python: Python | None = argument(PYTHON, default=None)
