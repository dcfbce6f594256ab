"""The ``pipeprof`` command: its sub-commands, and how errors become messages and exit codes."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
import signal
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pipeprof.pipelines.target.import_path import leave_out_current_folder

# Before anything else is imported: a `typer.py` in the current folder is the user's.
leave_out_current_folder()

import typer  # noqa: E402

from pipeprof.cli import exit_codes  # noqa: E402
from pipeprof.cli.exit_codes import epilog  # noqa: E402
from pipeprof.cli.gone import command_gone, option_gone  # noqa: E402
from pipeprof.cli.private import SPEC_ENVIRONMENT  # noqa: E402
from pipeprof.cli.streams import open_closed, write_stdout  # noqa: E402

if TYPE_CHECKING:
    from types import FrameType

    from pipeprof.pipelines.errors import PipeprofError

RECURSION_LIMIT = 15_000
"""Frames. A graph is as deep as its pipeline has stages, and 500 stages take some 2,500; on a stack of 8 MiB, as Linux
gives it, Python 3.10 has room for about 20,000."""

_COMPLETE = "_PIPEPROF_COMPLETE"
"""How the scripts of completion ask, as typer names it."""
COMMANDS = {
    "run": "RunOptions",
    "fix": "FixOptions",
    "compare": "CompareOptions",
    "gate": "GateOptions",
    "check": None,
    "show": None,
    "gaps": None,
    "rules": None,
    "explain": None,
    "schema": None,
    "init": None,
    "doctor": None,
    "data": None,
}
"""Modules of `commands`, in the order of the help, with the class of a command's options where it has one."""
_UNSET = frozenset({"data"})
"""Commands that measure nothing and have commands of their own: no file and no variable sets their options.

A variable that is about no command is an error for them as well."""


def _version(wanted: bool) -> None:
    if wanted:
        from pipeprof import __version__

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


def make_app(only: str = "") -> typer.Typer:
    """The application with its commands.

    Args:
        only: Name of the one command to load; with any other word all of them, as a help text or a misspelt name needs
            them. Those that are not run would take a tenth of the time of a `check`.
    """
    app = typer.Typer(
        name="pipeprof",
        # Without rich's boxes a help text costs a third of the time and looks the same in every terminal and log.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=epilog(
            "pipeprof init --from photos/ --out spec.yaml",
            "pipeprof run spec.yaml",
            "pipeprof run train.py:make_dataset",
        ),
    )
    app.callback(invoke_without_command=True)(root)
    for name in (only,) if only in COMMANDS else COMMANDS:
        module = import_module(f"pipeprof.cli.commands.{name}")
        options = COMMANDS[name]
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        elif options is None:
            app.command(name, epilog=module.EPILOG)(getattr(module, name))
        else:
            from pipeprof.cli.options import typed_command

            command = typed_command(getattr(module, name), getattr(module, options))
            app.command(name, epilog=module.EPILOG)(command)
    return app


@cache
def _parser(only: str) -> Any:
    """Build the parser of one command or all, which takes longer than parsing."""
    return typer.main.get_command(make_app(only))


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
    signal.signal(signal.SIGTERM, _terminate)
    # What `nohup` has switched off stays off.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line and report any error.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code.

    Example:
        >>> invoke(["--version"])  # doctest: +SKIP
        pipeprof 0.1.0
        0
    """
    sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
    SPEC_ENVIRONMENT.forget()
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        only = next(iter(arguments), "")
        result = _parser(only if only in COMMANDS else "").main(
            args=list(arguments), prog_name="pipeprof", standalone_mode=False, default_map=_defaults(only, arguments)
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else exit_codes.OK if stop.code is None else exit_codes.INTERNAL
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        return _report(error, arguments)
    return result if isinstance(result, int) else exit_codes.OK


def _defaults(command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What options are without being typed, by command, as the parser reads it; stated on stderr."""
    if command not in COMMANDS or not {"-h", "--help"}.isdisjoint(arguments) or _COMPLETE in os.environ:
        return {}
    from pipeprof.cli.config import check_variables, defaults, is_needed
    from pipeprof.profiles.host.system_faults import has_current_folder

    if command in _UNSET:
        check_variables((), _options_of)
    if command in _UNSET or not has_current_folder() or not is_needed(Path.cwd()):
        return {}
    found, note = defaults(command, _options_of(command), _options_of, arguments)
    if note and not found.get("quiet") and {"-q", "--quiet"}.isdisjoint(arguments):
        from pipeprof.cli.streams import say

        say(f"pipeprof: note: {note}")
    return {command: found}


def _options_of(name: str) -> dict[str, Any]:
    """The options of a command, or the names of all commands; those of `_UNSET` have none to set."""
    return _options(_parser(name).commands[name]) if name else dict.fromkeys(set(COMMANDS) - _UNSET)


