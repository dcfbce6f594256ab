"""``pipeprof schema``: the JSON Schemas of the documents that pipeprof reads and writes."""

from __future__ import annotations

import json
from typing import Any

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import SchemaOptions
from pipeprof.cli.streams import write_stdout
from pipeprof.cli.values import choice
from pipeprof.pipelines.spec.schema import spec_schema
from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.judge.result import Result

_MODELS: dict[str, type[Model]] = {"profile": Profile, "result": Result, "gaps": GapsReport}
DOCUMENTS = ("spec", *_MODELS)


def schema(given: SchemaOptions) -> int:
    """Print the schema of a kind of document."""
    found = schema_of(choice("schema", given.document, DOCUMENTS))
    write_stdout(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "json")
    return OK


def schema_of(document: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of document.

    Those of what pipeprof writes (2020-12) allow more fields, since a newer version may add some everywhere.
    """
    if document == "spec":
        return spec_schema()
    body = _MODELS[document].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": f"pipeprof {document}"}
