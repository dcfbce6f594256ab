"""Calls that rearrange an element: choosing, dropping, renaming and copying fields, tuples and dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pipeprof.pipelines.ops.calls.base import Running, SpecialCall
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import Problems, error, mismatch
from pipeprof.pipelines.ops.values.fields import FieldError, describe, pick
from pipeprof.pipelines.ops.values.values import Field, parse_field

_FIELD_SCHEMA: dict[str, Any] = {"type": ["string", "integer"]}
_NESTED_SCHEMA: dict[str, Any] = {"type": ["string", "integer", "null", "array", "object"]}


def _fields(value: Any) -> Field | tuple[Field, ...]:
    if isinstance(value, list | tuple):
        if not value:
            raise mismatch(value, "field", "at least one key or index of the element")
        return tuple(parse_field(item) for item in value)
    return parse_field(value)


def _several(value: Any) -> tuple[Field, ...]:
    fields = _fields(value)
    return fields if isinstance(fields, tuple) else (fields,)


def _renamed(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise mismatch(value, "names", "a mapping of old names to new ones")
    for old, new in value.items():
        if not isinstance(old, str) or not isinstance(new, str) or not new:
            raise mismatch(new if isinstance(old, str) else old, "names", "a mapping of old names to new ones")
    if len(set(value.values())) < len(value):
        twice = next(name for name in value.values() if list(value.values()).count(name) > 1)
        raise error(f"duplicate new name {twice!r}: expected different names", "name_twice", got=twice)
    return dict(value)


def _structure(value: Any) -> Any:
    """Nested lists and mappings of fields; null is the whole element."""
    problems = Problems()

    def visit(value: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    problems.add((*place, str(key)), mismatch(key, "component", "a component's name (text)"))
            return {str(key): visit(inner, (*place, str(key))) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return tuple(visit(inner, (*place, index)) for index, inner in enumerate(value))
        if value is None:
            return None
        try:
            return parse_field(value)
        except ValueError:
            problems.add(place, mismatch(value, "field", "a key or an index of the element"), value)
            return None

    found = visit(value, ())
    problems.raise_if_any()
    return found


def _tuple_structure(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "structure", "a list of fields such as `[image, label]`")
    return _structure(value)


def _dict_structure(value: Any) -> Any:
    if isinstance(value, list | tuple) and value:
        for name in value:
            if not isinstance(name, str) or not name:
                raise mismatch(name, "component", "a component's name (text)")
        return tuple(value)
    if not isinstance(value, dict) or not value:
        expected = "a mapping of names to fields such as `{image: 0, label: 1}`, or a list of names"
        raise mismatch(value, "structure", expected)
    return _structure(value)


def picked(element: Any, structure: Any) -> Any:
    """The fields of ``element`` in a structure of their names."""
    if isinstance(structure, dict):
        return {name: picked(element, inner) for name, inner in structure.items()}
    if isinstance(structure, tuple):
        return tuple(picked(element, inner) for inner in structure)
    return element if structure is None else pick(element, structure)


class _Structure(SpecialCall):
    family: ClassVar[str] = "structure"
    routes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _is_long(cls, value: dict[Any, Any]) -> bool:
        # What stands under the name is always the one argument itself.
        return False


class Select(_Structure):
    """Keeps only these fields.

    ``select: [a, b]`` is equivalent to ``{"a": x["a"], "b": x["b"]}``; of a tuple, ``select: [0, 2]`` for ``(x[0],
    x[2])``. ``select: a`` is equivalent to ``x["a"]``: the field becomes the element; it may be dotted.
    """

    call: ClassVar[str] = "select"
    short: ClassVar[str | None] = "fields"

    fields: Annotated[
        Field | tuple[Field, ...],
        Checked(_fields, {"anyOf": [_FIELD_SCHEMA, {"type": "array", "items": _FIELD_SCHEMA, "minItems": 1}]}),
    ] = argument("Keys or indices; a single one becomes the element.")

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The element with these fields alone."""
        fields = operation.arguments["fields"]
        if not isinstance(fields, tuple):
            return pick(element, fields)
        if isinstance(element, Mapping):
            return {_key(element, field_): element[_key(element, field_)] for field_ in fields}
        return tuple(pick(element, field_) for field_ in fields)


