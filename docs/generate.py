"""Writes the generated part of the documentation from the code: ``make docs``. A test holds it up to date.

A Markdown page is prose with one generated part between two marks; only that part is replaced. `spec.md`, `profile.md`
and `schema/` come from the published schemas, `rules.md` from the rules, `exit-codes.md` from the commands' own table,
`edits.md` from the table of edits, `compatibility.md`, `silence.md` and `prediction.md` from the last results of their
benchmarks, `provenance.md` from `provenance.toml`, `coverage.md` from `coverage.yaml` and the registry of sources,
stages and functions. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "benchmarks" / "results"
PAIRS = RESULTS / "compatibility.json"
SILENCE = RESULTS / "silence.json"
PREDICTION = RESULTS / "prediction.json"
PROVENANCE = DOCS / "provenance.toml"
COVERAGE = DOCS / "coverage.yaml"
BEGIN, END = "<!-- generated: make docs -->", "<!-- /generated -->"
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


def reference(schema: Schema, special: dict[str, Callable[[Schema], Iterator[str]]] | None = None) -> str:
    """The document's own fields, then every named part; ``special`` parts are written by functions of their own."""
    lines = [*fields(schema), ""]
    for name, part in named_parts(schema).items():
        lines += [f"## {name}", ""]
        if part.get("description"):
            lines += [cell(part["description"]), ""]
        if special and name in special:
            lines += special[name](part)
        elif part.get("properties"):
            lines += fields(part)
        else:
            lines.append(f"Type: {kind(part)}")
        lines.append("")
    return "\n".join(lines).strip()


