"""The commands, and the parsers that are made of the classes of their options.

A command is a function of `cli.commands.NAME` that takes its options and returns the exit code. The module is imported
when it is called, and a parser is made when it is asked for: a help text waits for neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache, lru_cache
from importlib import import_module
from inspect import Parameter, Signature, cleandoc, get_annotations
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from pipeprof.cli import options
from pipeprof.cli.config import check_variables, defaults
from pipeprof.cli.exit_codes import EXIT_CODES
from pipeprof.cli.formats import files_of, names_of
from pipeprof.cli.refused import RANKS, settle
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.wording import listed

_HELP = {"-h", "--help"}


COMMANDS: dict[str, type[Any]] = {
    "run": options.RunOptions,
    "fix": options.FixOptions,
    "compare": options.CompareOptions,
    "gate": options.GateOptions,
    "check": options.CheckOptions,
    "show": options.ShowOptions,
    "gaps": options.GapsOptions,
    "rules": options.RulesOptions,
    "schema": options.SchemaOptions,
    "init": options.InitOptions,
    "doctor": options.DoctorOptions,
    "data": options.DataOptions,
}
"""In the order of the help text, with the class of their options, whose docstring is the command's help text."""


class Command(TyperCommand):
    """A command whose help text has its options under headings, with defaults from the checkout's pyproject.toml."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse a command line; only that of a call has a parent, and so defaults."""
        words = args[: args.index("--")] if "--" in args else [*args]
        if parent is None or extra.get("resilient_parsing") or not _HELP.isdisjoint(words):
            return super().make_context(info_name, args, parent=parent, **extra)
        # An argument has no variable.
        names = [str(one.name) for one in self.params if one.param_type_name == "option"]
        check_variables(str(self.name), names, COMMANDS)
        file = defaults(str(self.name), self.params, COMMANDS)
        of_file = {
            key.replace("-", "_"): one if isinstance(one, bool) else str(one) for key, one in file.values.items()
        }
        context: Any = super().make_context(info_name, args, parent=parent, default_map=of_file, **extra)
        sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in context.params}
        settle(context.params, lambda name: RANKS.get(sources[name], 0))
        if {"-q", "--quiet"}.isdisjoint(words):
            file.say(str(self.name), [one for one in of_file if sources[one] == "DEFAULT_MAP" and context.params[one]])
        return context

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The arguments as users write them."""
        del ctx
        return ["[OPTIONS]", *(str(one.metavar) for one in self.params if one.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options, without an empty line before each heading."""
        headings: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{name: [] for name in options.HEADINGS}}
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                headings["Arguments"].append((str(parameter.metavar), help_text(parameter, str(self.name))))
            elif (record := parameter.get_help_record(ctx)) is not None:
                heading = getattr(parameter, "rich_help_panel", None) or options.OUTPUT
                headings[heading].append((record[0], help_text(parameter, str(self.name))))
        width = max(len(name) for rows in headings.values() for name, _ in rows)
        # Those that have a letter are about the output of any command.
        headings[options.OUTPUT].sort(key=lambda row: not row[0].startswith("--"))
        formatter.write_paragraph()
        for heading, rows in headings.items():
            if rows:
                formatter.write_heading(heading)
                with formatter.indentation():
                    formatter.write_dl([(name.ljust(width), text) for name, text in rows], col_max=width)


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
            formatter.write_dl([(name, (kind.__doc__ or "").partition("\n")[0]) for name, kind in COMMANDS.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the exit codes of all commands."""
        del ctx
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{entry.code:>3}", entry.meaning) for entry in EXIT_CODES])


@cache
def make_parser(name: str) -> Any:
    """Make the parser of a command, which calls the function of its module."""
    kind = COMMANDS[name]
    about, examples = help_of(name)

    def call(**given: Any) -> Any:
        function = getattr(import_module(f"pipeprof.cli.commands.{name}"), name)
        try:
            return function(kind(**given))
        except PipeprofError as error:
            # A file or a variable may have set it, too.
            error.redacted = bool(given.get("redact"))
            raise

    hints = get_type_hints(kind, include_extras=True)
    call.__signature__ = Signature(list(_parameters(kind, hints)))  # type: ignore[attr-defined]
    call.__annotations__ = hints
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    # A paragraph behind the character \b is not wrapped.
    shown = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
    app.command(name, cls=Command, help=f"{about}\n\n{shown}")(call)
    return typer.main.get_command(app)


def _parameters(kind: type[Any], hints: dict[str, Any]) -> Iterator[Parameter]:
    """The fields of a class of options, its own before those of its bases."""
    known = {field.name: field for field in fields(kind)}
    own_first = dict.fromkeys(name for each in kind.__mro__ for name in get_annotations(each))
    for name in own_first:
        default = Parameter.empty if known[name].default is MISSING else known[name].default
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=hints[name], default=default)


@lru_cache(maxsize=8)
def parse(name: str, words: tuple[str, ...]) -> Any:
    """Parse the words after a command, as typed; nothing runs, and nothing but the words counts.

    It takes milliseconds, and each change of a report needs the command line of its profile.
    """
    context = make_parser(name).make_context(name, list(words))
    given = {name: list(value) or None if isinstance(value, tuple) else value for name, value in context.params.items()}
    return COMMANDS[name](**given)


def help_of(name: str) -> tuple[str, list[str]]:
    """What a command is for, and its examples."""
    about, _, examples = cleandoc(COMMANDS[name].__doc__ or "").partition("\n\nExamples:\n")
    return about, [line.strip() for line in examples.splitlines()]


def help_text(parameter: Any, command: str) -> str:
    """What an argument or option is for, with the formats of the command's reports."""
    text = parameter.help or ""
    for word, known in (("{files}", files_of), ("{formats}", names_of)):
        if word in text:
            text = text.replace(word, listed(known(command), "or"))
    return text
