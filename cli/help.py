"""How a help text looks, and where a command has its defaults from: the parsers of the command line itself."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from pipeprof.cli import options
from pipeprof.cli.config import check_variables, defaults
from pipeprof.cli.exit_codes import EXIT_CODES
from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.cli.render.formats import extensions_of, names_of

_HELP = {"-h", "--help"}


class Command(TyperCommand):
    """A command whose help text has its options under headings, with defaults from the checkout's pyproject.toml."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
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
        return make_parser(cmd_name, Command) if cmd_name in COMMANDS else None

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


def help_text(parameter: Any, command: str) -> str:
    """What an argument or option is for, with the formats of the command's reports."""
    text = parameter.help or ""
    for word, known in (("{files}", extensions_of), ("{formats}", names_of)):
        if word in text:
            *others, last = known(command)
            text = text.replace(word, f"{', '.join(others)} or {last}")
    return text
