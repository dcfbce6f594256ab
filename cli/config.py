"""Defaults of options: the table ``[tool.pipeprof]`` of a pyproject.toml, and ``PIPEPROF_*`` of the environment.

A file of a checkout comes from whoever wrote the checkout. It sets how to measure and what to show; an option that runs
code, writes, weakens a refusal, or has a say in how a gate judges the checkout is an error there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeprof.cli.options import COLORS, byte_size, choice, duration, whole
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.regular_files import read_regular
from pipeprof.pipelines.suggest import did_you_mean, suggest
from pipeprof.profiles.git.repository import repository_root

OptionsOf = Callable[[str], Mapping[str, Any]]
"""The options of a command by its name, as `defaults` has them; of an empty name, the names of all commands."""
FILE = "pyproject.toml"
_MOST_BYTES = 1 << 24
PREFIX = "PIPEPROF_"
_OF_A_FILE = frozenset(
    {
        "budget", "cold", "color", "dataset-size", "dispatch", "fail-on", "format", "json", "max-time",
        "memory-limit", "no-cache", "no-python", "no-verify", "pairs", "quiet", "redact", "section", "seconds", "seed",
        "soak", "step", "steps", "timeout", "verbose",
    }
)  # fmt: skip
"""Options that a file may set: with any value, none of them runs code, writes, weakens a refusal, or judges, but for
those of `_LIMITED` and `_NOT_OF_GATE`."""
_NOT_OF_GATE = frozenset({"dispatch", "seed", "step"})
"""Those of them by which a slower pipeline could pass: behind a longer step it is not seen."""
_LIMITED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "step": (lambda value: str(value) == "none" or str(value).startswith("simulate:"), "none or simulate:… only"),
    "redact": (lambda value: value is True, "true only"),
    "no-python": (lambda value: value is True, "true only"),
}
"""Values that a file may give, and how to say so."""
_READ_BY: Mapping[str, Callable[[str, str], object]] = {
    **dict.fromkeys(("budget", "max-time", "seconds", "soak", "timeout"), duration),
    **dict.fromkeys(("pairs", "steps"), whole),
    "seed": lambda where, text: whole(where, text, 0),
    "memory-limit": byte_size,
    "color": lambda where, text: choice(where, text, COLORS),
}
"""What reads the value of an option wherever it is given, and refuses one that it cannot read."""
_OF_USERS = frozenset({f"{PREFIX}CACHE_DIR", f"{PREFIX}DEBUG"})
_OTHER = _OF_USERS | {f"{PREFIX}GUARD", f"{PREFIX}RUN", f"{PREFIX}TEMPORARY_FOLDER"}
"""Variables that are about something else than options: the user's, and those that a run gives its processes."""
_OF_CLUSTERS = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""Variables that Kubernetes gives every process for a service whose name begins with pipeprof."""
_NOT_WITH = {
    "--soak": ("seconds", "steps", "budget"),
    "--to-end": ("seconds", "steps", "soak"),
    "--seconds": ("soak",),
    "--steps": ("soak",),
    "--no-verify": ("budget",),
    "--budget": ("no_verify", "soak"),
    "--self-test": ("against",),
    "--json": ("form", "section"),
    "--format": ("json", "section"),
    "--finding": ("section",),
}
"""Defaults that a typed option contradicts."""
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


def defaults(
    command: str, options: Mapping[str, Any], of_command: OptionsOf, arguments: Sequence[str] = ()
) -> tuple[dict[str, Any], str]:
    """The values that options of a command have without being typed, and a note on where they come from.

    Args:
        options: The parser's parameters of the command, by the option's name without its hyphens.
        arguments: The command line; what does not fit it is left out, as `fitting` has it.

    Returns:
        Values by the names of the parameters, and the note; empty where nothing is set.

    Raises:
        UsageError: A key or a variable is unknown, or a key not for a file; a value is of the wrong kind.
    """
    check_variables(options, of_command)
    found: dict[str, Any] = {}
    notes: dict[str, str] = {}
    dropped: list[str] = []
    path = find_file(Path.cwd())
    if path is not None:
        of_file = _from_file(path, command, options, of_command)
        dropped = sorted(of_file.keys() & _NOT_OF_GATE) if command == "gate" else []
        of_file = {name: value for name, value in of_file.items() if name not in dropped}
        found |= {options[name].name: value for name, value in of_file.items()}
        notes = {options[name].name: f"{name} = {_shown(value)}" for name, value in of_file.items()}
    for name, parameter in options.items():
        text = os.environ.get(_variable(name))
        if text is not None:
            found[parameter.name] = _from_environment(name, text, parameter)
    found = fitting(found, arguments) if arguments else found
    said = ", ".join(note for name, note in notes.items() if name in found)
    said = "; ".join(filter(None, (said, f"not for gate: {', '.join(dropped)}" if dropped else "")))
    return found, f"{path}: {said}" if said else ""


def fitting(values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Leave out the defaults that do not fit the target, an option that was typed, or a log: these are for other runs.

    Args:
        values: By the names of the parameters.
        arguments: As typed, the command's name included; what follows ``--`` is a script's own.

    Example:
        >>> fitting({"budget": "40", "step": "none", "timeout": "9"}, ["run", "train.py", "--", "a"])
        {'timeout': '9'}
    """
    from pipeprof.cli.targets.scripts import NOT_OF_SCRIPTS

    own = [*arguments][: arguments.index("--")] if "--" in arguments else arguments
    typed = {one.partition("=")[0] for one in own}
    left_out = {name for flag, names in _NOT_WITH.items() if flag in typed for name in names}
    if any(one.endswith(".py") for one in own[1:] if not one.startswith("-")):
        left_out |= {*NOT_OF_SCRIPTS, *(("budget",) if arguments[:1] == ["run"] else ())}
    return {name: value for name, value in values.items() if name not in left_out}


