"""The commands: one line of help each, their options and examples, and the parsers made of them.

A command is a function of `cli.commands.NAME` that takes the options and returns the exit code. Its module is imported
when it is called, and a parser is made when it is asked for: a help text waits for neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from functools import cache
from importlib import import_module
from inspect import Parameter, Signature, get_annotations
from typing import Any, NamedTuple, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from pipeprof.cli import options
from pipeprof.cli.config import check_variables, defaults

_HELP = {"-h", "--help"}


class Entry(NamedTuple):
    """What a help text says of a command.

    Attributes:
        options: Their class, whose docstring follows the summary.
    """

    summary: str
    options: type[Any]
    examples: tuple[str, ...]


COMMANDS = {
    "run": Entry(
        "Measure a pipeline and say what limits it.",
        options.RunOptions,
        (
            "pipeprof run spec.yaml --set stages.0.num_parallel_calls=4",
            "pipeprof run train.py:make_dataset --arg split=train --step simulate:12ms",
            "pipeprof run train.py -- --epochs 3",
        ),
    ),
    "fix": Entry(
        "Find the fastest version of a pipeline and prove it.",
        options.FixOptions,
        (
            "pipeprof fix spec.yaml --write",
            "pipeprof fix train.py:make_dataset --step simulate:12ms --out fast.patch",
            "pipeprof fix train.py --out fast.patch -- --epochs 3",
        ),
    ),
    "compare": Entry(
        "Measure two or more pipelines side by side.",
        options.CompareOptions,
        (
            "pipeprof compare spec.yaml faster.yaml",
            "pipeprof compare train.py:make_dataset git:main --step simulate:12ms",
            "pipeprof compare before.json after.json",
        ),
    ),
    "gate": Entry(
        "Fail if a pipeline got slower, or takes more memory.",
        options.GateOptions,
        (
            "pipeprof gate spec.yaml --against git:main",
            "pipeprof gate train.py:make --against git:main --max-time 300 --limit peak_bytes=2GiB",
            "pipeprof gate spec.yaml --self-test",
        ),
    ),
    "check": Entry(
        "Check specs and functions without running them: errors, memory, rules.",
        options.CheckOptions,
        (
            "pipeprof check spec.yaml --memory-limit 8GiB",
            "pipeprof check . --fail-on warning --format github",
            "pipeprof check spec.yaml --json | jq .errors",
        ),
    ),
    "show": Entry(
        "Print the report of saved profiles.",
        options.ShowOptions,
        (
            "pipeprof show",
            "pipeprof show profile.json --out report.html",
            "pipeprof show profile.json --json | jq .steps.wait_ms",
        ),
    ),
    "gaps": Entry(
        "Find out why a device idles, from a trace of TensorFlow, JAX or PyTorch.",
        options.GapsOptions,
        (
            "pipeprof gaps logs/plugins/profile/2026_11_27_08_00_00",
            "pipeprof gaps before.pt.trace.json.gz after.pt.trace.json.gz",
            "pipeprof gaps host.xplane.pb --fail-on idle=20% --out gaps.xml",
        ),
    ),
    "rules": Entry(
        "List all findings and ideas, or explain one, or the code of a warning or an error.",
        options.RulesOptions,
        ("pipeprof rules", "pipeprof rules cache-after-augment", "pipeprof rules not-settled --json | jq .action"),
    ),
    "schema": Entry(
        "Print the JSON Schema of specs, profiles, results or gaps.",
        options.SchemaOptions,
        ("pipeprof schema spec > pipeprof.schema.json", "pipeprof schema profile | jq .properties.steps"),
    ),
    "init": Entry(
        "Write a first spec for your data.",
        options.InitOptions,
        ("pipeprof init", "pipeprof init --from photos/", "pipeprof init --from 'shards/*.tfrecord' --out shards.yaml"),
    ),
    "doctor": Entry(
        "Check the installation and the machine.",
        options.DoctorOptions,
        ("pipeprof doctor", "pipeprof doctor --json | jq '.faults[].message'"),
    ),
    "data": Entry(
        "List or remove generated inputs (`data:` in specs).",
        options.DataOptions,
        ("pipeprof data list", "pipeprof data rm photos", "pipeprof data rm --all"),
    ),
}
"""In the order of the help text."""


class Command(TyperCommand):
    """A command whose help text has its options under headings, with defaults from the checkout's pyproject.toml."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Parse a command line; only that of a call has a parent, and so defaults."""
        words = args[: args.index("--")] if "--" in args else args
        if parent is not None and not extra.get("resilient_parsing") and _HELP.isdisjoint(words):
            check_variables(str(self.name), [str(one.name) for one in self.params], COMMANDS)
            extra["default_map"] = defaults(str(self.name), self.params, words, COMMANDS)
        return super().make_context(info_name, args, parent=parent, **extra)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The arguments as users write them."""
        del ctx
        return ["[OPTIONS]", *(str(one.metavar) for one in self.params if one.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options, without an empty line before each heading."""
        headings: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{name: [] for name in options.HEADINGS}}
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                headings["Arguments"].append((str(parameter.metavar), _filled(parameter.help, str(self.name))))
            elif (record := parameter.get_help_record(ctx)) is not None:
                heading = getattr(parameter, "rich_help_panel", None) or options.OUTPUT
                headings[heading].append((record[0], _filled(record[1], str(self.name))))
        width = max(len(name) for rows in headings.values() for name, _ in rows)
        formatter.write_paragraph()
        for heading, rows in headings.items():
            if rows:
                formatter.write_heading(heading)
                with formatter.indentation():
                    formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        del ctx
        _write_lines(formatter, "Examples", COMMANDS[str(self.name)].examples)


