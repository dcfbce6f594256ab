"""``pipeprof schema``: the JSON Schemas of the documents that pipeprof reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Model

DOCUMENTS = ("spec", "profile", "result", "gaps")

EPILOG = epilog("pipeprof schema spec > pipeprof.schema.json", "pipeprof schema profile | jq .properties.steps")


def schema(
    document: Annotated[str, typer.Argument(metavar="spec|profile|result|gaps", help="Document type.")] = "spec",
) -> None:
    """Print the JSON Schema of specs, profiles, results or gaps.

    A result is one of compare or gate; gaps is what gaps --json prints.
    """
    import json

    from pipeprof.cli.options import choice
    from pipeprof.cli.streams import write_stdout

    kind = choice("schema", document, DOCUMENTS)
    makers = {"spec": _spec, "profile": profile_schema, "result": result_schema, "gaps": gaps_schema}
    write_stdout(json.dumps(makers[kind](), indent=2, ensure_ascii=False) + "\n", "json")


def _spec() -> dict[str, Any]:
    from pipeprof.pipelines.spec.schema.schema import spec_schema

    return spec_schema()


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a saved profile; a newer version may add fields everywhere."""
    from pipeprof.profiles.document.profile import Profile

    return _published(Profile, "pipeprof profile")


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a result of ``compare`` or ``gate``; a newer version may add fields."""
    from pipeprof.profiles.judge.verdicts.result import Result

    return _published(Result, "pipeprof result")


def gaps_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document of ``gaps``; a newer version may add fields."""
    from pipeprof.profiles.gaps.document import GapsReport

    return _published(GapsReport, "pipeprof gaps")


def _published(model: type[Model], title: str) -> dict[str, Any]:
    body = model.model_json_schema()
    for part in (body, *body["$defs"].values()):
        if part.get("additionalProperties") is False:
            del part["additionalProperties"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": title}
