"""The commands, and the parsers that are made of the classes of their options.

A command is a function of `cli.commands.NAME` that takes its options and returns the exit code. The module is imported
when it is called, and a parser is made when it is asked for: a help text waits for neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from functools import cache
from importlib import import_module
from inspect import Parameter, Signature, cleandoc, get_annotations
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

from pipeprof.cli import options

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


@cache
def make_parser(name: str, kind_of_parser: type[TyperCommand] = TyperCommand) -> Any:
    """Make the parser of a command, which calls the function of its module."""
    kind = COMMANDS[name]
    about, examples = help_of(name)

    def call(**given: Any) -> Any:
        function = getattr(import_module(f"pipeprof.cli.commands.{name}"), name)
        return function(kind(**given))

    hints = get_type_hints(kind, include_extras=True)
    call.__signature__ = Signature(list(_parameters(kind, hints)))  # type: ignore[attr-defined]
    call.__annotations__ = hints
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    # A paragraph behind the character \b is not wrapped.
    shown = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
    app.command(name, cls=kind_of_parser, help=f"{about}\n\n{shown}")(call)
    return typer.main.get_command(app)


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
    given = {name: list(value) or None if isinstance(value, tuple) else value for name, value in context.params.items()}
    return COMMANDS[name](**given)


def help_of(name: str) -> tuple[str, list[str]]:
    """What a command is for, and its examples."""
    about, _, examples = cleandoc(COMMANDS[name].__doc__ or "").partition("\n\nExamples:\n")
    return about, [line.strip() for line in examples.splitlines()]
