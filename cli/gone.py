"""What went before the first release, and what does the same: each ends with a usage error that says so.

``gone.json`` has what to do instead: of commands and formats by name, of options by command and name, those of all
commands under an empty one. Rules that went are in `profiles/advise/names`: `rules` refuses their names, a spec that
ignores one gets a warning.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pipeprof.pipelines.tables import read_table


@cache
def gone() -> Any:
    """What to do instead: ``commands``, ``formats`` and ``options``."""
    return read_table("pipeprof.cli", "gone")


def command_gone(name: str) -> str | None:
    """Return what to do instead of a command that is gone, in one sentence; None of any other word."""
    instead = gone()["commands"].get(name)
    return f"there is no command {name!r}: {instead}" if instead is not None else None


def option_gone(command: str, option: str) -> str | None:
    """Return what to do instead of an option that is gone, in one sentence; None of any other.

    Args:
        command: As typed, without the program's name.
    """
    options = gone()["options"]
    instead = options.get(command, {}).get(option) or options[""].get(option)
    return f"{command} has no {option}: {instead}" if instead is not None else None


def format_gone(name: str) -> str | None:
    """Return what to do instead of a format that is gone, in one sentence; None of any other."""
    instead = gone()["formats"].get(name)
    return f"there is no format {name!r}: {instead}" if instead is not None else None
