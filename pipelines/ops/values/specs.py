"""Result signatures in arguments: a dtype, a shape and dtype, or lists and mappings of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationError

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER
from pipeprof.pipelines.ops.problems import Problems, mismatch
from pipeprof.pipelines.ops.values.structures import Structure, parse_signature
from pipeprof.pipelines.ops.values.values import check_dtype

_DESCRIBED = ({"shape"}, {"ragged"}, {"sparse"})


def parse_specs(value: Any) -> Structure:
    """A structure of dtypes and of ``{shape, dtype}``."""
    problems = Problems()

    def visit(value: Any, place: tuple[str | int, ...]) -> Any:
        try:
            if isinstance(value, dict) and any(keys <= value.keys() for keys in _DESCRIBED):
                return parse_signature(value).value
            if isinstance(value, dict) and value:
                return {name: visit(inner, (*place, str(name))) for name, inner in value.items()}
            if isinstance(value, list | tuple) and value:
                return tuple(visit(inner, (*place, index)) for index, inner in enumerate(value))
            if not isinstance(value, str):
                raise mismatch(value, "dtype", "a dtype such as float32, a shape and dtype, or a list of them")
            return check_dtype(value)
        except ValidationError as found:
            problems.extend(found, *place)
        except ValueError as found:
            problems.add(place, found, value)  # type: ignore[arg-type]  # what checks raise are PydanticCustomErrors
        return None

    if isinstance(value, Structure):
        return value
    result = visit(value, ())
    problems.raise_if_any()
    return Structure(result)


Specs = Annotated[Structure, Checked(parse_specs, {SCHEMA_PLACEHOLDER: "specs"})]
