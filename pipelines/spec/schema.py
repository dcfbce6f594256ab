"""One JSON Schema (draft-07) of a spec, made out of the tables of operations, parameters and the top level.

It is what `pipeprof schema` prints, what editors use, and what a spec is checked by.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeprof.pipelines.data.recipes import definitions as data_definitions
from pipeprof.pipelines.spec.budgets import budget_definitions
from pipeprof.pipelines.spec.operations import (
    ARRAYS,
    OF_CALLS,
    Operation,
    Parameter,
    functions,
    kinds,
    layers,
    mappings,
    parameters_of,
    sources,
    stages,
)
from pipeprof.pipelines.steps.step import step_schema
from pipeprof.pipelines.tables import read_table

SCHEMA_ID: Final = "urn:pipeprof:schema:spec-1"
_NOTES: Final = {"patternProperties": {"^x-": {}}, "additionalProperties": False}
_ONE_KEY: Final = {"additionalProperties": False, "minProperties": 1, "maxProperties": 1}
_OF_CALLS: Final = {key: kind if kind != "dtype" else "call_dtype" for key, kind in OF_CALLS.items()}
_TYPES: Final[Mapping[type, str]] = {str: "string", list: "array", dict: "object"}
KIND: Final = "kind"
"""What the comment of a definition is whose description says what is expected; else it is the noun for its keys."""
_OPTIONS: Final = ("options", "autotune", "threading", "optimization", "distribute")
"""Mappings that may have notes."""


@functools.cache
def spec_schema() -> dict[str, Any]:
    """The schema of a spec, closed but for ``x-…`` keys, with a description of every key."""
    table = read_table("pipeprof.pipelines.spec", "top_level")
    # A kind that is written as another one has only a description of its own.
    forms = {kind: table["kinds"][rest] if isinstance(rest, str) else rest for kind, rest in table["kinds"].items()}
    definitions: dict[str, Any] = {
        **table["definitions"],
        **{kind: {"$comment": KIND, "description": kinds()[kind], **form} for kind, form in forms.items()},
        **{name if name not in kinds() else f"{name}_array": _mapping(name, rows) for name, rows in mappings().items()},
        "array_or_tensors": _array_or(
            {"minProperties": 1, "additionalProperties": _ref("tensors")}, {"type": ["number", "string", "boolean"]}
        ),
        "array_or_constant": _array_or({"additionalProperties": _ref("constant")}, {}),
        "call": _call(table["calls"]),
        "call_dtype": {"if": {"type": "null"}, "else": _ref("dtype")},
        "step": step_schema(),
        **budget_definitions(),
        **data_definitions(),
    }
    for name, operations in (("source", sources()), ("nested_source", sources()), ("stage", stages())):
        definitions |= {f"{name}.{op}": _operation(row, name) for op, row in operations.items()}
        properties = {
            op: {"description": row.about, "allOf": [_ref(f"{name}.{op}")]} for op, row in sorted(operations.items())
        }
        noun = "stage" if name == "stage" else "source"
        definitions[name] = {"type": "object", "$comment": noun, "properties": properties, **_ONE_KEY}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": SCHEMA_ID, "title": "pipeprof spec"}
    return {**head, **table["document"], "definitions": dict(sorted(definitions.items()))}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _array_or(structure: Mapping[str, Any], literal: Mapping[str, Any]) -> dict[str, Any]:
    """An array where a mapping has the key of one, as `array_kind` says; else a structure or a literal."""
    found: dict[str, Any] = {"if": {"type": "object"}, "then": structure, "else": literal}
    for kind, holds in ARRAYS.items():
        value: dict[str, Any] = {"type": [_TYPES[one] for one in holds]}
        if kind == "array":
            value["anyOf"] = [{"required": [key]} for key in mappings()["filling"]]
        name = kind if kind not in kinds() else f"{kind}_array"
        condition = {"type": "object", "required": [kind], "properties": {kind: value}}
        found = {"if": condition, "then": _ref(name), "else": found}
    return {"if": _ref("uneven"), "then": _ref("no_uneven"), "else": found}


def _parameter(row: Parameter) -> dict[str, Any]:
    """What stands under the name of a parameter; null is left to the kind where it may be written."""
    choices = {"enum": list(row.choices), "description": row.about}
    # A source among arguments is that of a pipeline for each element.
    name = "nested_source" if row.kind == "source" else row.kind
    kind = choices if row.choices else {"description": row.about, "allOf": [_ref(name)]}
    return {"description": row.about, "if": {"type": "null"}, "else": kind} if row.null else kind


def _mapping(name: str, rows: Mapping[str, Parameter]) -> dict[str, Any]:
    return {
        "type": ["object", "null"] if name in _OPTIONS else "object",
        "$comment": "key",
        "properties": {key: _parameter(row) for key, row in rows.items()},
        "required": [key for key, row in rows.items() if row.required],
        **(_NOTES if name in _OPTIONS else {"additionalProperties": False}),
    }


def _operation(row: Operation, where: str) -> dict[str, Any]:
    """The arguments of a source or a stage; in a pipeline for each element, that fills the first one."""
    filled = row.element if where == "nested_source" else ""
    required = [name for name, one in row.parameters.items() if one.required and name != filled]
    found: dict[str, Any] = {
        "description": row.about,
        "type": "object" if required or row.ways else ["object", "null"],
        "$comment": "argument",
        "properties": {name: _parameter(one) for name, one in row.parameters.items()},
        "required": required,
        **_NOTES,
    }
    if row.ways:
        found["allOf"] = [_one_way(row.ways)]
    return found


def _one_way(ways: Iterable[Iterable[str]]) -> dict[str, Any]:
    listed = [" or ".join(f"`{name}`" for name in way) for way in ways]
    needed = [[{"required": [name]} for name in way] for way in ways]
    return {
        "description": f"one of {', '.join(listed)}",
        "oneOf": [way[0] if len(way) == 1 else {"anyOf": way} for way in needed],
    }


def _call(own: Mapping[str, Any]) -> dict[str, Any]:
    """A function of the allowlist by its name, or with its keyword arguments."""
    signatures = {**functions(), **layers()}
    known = {name: _function(name, one, parameters_of(one)) for name, one in signatures.items()}
    return {
        "description": "A function's name, or its name with keyword arguments.",
        "if": {"type": "string"},
        "then": {"$comment": "function", "enum": sorted(name for name in known if "null" in known[name]["type"])},
        "else": {"type": "object", "$comment": "function", "properties": {**own, **known}, **_ONE_KEY},
    }


def _function(name: str, signature: str, parameters: Mapping[str, str | None]) -> dict[str, Any]:
    layer = name.startswith("tf.keras.")
    needed = [key for key, default in parameters.items() if default is None]
    # The element, or the field that `on` picks, is the first argument that is not given.
    need: dict[str, Any] = {"required": needed} if layer else {}
    if len(needed) > 1 and not layer:
        given = [{"required": [key for key in needed if key != filled]} for filled in needed]
        about = f"{', '.join(f'`{key}`' for key in needed[1:])} (the element is `{needed[0]}`)"
        need = {
            "if": {"properties": {"on": {"type": ["string", "integer"]}}},
            "then": {"description": about, "anyOf": given},
        }
    kinds_of = {} if layer else _OF_CALLS
    names = [*parameters, *(key for key in ("dtype", "name", "training") if layer and key not in parameters)]
    return {
        "description": f"{name}({signature})",
        "type": "object" if need.get("required") or len(needed) > 1 else ["object", "null"],
        "$comment": "argument",
        "properties": {
            **{key: _ref(kinds_of.get(key, "constant")) for key in names},
            "on": _ref("on"),
            "to": _ref("to"),
        },
        "additionalProperties": False,
        **need,
    }
