"""JSON Schema of a spec, generated from the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pipeprof.pipelines.data.recipes import definitions as recipe_definitions
from pipeprof.pipelines.ops.base import Op, Source, sources, stages
from pipeprof.pipelines.ops.calls.element import ElementFunction
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, Document
from pipeprof.pipelines.ops.nested import Pipeline, PipelineFunction
from pipeprof.pipelines.ops.values.features import KINDS
from pipeprof.pipelines.ops.values.options import Options
from pipeprof.pipelines.ops.values.structures import ARRAYS, Filling
from pipeprof.pipelines.ops.values.values import DTYPES
from pipeprof.pipelines.spec.budgets import Budgets
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.schema.calls import FIELD, call_definitions

SCHEMA_ID = "urn:pipeprof:schema:spec-1"
_DRAFT = "http://json-schema.org/draft-07/schema#"
_PARTS = (Options, Budgets, ElementFunction, Pipeline, PipelineFunction, *ARRAYS)
_RAGGED_RANK = {"type": "integer", "minimum": 0, "description": "Number of ragged dimensions."}
_ONE_KEY = {"minProperties": 1, "maxProperties": 1}


def spec_schema() -> dict[str, Any]:
    """The schema (draft-07) of a spec, closed but for ``x-…`` keys, with a description of every key."""
    definitions: dict[str, Any] = {
        "source": _one_of_ops(sources(), nested=False),
        "nested_source": _one_of_ops(sources(), nested=True),
        "stage": _one_of_ops(stages(), nested=False),
        "pipeline": {"$ref": "#/definitions/Pipeline"},
        "pipelines": _pipelines(),
        **call_definitions(lambda kind: _with_one_way(_closed(_tidied(_model_schema(kind)), notes=False), kind)),
        "tensors": _tensors(),
        "tensor_spec": _tensor_spec(),
        "signature": _structure_of(
            {
                "anyOf": [
                    {"$ref": "#/definitions/tensor_spec"},
                    _only("ragged", _tensor_spec(ragged_rank=_RAGGED_RANK)),
                    _only("sparse", _tensor_spec()),
                ]
            },
            "signature",
        ),
        "shape": {
            "description": "Dimensions; null where unknown.",
            "type": ["array", "null"],
            "items": {"type": ["integer", "null"], "minimum": -1},
        },
        "dtype": {"description": "Name of a dtype.", "enum": [*DTYPES, *(f"tf.{name}" for name in DTYPES)]},
        "shapes": _structure_of({"$ref": "#/definitions/shape"}, "shapes"),
        "dtypes": _structure_of({"$ref": "#/definitions/dtype"}, "dtypes"),
        "feature": {
            "type": "object",
            "properties": {name: {"$ref": f"#/definitions/{name}"} for name in KINDS},
            "additionalProperties": False,
            **_ONE_KEY,
        },
        **recipe_definitions(),
    }
    kinds: list[type[Closed]] = [
        *sources().values(), *stages().values(), *KINDS.values(), *_PARTS,
    ]  # fmt: skip
    for kind in kinds:
        _define(kind, definitions)
    body = definitions.pop(_define(Spec, definitions))
    body["properties"]["data"]["patternProperties"] = {"^x-": {}}
    head = {"$schema": _DRAFT, "$id": SCHEMA_ID, "title": "pipeprof spec"}
    return {**head, **body, "definitions": dict(sorted(definitions.items()))}


def _model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model all of whose parts are placeholders or plain."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}", by_alias=True)
    return {key: value for key, value in schema.items() if key != "$defs"}


def _define(model: type[BaseModel], definitions: dict[str, Any]) -> str:
    schema = model.model_json_schema(ref_template="#/definitions/{model}", by_alias=True)
    for name, inner in schema.pop("$defs", {}).items():
        definitions.setdefault(name, _tidied(inner))
    name = model.__name__
    tidied = _tidied(schema)
    if tidied.keys() == {"$ref"} or tidied.get("allOf"):
        return name
    definitions[name] = _with_one_way(_closed(tidied, notes=issubclass(model, Document)), model)
    if issubclass(model, Op):
        definitions[name]["description"] = model.summary()
    return name


def _with_one_way(schema: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Exactly one of the ways to write a function."""
    if not issubclass(model, Closed) or not model.ways:
        return schema
    ways = [[way] if isinstance(way, str) else way for way in model.ways]
    needed = [[{"required": [name]} for name in way] for way in ways]
    return {**schema, "oneOf": [way[0] if len(way) == 1 else {"anyOf": way} for way in needed]}


def _subclasses(base: type[Any]) -> set[str]:
    return {name for kind in base.__subclasses__() for name in (kind.__name__, *_subclasses(kind))}


