"""JSON Schemas of files: whole specs, specs with ``extends``, and overlays.

What is laid over another spec merges with it, so that nothing is required and null takes away; lists replace, so that
what stands in a list is whole. `pipeprof.pipelines.spec.compose.files` has the rules.
"""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.spec.schema.schema import spec_schema

_REFERENCE: Final = "#/definitions/"
_WHOLE: Final = "whole_spec"
_CHANGES: Final = "changes"
_HEAD: Final = ("$schema", "$id", "title")


def editor_schema() -> dict[str, Any]:
    """The schema (draft-07) of a spec's file, which may extend another."""
    schema = spec_schema()
    whole = {key: value for key, value in schema.items() if key not in (*_HEAD, "definitions")}
    whole["required"] = whole.pop("anyOf")[0]["required"]
    return {
        **{key: schema[key] for key in _HEAD},
        "if": {"type": "object", "required": ["extends"]},
        "then": {"$ref": _REFERENCE + _CHANGES},
        "else": {"$ref": _REFERENCE + _WHOLE},
        "definitions": dict(sorted({**_with_changes(schema), _WHOLE: whole}.items())),
    }


def overlay_schema() -> dict[str, Any]:
    """The schema (draft-07) of a file for ``-f``."""
    schema = spec_schema()
    definitions = _with_changes(schema)
    return {
        "$schema": schema["$schema"],
        "$id": f"{schema['$id']}-overlay",
        "title": "pipeprof overlay",
        **definitions.pop(_CHANGES),
        "definitions": dict(sorted(definitions.items())),
    }


def _with_changes(schema: dict[str, Any]) -> dict[str, Any]:
    changes = _Changes(schema["definitions"])
    top = changes.of({key: value for key, value in schema.items() if key not in (*_HEAD, "definitions", "anyOf")})
    return {**schema["definitions"], **changes.made, _CHANGES: top}


class _Changes:
    """Makes the schemas of changes from those of what is changed."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self.made: dict[str, Any] = {}

    def of(self, schema: Any) -> Any:
        """The schema of a change to what ``schema`` describes."""
        if not isinstance(schema, dict):
            return schema
        changed: dict[str, Any] = {}
        for key, value in schema.items():
            if key in ("required", "minProperties"):
                continue
            if key in ("anyOf", "oneOf", "allOf"):
                # Alternatives that need one choice; a change may leave it to what it changes.
                if not all(isinstance(item, dict) and _only_requires(item) for item in value):
                    changed["allOf" if key == "allOf" else "anyOf"] = [self.of(item) for item in value]
            else:
                changed[key] = self._part(key, value)
        return changed

    def _part(self, key: str, value: Any) -> Any:
        if key == "$ref":
            return self._reference(value.removeprefix(_REFERENCE))
        if key in ("then", "else"):
            return self.of(value)
        if key == "additionalProperties" and isinstance(value, dict):
            return self._removable(value)
        if key in ("properties", "patternProperties"):
            return {
                name: self._stages(part) if name == "stages" else self._removable(part) for name, part in value.items()
            }
        return value

    def _reference(self, name: str) -> str:
        chosen = "changed_" + name
        if chosen not in self.made:
            self.made[chosen] = {}
            self.made[chosen] = self.of(self._definitions[name])
        return _REFERENCE + chosen

    def _removable(self, schema: Any) -> Any:
        changed = self.of(schema)
        if not isinstance(changed, dict) or not changed:
            return changed
        described = {key: changed.pop(key) for key in ("description", "default") if key in changed}
        return {**described, "anyOf": [changed, {"type": "null"}]}

    def _stages(self, schema: dict[str, Any]) -> dict[str, Any]:
        stage = {"$ref": self._reference("stage")}
        arguments = {
            name: {
                "description": part["description"],
                "anyOf": [self.of(part), {"$ref": self._reference("stage")}, {"type": "null"}],
            }
            for name, part in self._definitions["stage"]["properties"].items()
        }
        return {
            "description": schema.get("description", "Stages to change."),
            "anyOf": [
                {"type": "array", "items": stage},
                {"type": "object", "properties": arguments, "additionalProperties": {"type": ["object", "null"]}},
                {"type": "null"},
            ],
        }


def _only_requires(schema: dict[str, Any]) -> bool:
    if schema.keys() == {"anyOf"}:
        return all(map(_only_requires, schema["anyOf"]))
    return schema.keys() == {"required"}
