"""Writes the generated part of the documentation from the code: ``make docs``. A test holds it up to date.

A Markdown page is prose with one generated part between two marks; only that part is replaced. `spec.md`, `spec/`,
`profile.md` and `schema/` come from the published schemas, `commands.md` from the commands and their options,
`rules.md` from the rules, `exit-codes.md` from the commands' own table, `edits.md` from the table of edits,
`compatibility.md`, `silence.md`, `prediction.md` and `accuracy.md` from the last results of their benchmarks,
`proof.md` from what `make verify` noted in `benchmarks/proof.json`, `provenance.md` from `provenance.toml`,
`coverage.md` from `coverage.yaml` and the registry of sources, stages and functions. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import functools
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
PROOF = RESULTS.parent / "proof.json"
PROVENANCE = DOCS / "provenance.toml"
SIZES = DOCS.parent / "tests" / "size.toml"
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


SPEC_PAGES = {
    "document": "The document: top level, options, step, measuring, budgets",
    "data": "`data:` generated inputs",
    "sources": "`source:` where elements come from",
    "stages": "`stages:` what happens to them",
    "functions": "`ops:` functions and other calls of a chain",
    "values": "Arrays, pipelines and types inside of others",
}
"""The pages of the reference of specs, with their titles."""


def _spec_parts() -> tuple[Schema, dict[str, Schema], dict[str, str]]:
    """The schema of specs without links, its named parts, and the page of each."""
    from pipeprof.pipelines.spec.schema.links import pages

    schema = _unlinked(spec_schema())
    parts = named_parts(schema)
    return schema, parts, pages(schema, parts)


def spec_contents() -> str:
    """The table of contents of the reference of specs."""
    _, _, page_of = _spec_parts()
    lines = []
    for page, title in SPEC_PAGES.items():
        names = [f"[{name}](spec/{page}.md#{anchor(name)})" for name, of in page_of.items() if of == page]
        lines += [f"- [{title}](spec/{page}.md): {' · '.join(names)}"]
    return "\n".join(lines)


def spec_page(page: str) -> str:
    """One page of the reference of specs."""
    schema, parts, page_of = _spec_parts()
    lines = [f"# {SPEC_PAGES[page]}", "", BEGIN, ""]
    lines += [*fields(schema), ""] if page == "document" else []
    for name, of in page_of.items():
        if of == page:
            lines += [*section(name, parts[name], functions if name == "call" else None), ""]
    here = {anchor(name): "" if of == page else f"{of}.md" for name, of in page_of.items()}
    text = re.sub(r"\]\(#([^)]+)\)", lambda link: f"]({here[link[1]]}#{link[1]})", "\n".join(lines))
    return f"{text}\n{END}\n"


def commands() -> str:
    """Every command: what it does, its arguments and options, its examples."""
    import typer

    from pipeprof.cli.main import make_app

    lines: list[str] = []
    app = typer.main.get_command(make_app())
    for name, command in _commands(app, ""):
        lines += [f"## {name}", "", _paragraphs(command.help or ""), ""]
        rows = [_option(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
        if rows:
            lines += ["| argument or option | |", "| --- | --- |", *rows, ""]
        examples = (command.epilog or "").partition("Examples:\n")[2].partition("\n\n")[0]
        lines += ["```", *(line.strip() for line in examples.splitlines()), "```", ""] if examples else []
    return "\n".join(lines).strip()


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for part, command in group.commands.items():
        words = f"{name} {part}".strip()
        if hasattr(command, "commands"):
            yield from _commands(command, words)
        else:
            yield words, command


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in re.sub(r"[\b\f]", "", text).strip().split("\n\n"))


def _option(parameter: Any) -> str:
    """The row of an argument or option; a value is named as the help names it."""
    if parameter.param_type_name == "argument":
        written, default = f"`{parameter.metavar or parameter.human_readable_name.upper()}`", ""
    else:
        value = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
        names = [*parameter.opts, *parameter.secondary_opts]
        written = ", ".join(f"`{one}{value}`" for one in names)
        plain = isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool)
        default = f" [default: {parameter.default}]" if plain and parameter.default != "" else ""
    return f"| {cell(written)} | {cell((parameter.help or '') + default)} |"


def exit_codes() -> str:
    """The table of exit codes."""
    from pipeprof.cli.exit_codes import EXIT_CODES

    rows = [f"| {entry.code} | {cell(entry.meaning)} |" for entry in EXIT_CODES]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def rules() -> str:
    """The rules: a list, the table of every threshold, and a section for each."""
    from pipeprof.cli.pages.rules import IN_STEP, IN_TRAINING, ONLY_TRIED, bar_to_try, gate_words, value_words
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
        reported = IN_TRAINING if one.in_training else reported
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
        # Each code has an address of its own on the site: codes.html#not-settled.
        lines += [
            f'| <a id="{name}"></a>`{name}` | {cell(code.meaning)} | {cell(code.action)} |' for name, code in members
        ]
        lines.append("")
    return "\n".join(lines).strip()


def cases_of(path: Path) -> dict[str, dict[str, Any]]:
    """The cases of a benchmark that were measured, with where and when."""
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {name: case for name, case in cases.items() if case["outcome"] is not None}


def measured_on(cases: dict[str, dict[str, Any]]) -> str:
    """A sentence with the dates, commits and machines of what a page shows."""
    dates = sorted({(case["measured"] or "")[:10] for case in cases.values()} - {""})
    commits = sorted({(case["commit"] or "unknown")[:8] for case in cases.values()})
    cores = sorted({f"{case['machine']['cores']}" for case in cases.values()})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "an unknown day"
    of = f"at commit {commits[0]}" if len(commits) == 1 else f"at {len(commits)} commits"
    return f"Measured on {when} {of}, {' and '.join(cores)} cores; what has changed since: [proof](proof.md)."


def pairs() -> str:
    """The table of the pairs of Python and TensorFlow that were run, and the pairs that were not."""
    cases = json.loads(PAIRS.read_text(encoding="utf-8"))["cases"]
    claims = json.loads(PROOF.read_text(encoding="utf-8"))["claims"]["compatibility"]["cases"]
    lines = ["| Python | TensorFlow | NumPy | protobuf | result | run on | at commit |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for case in cases.values():
        row = case["figures"]
        if case["outcome"] is not None:
            python, tensorflow = row.get("python", row["pair"][0]), row.get("tensorflow", row["pair"][1])
            outcome = "works" if row["works"] else f"fails: {row['error']}"
            cells = (python, tensorflow, row.get("numpy", "–"), row.get("protobuf", "–"), cell(outcome), row["date"])
            lines.append(f"| {' | '.join((*cells, (case['commit'] or 'unknown')[:8]))} |")
    absent = [name.replace(":", " with ") for name, kept in claims.items() if kept["outcome"] is None]
    return "\n".join([*lines, "", f"Not run, as the interpreter was missing: {', '.join(absent) or 'none'}."])


def silence() -> str:
    """What pipeprof said of the pipelines that deserve no advice, and of their twins, when last measured."""
    cases = cases_of(SILENCE)
    lines = [measured_on(cases), ""]
    lines += ["| case | | waits | findings | verdict | |", "| --- | --- | --- | --- | --- | --- |"]
    for name, case in cases.items():
        one = case["figures"]
        drained = "--step none" in one["command"] or "wait_share" not in one
        waits = "–" if drained else f"{one['wait_share']:.1%}"
        found = ", ".join(f"`{finding['rule']}`" for finding in one.get("findings", [])) or "none"
        broken = [claim for claim, holds in one["claims"].items() if not holds]
        outcome = f"{case['outcome']}: {', '.join(broken)}" if broken else "holds"
        cells = (f"`{name}`", cell(one["about"]), waits, found, cell(one.get("sentence", "–")), outcome)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def prediction() -> str:
    """What edits were predicted to give, and gave, when last measured; wrong predictions included."""
    if not PREDICTION.exists():
        return "Not measured yet: `make verify BENCHMARKS=prediction`."
    figures, cases = json.loads(PREDICTION.read_text(encoding="utf-8"))["figures"], cases_of(PREDICTION)
    lines = ["| rows | judged | median error | 90th percentile |", "| --- | ---: | ---: | ---: |"]
    for name, words in (("all", "all"), ("chosen", "chosen by hand"), ("drawn", "drawn")):
        one = figures[name]
        lines.append(f"| {words} | {one['rows']} | {_share(one['median_error'])} | {_share(one['ninetieth_error'])} |")
    wait, peak = figures.get("wait") or {}, figures.get("peak") or {}
    if wait.get("rows"):
        errors = f"{_share(wait['median_error'])} of a step, 90th percentile {_share(wait['ninetieth_error'])}"
        lines += ["", f"The predicted wait of the step, {wait['rows']} rows: median error {errors}."]
    if peak.get("rows"):
        errors = f"{peak['median_bytes'] / 1e6:.0f} MB, 90th percentile {peak['ninetieth_bytes'] / 1e6:.0f} MB"
        lines += [f"The predicted change of the peak of memory, {peak['rows']} rows: median error {errors}."]
    wrong = "; ".join(f"`{cell(name)}`" for name in figures["wrong"]) or "none"
    lines += ["", measured_on(cases)]
    lines += [f"Not judged: {figures['not_judged']}. Wrong by more than 1.5 times: {wrong}.", ""]
    lines += ["| pipeline | edit | | predicted | measured | error | step wait, ms | peak | |"]
    lines += ["| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    rows = [row for one in cases.values() for row in one["raw"].get("rows", ())]
    lines += [f"| {' | '.join(_prediction_cells(row))} |" for row in rows]
    return "\n".join(lines)


def proof() -> str:
    """What is proven of each claim for the commit that `make verify` noted, and which claims are stale."""
    noted = json.loads(PROOF.read_text(encoding="utf-8"))
    lines = [f"As of commit {noted['commit'][:8]} of {noted['date']}.", ""]
    lines += ["| benchmark | claim | cases proven | when measured | oldest proof | lines changed since |"]
    lines += ["| --- | --- | ---: | --- | --- | ---: |"]
    stale = []
    for name, claim in noted["claims"].items():
        cases = list(claim["cases"].values())
        proven = sum(case["changed_lines"] == 0 and case["outcome"] == "holds" for case in cases)
        dates = [case["measured"] for case in cases if case["outcome"] is not None]
        absent = sum(case["outcome"] is None for case in cases)
        oldest = f"{absent} never measured" if absent else min(dates)[:10] if None not in dates else "unknown"
        changes = [case["changed_lines"] for case in cases if case["outcome"] is not None]
        most = max((change for change in changes if change is not None), default=None)
        since = "unknown" if None in changes or most is None else f"{most:,}"
        cells = (f"`{name}`", cell(claim["claim"]), f"{proven} of {len(cases)}", claim["outcome"], oldest, since)
        lines.append(f"| {' | '.join(cells)} |")
        if any(change is None or change > noted["stale_lines"] for change in changes) or absent:
            stale.append(f"`{name}`")
    rule = f"more than {noted['stale_lines']} lines of the rooms of a case changed since it was measured"
    lines += ["", f"Stale, as {rule}, as it is unknown how many,"]
    lines += [f"or as a case never was measured: {', '.join(stale) or 'none'}.", ""]
    lines += ["| outcome of the last measurement | of an older commit | proven for this one |"]
    lines += ["| --- | ---: | ---: |"]
    every = [case for claim in noted["claims"].values() for case in claim["cases"].values()]
    for outcome in ("holds", "does not hold", "cannot tell", None):
        now = sum(case["outcome"] == outcome and case["changed_lines"] == 0 for case in every)
        before = sum(case["outcome"] == outcome for case in every) - now
        lines.append(f"| {outcome or 'never measured'} | {before} | {now} |")
    return "\n".join(lines)


def accuracy() -> str:
    """What was found of planted costs and memory, what the step loop costs, and how the gate decides: with commits."""
    attribution, overhead = cases_of(RESULTS / "attribution.json"), cases_of(RESULTS / "overhead.json")
    lines = ["## Times", "", measured_on(_of_kind(attribution, "time/")), ""]
    lines += ["| case | share found (true) | largest error, points | accounted | | at commit |"]
    lines += ["| --- | --- | ---: | ---: | --- | --- |"]
    for name, case in _of_kind(attribution, "time/").items():
        one = case["figures"]
        shares = one["shares_true"].items()
        found = ", ".join(f"{stage} {_share(one['shares_measured'][stage])} ({_share(true)})" for stage, true in shares)
        cells = (f"`{name}`", found, f"{100 * one['largest_error']:.1f}", _share(one["accounted"]), *_said(case))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Memory", "", measured_on(_of_kind(attribution, "memory/")), ""]
    lines += ["| case | owner | planted MB | found MB | slack | unexplained | prediction off | | at commit |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"]
    for name, case in _of_kind(attribution, "memory/").items():
        one = case["figures"]
        off = _share(one["prediction_off"]) if one["prediction_judged"] else "not static"
        rest = (_share(one["slack_share"]), _share(one["unexplained_share"]), off, *_said(case))
        for owner, row in (one["owners"] or {"–": {"truth_mb": 0.0, "ledger_mb": 0.0}}).items():
            cells = (f"`{name}`", owner, f"{row['truth_mb']:.0f}", f"{row['ledger_mb']:.0f}", *rest)
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## The step loop", "", measured_on(overhead), ""]
    lines += ["| case | rate over that of the bare loop | required | pairs | | at commit |"]
    lines += ["| --- | --- | ---: | ---: | --- | --- |"]
    for name, case in overhead.items():
        one = case["figures"]
        low, high = one["ratio_interval"]
        cells = (f"`{name}`", f"{one['ratio']:.3f} ({low:.3f}–{high:.3f})", f"{one['limit']:g}", f"{one['pairs']}")
        lines.append(f"| {' | '.join((*cells, *_said(case)))} |")
    return "\n".join(lines)


def _of_kind(cases: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name.removeprefix(kind): case for name, case in cases.items() if name.startswith(kind)}


def _said(case: dict[str, Any]) -> tuple[str, str]:
    """What became of a case, and its commit."""
    return case["outcome"], (case["commit"] or "unknown")[:8]


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


def gaps_schema() -> Schema:
    """The schema of the document of `gaps`, as `pipeprof schema gaps` prints it."""
    from pipeprof.cli.commands.schema import gaps_schema as published

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


def sizes() -> str:
    """Lines of code of each room, as `tests/size.toml` bounds them."""
    kept = toml(SIZES)
    rooms = {name: entry if isinstance(entry, int) else entry["now"] for name, entry in kept["rooms"].items()}
    packages: dict[str, list[str]] = {}
    for name, count in rooms.items():
        packages.setdefault(name.partition("/")[0], []).append(f"`{name.partition('/')[2] or '.'}` {count:,}")
    lines = ["| package | lines of code | by room |", "| --- | ---: | --- |"]
    for package, parts in packages.items():
        total = sum(count for name, count in rooms.items() if name.partition("/")[0] == package)
        lines.append(f"| `{package}/` | {total:,} | {', '.join(parts)} |")
    return "\n".join([*lines, f"| all | {sum(rooms.values()):,} | |"])


def toml(path: Path) -> dict[str, Any]:
    """The data of a TOML file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "spec.md": lambda: _page("spec.md", spec_contents()),
    **{f"spec/{page}.md": functools.partial(spec_page, page) for page in SPEC_PAGES},
    "commands.md": lambda: _page("commands.md", commands()),
    "profile.md": lambda: _page("profile.md", reference(profile_schema())),
    "rules.md": lambda: _page("rules.md", rules()),
    "codes.md": lambda: _page("codes.md", codes()),
    "edits.md": lambda: _page("edits.md", edits()),
    "exit-codes.md": lambda: _page("exit-codes.md", exit_codes()),
    "compatibility.md": lambda: _page("compatibility.md", pairs()),
    "coverage.md": lambda: _page("coverage.md", coverage()),
    "provenance.md": lambda: _page("provenance.md", provenance()),
    "architecture.md": lambda: _page("architecture.md", sizes()),
    "accuracy.md": lambda: _page("accuracy.md", accuracy()),
    "proof.md": lambda: _page("proof.md", proof()),
    "prediction.md": lambda: _page("prediction.md", prediction()),
    "silence.md": lambda: _page("silence.md", silence()),
    "schema/pipeprof.schema.json": lambda: as_json(editor_schemas()[0]) + "\n",
    "schema/pipeprof.overlay.schema.json": lambda: as_json(editor_schemas()[1]) + "\n",
    "schema/profile.schema.json": lambda: as_json(profile_schema()) + "\n",
    "schema/result.schema.json": lambda: as_json(result_schema()) + "\n",
    "schema/gaps.schema.json": lambda: as_json(gaps_schema()) + "\n",
}


def main() -> None:
    """Write every page that is not up to date."""
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name}")


if __name__ == "__main__":
    main()
