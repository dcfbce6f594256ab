"""Shell completion of targets, refs, steps and parts of a spec; nothing of the user's is run."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.models import Spec

_TARGET_SUFFIXES = (".yaml", ".yml", ".py")
_GIT = "git:"
_BREAKS = ":="
"""Characters at which bash ends a word, unless the user has changed it, and which are parts of our words."""
_GOES_ON = ("=", ":", "/")
"""Ends of completions that the user continues to type at."""


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Complete an option that takes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def targets(incomplete: str) -> list[str]:
    """Complete a spec, a Python file or a function after ``file.py:``."""
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


def sides(incomplete: str) -> list[str]:
    """Complete a side of a comparison: a target, or a branch or tag after ``git:``."""
    if incomplete.startswith(_GIT):
        return [name for name in sorted(f"{_GIT}{ref}" for ref in _refs()) if name.startswith(incomplete)]
    git = [_GIT] if incomplete and _GIT.startswith(incomplete) else []
    return [*targets(incomplete), *git]


def steps(incomplete: str) -> list[str]:
    """Complete a step: its kind, the example of a simulated one, the file and function of a real one."""
    from pipeprof.pipelines.steps.registry import written_kinds

    kinds = {kind.name: kind for kind in written_kinds()}
    name, colon, value = incomplete.partition(":")
    if not colon:
        return [word for word in ("none", *(f"{kind}:" for kind in kinds)) if word.startswith(incomplete)]
    kind = kinds.get(name)
    if kind is None:
        return []
    if not kind.own_code:
        return [f"{name}:{kind.example}"] if kind.example.startswith(value) else []
    return [f"{name}:{found}" for found in targets(value) if not found.endswith((".yaml", ".yml"))]


def parts_of_spec(incomplete: str) -> list[str]:
    """Complete the path of a value of the first spec that the command line names."""
    # Not from the parsed command line: an option that still lacks its value ends the parsing.
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    spec = _spec_of(next((word for word in line.split() if word.endswith((".yaml", ".yml"))), None))
    if spec is None or "=" in incomplete:
        return []
    return [path for path in sorted(_paths_of(spec)) if path.startswith(incomplete)]


def _paths_of(spec: Spec) -> Iterator[str]:
    for placed in spec.placed():
        names = [placed.address]
        if placed.name and "." not in placed.address.removeprefix("stages."):
            names.append(f"stages.{placed.name}")
        arguments = [field for field in type(placed.op).model_fields if field not in ("name", "source", "stages")]
        yield from (f"{name}.{field}=" for name in names for field in arguments)


def _spec_of(target: str | None) -> Spec | None:
    """The spec, whether or not its data are there."""
    from pydantic import ValidationError

    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.spec.models import Spec
    from pipeprof.pipelines.spec.spec_file import read_spec_file
    from pipeprof.pipelines.spec.yaml.reader import read

    if target is None:
        return None
    try:
        return Spec.model_validate(read(read_spec_file(Path(target))).data)
    except (OSError, PipeprofError, ValidationError):
        return None


def _refs() -> Iterator[str]:
    """Branches and tags of the repository around the current folder, as its files have them."""
    from pipeprof.profiles.git.repository import find_repository

    found = find_repository(Path.cwd(), os.environ)
    if found is None:
        return
    seen = {"HEAD"}
    for kind in ("heads", "tags", "remotes"):
        folder = found.common_dir / "refs" / kind
        seen |= {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    try:
        packed = (found.common_dir / "packed-refs").read_text(encoding="utf-8", errors="replace")
    except OSError:
        packed = ""
    for line in packed.splitlines():
        _, _, name = line.partition(" refs/")
        seen.add(name.partition("/")[2])
    yield from filter(None, seen)


def _functions(path: Path) -> list[str]:
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.target.listing import listed_functions

    try:
        return [function.name for function in listed_functions(path)]
    except (OSError, PipeprofError):
        return []


def complete_in_bash(run: Callable[[], int]) -> int:
    """Complete a command line of bash, which takes ``train.py:make`` for three words and completes the last of them.

    The words are put together before `run`; of its answers, bash gets what it does not have in its line.
    """
    words, at, shown = join_words(os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", ""))
    os.environ |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(at)}
    answer = io.StringIO()
    with redirect_stdout(answer):
        code = run()
    found = [line.removeprefix(shown) for line in answer.getvalue().splitlines() if line]
    if len(found) == 1 and found[0].endswith(_GOES_ON):
        # Of two completions with one beginning bash takes that, and no space after it.
        found.append(f"{found[0]} ")
    sys.stdout.writelines(f"{line}\n" for line in found)
    return code


def join_words(words: list[str], number: str) -> tuple[list[str], int, str]:
    """Undo the breaks of bash.

    Args:
        number: Index of the word that is completed.

    Returns:
        The words, the number of the one that is completed, and the part of its completions that bash has.

    Example:
        >>> join_words(["pipeprof", "run", "train.py", ":", "ma"], "4")
        (['pipeprof', 'run', 'train.py:ma'], 2, 'train.py:')
        >>> join_words(["pipeprof", "run", "a.py", "--step", "=", "simulate", ":"], "6")
        (['pipeprof', 'run', 'a.py', '--step=simulate:'], 3, 'simulate:')
    """
    last = int(number) if number.isdecimal() else len(words) - 1
    joined: list[str] = []
    at = 0
    for index, word in enumerate(words[: last + 1]):
        breaks = bool(word) and not word.strip(_BREAKS)
        follows = index > 0 and bool(words[index - 1]) and not words[index - 1].strip(_BREAKS)
        if joined and (breaks or (follows and word)):
            joined[-1] += word
        else:
            joined.append(word)
        at = len(joined) - 1
    current = joined[at] if joined else ""
    value = current.partition("=")[2] if current.startswith("--") and "=" in current else current
    return joined, at, value[: max(map(value.rfind, _BREAKS), default=-1) + 1]
