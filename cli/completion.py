"""Shell completion of targets and of the words of options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_TARGET_SUFFIXES = (".yaml", ".yml", ".py")


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Complete an option that takes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def targets(incomplete: str) -> list[str]:
    """Complete a spec, a Python file or a function after ``file.py:``; nothing is run."""
    file, colon, function = incomplete.rpartition(":")
    if colon and file.endswith(".py"):
        return [f"{file}:{name}" for name in _functions(Path(file)) if name.startswith(function)]
    folder, _, start = incomplete.rpartition("/")
    prefix = f"{folder}/" if "/" in incomplete else ""
    try:
        entries = sorted(Path(prefix or ".").iterdir())
    except OSError:
        return []
    return [
        f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
        and (entry.suffix in _TARGET_SUFFIXES or entry.is_dir())
    ]


def _functions(path: Path) -> list[str]:
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.target.listing import listed_functions

    try:
        return [function.name for function in listed_functions(path)]
    except (OSError, PipeprofError):
        return []
