"""The part of the JSON schema that describes the calls of ``ops:``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.ops.calls.base import SpecialCall, special_calls
from pipeprof.pipelines.ops.calls.seeds import takes_seed
from pipeprof.pipelines.ops.functions.catalog import DTYPE_PARAMETERS, FEATURE_PARAMETERS, Function, function, table
from pipeprof.pipelines.ops.functions.layers import layers

FIELD: dict[str, Any] = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}
_ON = {
    "description": ("Input fields: a key, an index, a list of them by position, or a mapping from parameters to them."),
    "anyOf": [
        *FIELD["anyOf"],
        {"type": "array", "items": FIELD},
        {"type": "object", "additionalProperties": FIELD, "minProperties": 1},
    ],
}
_TO = {
    "description": "Output field; a list for the parts of a list or tuple.",
    "anyOf": [*FIELD["anyOf"], {"type": "array", "items": FIELD, "minItems": 1}],
}
_ROUTES = {"on": {"$ref": "#/definitions/on"}, "to": {"$ref": "#/definitions/to"}}
_ONE_KEY = {"minProperties": 1, "maxProperties": 1}
_TENSORFLOW = "https://www.tensorflow.org/api_docs/python/"


def call_definitions(schema_of: Callable[[type[SpecialCall]], dict[str, Any]]) -> dict[str, Any]:
    """The definitions of ``call``, ``on``, ``to`` and of every call of its own form."""
    definitions = {kind.__name__: _special(kind, schema_of(kind)) for kind in special_calls().values()}
    return {"on": _ON, "to": _TO, "call": _call(), "specs": _specs(), **definitions}


def _specs() -> dict[str, Any]:
    own = {"$ref": "#/definitions/specs"}
    nested = [{"type": "array", "items": own}, {"type": "object", "additionalProperties": own}]
    return {"anyOf": [{"$ref": "#/definitions/dtype"}, {"$ref": "#/definitions/signature"}, *nested]}


def _call() -> dict[str, Any]:
    functions = [described for described in map(function, sorted(table())) if described is not None]
    bare = [described.name for described in functions if not _needs_arguments(described)]
    bare += [layer.name for layer in layers().values() if not _required(layer)]
    properties: dict[str, Any] = {
        name: {"$ref": f"#/definitions/{kind.__name__}"} for name, kind in sorted(special_calls().items())
    }
    properties |= {described.name: _function(described) for described in functions}
    properties |= {layer.name: _function(layer, needs=bool(_required(layer))) for layer in layers().values()}
    mapping = {"type": "object", "properties": properties, "additionalProperties": False, **_ONE_KEY}
    return {"description": "A function's name, or its name with keyword arguments.", "anyOf": [{"enum": bare}, mapping]}


def _required(described: Function) -> list[str]:
    return [parameter.name for parameter in described.parameters if parameter.required]


def _needs_arguments(described: Function) -> bool:
    filled = described.inputs(set(), 1) or []
    given = {"seed"} if takes_seed(described) else set()
    return any(name not in filled and name not in given for name in _required(described))


def _function(described: Function, *, needs: bool | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        parameter.name: {
            "description": "Required, unless an input provides it."
            if parameter.required
            else f"Default {parameter.default}."
        }
        for parameter in described.parameters
    }
    for name in FEATURE_PARAMETERS & properties.keys():
        if described.name.startswith("tf.io.parse_"):
            properties[name] |= {"type": "object", "additionalProperties": {"$ref": "#/definitions/feature"}}
    for name in DTYPE_PARAMETERS & properties.keys():
        properties[name] |= {"anyOf": [{"$ref": "#/definitions/dtype"}, {"type": "null"}]}
    return {
        "description": f"Keyword arguments of {described.name}.\n{_TENSORFLOW}{described.name.replace('.', '/')}",
        "type": "object" if (_needs_arguments(described) if needs is None else needs) else ["object", "null"],
        "properties": {**properties, **_ROUTES},
        "additionalProperties": False,
    }


def _special(kind: type[SpecialCall], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a special call: its arguments, or their short form."""
    text = {"description": " ".join((kind.__doc__ or "").split())}
    arguments = {**schema, "properties": {**schema.get("properties", {}), **{key: _ROUTES[key] for key in kind.routes}}}
    arguments.pop("description", None)
    if kind.short is None:
        return {**text, **arguments}
    short = {key: value for key, value in arguments["properties"][kind.short].items() if key != "description"}
    return {**text, **short} if not kind.routes else {**text, "anyOf": [short, arguments]}