class Drop(_Structure):
    """Removes these fields.

    ``drop: [a]`` is equivalent to ``{name: value for name, value in x.items() if name != "a"}``; of a tuple, for the
    tuple without these indices.
    """

    call: ClassVar[str] = "drop"
    short: ClassVar[str | None] = "fields"

    fields: Annotated[
        tuple[Field, ...],
        Checked(_several, {"anyOf": [_FIELD_SCHEMA, {"type": "array", "items": _FIELD_SCHEMA, "minItems": 1}]}),
    ] = argument("Keys or indices.")

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The element without these fields."""
        fields = operation.arguments["fields"]
        if isinstance(element, Mapping):
            gone = {_key(element, field_) for field_ in fields}
            return {name: value for name, value in element.items() if name not in gone}
        for field_ in fields:
            pick(element, field_)
        return tuple(value for index, value in enumerate(element) if index not in fields)


class Rename(_Structure):
    """Renames fields of a mapping.

    ``rename: {old: new}`` is equivalent to ``{names.get(name, name): value for name, value in x.items()}`` with
    ``names = {"old": "new"}``.
    """

    call: ClassVar[str] = "rename"
    short: ClassVar[str | None] = "names"

    names: Annotated[
        dict[str, str],
        Checked(_renamed, {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}),
    ] = argument("Mapping from old to new names.")

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The element with the new names."""
        names = operation.arguments["names"]
        for old in names:
            _key(element, old)
        changed = {names.get(name, name): value for name, value in element.items()}
        if len(changed) < len(element):
            twice = next(new for new in names.values() if new in element)
            raise FieldError(f"new name {twice!r} exists already: the element is {describe(element)}")
        return changed


class ToTuple(_Structure):
    """Converts the element to a tuple of fields.

    ``to_tuple: [image, label]`` is equivalent to ``(x["image"], x["label"])``. Lists and mappings inside make nested
    tuples and dicts; null is the whole element, so that ``to_tuple: [null, null]`` is equivalent to ``(x, x)``.
    """

    call: ClassVar[str] = "to_tuple"
    short: ClassVar[str | None] = "structure"

    structure: Annotated[Any, Checked(_tuple_structure, {"type": "array", "items": _NESTED_SCHEMA, "minItems": 1})] = (
        argument("Fields, and lists and mappings of them.")
    )

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The tuple."""
        return picked(element, operation.arguments["structure"])


class ToDict(_Structure):
    """Converts the element to a mapping.

    ``to_dict: {image: 0, label: 1}`` is equivalent to ``{"image": x[0], "label": x[1]}``; lists and mappings inside and
    null are as in ``to_tuple``. ``to_dict: [image, label]`` names the components of a tuple in order, or with one name
    a single tensor.
    """

    call: ClassVar[str] = "to_dict"
    short: ClassVar[str | None] = "structure"

    structure: Annotated[
        Any,
        Checked(
            _dict_structure,
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": _NESTED_SCHEMA, "minProperties": 1},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                ]
            },
        ),
    ] = argument("Fields by their names in the mapping, or names for the components of a tuple.")

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The mapping."""
        structure = operation.arguments["structure"]
        if isinstance(structure, dict):
            return picked(element, structure)
        parts = element if isinstance(element, tuple) else (element,)
        if isinstance(element, Mapping) or len(parts) != len(structure):
            count = f"{len(structure)} name{'s' * (len(structure) != 1)}"
            raise FieldError(f"{count}, but the element is {describe(element)}")
        return dict(zip(structure, parts, strict=True))


_NO_FIELDS = (
    "missing fields: expected `copy: {on: field, to: field}`; a single tensor has no fields, and `to_tuple: [null, "
    "null]` makes two of it"
)


class Copy(SpecialCall):
    """Copies a field.

    ``copy: {on: image, to: view}`` is equivalent to ``{**x, "view": x["image"]}``.
    """

    call: ClassVar[str] = "copy"
    family: ClassVar[str] = "structure"

    @classmethod
    def _check_routes(cls, on: Any, to: Any, problems: Problems) -> None:
        if not isinstance(on, str | int) or not isinstance(to, str | int):
            problems.add((), error(_NO_FIELDS, "missing_to"))

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The field."""
        return given


def _key(element: Any, field: Field) -> Any:
    if isinstance(element, Mapping) and field in element:
        return field
    if isinstance(element, Mapping) and str(field) in element:
        return str(field)
    raise FieldError(f"no field {field!r}: the element is {describe(element)}")