def find_file(folder: Path) -> Path | None:
    """The nearest pyproject.toml with the table: in a folder, or above it up to the root of its repository.

    Under ``python -I`` there is none: it is for those who let no file of a checkout have a say, as the CI recipes do.
    """
    if sys.flags.isolated:
        return None
    root = repository_root(folder)
    for place in (folder, *(folder.parents if root is not None else ())):
        path = place / FILE
        try:
            text = read_regular(path, _MOST_BYTES)
        except OSError:
            text = b""
        # Reading all of TOML takes longer, and most files are about other tools.
        if b"pipeprof" in text and _table(path):
            return path
        if place == root:
            break
    return None


def is_needed(folder: Path) -> bool:
    """Whether anything is set in a file or in the environment."""
    given = any(name.startswith(PREFIX) and name not in _OTHER for name in os.environ)
    return given or find_file(folder) is not None


def _table(path: Path) -> Mapping[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef,import-not-found,unused-ignore]
    try:
        whole = tomllib.loads(read_regular(path, _MOST_BYTES).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise UsageError(f"{path} cannot be read: it is nested too deeply") from None
    table = whole.get("tool", {}).get("pipeprof", {}) if isinstance(whole.get("tool", {}), dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.pipeprof] is not a table")
    return table


def _from_file(path: Path, command: str, options: Mapping[str, Any], of_command: OptionsOf) -> dict[str, Any]:
    """The values of a file for a command: those of all commands, then those of its own table.

    What is wrong for another command is an error too: else it would show on the day of that command.
    """
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in _table(path).items():
        where = f"{path}: [tool.pipeprof]"
        if isinstance(value, dict):
            if key not in of_command(""):
                raise UsageError(f"{where[:-1]}.{key}]: no command {key!r}{did_you_mean(key, list(of_command('')))}")
            known = options if key == command else of_command(key)
            where = f"{where[:-1]}.{key}]"
            for name, inner in value.items():
                _check_name(where, name, known)
                checked = _checked(f"{where} {name}", name, inner, known[name])
                own |= {name: checked} if key == command else {}
            continue
        if key not in _OF_A_FILE:
            _check_name(where, key, {name for each in of_command("") for name in of_command(each)})
        _check_allowed(f"{where} {key}", key, value)
        parameter = options.get(key) or next(of_command(one)[key] for one in of_command("") if key in of_command(one))
        checked = _checked(f"{where} {key}", key, value, parameter)
        shared |= {key: checked} if key in options else {}
    return shared | own


def _check_name(where: str, key: str, known: Collection[str]) -> None:
    if key in known:
        return
    name = key.replace("_", "-")
    meant = f" — did you mean {name}?" if name in known else did_you_mean(key, known)
    raise UsageError(f"{where}: no option {key!r}{meant}")


def _check_allowed(where: str, key: str, value: Any) -> None:
    """Refuse what a file must not set.

    Raises:
        UsageError: The option, or this value of it, is not for a file.
    """
    if key not in _OF_A_FILE:
        why = "a file of a checkout cannot set it, as it can run code, write, weaken a refusal or judge the checkout"
        raise UsageError(f"{where}: {why}; type --{key}")
    allowed, words = _LIMITED.get(key, (lambda _value: True, ""))
    if not allowed(value):
        raise UsageError(f"{where}: got {_shown(value)}; in a file of a checkout: {words}. Type --{key} for others")


def _checked(where: str, key: str, value: Any, parameter: Any) -> Any:
    """A value as the parser has it: text, a list of texts, or a switch.

    Raises:
        UsageError: A file must not set this option, or not to this value; the value is of another kind.
    """
    _check_allowed(where, key, value)
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: got {_shown(value)}, expected true or false")
        return value
    values = value if isinstance(value, list) and parameter.multiple else [value]
    if any(isinstance(each, bool) or not isinstance(each, (str, int, float)) for each in values):
        raise UsageError(f"{where}: got {_shown(value)}, expected a text or a number")
    texts = [str(each) for each in values]
    for text in texts if key in _READ_BY else ():
        _READ_BY[key](where, text)
    return texts if parameter.multiple else texts[0]


def check_variables(options: Collection[str], of_command: OptionsOf) -> None:
    """Refuse a variable that is about no option of any command, as a slip in it would count for nothing in silence.

    Args:
        options: Those of the command that is run.

    Raises:
        UsageError: There is one; the message has the nearest name.
    """
    given = {name for name in os.environ if name.startswith(PREFIX) and not _OF_CLUSTERS.fullmatch(name)}
    unknown = given - _OTHER - {_variable(name) for name in (*options, *_OF_A_FILE)}
    if not unknown:
        return
    known = {_variable(name) for command in of_command("") for name in of_command(command)}
    for name in sorted(unknown - known):
        words = [one.removeprefix(PREFIX) for one in sorted(known | _OF_USERS)]
        meant = suggest(name.removeprefix(PREFIX), words)
        raise UsageError(f"{name}: no option of this name{f' — did you mean {PREFIX}{meant}?' if meant else ''}")


def _variable(option: str) -> str:
    return PREFIX + option.upper().replace("-", "_")


def _from_environment(name: str, text: str, parameter: Any) -> Any:
    if parameter.is_flag:
        if text.lower() not in _TRUE | _FALSE:
            raise UsageError(f"{_variable(name)}: got {text!r}, expected 1 or 0")
        return text.lower() in _TRUE
    return [text] if parameter.multiple else text


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
