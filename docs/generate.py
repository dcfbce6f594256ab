"""Writes `docs/reference/`, which is made and not committed: ``make docs``, and each build of the site.

The pages come from the commands' help texts, the schemas, the table of codes, the last results of the benchmarks and
what the rooms say of themselves; the schemas stand beside them. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
RESULTS = ROOT / "benchmarks" / "results"
WIDTH = 120

Schema = dict[str, Any]


def anchor(name: str) -> str:
    """The fragment that Markdown renderers make of a heading."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower().replace(" ", "-"))


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def code(value: object) -> str:
    """A literal as it stands in JSON."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def named_parts(schema: Schema) -> dict[str, Schema]:
    """The named parts of a schema, whichever draft's keyword holds them, in the order in which they are referred to."""
    parts: dict[str, Schema] = schema.get("$defs") or schema.get("definitions") or {}
    found: dict[str, Schema] = {}
    waiting = [{key: value for key, value in schema.items() if key not in {"$defs", "definitions"}}]
    while waiting:
        for name in re.findall(r'"\$ref": "[^"]*/([^"/]+)"', json.dumps(waiting.pop(0))):
            if name not in found:
                found[name] = parts[name]
                waiting.append(parts[name])
    return found


def kind(schema: Schema) -> str:
    """The type of a value in words, with links to named parts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "if" in schema:
        return " or ".join(kind(schema[branch]) for branch in ("then", "else") if branch in schema)
    for keyword, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        # Parts that only say which fields are required are no types.
        if parts := [part for part in schema.get(keyword, ()) if part.keys() != {"required"}]:
            return word.join(dict.fromkeys(kind(part) for part in parts))
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    types = schema.get("type", "any")
    return " or ".join(_one_kind(name, schema) for name in (types if isinstance(types, list) else [types]))


def _one_kind(name: str, schema: Schema) -> str:
    match name:
        case "array":
            several = schema.get("prefixItems") or (schema["items"] if isinstance(schema.get("items"), list) else [])
            if several:
                return "list of (" + ", ".join(kind(part) for part in several) + ")"
            return "list of " + kind(schema["items"]) if schema.get("items") else "list"
        case "object":
            values = schema.get("additionalProperties")
            return "mapping to " + kind(values) if isinstance(values, dict) else "mapping"
        case "integer" | "number":
            signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
            return name + "".join(f" {sign} {schema[keyword]}" for keyword, sign in signs.items() if keyword in schema)
        case _:
            return name


def fields(schema: Schema) -> Iterator[str]:
    """The fields of an object as a Markdown table, line by line."""
    required = set(schema.get("required") or schema.get("anyOf", [{}])[0].get("required", ()))
    yield "| field | type | default | |"
    yield "| --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        default = "required" if name in required else code(field["default"]) if "default" in field else ""
        yield f"| `{name}` | {cell(kind(field))} | {cell(default)} | {cell(field.get('description', ''))} |"


def functions(schema: Schema) -> Iterator[str]:
    """The allowlist of functions, each with its arguments."""
    yield "Every function and layer also takes `on` and `to`."
    yield ""
    yield from (f"- `{cell(call['description'])}`" for call in schema["else"]["properties"].values())


def reference(schema: Schema) -> str:
    """The document's own fields, then every named part."""
    lines = [*fields(schema), ""]
    for name, part in named_parts(schema).items():
        lines += [*section(name, part), ""]
    return "\n".join(lines).strip()


def section(name: str, part: Schema, special: Callable[[Schema], Iterator[str]] | None = None) -> list[str]:
    """The section of a named part; ``special`` writes one that is no object."""
    lines = [f"## {name}", ""]
    if part.get("description"):
        lines += [cell(part["description"]), ""]
    if special is not None:
        lines += special(part)
    elif part.get("properties"):
        lines += fields(part)
    else:
        lines.append(f"Type: {kind(part)}")
    return lines


def spec() -> str:
    """The reference of specs: the document, then every named part."""
    from pipeprof.pipelines.spec.schema import spec_schema

    schema = spec_schema()
    lines = [*fields(schema), ""]
    for name, part in named_parts(schema).items():
        lines += [*section(name, part, functions if name == "call" else None), ""]
    return "\n".join(lines)


def commands() -> str:
    """The help texts of all commands."""
    from pipeprof.cli.parser import COMMANDS

    texts = [_help(), *(f"## {name}\n\n{_help(name)}" for name in COMMANDS)]
    return "\n\n".join(texts)


def _help(*command: str) -> str:
    from pipeprof.cli.main import invoke

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        invoke([*command, "--help"])
    return f"```\n{text.getvalue().strip()}\n```"


