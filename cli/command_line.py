"""Command lines for the user to run next: the same run again, with all its flags and some changes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeprof.cli.options import RunOptions, typed_command

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

OUTPUTS = frozenset({"section", "out", "form", "json", "force", "color", "quiet", "verbose"})
"""Options that say where a report goes and how it looks; a repeated run does not write over the first one's files."""


def rerun(profile: Profile, *, overrides: Sequence[str] = (), **changes: Any) -> str | None:
    """The shell command line that repeats a profile's run with all its flags and the given changes.

    Args:
        profile: The profile of the run.
        overrides: Values of ``--set``; each replaces an earlier one for the same path.
        changes: Other options by their names in :class:`RunOptions`, as typed: ``step="simulate:12ms"``.

    Returns:
        The command line, quoted for a shell, changes last; ``None`` if overrides are given for a Python function.
    """
    if overrides and profile.target.kind != "spec":
        return None
    options = run_options(profile)
    replaced = {_path(profile, override) for override in overrides}
    kept = [value for value in options.sets or () if _path(profile, value) not in replaced]
    same = {**asdict(options), "sets": kept, **dict.fromkeys(changes)}
    words = ["pipeprof", "run", *_words(same), *_words({"sets": list(overrides), **changes})]
    return shlex.join(words)


def what_if(profile: Profile, memory_limit: str) -> str:
    """The command line that asks which buffers of a profile's spec, changed as it was, fit into a memory limit.

    Args:
        profile: The profile of a run of a spec.
        memory_limit: The limit as typed, such as ``8GiB``.
    """
    given = asdict(run_options(profile))
    kept = {name: given[name] for name in ("target", "sets", "overlays", "env", "no_python")}
    return shlex.join(["pipeprof", "check", *_words(kept), *_words({"memory_limit": memory_limit})])


def run_options(profile: Profile) -> RunOptions:
    """The options that a profile's run was given, without those for its outputs.

    They are those of its command line; where that is missing or about something else, those that the document names.
    """
    from pipeprof.pipelines.errors import UsageError

    target = profile.target
    named = RunOptions(
        target=target.text,
        sets=list(target.overrides) or None,
        overlays=list(target.overlays) or None,
        env=target.variables is not None,
        args=[f"{name}={value}" for name, value in (target.arguments or {}).items()] or None,
    )
    if profile.command[1:2] != ["run"]:
        return named
    try:
        given = parse_run(profile.command[2:])
    except UsageError:
        return named
    if (given.target, given.sets, given.overlays) != (named.target, named.sets, named.overlays):
        return named
    default = {field.name: field.default for field in fields(RunOptions) if field.name in OUTPUTS}
    return RunOptions(**{**asdict(given), **default})


def parse_run(words: Sequence[str]) -> RunOptions:
    """The options in the words after ``pipeprof run``, read by the command's own parser; nothing is run.

    Raises:
        UsageError: The parser refuses them.

    Example:
        >>> parse_run(["spec.yaml", "--seconds", "5"]).seconds
        '5'
    """
    from pipeprof.pipelines.errors import UsageError

    try:
        context = run_parser().make_context("run", list(words))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise UsageError(str(error.format_message())) from None
    given: dict[str, Any] = {
        name: list(value) or None if isinstance(value, tuple) else value for name, value in context.params.items()
    }
    return RunOptions(**given)


@cache
def run_parser() -> Any:
    """Build the parser of ``pipeprof run`` without the command's body."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command("run")(typed_command(_nothing))
    return typer.main.get_command(app)


def _nothing(options: RunOptions) -> None:
    """Do nothing."""


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    """The words of a command line for options by name: those that differ from their defaults, the target first."""
    for parameter in run_parser().params:
        value = options.get(parameter.name)
        if parameter.param_type_name == "argument":
            if value is not None:
                yield str(value)
            continue
        if value is None or value is False or value == parameter.default:
            continue
        flag = max(parameter.opts, key=len)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            yield flag
            if one is not True:
                yield str(one)


def _path(profile: Profile, override: str) -> str:
    """The path of a ``--set`` value with stages by their addresses, so that equal places compare equal."""
    ids = {stage.id for stage in profile.stages or ()}
    by_name = {(stage.id.rpartition(".")[0], stage.name): stage.id for stage in profile.stages or () if stage.name}
    path = ""
    for part in override.partition("=")[0].strip().split("."):
        inner = f"{path}.{part}" if path else part
        path = inner if inner in ids else by_name.get((path, part), inner)
    return path
