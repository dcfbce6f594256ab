"""Encoding of dataclasses as compact JSON, and decoding by their annotations.

Encoding is one pass of Python's C encoder, because the worker sends while it measures. Decoders are built once for each
class, on the harness's side. A record is any dataclass whose fields are plain JSON values, other records, or lists,
tuples and dicts of these; `TypedDict`, `Literal` and `Any` stay as they are in JSON.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

_Record = TypeVar("_Record")
_Convert = Callable[[Any], Any]

_ENCODER = json.JSONEncoder(separators=(",", ":"), default=vars)


def encode_record(record: object, kind: str | None = None) -> str:
    """Encode a record as one line of JSON.

    Args:
        record: An instance of a dataclass without slots.
        kind: Stored as ``m``, so that a reader can tell records of several classes apart.
    """
    return _ENCODER.encode(record if kind is None else {"m": kind, **vars(record)}) + "\n"


def decode_record(record_class: type[_Record], fields: Mapping[str, Any]) -> _Record:
    """Build a record from its decoded JSON.

    Raises:
        TypeError: A field is missing or unknown.
    """
    whole: Any = record_class
    converters = _converters(whole)
    values = {
        name: converters[name](value) if value is not None and name in converters else value
        for name, value in fields.items()
    }
    return record_class(**values)


@cache
def _converters(record_class: type[Any]) -> dict[str, _Convert]:
    """Build converters for the fields whose JSON differs from their value."""
    hints = typing.get_type_hints(record_class)
    fields = {field.name for field in dataclasses.fields(record_class)}
    found = {name: _converter(hint) for name, hint in hints.items() if name in fields}
    return {name: convert for name, convert in found.items() if convert is not None}


def _converter(hint: Any) -> _Convert | None:
    """Build a function from JSON to a value of the type; None where they are the same."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        record_class: type = hint
        return lambda value: decode_record(record_class, value)
    origin, parameters = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        others = [parameter for parameter in parameters if parameter is not type(None)]
        return _converter(others[0]) if len(others) == 1 else None
    if origin is list:
        return _list_of(_converter(parameters[0]))
    if origin is tuple:
        return _tuple_of([_converter(parameter) for parameter in parameters if parameter is not Ellipsis])
    if origin is dict:
        return _dict_of(_converter(parameters[1]))
    return None


def _list_of(item: _Convert | None) -> _Convert | None:
    return None if item is None else lambda values: [value if value is None else item(value) for value in values]


def _tuple_of(items: list[_Convert | None]) -> _Convert:
    if len(items) == 1 or not any(items):
        item = items[0] if items else None
        return tuple if item is None else lambda values: tuple(map(item, values))
    return lambda values: tuple(
        value if item is None else item(value) for item, value in zip(items, values, strict=True)
    )


def _dict_of(item: _Convert | None) -> _Convert | None:
    return None if item is None else lambda values: {key: item(value) for key, value in values.items()}
