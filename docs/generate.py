"""Writes `docs/reference/`, which is built and not committed: ``make docs``.

`spec.md` and `profile.md` come from the schemas, `commands.md` from the commands and their options, `rules.md` from the
rules, `codes.md` from the table of codes, `exit-codes.md` from the commands' own table, `results.md` from the last
results of the benchmarks; the schemas stand beside them. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parent / "reference"
RESULTS = REFERENCE.parents[1] / "benchmarks" / "results"
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
        return f"{kind(schema['then'])} or {kind(schema['else'])}"
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
    mapping = next(part for part in schema["anyOf"] if "properties" in part)
    yield "Every function and layer also takes `on` and `to`."
    yield ""
    yield "| function | arguments |"
    yield "| --- | --- |"
    for name, call in mapping["properties"].items():
        arguments = [f"`{argument}`" for argument in call.get("properties", {}) if argument not in {"on", "to"}]
        yield f"| `{name}` | {kind(call) if '$ref' in call else ', '.join(arguments)} |"


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
    from pipeprof.pipelines.spec.schema.schema import spec_schema

    schema = spec_schema()
    lines = [*fields(schema), ""]
    for name, part in named_parts(schema).items():
        lines += [*section(name, part, functions if name == "call" else None), ""]
    return "\n".join(lines)


def commands() -> str:
    """Every command: what it does, its examples, its arguments and options."""
    from pipeprof.cli.parser import COMMANDS, help_of, make_parser

    lines: list[str] = []
    for name in COMMANDS:
        about, examples = help_of(name)
        lines += [f"## {name}", "", about, "", "```", *examples, "```", "", "| argument or option | |", "| --- | --- |"]
        lines += [_option(name, parameter) for parameter in make_parser(name).params] + [""]
    return "\n".join(lines).strip()


def _option(command: str, parameter: Any) -> str:
    """The row of an argument or option; a value is named as the help names it."""
    from pipeprof.cli.parser import help_text

    value = "" if parameter.param_type_name == "argument" or parameter.is_flag else f" {parameter.metavar}"
    names = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
    written = ", ".join(f"`{one}{value}`" for one in names or [parameter.metavar])
    return f"| {cell(written)} | {cell(help_text(parameter, command))} |"


def exit_codes() -> str:
    """The table of exit codes."""
    from pipeprof.cli.exit_codes import EXIT_CODES

    rows = [f"| {entry.code} | {cell(entry.meaning)} |" for entry in EXIT_CODES]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def rules() -> str:
    """The findings and ideas: a list, and a section for each."""
    from pipeprof.cli.pages.rules import KINDS
    from pipeprof.cli.report.finding import SEMANTICS
    from pipeprof.profiles.advise.apply import CHECKS
    from pipeprof.profiles.advise.check import sections

    lines = []
    for kind, (title, note) in KINDS.items():
        known = [(check, sections()[name]) for name, check in CHECKS.items() if check.kind == kind]
        lines += ["", f"**{title}**: {note}.", "", "| name | family | semantics | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| [{check.name}](#{check.name}) | {check.family} | {check.semantics} | {cell(section.title)} |"
            for check, section in known
        ]
    for name, check in CHECKS.items():
        section = sections()[name]
        lines += ["", f"## {name}", "", f"**{cell(section.title)}.** {check.kind.capitalize()}, {check.family}; "]
        lines[-1] += f"semantics `{check.semantics}`: {SEMANTICS[check.semantics]}."
        for title, text in (("Why", section.why), ("Fix", section.fix), ("Ignore when", section.ignore_when)):
            lines += ["", f"*{title}*: {text}"]
    return "\n".join(lines).strip()


def codes() -> str:
    """The codes of warnings and errors, a table for each kind."""
    from pipeprof.cli.pages.codes import message_codes

    lines: list[str] = []
    for kind, title in (
        ("warning of a run", "Warnings of a run"),
        ("error of a run", "Errors of a run"),
        ("error in a spec", "Errors in a spec"),
    ):
        lines += [f"## {title}", "", "| code | meaning | what to do |", "| --- | --- | --- |"]
        members = [(name, code) for name, code in sorted(message_codes().items()) if code.kind == kind]
        # Each code has an address of its own on the site: codes.html#not-settled.
        lines += [
            f'| <a id="{name}"></a>`{name}` | {cell(code.meaning)} | {cell(code.action)} |' for name, code in members
        ]
        lines.append("")
    return "\n".join(lines).strip()


def results() -> str:
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

    return {"pipeprof" if kind == "spec" else kind: schema_of(kind) for kind in DOCUMENTS}


PAGES: dict[str, tuple[str, str, Callable[[], str]]] = {
    "spec": ("The spec language", "Every part of a spec; [the language](../spec.md) explains it.", spec),
    "commands": ("Commands", "Every command with its options, as `--help` has them.", commands),
    "profile": (
        "The profile",
        "Every field of a saved profile; unavailable values are `null`, never 0.",
        lambda: reference(schemas()["profile"]),
    ),
    "rules": ("Rules", "What a finding says, where it comes from and when to ignore it.", rules),
    "codes": ("Codes", "Codes of warnings and errors: `pipeprof rules CODE` explains one.", codes),
    "exit-codes": ("Exit codes", "What a command's exit code says; [outputs](../outputs.md) has the rest.", exit_codes),
    "results": ("Results", "Measured by `make verify`; the raw values are in `benchmarks/results`.", results),
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
