"""Command lines that are refused: what went before the first release, and options that have no effect.

What went ends with a sentence that says what does the same. ``gone.json`` has it: of commands and formats by name, of
options by command and name, those of all commands under an empty one. Rules that went are in `profiles/advise/names`:
`rules` refuses their names, a spec that ignores one gets a warning.

An option may have no effect beside another one, or on a kind of target. One that counts for less, as a variable or a
file set it, is left out; one that forbids what does not happen anyway, such as ``--no-verify`` where nothing is tried,
is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.tables import read_table

Given = Mapping[str, Any]
TYPED = 3
RANKS = {"COMMANDLINE": TYPED, "ENVIRONMENT": 2, "DEFAULT_MAP": 1}
"""What an option counts for by where it comes from."""


class Mode(NamedTuple):
    """Options that have no effect together.

    Attributes:
        option: The one that the others have no effect beside; empty where it is the target.
        where: What follows ``has no effect``.
        holds: Whether the others have none.
    """

    option: str
    where: str
    others: tuple[str, ...]
    holds: Callable[[Given], bool] = bool


def _texts(given: Given) -> Iterator[str]:
    for name in ("target", "targets", "a", "others", "against"):
        value = given.get(name) or ()
        yield from [value] if isinstance(value, str) else value


def _some(given: Given, *endings: str) -> bool:
    return any(text.endswith(endings) for text in _texts(given))


def _is_script(given: Given) -> bool:
    return "script_args" in given and _some(given, ".py")


def _has_spec(given: Given) -> bool:
    # False where a name is too long, or holds what no name may.
    return _some(given, ".yaml", ".yml") or any(text == "-" or os.path.isdir(text) for text in _texts(given))  # noqa: PTH112


def _has_function(given: Given) -> bool:
    return any(":" in text.removeprefix("git:") and not text.endswith((".yaml", ".yml")) for text in _texts(given))


def _all_saved(given: Given) -> bool:
    return "pairs" in given and all(text.endswith(".json") for text in _texts(given))


_OF_MEASURING = ("step", "timeout", "max_time", "memory_limit")
_OF_SCRIPTS, _NOT_OF_SCRIPTS = ("script_args", "to_end", "allow_writes"), ("dataset_size", "cold", "step")
_OF_SEARCHES = ("allow", "budget", "dataset_size", "no_cache", "allow_writes")
_MEASURED = (
    "arg", "seconds", "steps", "soak", "cold", "budget", "change", "workers", "allow", "write", "dataset_size",
)  # fmt: skip
_LENGTHS = ("seconds", "steps", "to_end", "budget")
_NO_TEXT = ("arg", "fail_on", "memory_limit", "max_time")
MODES = (
    Mode("json", "with --json, which names another format", ("format",), lambda one: one["format"] != "json"),
    Mode("json", "with --json, which has all numbers", ("verbose",), lambda one: "quiet" not in one and not one["out"]),
    Mode("", "without --out, whose file it lets overwrite", ("force",), lambda one: not one["out"]),
    Mode("", "with --out -, which writes no file", ("force",), lambda one: one["out"] == "-"),
    Mode("", "without a spec, which it changes", ("set", "env"), lambda one: not _has_spec(one)),
    Mode("", "without a function, whose argument it is", ("arg",), lambda one: not _has_function(one)),
    Mode("", "on a training script, which has its own step and data", _NOT_OF_SCRIPTS, _is_script),
    Mode("", "without a training script", _OF_SCRIPTS, lambda one: not _is_script(one)),
    Mode("", "on a script, of which fix tries changes", ("budget",), lambda one: "soak" in one and _is_script(one)),
    Mode("", "where functions are listed", (*_MEASURED, *_OF_MEASURING), lambda one: _some(one, ".py:")),
    Mode("soak", "with --soak, which says how long it measures, and tries nothing", _LENGTHS),
    Mode("to_end", "with --to-end, as the script ends by itself", ("seconds", "steps")),
    Mode("no_verify", "with --no-verify, which tries nothing", ("budget",)),
    Mode("change", "with --change, beside which run tries nothing", ("budget",), lambda one: "soak" in one),
    Mode(
        "change", "with --change, which measures nothing", (*_OF_SEARCHES, *_OF_MEASURING), lambda one: "allow" in one
    ),
    Mode("", "with a saved profile, as a side is measured once", ("pairs",), lambda one: _some(one, ".json")),
    Mode("", "on saved profiles, which are not measured again", _OF_MEASURING, _all_saved),
    Mode("self_test", "with --self-test, which measures TARGET against itself", ("against", "measure")),
    Mode("no_build", "with --no-build, which only reads the text", _NO_TEXT),
    Mode("", "with list, as `data rm` removes inputs", ("names", "all"), lambda one: one["action"] == "list"),
    Mode("", "with rm", ("json",), lambda one: one.get("action") == "rm"),
)


def settle(given: dict[str, Any], rank: Callable[[str], int]) -> None:
    """Refuse options that have no effect; leave out those that count for less, in place.

    Raises:
        UsageError: One has no effect beside the target, or one that counts for as much by `rank`.
    """
    for option, where, others, holds in MODES:
        for other in others:
            if not given.get(other) or (option and not given.get(option)) or not holds(given):
                continue
            count = rank(option) if option else TYPED
            if count == rank(other):
                raise UsageError(f"{flag_of(other)} has no effect {where}: remove it")
            less = other if rank(other) < count else option
            given[less] = False if given[less] is True else None


@cache
def gone() -> Any:
    """What to do instead: ``commands``, ``formats`` and ``options``."""
    return read_table("pipeprof.cli", "gone")


def command_gone(name: str) -> str | None:
    """Return what to do instead of a command that is gone, in one sentence; None of any other word."""
    instead = gone()["commands"].get(name)
    return f"there is no command {name!r}: {instead}" if instead is not None else None


def option_gone(command: str, option: str) -> str | None:
    """Return what to do instead of an option that is gone, in one sentence; None of any other."""
    options = gone()["options"]
    instead = options.get(command, {}).get(option) or options[""].get(option)
    return f"{command} has no {option}: {instead}" if instead is not None else None


def format_gone(name: str) -> str | None:
    """Return what to do instead of a format that is gone, in one sentence; None of any other."""
    instead = gone()["formats"].get(name)
    return f"there is no format {name!r}: {instead}" if instead is not None else None


def flag_of(name: str) -> str:
    """An option as it is typed, an argument in words."""
    words = {"script_args": "what follows TARGET", "names": "a name"}
    return words.get(name) or f"--{name.rstrip('_').replace('_', '-')}"
