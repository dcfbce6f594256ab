"""Writes the generated part of the documentation from the code: ``make docs``. A test holds it up to date.

`spec.md`, `profile.md` and `schema/` come from the published schemas, `exit-codes.md` from the commands' own table, the
pairs in `compatibility.md` from the last result of `benchmarks/compatibility`. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PAIRS = DOCS.parent / "benchmarks" / "results" / "compatibility.json"

Schema = dict[str, Any]

SPEC_INTRODUCTION = """\
# The spec language

Data, not code. Every name is TensorFlow's own: a source is a static method of `tf.data.Dataset` or a reader class, a
stage is a method of `tf.data.Dataset`, and their arguments have TensorFlow's names and defaults.

`pipeprof check spec.yaml` reports every error with its line. `pipeprof schema spec` prints the schema behind this page
([schema/pipeprof.schema.json](schema/pipeprof.schema.json)), which editors use for completion. Keys that begin with
`x-` are yours and are ignored.
"""

PROFILE_INTRODUCTION = """\
# The profile

One JSON file, written from the first phase on and complete once `complete` is true. Fields are added, never renamed;
what could not be had is `null`, never 0. Times are seconds unless the name says `_ms`; sizes are bytes.
[measuring.md](measuring.md) tells how the numbers are taken.

`pipeprof schema profile` prints the schema behind this page
([schema/profile.schema.json](schema/profile.schema.json)); `pipeprof show profile.json` prints the report again.
"""

GENERATED = "<!-- Written by docs/generate.py (make docs) from the code: change it there. -->\n\n"


def definitions(schema: Schema) -> dict[str, Schema]:
    """The named parts of a schema, whichever draft's keyword holds them, in the order in which they are referred to."""
    parts: dict[str, Schema] = schema.get("$defs") or schema.get("definitions") or {}
    found: dict[str, Schema] = {}
    waiting = [{key: value for key, value in schema.items() if key not in {"$defs", "definitions"}}]
    while waiting:
        names = re.findall(r'"\$ref": "[^"]*/([^"/]+)"', json.dumps(waiting.pop(0)))
        for name in dict.fromkeys(names):
            if name not in found:
                found[name] = parts[name]
                waiting.append(parts[name])
    return found


def anchor(name: str) -> str:
    """The fragment that Markdown renderers make of a heading."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower().replace(" ", "-"))


def escape(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """A literal as it stands in JSON."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def kind(schema: Schema) -> str:
    """The type of a value in words, with links to named parts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return " or ".join(dict.fromkeys(kind(part) for part in schema[keyword]))
    if "allOf" in schema:
        return " and ".join(kind(part) for part in schema["allOf"])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    types = schema.get("type", "any")
    return " or ".join(one_kind(name, schema) for name in (types if isinstance(types, list) else [types]))


def one_kind(name: str, schema: Schema) -> str:
    """One JSON type in words."""
    match name:
        case "array" if "prefixItems" in schema:
            return "list of (" + ", ".join(kind(part) for part in schema["prefixItems"]) + ")"
        case "array" if isinstance(schema.get("items"), list):
            return "list of (" + ", ".join(kind(part) for part in schema["items"]) + ")"
        case "array":
            return "list of " + kind(schema["items"]) if schema.get("items") else "list"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return "mapping to " + kind(schema["additionalProperties"])
        case "object":
            return "mapping"
        case _:
            return str(name) + bounds(schema)


def bounds(schema: Schema) -> str:
    """The range of a number, where it has one."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {schema[keyword]}" for keyword, sign in signs.items() if keyword in schema)


def table(schema: Schema) -> Iterator[str]:
    """The fields of an object as a Markdown table, line by line."""
    required = set(schema.get("required", ()))
    yield "| field | type | default | |"
    yield "| --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        default = "required" if name in required else code(field["default"]) if "default" in field else ""
        yield f"| `{name}` | {escape(kind(field))} | {escape(default)} | {escape(field.get('description', ''))} |"


def reference(introduction: str, schema: Schema) -> str:
    """A page: the introduction, the document's own fields, then every named part."""
    lines = [introduction, GENERATED.strip(), ""]
    if "properties" in schema:
        lines += [*table(schema), ""]
    for name, part in definitions(schema).items():
        lines += [f"## {name}", ""]
        if part.get("description"):
            lines += [" ".join(part["description"].split()), ""]
        lines += [*table(part), ""] if part.get("properties") else [f"Type: {kind(part)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def as_json(schema: Schema) -> str:
    """A schema as the file that is published."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def exit_codes() -> str:
    """The page of exit codes."""
    from pipeprof.cli.exit_codes import EXIT_CODES

    rows = "\n".join(f"| {entry.code} | {escape(entry.meaning)} |" for entry in EXIT_CODES)
    return f"# Exit codes\n\n{GENERATED}| code | meaning |\n| --- | --- |\n{rows}\n"


def pairs() -> str:
    """``compatibility.md`` with the table of the last result between its marks."""
    result = json.loads(PAIRS.read_text(encoding="utf-8"))
    lines = ["| Python | TensorFlow | NumPy | protobuf | result | run on |", "| --- | --- | --- | --- | --- | --- |"]
    for row in result["raw"]:
        if row["works"] is None:
            continue
        versions = (row.get(name, "–") for name in ("numpy", "protobuf"))
        python, tensorflow = row.get("python", row["pair"][0]), row.get("tensorflow", row["pair"][1])
        outcome = "works" if row["works"] else f"fails: {row['error']}"
        lines.append(f"| {' | '.join((python, tensorflow, *versions, escape(outcome), row['date']))} |")
    text = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    begin, end = "<!-- pairs -->", "<!-- /pairs -->"
    return re.sub(f"{begin}.*?{end}", lambda _: "\n".join((begin, *lines, end)), text, flags=re.DOTALL)


def spec_schema() -> Schema:
    """The schema of specs."""
    from pipeprof.pipelines.spec.schema import spec_schema as published

    return published()


def profile_schema() -> Schema:
    """The schema of profiles."""
    from pipeprof.cli.commands.schema import profile_schema as published

    return published()


PAGES: dict[str, Callable[[], str]] = {
    "spec.md": lambda: reference(SPEC_INTRODUCTION, spec_schema()),
    "profile.md": lambda: reference(PROFILE_INTRODUCTION, profile_schema()),
    "schema/pipeprof.schema.json": lambda: as_json(spec_schema()),
    "schema/profile.schema.json": lambda: as_json(profile_schema()),
    "exit-codes.md": exit_codes,
    "compatibility.md": pairs,
}


def main() -> None:
    """Write every page that is not up to date."""
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name}")


if __name__ == "__main__":
    main()