def _closed(schema: dict[str, Any], *, notes: bool) -> dict[str, Any]:
    """No further keys, except notes where they are allowed."""
    closed = {key: value for key, value in schema.items() if key != "additionalProperties"}
    if notes:
        closed["patternProperties"] = {"^x-": {}}
    return {**closed, "additionalProperties": False}


def _tidied(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    if not isinstance(value, dict):
        return value
    if SCHEMA_PLACEHOLDER in value:
        reference = {"$ref": f"#/definitions/{value[SCHEMA_PLACEHOLDER]}"}
        rest = {key: inner for key, inner in value.items() if key == "description"}
        # Draft-07 ignores the siblings of a $ref.
        return {**rest, "allOf": [reference]} if rest else reference
    if "$ref" in value and len(value) > 1:
        return {
            **{k: _tidied(v) for k, v in value.items() if k in ("description", "default")},
            "allOf": [{"$ref": value["$ref"]}],
        }
    tidied = {
        key: {name: _tidied(inner) for name, inner in part.items()} if key == "properties" else _tidied(part)
        for key, part in value.items()
        if not (key == "title" and isinstance(part, str))
    }
    if value.get("type") == "object" and "properties" in value:
        return _closed(tidied, notes=str(value.get("title")) in _subclasses(Document))
    return tidied


def _one_of_ops(ops: Mapping[str, type[Op]], *, nested: bool) -> dict[str, Any]:
    properties = {}
    for name, kind in sorted(ops.items()):
        arguments: dict[str, Any] = {"$ref": f"#/definitions/{kind.__name__}"}
        if nested and issubclass(kind, Source) and kind.element_argument:
            arguments = _without_first(kind)
        required = any(field.is_required() for field in kind.model_fields.values())
        may_be_null = nested or not required
        properties[name] = {
            "description": kind.summary(),
            "anyOf": [arguments, {"type": "null"}] if may_be_null else [arguments],
        }
    return {"type": "object", "properties": properties, "additionalProperties": False, **_ONE_KEY}


def _without_first(kind: type[Source]) -> dict[str, Any]:
    """The arguments of a nested source, whose first one may be left out or pick a field of the outer element."""
    schema = _closed(_tidied(kind.model_json_schema(ref_template="#/definitions/{model}")), notes=False)
    schema.pop("$defs", None)
    first = kind.element_argument
    picked = {"description": "Field of the outer element.", **FIELD}
    outer = {"type": "object", "properties": {"on": picked}, "required": ["on"], "additionalProperties": False}
    inner = dict(schema["properties"][first])
    described = {"description": f"{inner.pop('description')} Without it: the outer element."}
    schema["properties"][first] = {**described, "anyOf": [inner, outer]}
    schema["required"] = [name for name in schema.get("required", []) if name != first]
    return schema


def _pipelines() -> dict[str, Any]:
    """A pipeline, or lists and mappings of pipelines; a mapping with any key of a pipeline is one."""
    keys = list(Pipeline.model_fields)
    return {
        "if": {"type": "object", "anyOf": [{"required": [key]} for key in keys]},
        "then": {"$ref": "#/definitions/Pipeline"},
        "else": {
            "type": ["array", "object"],
            "items": {"$ref": "#/definitions/pipelines"},
            "minItems": 1,
            "additionalProperties": {"$ref": "#/definitions/pipelines"},
        },
    }


# What makes a mapping an array: a component of that name holds something else.
_ARRAY_KEYS = [
    *({"properties": {name: {"type": "string"}}, "required": [name]} for name in ("npy", "npz")),
    {
        "properties": {"array": {"type": "object", "anyOf": [{"required": [key]} for key in Filling.model_fields]}},
        "required": ["array"],
    },
]


def _tensors() -> dict[str, Any]:
    arrays = [{"$ref": f"#/definitions/{kind.__name__}"} for kind in ARRAYS]
    structure = {"$ref": "#/definitions/tensors"}
    return {
        "anyOf": [
            *arrays,
            {"type": ["number", "string", "boolean"]},
            {"type": "array", "items": structure},
            {"type": "object", "additionalProperties": structure, "minProperties": 1, "not": {"anyOf": _ARRAY_KEYS}},
        ]
    }


def _tensor_spec(**more: Any) -> dict[str, Any]:
    shape, dtype = {"$ref": "#/definitions/shape"}, {"$ref": "#/definitions/dtype"}
    return {
        "type": "object",
        "properties": {"shape": shape, "dtype": dtype, **more},
        "required": ["shape", "dtype"],
        "additionalProperties": False,
    }


def _only(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = {"description": f"A {name} tensor.", **schema}
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _structure_of(leaf: dict[str, Any], name: str) -> dict[str, Any]:
    structure = {"$ref": f"#/definitions/{name}"}
    return {
        "anyOf": [leaf, {"type": "array", "items": structure}, {"type": "object", "additionalProperties": structure}]
    }
