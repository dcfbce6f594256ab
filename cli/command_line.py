"""Command lines that continue a run: the same run again with all its flags and some changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from pipeprof.cli.options import FixOptions, RunOptions
from pipeprof.cli.parser import COMMANDS, make_parser, parse
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.wording import NOTEBOOK_CELL, PROFILE_CALL

OUTPUTS: Mapping[str, Any] = {
    "out": None, "format": None, "json": False, "force": False, "quiet": False, "verbose": False,
}  # fmt: skip
"""Options for where a report goes and how it looks, unset: a repeated run must not overwrite the files of the first."""


def rerun(profile: Profile, *, command: str = "run", **changes: Any) -> str | None:
    """Write the shell command line that measures what a profile is about, with all its flags and the given changes.

    Args:
        command: ``run`` or ``fix``; of the profile's own one, the options that both have are kept.
        changes: Other options by their names, as typed: ``step="simulate:12ms"``; they stand last.

    Returns:
        ``None`` if no command measures the same again.
    """
    if not can_run_again(profile):
        return None
    given = asdict(recover_options(profile))
    if command != _command_of(profile):
        # A budget of one is not that of the other.
        names = {field.name for field in fields(COMMANDS[command])} - {"budget"}
        given = {name: value for name, value in given.items() if name in names}
    same = {name: value for name, value in given.items() if name not in changes}
    return _line(command, same, changes)


def can_run_again(profile: Profile) -> bool:
    """Whether a command can measure the same again: not the cell of a notebook, or a call of ``pipeprof.profile``."""
    target, training = profile.target, profile.training
    if target.kind != "script":
        return True
    return target.text.endswith(".py") and (training is None or training.ended not in {PROFILE_CALL, NOTEBOOK_CELL})


def change_command(profile: Profile, number: int, command: str = "run", **ways: Any) -> str | None:
    """Write the command line that measures a change of a profile by its number (``run``), or writes it (``fix``).

    Returns:
        ``None`` where a number would mean another change: of a run that had one already; and as `rerun` has it.
    """
    if not can_run_again(profile) or _command_of(profile) != "run":
        return None
    if profile.target.edits or profile.fix is not None or profile.tries_one_change:
        return None
    saved = _saved_elsewhere(profile)
    change = f"{saved}:{number}" if saved is not None else str(number)
    if command == "run":
        # No other change is tried then, and one of a script is not looked at for as long as its memory was.
        without: dict[str, Any] = {"budget": None, **({"soak": None} if profile.target.kind == "script" else {})}
        return rerun(profile, change=change, **without)
    given = asdict(recover_options(profile))
    kept = {name: given[name] for name in ("target", "set", "env", "arg", "no_python", "script_args")}
    return _line("fix", kept, {"change": change, **ways})


def _saved_elsewhere(profile: Profile) -> str | None:
    """The file that has the profile; None where a command finds it by itself."""
    if profile.read_from is not None:
        return profile.read_from
    try:
        given = parse_command("run", profile.command[2:])
    except UsageError:
        return None
    return next((name for name in given.out or () if name.endswith(".json")), None)


def check_limit(profile: Profile, memory_limit: str) -> str:
    """Write the command line that shows which buffers of a run's spec fit into a memory limit, such as ``8GiB``."""
    given = recover_options(profile)
    kept = {"targets": [given.target], "set": given.set, "env": given.env, "no_python": given.no_python}
    return _line("check", kept, {"memory_limit": memory_limit})


def compare_again(command: Sequence[str], name: str = "", **changes: Any) -> str:
    """Write the command line that compares or gates once more, without its outputs; empty where none is known.

    Args:
        command: The words of the first one.
        name: Another command, which takes over the options that both have.
        changes: Other options by their names, as typed: ``max_pairs="20"``.
    """
    try:
        given = asdict(parse_command(command[1], command[2:]))
    except (IndexError, KeyError, UsageError):
        given = {}
    return _line(name or command[1], {**given, **OUTPUTS, **changes}, {}) if name or given else ""


def recover_options(profile: Profile) -> RunOptions | FixOptions:
    """Recover the options of a profile's run or search, without those for its outputs.

    They come from its command line; where that is missing or contradicts the document, from the document.
    """
    target, command = profile.target, _command_of(profile)
    named = COMMANDS[command](
        target=target.text,
        set=list(target.overrides) or None,
        env=target.variables is not None,
        arg=[f"{name}={value}" for name, value in (target.arguments or {}).items()] or None,
        script_args=target.script_arguments or None,
    )
    try:
        given = parse_command(command, profile.command[2:]) if profile.command[1:2] == [command] else None
    except UsageError:
        given = None
    if given is None or (given.target, given.set) != (named.target, named.set):
        return named  # type: ignore[no-any-return]
    return replace(given, **OUTPUTS)  # type: ignore[no-any-return]


def _command_of(profile: Profile) -> str:
    return "fix" if profile.command[1:2] == ["fix"] else "run"


def parse_command(name: str, words: Sequence[str]) -> Any:
    """Parse the words after a command with its own parser, or raise its UsageError; nothing runs."""
    try:
        return parse(name, tuple(words))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise UsageError(str(error.format_message())) from None


def _line(command: str, same: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """A command line, quoted for a shell, with the changes behind all else but the arguments of a script."""
    words = [*_write_words(same, command), *_write_words(changes, command)]
    if script_args := same.get("script_args"):
        words += ["--", *script_args]
    return shlex.join(["pipeprof", command, *words])


def _write_words(given: Mapping[str, Any], command: str) -> Iterator[str]:
    """Write options as words of a command line: those that differ from their defaults, the target first."""
    for parameter in sorted(make_parser(command).params, key=lambda one: one.param_type_name):
        value = given.get(str(parameter.name))
        if parameter.name == "script_args" or value is None or (value is False and not parameter.secondary_opts):
            continue
        values = value if isinstance(value, list) else [value]
        if parameter.param_type_name == "argument":
            # A name that begins with a dash would be an option.
            yield from (f"./{value}" if str(value).startswith("-") else str(value) for value in values)
        elif isinstance(value, bool):
            yield max(parameter.opts, key=len) if value else parameter.secondary_opts[0]
        elif value != parameter.default:
            for one in values:
                yield from (max(parameter.opts, key=len), str(one))
