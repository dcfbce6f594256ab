"""Command lines that continue a run: the same run again with all its flags and some changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from pipeprof.cli.options import FixOptions, RunOptions, SharedOptions, typed_command
from pipeprof.profiles.wording import NOTEBOOK_CELL, PROFILE_CALL

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

COMMANDS: Mapping[str, type[RunOptions] | type[FixOptions]] = {"run": RunOptions, "fix": FixOptions}
"""Options of the commands that measure one pipeline."""
OUTPUTS = frozenset({"section", "out", "form", "json", "force", "color", "quiet", "verbose"})
"""Options for where a report goes and how it looks; a repeated run must not overwrite the files of the first."""


def rerun(profile: Profile, *, command: str = "run", **changes: Any) -> str | None:
    """Write the shell command line that measures what a profile is about, with all its flags and the given changes.

    Args:
        profile: The profile of a run or a search.
        command: ``run`` or ``fix``; of the profile's own one, the options that both have are kept.
        changes: Other options by their names in :class:`RunOptions`, as typed: ``step="simulate:12ms"``.

    Returns:
        The command line, quoted for a shell, changes last; ``None`` if no command measures the same again.
    """
    if not can_run_again(profile):
        return None
    options = asdict(recover_options(profile))
    if command != _command_of(profile):
        # A budget of one is not that of the other.
        names = {field.name for field in fields(COMMANDS[command])} - {"budget"}
        options = {name: value for name, value in options.items() if name in names}
    same = {**options, **dict.fromkeys(changes)}
    words = (*_write_words(same, command), *_write_words(changes, command), *_tail(options))
    return shlex.join(["pipeprof", command, *words])


def can_run_again(profile: Profile) -> bool:
    """Whether a command can measure the same again: not the cell of a notebook, or a call of ``pipeprof.profile``."""
    target, training = profile.target, profile.training
    if target.kind != "script":
        return True
    return target.text.endswith(".py") and (training is None or training.ended not in {PROFILE_CALL, NOTEBOOK_CELL})


def _tail(options: Mapping[str, Any]) -> list[str]:
    """The arguments of a script, which come last."""
    return ["--", *options["script_args"]] if options.get("script_args") else []


def change_command(profile: Profile, number: int, command: str = "run", **ways: Any) -> str | None:
    """Write the command line that takes a change of a profile by its number, as ``--change`` does.

    Args:
        command: ``run`` to measure it, ``fix`` to write it.
        ways: Options of ``fix`` for what it writes.

    Returns:
        ``None`` where a number would mean another change: of a run that had one already; and as `rerun` has it.
    """
    if not can_run_again(profile):
        return None
    if _command_of(profile) != "run" or profile.target.edits or profile.fix is not None or profile.tries_one_change:
        return None
    saved = _saved_elsewhere(profile)
    changes: dict[str, Any] = {"change": str(number), **({"from_profile": saved} if saved is not None else {})}
    if command == "run":
        # A change of a script is not looked at for as long as its memory was.
        once: dict[str, Any] = {"soak": None} if profile.target.kind == "script" else {}
        return rerun(profile, **changes, **once)
    given = asdict(recover_options(profile))
    kept = {name: given[name] for name in ("target", "sets", "env", "args", "no_python")}
    return shlex.join(["pipeprof", "fix", *_write_words({**kept, **changes, **ways}, "fix"), *_tail(given)])


def _saved_elsewhere(profile: Profile) -> str | None:
    """The file that has the profile; None where it is the latest one in the folder of all profiles."""
    from pipeprof.pipelines.errors import UsageError

    if profile.read_from is not None:
        return profile.read_from
    try:
        given = parse_command("run", profile.command[2:])
    except UsageError:
        return None
    return next((name for name in given.out or () if name.endswith(".json")), None)


def _command_of(profile: Profile) -> str:
    return "fix" if profile.command[1:2] == ["fix"] else "run"


def check_limit(profile: Profile, memory_limit: str) -> str:
    """Write the command line that shows which buffers of a run's spec fit into a memory limit.

    Args:
        profile: The profile of a run of a spec.
        memory_limit: The limit as typed, such as ``8GiB``.
    """
    given = asdict(recover_options(profile))
    kept = {name: given[name] for name in ("target", "sets", "env", "no_python")}
    return shlex.join(["pipeprof", "check", *_write_words(kept), *_write_words({"memory_limit": memory_limit})])


def recover_options(profile: Profile) -> RunOptions | FixOptions:
    """Recover the options of a profile's run or search, without those for its outputs.

    They come from its command line; where that is missing or contradicts the document, from the document.
    """
    from pipeprof.pipelines.errors import UsageError

    target, command = profile.target, _command_of(profile)
    kind = COMMANDS[command]
    named = kind(
        target=target.text,
        sets=list(target.overrides) or None,
        env=target.variables is not None,
        args=[f"{name}={value}" for name, value in (target.arguments or {}).items()] or None,
        script_args=target.script_arguments or None,
    )
    if profile.command[1:2] != [command]:
        return named
    try:
        given = parse_command(command, profile.command[2:])
    except UsageError:
        return named
    if (given.target, given.sets) != (named.target, named.sets):
        return named
    default = {field.name: field.default for field in fields(kind) if field.name in OUTPUTS}
    return kind(**{**asdict(given), **default})


def parse_run(words: Sequence[str]) -> RunOptions:
    """Parse the words after ``pipeprof run`` with the command's own parser; nothing runs.

    Raises:
        UsageError: The parser refuses them.

    Example:
        >>> parse_run(["spec.yaml", "--seconds", "5"]).seconds
        '5'
    """
    return cast("RunOptions", parse_command("run", words))


def parse_command(name: str, words: Sequence[str]) -> RunOptions | FixOptions:
    """Parse the words after a command that measures one pipeline, as `parse_run` does.

    Raises:
        UsageError: The parser refuses them.
    """
    from pipeprof.pipelines.errors import UsageError

    try:
        return _parsed(name, tuple(words))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise UsageError(str(error.format_message())) from None


@lru_cache(maxsize=8)
def _parsed(name: str, words: tuple[str, ...]) -> RunOptions | FixOptions:
    """Parse a command line, which takes milliseconds: each finding of a report needs that of its profile."""
    context = build_parser(name).make_context(name, list(words))
    given: dict[str, Any] = {
        name: list(value) or None if isinstance(value, tuple) else value for name, value in context.params.items()
    }
    return COMMANDS[name](**given)


@cache
def build_parser(name: str = "run") -> Any:
    """Build the parser of a command that measures one pipeline, without the command's body."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command(name)(typed_command(_nothing, COMMANDS[name]))
    return typer.main.get_command(app)


def _nothing(options: SharedOptions) -> None:
    """Do nothing."""


def _write_words(options: Mapping[str, Any], command: str = "run") -> Iterator[str]:
    """Write options as words of a command line: those that differ from their defaults, the target first.

    The arguments of a script, which come last, are left out.
    """
    for parameter in build_parser(command).params:
        value = options.get(parameter.name) if parameter.name != "script_args" else None
        if parameter.param_type_name == "argument":
            if value is not None:
                yield str(value)
            continue
        if value is False and parameter.secondary_opts:
            yield parameter.secondary_opts[0]
            continue
        if value is None or value is False or value == parameter.default:
            continue
        flag = max(parameter.opts, key=len)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            yield flag
            if one is not True:
                yield str(one)
