"""Defaults of options from ``[tool.pipeprof]`` of a checkout's pyproject.toml, and slips in ``PIPEPROF_*`` variables.

A file of a checkout comes from whoever wrote the checkout. It sets how to measure and what to show; an option that runs
code, writes, weakens a refusal, or has a say in how a gate judges the checkout is an error there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from pipeprof.cli.streams import say
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.suggest import did_you_mean, suggest
from pipeprof.profiles.git.calls import repository_root
from pipeprof.profiles.host.limits import has_current_folder

FILE = "pyproject.toml"
PREFIX = "PIPEPROF_"
_MOST_BYTES = 1 << 24
_OF_A_FILE = frozenset(
    {
        "budget", "cold", "dataset-size", "fail-on", "format", "json", "max-time", "memory-limit", "no-cache",
        "no-python", "no-verify", "pairs", "quiet", "redact", "seconds", "soak", "step", "steps", "timeout", "verbose",
    }
)  # fmt: skip
"""Options that a file may set: with any value, none of them runs code, writes, weakens a refusal, or judges, but for
those of `_LIMITED` and `_NOT_OF`."""
_NOT_OF: Mapping[str, frozenset[str]] = {"gate": frozenset({"step"}), "check": frozenset({"memory-limit"})}
"""Those of them by which a worse pipeline could pass: one behind a longer step, or on a larger machine."""
_LIMITED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "step": (lambda value: str(value) == "none" or str(value).startswith("simulate:"), "none or simulate:… only"),
    "redact": (lambda value: value is True, "true only"),
    "no-python": (lambda value: value is True, "true only"),
}
"""Values that a file may give, and how to say so."""
_OF_USERS = frozenset({f"{PREFIX}CACHE_DIR", f"{PREFIX}DEBUG"})
_OTHER = _OF_USERS | {f"{PREFIX}GUARD", f"{PREFIX}RUN", f"{PREFIX}TEMPORARY_FOLDER"}
"""Variables that are about something else than options: the user's, and those that a run gives its processes."""
_OF_CLUSTERS = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""Variables that Kubernetes gives every process for a service whose name begins with pipeprof."""


class FileDefaults(NamedTuple):
    """What a checkout's file sets, by the names of the options, and those that this command takes from no file."""

    path: Path | None
    values: dict[str, Any]
    dropped: list[str]

    def say(self, command: str, counted: Collection[str]) -> None:
        """Say what it sets, of the fields whose values count."""
        found = {name: value for name, value in self.values.items() if name.replace("-", "_") in counted}
        said = [", ".join(f"{name} = {_shown(value)}" for name, value in found.items())] if found else []
        said += [f"not for {command}: {', '.join(self.dropped)}"] if self.dropped else []
        if said:
            say(f"pipeprof: note: {self.path}: {'; '.join(said)}")


def defaults(command: str, parameters: Collection[Any], commands: Mapping[str, type[Any]]) -> FileDefaults:
    """The values that a checkout's file gives to options of a command.

    Raises:
        UsageError: A key is unknown, or not for a file; a value is of the wrong kind.
    """
    path, table = find_file(Path.cwd()) if has_current_folder() else (None, {})
    known = {flag.removeprefix("--"): one for one in parameters for flag in one.opts if flag.startswith("--")}
    values = {name: value for name, value in _read(path, table, command, commands).items() if name in known}
    dropped = sorted(values.keys() & _NOT_OF.get(command, frozenset()))
    for name, value in values.items():
        if known[name].is_flag is not isinstance(value, bool):
            expected = "true or false" if known[name].is_flag else "a text or a number"
            raise UsageError(f"{path}: {name}: got {_shown(value)}, expected {expected}")
    return FileDefaults(path, {name: value for name, value in values.items() if name not in dropped}, dropped)


def find_file(folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """The nearest pyproject.toml with the table, and that: in a folder, or above it up to the root of its repository.

    Under ``python -I`` there is none: it is for those who let no file of a checkout have a say, as the CI recipes do.
    """
    if sys.flags.isolated:
        return None, {}
    root = repository_root(folder)
    for place in (folder, *(folder.parents if root is not None else ())):
        path = place / FILE
        try:
            text = read_regular(path, _MOST_BYTES)
        except OSError:
            text = b""
        # Reading all of TOML takes longer, and most files are about other tools.
        if b"pipeprof" in text and (table := _table(path, text)):
            return path, table
        if place == root:
            break
    return None, {}


def _table(path: Path, text: bytes) -> Mapping[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef,import-not-found,unused-ignore]
    try:
        whole = tomllib.loads(text.decode())
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise UsageError(f"{path} cannot be read: it is nested too deeply") from None
    table = whole.get("tool", {}).get("pipeprof", {}) if isinstance(whole.get("tool", {}), dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.pipeprof] is not a table")
    return table


def _read(
    path: Path | None, table: Mapping[str, Any], command: str, commands: Mapping[str, type[Any]]
) -> dict[str, Any]:
    """The values of a file for a command: those of all commands, then those of its own table.

    What is wrong for another command is an error too: else it would show on the day of that command.
    """
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in table.items():
        if not isinstance(value, dict):
            _check(f"{path}: [tool.pipeprof]", key, value, {name for one in commands for name in _names(commands[one])})
            shared[key] = value
            continue
        if key not in commands:
            raise UsageError(f"{path}: [tool.pipeprof.{key}]: no command {key!r}{did_you_mean(key, list(commands))}")
        for name, inner in value.items():
            _check(f"{path}: [tool.pipeprof.{key}]", name, inner, _names(commands[key]))
        own |= value if key == command else {}
    return shared | own


def _names(kind: type[Any]) -> set[str]:
    return {field.name.rstrip("_").replace("_", "-") for field in fields(kind)}


def _check(where: str, key: str, value: Any, known: Collection[str]) -> None:
    """Refuse an option that there is not, or that is not for a file, or not with this value."""
    if key not in known:
        name = key.replace("_", "-")
        meant = f" — did you mean {name}?" if name in known else did_you_mean(key, known)
        raise UsageError(f"{where}: no option {key!r}{meant}")
    if key not in _OF_A_FILE:
        why = "a file of a checkout cannot set it, as it can run code, write, weaken a refusal or judge the checkout"
        raise UsageError(f"{where} {key}: {why}; type --{key}")
    if not isinstance(value, str | int | float):
        raise UsageError(f"{where} {key}: got {value!r}, expected a text, a number, true or false")
    allowed, words = _LIMITED.get(key, (lambda _value: True, ""))
    if not allowed(value):
        raise UsageError(f"{where} {key}: got {_shown(value)}; a file may have {words}. Type --{key} for others")


def check_variables(command: str, names: Collection[str], commands: Collection[str]) -> None:
    """Refuse a variable that is about no option of a command, as a slip in it would count for nothing in silence."""
    known = {f"{PREFIX}{command}_{name}".upper() for name in names} | _OTHER
    others = tuple(f"{PREFIX}{other}_".upper() for other in commands if other != command)
    for name in sorted(one for one in os.environ if one.startswith(PREFIX) and one not in known):
        if name.startswith(others) or _OF_CLUSTERS.fullmatch(name):
            continue
        rest = name.removeprefix(PREFIX)
        full = f"{PREFIX}{command}_{rest}".upper()
        near = suggest(rest, [one.removeprefix(PREFIX) for one in known])
        meant = full if full in known else PREFIX + near if near else None
        raise UsageError(f"{name}: no option has this variable{f' — did you mean {meant}?' if meant else ''}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
