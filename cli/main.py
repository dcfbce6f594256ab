"""The ``pipeprof`` command: how it starts, and how errors become messages and exit codes."""

from __future__ import annotations

import atexit
import difflib
import errno
import gc
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from types import FrameType
from typing import Annotated, Any

from pipeprof.pipelines.target.modules import leave_out_current_folder

# Before anything else is imported: a `typer.py` in the current folder is the user's.
leave_out_current_folder()

import typer  # noqa: E402

from pipeprof import __version__  # noqa: E402
from pipeprof.cli import exit_codes  # noqa: E402
from pipeprof.cli.formats import extensions_of  # noqa: E402
from pipeprof.cli.parser import COMMANDS, Commands  # noqa: E402
from pipeprof.cli.refused import command_gone, option_gone  # noqa: E402
from pipeprof.cli.render.diagnostics import say_error  # noqa: E402
from pipeprof.cli.streams import no_stdout, open_closed, say, silence, write_stdout  # noqa: E402
from pipeprof.pipelines.errors import PipeprofError, UsageError  # noqa: E402
from pipeprof.profiles.host.limits import has_current_folder, system_fault  # noqa: E402

RECURSION_LIMIT = 15_000
"""Frames. A graph is as deep as its pipeline has stages, and 500 stages take some 2,500; on a stack of 8 MiB, as Linux
gives it, Python 3.10 has room for about 20,000."""


def _version(wanted: bool) -> None:
    if wanted:
        write_stdout(f"pipeprof {__version__}\n")
        raise typer.Exit


def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("-V", "--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find out why a tf.data input pipeline is slow or uses too much memory."""
    del version
    if context.invoked_subcommand is None:
        write_stdout(f"{context.get_help()}\n")


@cache
def make_parser() -> Any:
    """Make the parser of all commands."""
    app = typer.Typer(
        name="pipeprof",
        cls=Commands,
        # Without rich's boxes a help text costs a third of the time and looks the same in every terminal and log.
        rich_markup_mode=None,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "auto_envvar_prefix": "PIPEPROF",
            "max_content_width": 100,
            # As reports are where there is no terminal.
            "terminal_width": None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100,
        },
    )
    app.callback(invoke_without_command=True)(root)
    parser = typer.main.get_command(app)
    for parameter in parser.params:
        # No variable installs a completion.
        vars(parameter).update(show_envvar=False, allow_from_autoenv=False)
    return parser


def main() -> None:
    """Entry point of the console script."""
    # Next to nothing of what a command makes is garbage: looking for cycles in it would take a tenth of a `check` while
    # it runs, and another tenth when it ends.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    if sys.argv[1:2] == ["check"]:
        # No code of a user runs in this process, and looking for plugins reads every installed package.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    open_closed()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    # What `nohup` has switched off stays off.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)
    sys.exit(invoke(sys.argv[1:]))


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(exit_codes.HUNG_UP if number == signal.SIGHUP else exit_codes.TERMINATED)


def invoke(arguments: Sequence[str]) -> int:
    """Run a command line without the program's name, report any error, and return the exit code."""
    sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        result = make_parser().main(args=list(arguments), prog_name="pipeprof", standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exit_codes.OK if stop.code is None else exit_codes.INTERNAL
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        return _report(error, arguments)
    return result if isinstance(result, int) else exit_codes.OK


def _report(error: Exception, arguments: Sequence[str]) -> int:
    if isinstance(error, PipeprofError):
        gone = "" if has_current_folder() else " (the current folder was deleted: change to another one)"
        text = str(error) if hasattr(error, "diagnostics") else f"pipeprof: error: {error}{gone}"
        asked = next((word for word in reversed(arguments) if word in {"--redact", "--no-redact"}), None)
        if asked == "--redact" or error.redacted:
            # A help text waits for none of it.
            from pipeprof.cli.private import hide_here

            text = hide_here(text)
        say_error(text)
        return error.exit_code
    # typer's errors of usage have no public base class that all supported versions share.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        context, first = getattr(error, "ctx", None), next(iter(arguments), "")
        command = context.command_path if context else f"pipeprof {first}" if first in COMMANDS else "pipeprof"
        say_error(f"pipeprof: error: {_usage_message(error, command, arguments)}\nTry '{command} --help'.")
        return int(error.exit_code)
    fault = _fault(error)
    if fault is not None:
        say_error(f"pipeprof: error: {fault}")
        return fault.exit_code
    wanted = os.environ.get("PIPEPROF_DEBUG", "") not in ("", "0") or not {"-v", "--verbose"}.isdisjoint(arguments)
    if wanted:
        say("".join(traceback.format_exception(error)))
    more = "" if wanted else " (PIPEPROF_DEBUG=1 shows where)"
    say(f"pipeprof: internal error: {type(error).__name__}: {error}{more}")
    return exit_codes.INTERNAL


def _fault(error: Exception) -> PipeprofError | None:
    """The error that a user can do something about, for one of Python's own; None of any other."""
    if isinstance(error, RecursionError):
        return UsageError("the target is nested too deeply: it has thousands of stages, or terms in an expression")
    if isinstance(error, OSError) and error.filename is None and error.errno in (errno.EBADF, errno.ENOSPC, errno.EIO):
        # typer writes help texts.
        silence(sys.stdout)
        return no_stdout(error)
    if (fault := system_fault(error)) is not None:
        return fault
    if isinstance(error, PermissionError) and error.filename is not None:
        place = f"{error.filename}: permission denied"
        return UsageError(f"{place}; name a place that may be read, or change its permissions")
    return None


_RUN_SCRIPTS = ("pipeprof run", "pipeprof fix")
_TYPING_ERROR = 0.8
"""How alike an option of a script and one of pipeprof are, so that the latter was meant."""


def _usage_message(error: Any, command: str, arguments: Sequence[str]) -> str:
    """One sentence, with at most one suggestion."""
    option, name = getattr(error, "option_name", ""), command.removeprefix("pipeprof ")
    message = " ".join(str(error.format_message()).split())
    if not hasattr(error, "possibilities"):
        first = next(iter(arguments), "")
        near = difflib.get_close_matches(first, COMMANDS, n=1) if command == "pipeprof" else []
        return command_gone(first) or f"{message}{f' Did you mean {near[0]!r}?' if near else ''}"
    if gone := option_gone(name, option):
        return gone
    refused = f"No such option: {option}"
    if f".{option[2:]}" in extensions_of(name):
        return f"{refused}. A report has the format of its file's name: --out report.{option[2:]}"
    for_script = _with_dashes(option, command, arguments)
    near = difflib.get_close_matches(option, error.possibilities or (), n=1, cutoff=_TYPING_ERROR if for_script else 0)
    if near:
        return f"{refused}. Did you mean {near[0]}?"
    return f"{refused}. The script's own arguments follow `--`: {for_script}" if for_script else message


def _with_dashes(option: str, command: str, arguments: Sequence[str]) -> str:
    """Write the command with an option that it does not have as one of its script; empty where none is run."""
    at = next((place for place, word in enumerate(arguments) if word.partition("=")[0] == option), 0)
    runs = command in _RUN_SCRIPTS and any(word.endswith(".py") for word in arguments[:at])
    return shlex.join(["pipeprof", *arguments[:at], "--", *arguments[at:]]) if runs else ""
