"""Components of elements by their names, as ``on`` and ``to`` give them."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.tensor.shapes import Structure
from pipeprof.pipelines.inference.tensor.texts import structure_text
from pipeprof.pipelines.suggest import suggest

Field = str | int


def field_of(element: Structure, field: Field, *argument: str | int) -> Structure:
    """The component that a field names; ``None`` if nothing is known of the element there.

    Args:
        field: A key (dotted into nested mappings) or an index.
        argument: Path of the argument that names the field, for the refusal.
    """
    here = element
    for part in _parts(element, field):
        if here is None:
            return None
        if isinstance(here, Mapping) and (part in here or str(part) in here):
            here = here[part] if part in here else here[str(part)]
        elif isinstance(here, tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            raise _missing(field, part, here, argument)
    return here


def with_field(element: Structure, field: Field, value: Structure, *argument: str | int) -> Structure:
    """The element with a component changed; mappings grow by new keys, tuples do not."""
    return _changed(element, _parts(element, field), value, field, argument)


def _changed(
    element: Structure, parts: list[Field], value: Structure, field: Field, argument: tuple[str | int, ...]
) -> Structure:
    part, *rest = parts
    if element is None:
        return None
    if isinstance(element, Mapping):
        key = part if part in element else str(part)
        if rest and key not in element:
            raise _missing(field, part, element, argument)
        inner = _changed(element[key], rest, value, field, argument) if rest else value
        return {**element, key: inner}
    if isinstance(element, tuple) and isinstance(part, int) and part < len(element):
        inner = _changed(element[part], rest, value, field, argument) if rest else value
        return (*element[:part], inner, *element[part + 1 :])
    raise _missing(field, part, element, argument)


def _parts(element: Structure, field: Field) -> list[Field]:
    if isinstance(field, int) or (isinstance(element, Mapping) and field in element):
        return [field]
    return [int(part) if part.isdigit() else part for part in field.split(".")]


def _missing(field: Field, part: Field, here: Structure, argument: tuple[str | int, ...]) -> Refused:
    prefix = str(field).removesuffix(str(part)) if isinstance(field, str) else ""
    meant = suggest(str(part), [str(key) for key in here]) if isinstance(here, Mapping) else None
    shown = "a mapping" if isinstance(here, Mapping) else structure_text(here)
    expected = f"expected one of {', '.join(map(str, here))}" if isinstance(here, Mapping) else _expected(here)
    where = f" (`{prefix.rstrip('.')}` is {shown})" if prefix else f" in {shown}"
    message = f"no field {field!r}{where}: {expected}"
    return Refused(message, "missing-field", *argument, suggestion=None if meant is None else f"{prefix}{meant}")


def _expected(here: Structure) -> str:
    if isinstance(here, tuple):
        return f"expected an index below {len(here)}" if here else "it is empty"
    return "the element has no fields"