def exit_codes() -> str:
    """The table of exit codes."""
    from pipeprof.cli.exit_codes import EXIT_CODES

    rows = [f"| {entry.code} | {cell(entry.meaning)} |" for entry in EXIT_CODES]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def rules() -> str:
    """The rules: a list, the table of every threshold, and a section for each."""
    from pipeprof.cli.pages.rules import IN_STEP, ONLY_TRIED, bar_to_try, gate_words, value_words
    from pipeprof.cli.report.finding import SEMANTICS
    from pipeprof.profiles.advise.advise import GATE
    from pipeprof.profiles.advise.rule import rules as all_rules

    known = list(all_rules().values())
    lines = ["| rule | family | semantics | |", "| --- | --- | --- | --- |"]
    lines += [f"| [{one.name}](#{one.name}) | {one.family} | {one.semantics} | {cell(one.title)} |" for one in known]
    lines += [
        "",
        "## Thresholds",
        "",
        "| rule | threshold | to report | to try | where it comes from |",
        "| --- | --- | --- | --- | --- |",
    ]
    tables = [("every rule of the family speed", GATE), *((one.name, one.thresholds) for one in known)]
    for owner, thresholds in tables:
        for each in thresholds:
            cells = (owner, f"`{each.name}`", value_words(each), bar_to_try(each) or "the same", each.source)
            lines.append(f"| {' | '.join(map(cell, cells))} |")
    for one in known:
        lines += ["", f"## {one.name}", "", f"**{cell(one.title)}.** Family {one.family}; "]
        lines[-1] += f"semantics `{one.semantics}`: {SEMANTICS[one.semantics]}."
        reported = gate_words(GATE) if one.family == "speed" else ""
        reported = reported if one.reports_untried else ONLY_TRIED
        reported = IN_STEP if one.pays_in_step else reported
        lines[-1] += f" Reported {reported}." if reported else ""
        for title, text in (("Seen", one.seen), ("Why", one.why), ("Fix", one.fix), ("Ignore when", one.ignore_when)):
            first, *more = [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
            lines += ["", f"*{title}*: {first}", *(line for paragraph in more for line in ("", paragraph))]
    return "\n".join(lines)


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
        lines += [f"| `{name}` | {cell(code.meaning)} | {cell(code.action)} |" for name, code in members]
        lines.append("")
    return "\n".join(lines).strip()


def pairs() -> str:
    """The table of the pairs of Python and TensorFlow that were run, and the pairs that were not."""
    result = json.loads(PAIRS.read_text(encoding="utf-8"))["raw"]
    lines = ["| Python | TensorFlow | NumPy | protobuf | result | run on |", "| --- | --- | --- | --- | --- | --- |"]
    for row in result:
        if row["works"] is not None:
            python, tensorflow = row.get("python", row["pair"][0]), row.get("tensorflow", row["pair"][1])
            outcome = "works" if row["works"] else f"fails: {row['error']}"
            cells = (python, tensorflow, row.get("numpy", "–"), row.get("protobuf", "–"), cell(outcome), row["date"])
            lines.append(f"| {' | '.join(cells)} |")
    absent = [
        f"{python} with {tensorflow}" for python, tensorflow in (row["pair"] for row in result if row["works"] is None)
    ]
    return "\n".join([*lines, "", f"Not run, as the interpreter was missing: {', '.join(absent) or 'none'}."])


def silence() -> str:
    """What pipeprof said of the pipelines that deserve no advice, and of their twins, when last measured."""
    result = json.loads(SILENCE.read_text(encoding="utf-8"))
    lines = [f"Measured on {result['started'][:10]}, {result['host']['cores']} cores.", ""]
    lines += ["| case | | waits | findings | verdict | |", "| --- | --- | --- | --- | --- | --- |"]
    for name, one in result["figures"].items():
        drained = "--step none" in one["command"] or "wait_share" not in one
        waits = "–" if drained else f"{one['wait_share']:.1%}"
        found = ", ".join(f"`{finding['rule']}`" for finding in one.get("findings", [])) or "none"
        broken = [claim for claim, holds in one["claims"].items() if not holds]
        outcome = f"does not hold: {', '.join(broken)}" if broken else "holds"
        cells = (f"`{name}`", cell(one["about"]), waits, found, cell(one.get("sentence", "–")), outcome)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def prediction() -> str:
    """What edits were predicted to give, and gave, when last measured; wrong predictions included."""
    if not PREDICTION.exists():
        return "Not measured yet: `make verify BENCHMARKS=prediction`."
    result = json.loads(PREDICTION.read_text(encoding="utf-8"))
    figures = result["figures"]
    lines = ["| rows | judged | median error | 90th percentile |", "| --- | ---: | ---: | ---: |"]
    for name, words in (("all", "all"), ("chosen", "chosen by hand"), ("drawn", "drawn")):
        one = figures[name]
        lines.append(f"| {words} | {one['rows']} | {_share(one['median_error'])} | {_share(one['ninetieth_error'])} |")
    host = f"Measured on {result['started'][:10]}, {result['host']['cores']} cores." if "started" in result else ""
    wait, peak = figures.get("wait") or {}, figures.get("peak") or {}
    if wait.get("rows"):
        errors = f"{_share(wait['median_error'])} of a step, 90th percentile {_share(wait['ninetieth_error'])}"
        lines += ["", f"The predicted wait of the step, {wait['rows']} rows: median error {errors}."]
    if peak.get("rows"):
        errors = f"{peak['median_bytes'] / 1e6:.0f} MB, 90th percentile {peak['ninetieth_bytes'] / 1e6:.0f} MB"
        lines += [f"The predicted change of the peak of memory, {peak['rows']} rows: median error {errors}."]
    wrong = "; ".join(f"`{cell(name)}`" for name in figures["wrong"]) or "none"
    lines += ["", f"{host} Not judged: {figures['not_judged']}. Wrong by more than 1.5 times: {wrong}.".strip(), ""]
    lines += ["| pipeline | edit | | predicted | measured | error | step wait, ms | peak | |"]
    lines += ["| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    rows = [row for one in result["raw"].values() for row in one["rows"]]
    lines += [f"| {' | '.join(_prediction_cells(row))} |" for row in rows]
    return "\n".join(lines)


def _prediction_cells(row: dict[str, Any]) -> tuple[str, ...]:
    predicted, measured = row.get("predicted") or {}, row.get("measured") or {}
    speedup = f"{predicted['speedup']:.2f}×" if predicted else "–"
    seen = f"{measured['speedup']:.2f}× ({measured['low']:.2f}–{measured['high']:.2f})" if measured else "–"
    waits = f"{predicted['wait_ms']:.2f} / {measured['wait_ms']:.2f}" if predicted and "wait_ms" in measured else "–"
    sizes = [predicted.get("peak_bytes"), measured.get("peak_bytes")]
    peaks = " / ".join("n/a" if size is None else f"{size / 1e6:+.0f} MB" for size in sizes) if measured else "–"
    name, error, why = f"`{row['pipeline']}`", _share(row.get("error")), cell(row.get("why_not", ""))
    return name, cell(row["edit"]), row["half"], speedup, seen, error, waits, peaks, why


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def coverage() -> str:
    """What the language covers of the surveyed pipelines: counts, and a row for each."""
    import yaml

    from pipeprof.pipelines.ops.base import sources, stages
    from pipeprof.pipelines.ops.functions.catalog import table
    from pipeprof.pipelines.ops.functions.layers import layer_table

    survey = yaml.safe_load(COVERAGE.read_text(encoding="utf-8"))
    known = {**sources(), **stages()}
    lines = ["| what the survey counts | names | in the language | not |", "| --- | --- | --- | --- |"]
    called = {**table(), **layer_table(), **dict.fromkeys(survey["other_forms"])}
    counted = [(f"sources and methods, {name}", names, known) for name, names in survey["sets"].items()]
    for title, names, known_names in [*counted, ("functions in maps, by frequency", survey["functions"], called)]:
        missing = [name for name in names if name.replace("layer:", "tf.keras.layers.") not in known_names]
        shown = ", ".join(f"`{name}`" for name in missing) or "–"
        lines.append(f"| {title} | {len(names)} | {len(names) - len(missing)} | {shown} |")
    rows = survey["pipelines"]
    said = {word: sum(row["said"] == word for row in rows) for word in ("without", "with", "not")}
    specs = {row["gallery"] for row in rows if "gallery" in row}
    lines += [
        "",
        f"Of {len(rows)} pipelines that were read, {said['without']} can be said without Python, {said['with']} with a "
        f"Python function or source, and {said['not']} not at all. {len(specs)} specs in the gallery show the "
        f"structure of {sum('gallery' in row for row in rows)} of them.",
        "",
        "| | pipeline | field | Python | what stands in the way, or is different | shown by |",
        "| ---: | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        origin, path = row["origin"].split(" ", 1)
        spec = f"[{row['gallery']}](../examples/gallery/{row['gallery']}.yaml)" if "gallery" in row else "–"
        cells = (
            str(row["number"]),
            f"{origin} `{path}`",
            cell(row["field"]),
            row["said"],
            cell(row.get("way", "")),
            spec,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spec_schema() -> Schema:
    """The schema of specs."""
    from pipeprof.pipelines.spec.schema.schema import spec_schema as published

    return published()


def editor_schemas() -> tuple[Schema, Schema]:
    """The schemas of specs' files and of overlays."""
    from pipeprof.pipelines.spec.schema.changes import editor_schema, overlay_schema

    return editor_schema(), overlay_schema()


def _unlinked(value: Any) -> Any:
    """A schema without the links at the ends of its descriptions, which lead to the very page that is made of it."""
    from pipeprof.pipelines.spec.schema.links import without_link

    if isinstance(value, list):
        return [_unlinked(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_link(inner) if key == "description" and isinstance(inner, str) else _unlinked(inner)
        for key, inner in value.items()
    }


def profile_schema() -> Schema:
    """The schema of profiles."""
    from pipeprof.cli.commands.schema import profile_schema as published

    return published()


def result_schema() -> Schema:
    """The schema of results of `compare` and `gate`, as `pipeprof schema result` prints it."""
    from pipeprof.cli.commands.schema import result_schema as published

    return published()


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


def _page(name: str, body: str) -> str:
    before, begin, rest = (DOCS / name).read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"docs/{name} has no '{BEGIN}' … '{END}' for the generated part to stand in"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n\n{body}\n\n{END}{after}"


def edits() -> str:
    """The table of edits and kinds of targets, and that of what a plan may hold."""
    from pipeprof.pipelines.edits.plan_table import BOUNDS, CALLS, rows
    from pipeprof.pipelines.edits.support import SUPPORT, TARGETS

    lines = [f"| edit | {' | '.join(TARGETS.values())} |", f"| --- {'| --- ' * len(TARGETS)}|"]
    for kind, row in SUPPORT.items():
        cells = [cell(f"{'yes' if row[target].exists else 'no'}: {row[target].words}") for target in TARGETS]
        lines.append(f"| `{kind.__name__}` | {' | '.join(cells)} |")
    lines += ["", "## What a plan may hold", "", "| edit | of | holds |", "| --- | --- | --- |"]
    lines += [f"| `{kind}` | {about} | {cell(words)} |" for kind, about, words in rows()]
    lines += ["", "| call inside `ops` of a map | arguments |", "| --- | --- |"]
    lines += [f"| `{name}` | {cell(fields.words())} |" for name, fields in CALLS.items()]
    lines += ["", "| bound | at most | why |", "| --- | ---: | --- |"]
    lines += [f"| {cell(bound.what)} | {bound.most:,} | {cell(bound.why)} |" for bound in BOUNDS]
    return "\n".join(lines)


def provenance() -> str:
    """Where each field of a profile comes from, a table for each part of the document."""
    lines: list[str] = []
    for part, rows in toml(PROVENANCE).items():
        lines += [f"## {part}", "", "| field | measured by | computed by | printed by |", "| --- | --- | --- | --- |"]
        lines += [f"| `{field}` | {' | '.join(map(_origin, row))} |" for field, row in rows.items()]
        lines.append("")
    return "\n".join(lines).strip()


def _origin(named: str) -> str:
    module, _, word = named.partition("#")
    return "–" if not module else f"`{module}` (`{word}`)" if word else f"`{module}`"


def toml(path: Path) -> dict[str, Any]:
    """The data of a TOML file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "spec.md": lambda: _page("spec.md", reference(_unlinked(spec_schema()), {"call": functions})),
    "profile.md": lambda: _page("profile.md", reference(profile_schema())),
    "rules.md": lambda: _page("rules.md", rules()),
    "codes.md": lambda: _page("codes.md", codes()),
    "edits.md": lambda: _page("edits.md", edits()),
    "exit-codes.md": lambda: _page("exit-codes.md", exit_codes()),
    "compatibility.md": lambda: _page("compatibility.md", pairs()),
    "coverage.md": lambda: _page("coverage.md", coverage()),
    "provenance.md": lambda: _page("provenance.md", provenance()),
    "prediction.md": lambda: _page("prediction.md", prediction()),
    "silence.md": lambda: _page("silence.md", silence()),
    "schema/pipeprof.schema.json": lambda: as_json(editor_schemas()[0]) + "\n",
    "schema/pipeprof.overlay.schema.json": lambda: as_json(editor_schemas()[1]) + "\n",
    "schema/profile.schema.json": lambda: as_json(profile_schema()) + "\n",
    "schema/result.schema.json": lambda: as_json(result_schema()) + "\n",
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