def _options(command: Any) -> dict[str, Any]:
    """The parameters of a command that are options, by their name without hyphens."""
    return {
        option.removeprefix("--"): parameter
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(exit_codes.HUNG_UP if number == signal.SIGHUP else exit_codes.TERMINATED)


def _depth_fault(error: Exception) -> PipeprofError | None:
    """The error of a target that is deeper than the recursion limit."""
    from pipeprof.pipelines.errors import UsageError

    if not isinstance(error, RecursionError):
        return None
    return UsageError("the target is nested too deeply: it has thousands of stages, or terms in an expression")


def _report(error: Exception, arguments: Sequence[str]) -> int:
    from pipeprof.cli.render.diagnostics import say_error
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.profiles.host.system_faults import has_current_folder, system_fault

    if isinstance(error, PipeprofError):
        gone = "" if has_current_folder() else " (the current folder was deleted: change to another one)"
        say_error(
            _for_reader(str(error) if hasattr(error, "diagnostics") else f"pipeprof: error: {error}{gone}", arguments)
        )
        return error.exit_code
    if isinstance(error, typer.Abort):
        say_error("pipeprof: error: aborted")
        return exit_codes.INTERNAL
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error)
        return exit_codes.OK
    # typer's errors of usage have no public base class that all supported versions share.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        command = _command_path(error, arguments)
        say_error(f"pipeprof: error: {_usage_message(error, command, arguments)}\nTry '{command} --help'.")
        return int(error.exit_code)
    fault = _depth_fault(error) or _output_fault(error) or system_fault(error) or _access_fault(error)
    if fault is not None:
        say_error(f"pipeprof: error: {fault}")
        return fault.exit_code
    _say_crash(error, arguments)
    return exit_codes.INTERNAL


def _for_reader(text: str, arguments: Sequence[str]) -> str:
    """An error's text; under ``--redact`` without what tells about this machine and its user."""
    asked = next((word for word in reversed(arguments) if word in {"--redact", "--no-redact"}), None)
    if asked != "--redact":
        return text
    from pipeprof.cli.private import hide_here

    return hide_here(text)


def _output_fault(error: Exception) -> PipeprofError | None:
    """The error of a help text that could not be written: typer writes it."""
    from pipeprof.cli.streams import no_stdout, silence

    if not isinstance(error, OSError) or error.filename is not None:
        return None
    if error.errno not in (errno.EBADF, errno.ENOSPC, errno.EIO):
        return None
    silence(sys.stdout)
    return no_stdout(error)


def _access_fault(error: Exception) -> PipeprofError | None:
    """The error of a file or folder that this user may not look at, wherever that was noticed."""
    from pipeprof.pipelines.errors import UsageError

    if not isinstance(error, PermissionError) or error.filename is None:
        return None
    return UsageError(f"{error.filename}: permission denied; name a place that may be read, or change its permissions")


_RUN_SCRIPTS = ("pipeprof run", "pipeprof fix")
_TYPING_ERROR = 0.8
"""How alike an option of a script and one of pipeprof are, so that the latter was meant."""
# As py-spy, gdb, perf, strace and debuggers call it.
_ATTACHING = frozenset({"--attach", "--pid", "--process"})
_NO_ATTACHING = """a running process cannot be measured from outside: only code inside it can ask TensorFlow.
Add two lines to the script, the second one around its training, and start it again:
    import pipeprof
    with pipeprof.watch("out.json"):
Or let pipeprof start it: pipeprof run train.py -- ARGS"""


def _usage_message(error: Exception, command: str, arguments: Sequence[str]) -> str:
    """Return one sentence, with at most one suggestion; for an option of tools that attach, what to do instead."""
    option = getattr(error, "option_name", "")
    if gone := option_gone(command.removeprefix("pipeprof "), option) or command_gone(next(iter(arguments), "")):
        return gone
    if option in _ATTACHING or (option == "-p" and command == "pipeprof run"):
        return _NO_ATTACHING
    if form := _as_file(option, command):
        return form
    meant = getattr(error, "possibilities", None) or _long_forms(error, option)
    for_script = _with_dashes(option, command, arguments)
    if meant:
        import difflib

        nearest = difflib.get_close_matches(option, meant, n=1, cutoff=_TYPING_ERROR if for_script else 0)
        if nearest:
            return f"{getattr(error, 'message', error)}. Did you mean {nearest[0]}?"
    if for_script:
        return f"{getattr(error, 'message', error)}. The script's own arguments follow `--`: {for_script}"
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    return re.sub(r"(Did you mean '[^']*'), .*", r"\1?", message)


def _as_file(option: str, command: str) -> str:
    """What to give in place of an option that is the name of a file's format; empty for any other."""
    from pipeprof.cli.formats.registry import extensions_of

    ending = f".{option.removeprefix('--')}"
    if ending not in extensions_of(command.removeprefix("pipeprof ")):
        return ""
    return f"No such option: {option}. A report has the format of its file's name: --out report{ending}"


def _with_dashes(option: str, command: str, arguments: Sequence[str]) -> str:
    """Write the command with an option that it does not have as one of its script; empty where none is run."""
    import shlex

    at = next((place for place, word in enumerate(arguments) if word.partition("=")[0] == option), 0)
    runs = command in _RUN_SCRIPTS and any(word.endswith(".py") for word in arguments[:at])
    return shlex.join(["pipeprof", *arguments[:at], "--", *arguments[at:]]) if runs else ""


def _long_forms(error: Exception, option: str) -> Sequence[str]:
    """The option that a letter stands for, if only one of the command begins with it."""
    parameters = getattr(getattr(getattr(error, "ctx", None), "command", None), "params", ())
    names = [name for one in parameters for name in one.opts if name.startswith(f"--{option[1:]}")]
    return names if len(option) == 2 and len(names) == 1 else ()


def _command_path(error: Exception, arguments: Sequence[str]) -> str:
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    return f"pipeprof {first}" if first in COMMANDS else "pipeprof"


def _say_crash(error: Exception, arguments: Sequence[str]) -> None:
    from pipeprof.cli.streams import say

    wanted = os.environ.get("PIPEPROF_DEBUG", "") not in ("", "0") or not {"-v", "--verbose"}.isdisjoint(arguments)
    if wanted:
        import traceback

        say("".join(traceback.format_exception(error)))
    more = "" if wanted else " (PIPEPROF_DEBUG=1 shows where)"
    say(f"pipeprof: internal error: {type(error).__name__}: {error}{more}")
