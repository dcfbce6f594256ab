"""``pipeprof schema``: the JSON Schemas of the documents that pipeprof reads and writes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeprof.cli.exit_codes import epilog

DOCUMENTS = ("spec", "overlay", "profile")

EPILOG = epilog("pipeprof schema spec > pipeprof.schema.json", "pipeprof schema profile | jq .properties.steps")


def schema(
    document: Annotated[str, typer.Argument(metavar="[spec|overlay|profile]", help="Document type.")] = "spec",
) -> None:
    """Print the JSON Schema of specs, overlays (-f) or saved profiles."""
    import json

    from pipeprof.cli.options import choice
    from pipeprof.cli.streams import write_stdout

    kind = choice("schema", document, DOCUMENTS)
    made = profile_schema() if kind == "profile" else _spec(overlay=kind == "overlay")
    write_stdout(json.dumps(made, indent=2, ensure_ascii=False) + "\n", "json")


def _spec(*, overlay: bool) -> dict[str, Any]:
    from pipeprof.pipelines.spec.schema.changes import editor_schema, overlay_schema

    return overlay_schema() if overlay else editor_schema()


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a saved profile; a newer version may add fields everywhere."""
    from pipeprof.profiles.document.profile import Profile

    body = Profile.model_json_schema()
    for model in (body, *body["$defs"].values()):
        if model.get("additionalProperties") is False:
            del model["additionalProperties"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "pipeprof profile"}
