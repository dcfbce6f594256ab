"""Encoding of dataclasses as compact JSON, and decoding by their annotations.

Encoding is one pass of Python's C encoder, because the worker sends while it measures. Decoders are built once for each
class, on the harness's side. A record is any dataclass whose fields are plain JSON values, other records, or lists,
tuples and dicts of these; `TypedDict` and `Any` stay as they are in JSON. Whatever else a message says is of its type
once it is decoded: the user's code runs in the process that sends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

_Record = TypeVar("_Record")
_Convert = Callable[[Any], Any]


class _WrongValueError(Exception):
    """A value that is not of its field's type, in words that follow the field's name."""


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=vars)


def encode_record(record: object, kind: str | None = None) -> str:
    """Encode a dataclass without slots as one line of JSON, with its kind as ``m``, by which readers tell classes."""
    return _ENCODER.encode(record if kind is None else {"m": kind, **vars(record)}) + "\n"


def decode_record(record_class: type[_Record], fields: Mapping[str, Any]) -> _Record:
    """Build a record from its decoded JSON.

    Raises:
        TypeError: A field is missing or unknown, or its value is not of its type; a number that is not finite is none.
    """
    whole: Any = record_class
    converters = _converters(whole)
    return record_class(
        **{name: converters[name](value) if name in converters else value for name, value in fields.items()}
    )


@cache
def _converters(record_class: type[Any]) -> dict[str, _Convert]:
    """Build converters for the fields, each with the field's name in what it raises."""
    hints = typing.get_type_hints(record_class)
    return {
        field.name: _named(f"{record_class.__name__}.{field.name}", _converter(hints[field.name]))
        for field in dataclasses.fields(record_class)
    }


def _named(name: str, convert: _Convert) -> _Convert:
    def named(value: Any) -> Any:
        try:
            return convert(value)
        except _WrongValueError as error:
            raise TypeError(f"{name} {error}") from None

    return named


def _converter(hint: Any) -> _Convert:
    """Build a function from JSON to a value of the type, which raises `_WrongValueError` for any other value."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        record_class: type = hint
        return lambda value: decode_record(record_class, _checked(value, dict))
    origin, parameters = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _union_of([None if one is type(None) else _converter(one) for one in parameters])
    if origin is typing.Literal:
        return lambda value: value if value in parameters else _refuse(value, " or ".join(map(str, parameters)))
    return _container(origin, parameters) if origin in (list, tuple, dict) else _scalar(hint)


def _container(origin: Any, parameters: tuple[Any, ...]) -> _Convert:
    if origin is dict:
        name, item = map(_converter, parameters)
        return lambda values: {name(key): item(value) for key, value in _checked(values, dict).items()}
    if origin is list or parameters[-1] is Ellipsis:
        item = _converter(parameters[0])
        return lambda values: origin(item(value) for value in _checked(values, list))
    items = [_converter(parameter) for parameter in parameters]
    return lambda values: _tuple_of(items, _checked(values, list))


def _scalar(hint: Any) -> _Convert:
    if hint is float:
        return lambda value: value if type(value) in (int, float) and math.isfinite(value) else _refuse(value, "float")
    if hint in (int, str, bool):
        return lambda value: value if type(value) is hint else _refuse(value, hint.__name__)
    return lambda value: value


def _checked(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else _refuse(value, kind.__name__)


def _refuse(value: Any, expected: str) -> Any:
    raise _WrongValueError(f"is {str(value)[:40]!r}, not {expected}")


def _union_of(members: list[_Convert | None]) -> _Convert:
    """A value is of the first member that takes it; None stands for None itself."""
    takes_none = None in members
    others = [member for member in members if member is not None]

    def convert(value: Any) -> Any:
        if value is None and takes_none:
            return None
        for member in others[:-1]:
            with contextlib.suppress(_WrongValueError):
                return member(value)
        return others[-1](value)

    return convert


def _tuple_of(items: list[_Convert], values: list[Any]) -> tuple[Any, ...]:
    if len(values) != len(items):
        _refuse(values, f"{len(items)} values")
    return tuple(item(value) for item, value in zip(items, values, strict=True))