def codes() -> str:
    """The codes of warnings and errors, a table for each kind."""
    from pipeprof.cli.report.rules import message_codes

    lines: list[str] = []
    for kind, title in (
        ("warning of a run", "Warnings of a run"),
        ("error of a run", "Errors of a run"),
        ("error in a spec", "Errors in a spec"),
    ):
        members = [(name, code) for name, code in sorted(message_codes().items()) if code.kind == kind]
        # Each code has an address of its own on the site: codes.html#not-settled.
        names = [f'<a id="{name}"></a>`{name}`' for name, _ in members]
        if len({(code.meaning, code.action) for _, code in members}) == 1:
            lines += [f"## {title}", "", f"{members[0][1].meaning} {members[0][1].action}", "", ", ".join(names), ""]
            continue
        lines += [f"## {title}", "", "| code | meaning | what to do |", "| --- | --- | --- |"]
        lines += [
            f"| {name} | {cell(code.meaning)} | {cell(code.action)} |"
            for name, (_, code) in zip(names, members, strict=True)
        ]
        lines.append("")
    return "\n".join(lines).strip()


def rooms() -> str:
    """The rooms with what their `__init__.py` says of them."""
    lines = ["| room | subject |", "| --- | --- |"]
    for folder in ("api", "cli", "profiles", "pipelines"):
        for path in sorted((ROOT / folder).rglob("__init__.py")):
            about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            name = path.parent.relative_to(ROOT).as_posix()
            lines.append(f"| `{name}/` | {cell(about.partition(chr(10) * 2)[0])} |")
    return "\n".join(lines)


def benchmarks() -> str:
    """What each benchmark claims, and what became of its cases when last measured."""
    lines = ["| benchmark | claim | outcome | cases that hold | the others | measured | at commit | machine |"]
    lines.append("| --- | --- | --- | ---: | --- | --- | --- | --- |")
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        cases = {name: case for name, case in found["cases"].items() if case["outcome"] is not None}
        others = [f"{name}: {case['outcome']}" for name, case in cases.items() if case["outcome"] != "holds"]
        dates = sorted({case["measured"][:10] for case in cases.values() if case["measured"]})
        commits = sorted({(case["commit"] or "unknown")[:8] for case in cases.values()})
        cores = sorted({f"{case['machine']['cores']} cores" for case in cases.values()})
        cells = (
            f"`{path.stem}`",
            cell(found["claim"]),
            found["outcome"],
            f"{len(cases) - len(others)} of {len(found['cases'])}",
            cell("; ".join(others)),
            " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "unknown",
            commits[0] if len(commits) == 1 else f"{len(commits)} commits",
            ", ".join(cores),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(value: Any, depth: int = 0) -> str:
    """JSON with what fits on a line on one line, so that a change shows as few lines."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) + depth <= WIDTH or not isinstance(value, dict | list):
        return text
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {as_json(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(pad + as_json(item, depth + 1) for item in value) + "\n" + " " * depth + "]"


def schemas() -> dict[str, Schema]:
    """The published schemas, by the name of their file."""
    from pipeprof.cli.commands.schema import DOCUMENTS, schema_of

    return {("pipeprof" if name == "spec" else name): schema_of(name) for name in DOCUMENTS}


PAGES: dict[str, tuple[str, str, Callable[[], str]]] = {
    "commands": ("Commands", "What `--help` prints.", commands),
    "spec": ("The spec", "Every part of a spec; [the language](../spec.md) explains it.", spec),
    "profile": (
        "The profile",
        "Every field of a saved profile; unavailable values are `null`, never 0.",
        lambda: reference(schemas()["profile"]),
    ),
    "codes": ("Codes", "Codes of warnings and errors: `pipeprof rules CODE` prints one.", codes),
    "benchmarks": ("All benchmarks", "Measured by `make verify`; raw values are in `benchmarks/results`.", benchmarks),
    "rooms": ("Rooms", "The subpackages; [Inside](../inside.md) says how they fit together.", rooms),
}


def page(name: str) -> str:
    """The text of a page."""
    title, about, make = PAGES[name]
    return f"# {title}\n\n{about}\n\n{make()}\n"


def main() -> None:
    """Write every page and schema."""
    REFERENCE.mkdir(exist_ok=True)
    for name in PAGES:
        (REFERENCE / f"{name}.md").write_text(page(name), encoding="utf-8")
    for name, schema in schemas().items():
        (REFERENCE / f"{name}.schema.json").write_text(as_json(schema) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
