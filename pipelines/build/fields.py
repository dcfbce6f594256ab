"""Fields of elements: how calls under ``ops:`` pick and put them, and those that give an element another structure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

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


def _key_of(element: Any, part: Field, field: Field, *, new: bool = False) -> Any:
    """The key or index of a part of ``field``; with ``new`` a mapping gets one that it lacks."""
    if isinstance(element, Mapping):
        key = part if part in element else str(part)
        if key in element or new:
            return key
    elif isinstance(element, tuple) and isinstance(part, int) and part < len(element):
        return part
    raise FieldError(f"no field {field!r}: the element is {describe(element)}")


def pick(element: Any, field: Field) -> Any:
    """The component of ``element`` that ``field`` names.

    Example:
        >>> pick({"a": (1, {"b": 2})}, "a.1.b")
        2
    """
    for part in _parts(element, field):
        element = element[_key_of(element, part, field)]
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
    key = _key_of(element, part, field, new=not rest)
    inner = _put(element[key], rest, value, field) if rest else value
    if isinstance(element, Mapping):
        return {**element, key: inner}
    changed = [*element[:key], inner, *element[key + 1 :]]
    return type(element)(*changed) if hasattr(element, "_fields") else tuple(changed)


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


def picked(element: Any, on: Any) -> Any:
    """The input: the element, a field, a tuple of fields or a mapping of parameters."""
    if on is None:
        return element
    if isinstance(on, Mapping):
        return {name: pick(element, field) for name, field in on.items()}
    return tuple(pick(element, field) for field in on) if isinstance(on, list | tuple) else pick(element, on)


def _select(element: Any, fields: Any) -> Any:
    if not isinstance(fields, list | tuple):
        return pick(element, fields)
    if isinstance(element, Mapping):
        return {_key_of(element, field, field): pick(element, field) for field in fields}
    return tuple(pick(element, field) for field in fields)


def _drop(element: Any, fields: Any) -> Any:
    listed = fields if isinstance(fields, list | tuple) else [fields]
    gone = {_key_of(element, field, field) for field in listed}
    if isinstance(element, Mapping):
        return {name: value for name, value in element.items() if name not in gone}
    return tuple(value for index, value in enumerate(element) if index not in gone)


def _rename(element: Any, names: Mapping[str, str]) -> Any:
    new_names = {_key_of(element, old, old): new for old, new in names.items()}
    if not isinstance(element, Mapping):
        raise FieldError(f"no names to change: the element is {describe(element)}")
    changed = {new_names.get(name, name): value for name, value in element.items()}
    if len(changed) < len(element):
        twice = next(new for new in names.values() if new in element)
        raise FieldError(f"new name {twice!r} exists already: the element is {describe(element)}")
    return changed


def _structure(element: Any, structure: Any) -> Any:
    """Nested tuples and mappings of fields; null is the whole element."""
    if isinstance(structure, Mapping):
        return {name: _structure(element, inner) for name, inner in structure.items()}
    if isinstance(structure, list | tuple):
        return tuple(_structure(element, inner) for inner in structure)
    return element if structure is None else pick(element, structure)


def _to_dict(element: Any, structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return _structure(element, structure)
    parts = element if isinstance(element, tuple) else (element,)
    if isinstance(element, Mapping) or len(parts) != len(structure):
        count = f"{len(structure)} name{'s' * (len(structure) != 1)}"
        raise FieldError(f"{count}, but the element is {describe(element)}")
    return dict(zip(structure, parts, strict=True))


STRUCTURE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "select": _select,
    "drop": _drop,
    "rename": _rename,
    "to_tuple": _structure,
    "to_dict": _to_dict,
}
"""Calls that give the element another structure: what stands under the name is their one argument."""


def index_of(text: Any, element: Any) -> Any:
    """The index of ``x[…]``: numbers, ``begin:end:step``, ``...`` and tf.newaxis; a name is a field of the element.

    Raises:
        PlainError: It is another expression.
    """
    try:
        return _index(ast.parse(f"x[{text}]", mode="eval").body.slice, element)  # type: ignore[attr-defined]
    except (SyntaxError, AttributeError):
        raise PlainError(f'getitem: {text!r}: expected an index such as "..., :3", "1:-1" or 0') from None


def _index(node: ast.expr | None, element: Any) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(_index(one, element) for one in node.elts)
    if isinstance(node, ast.Slice):
        return slice(*(_index(bound, element) for bound in (node.lower, node.upper, node.step)))
    if node is None or ast.unparse(node) in ("None", "tf.newaxis"):
        return None
    if isinstance(node, ast.Name | ast.Attribute):
        return pick(element, ast.unparse(node))
    value = ast.literal_eval(node) if isinstance(node, ast.Constant | ast.UnaryOp) else None
    if value is not ... and type(value) is not int:
        raise SyntaxError(ast.unparse(node))
    return value
