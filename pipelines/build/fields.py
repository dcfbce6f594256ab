"""Fields of an element: selection, replacement, description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pipeprof.pipelines.errors import PlainError

Field: TypeAlias = str | int
"""A key, dotted into nested mappings, or an index."""


class FieldError(PlainError):
    """An element does not have the field that ``on`` or ``to`` names."""


def describe(element: Any) -> str:
    """Describe the fields of an element for a message.

    Example:
        >>> describe({"image": 1, "label": 2}), describe((1, 2)), describe(1)
        ('a mapping with image, label', 'a tuple of 2', 'a single tensor')
    """
    if isinstance(element, Mapping):
        return f"a mapping with {', '.join(map(str, element))}"
    if isinstance(element, tuple):
        return f"a tuple of {len(element)}"
    return "a single tensor"


def _parts(element: Any, field: Field) -> list[Field]:
    """A field as a path; a key that has dots of its own is taken as it is."""
    if isinstance(field, int) or (isinstance(element, Mapping) and field in element):
        return [field]
    return [int(part) if part.isdigit() else part for part in field.split(".")]


def pick(element: Any, field: Field) -> Any:
    """The component of ``element`` that ``field`` names.

    Example:
        >>> pick({"a": (1, {"b": 2})}, "a.1.b")
        2
    """
    for part in _parts(element, field):
        if isinstance(element, Mapping) and (part in element or str(part) in element):
            element = element[part] if part in element else element[str(part)]
        elif isinstance(element, tuple) and isinstance(part, int) and part < len(element):
            element = element[part]
        else:
            raise FieldError(f"no field {field!r}: the element is {describe(element)}")
    return element


def put(element: Any, field: Field, value: Any) -> Any:
    """A copy of ``element`` with ``value`` as its component ``field``; mappings grow by new keys, tuples do not.

    Example:
        >>> put({"a": 1}, "b", 2), put((1, 2), 0, 9)
        ({'a': 1, 'b': 2}, (9, 2))
    """
    return _put(element, _parts(element, field), value, field)


def _put(element: Any, parts: list[Field], value: Any, field: Field) -> Any:
    part, *rest = parts
    if isinstance(element, Mapping):
        key = part if part in element else str(part)
        if rest and key not in element:
            raise FieldError(f"no field {field!r}: the element is {describe(element)}")
        inner = _put(element[key], rest, value, field) if rest else value
        return {**element, key: inner}
    if isinstance(element, tuple) and isinstance(part, int) and part < len(element):
        inner = _put(element[part], rest, value, field) if rest else value
        changed = [*element[:part], inner, *element[part + 1 :]]
        return type(element)(*changed) if hasattr(element, "_fields") else tuple(changed)
    raise FieldError(f"no field {field!r}: the element is {describe(element)}")


def place(element: Any, target: Field | tuple[Field, ...], result: Any) -> Any:
    """A copy of ``element`` with a result at its target; several targets take a list or tuple apart.

    Raises:
        FieldError: The element cannot have such a component, or the result has another number of parts.

    Example:
        >>> place({"a": 1}, ("b", "c"), (2, 3))
        {'a': 1, 'b': 2, 'c': 3}
    """
    if not isinstance(target, tuple):
        return put(element, target, result)
    if not isinstance(result, list | tuple) or len(result) != len(target):
        got = f"{len(result)} results" if isinstance(result, list | tuple) else "a single result"
        raise FieldError(f"{got} for the {len(target)} fields of `to` ({', '.join(map(str, target))})")
    for each, part in zip(target, result, strict=True):
        element = put(element, each, part)
    return element