class Commands(TyperGroup):
    """All commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help text."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The parser of a command; None for any other word."""
        del ctx
        return make_parser(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the summaries, for which no parser is made."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what to begin with, and the exit codes of all commands."""
        del ctx
        from pipeprof.cli.exit_codes import EXIT_CODES

        _write_lines(formatter, "Begin with", ("pipeprof init --from photos/ --out spec.yaml", "pipeprof run spec.yaml"))
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{entry.code:>3}", entry.meaning) for entry in EXIT_CODES])


@cache
def make_parser(name: str) -> Command:
    """Make the parser of a command, which calls the function of its module."""
    entry = COMMANDS[name]

    def call(**given: Any) -> Any:
        function = getattr(import_module(f"pipeprof.cli.commands.{name}"), name)
        return function(entry.options(**given))

    hints = get_type_hints(entry.options, include_extras=True)
    call.__signature__ = Signature(list(_parameters(entry.options, hints)))  # type: ignore[attr-defined]
    call.__annotations__ = hints
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=f"{entry.summary}\n\n{entry.options.__doc__}")(call)
    return typer.main.get_command(app)  # type: ignore[return-value]


def _parameters(kind: type[Any], hints: dict[str, Any]) -> Iterator[Parameter]:
    """The fields of a class of options, its own before those of its bases."""
    known = {field.name: field for field in fields(kind)}
    own_first = dict.fromkeys(name for each in kind.__mro__ for name in get_annotations(each))
    for name in own_first:
        default = Parameter.empty if known[name].default is MISSING else known[name].default
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=hints[name], default=default)


def parse(name: str, words: Sequence[str]) -> Any:
    """Parse the words after a command, as typed; nothing runs, and nothing but the words counts."""
    context = make_parser(name).make_context(name, list(words))
    given = {
        name: list(value) or None if isinstance(value, tuple) else value for name, value in context.params.items()
    }
    return COMMANDS[name].options(**given)


def _write_lines(formatter: Any, heading: str, lines: Sequence[str]) -> None:
    formatter.write_paragraph()
    formatter.write_heading(heading)
    for line in lines:
        formatter.write(f"  {line}\n")


def _filled(text: str | None, command: str) -> str:
    """A help text with the formats of a command's reports."""
    from pipeprof.cli.render.formats import extensions_of, names_of

    text = text or ""
    for word, known in (("{files}", extensions_of), ("{formats}", names_of)):
        if word in text:
            *others, last = known(command)
            text = text.replace(word, f"{', '.join(others)} or {last}")
    return text
