"""A change as a person reads it: in one line, ``num_parallel_calls: 1 → 8``, and as a diff."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_spec import plain
from pipeprof.pipelines.spec.yaml_writer import flow


def in_words(
    edit: PipelineEdit, name: Callable[[str], str] = str, now: Any = None, *, named: bool = True
) -> str | None:
    """Return a change in one line; None for one that no line describes.

    Args:
        name: Gives a stage's name by its address.
        now: The value that is set anew.
        named: Whether the stage of an argument is named.

    Example:
        >>> in_words(SetArgument("stages.0", "map", "num_parallel_calls", 8))
        'stages.0: num_parallel_calls: not set → 8'
    """
    words: str | None = None
    match edit:
        case SetArgument():
            where = f"{name(edit.stage)}: " if named else ""
            words = f"{where}{edit.argument}: {_shown(now)} → {_shown(edit.value)}"
            words = f"{where}without {edit.argument}" if now is None and edit.value is None else words
        case SetOption():
            words = f"options.{edit.path}: {_shown(now)} → {_shown(edit.value)}"
        case MoveStage():
            words = f"move {name(edit.stage)} to just before {name(edit.before)}"
        case InsertStage():
            where = f"after {name(edit.after)}" if edit.after else "at the end"
            words = f"insert {_call(edit.op, edit.arguments)} {where}"
        case ReplaceStages() if edit.summary:
            words = edit.summary.format(stage=name(edit.stages[0]))
        case ReplaceStages():
            old = " and ".join(map(name, edit.stages))
            new = " and ".join(_call(stage.op, stage.arguments) for stage in edit.by)
            words = f"replace {old} with {new}" if new else f"remove {old}"
        case VectoriseMap():
            words = f"apply {name(edit.stage)} to whole batches, after {name(edit.batch)}"
        case SetEnvironment():
            words = f"{edit.variable}={edit.value} in the environment"
    return words


def in_their_order(edits: Sequence[PipelineEdit], words: Sequence[str | None]) -> list[str | None]:
    """Words of edits; of stages that are inserted after the same one, the second comes after the first.

    Example:
        >>> edits = [InsertStage("cache", {}, "stages.0"), InsertStage("shuffle", {"buffer_size": 9}, "stages.0")]
        >>> in_their_order(edits, [in_words(edit) for edit in edits])
        ['insert cache() after stages.0', 'then shuffle(buffer_size=9)']
    """
    found = list(words)
    for number, (one, other) in enumerate(pairwise(edits), 1):
        if isinstance(one, InsertStage) and isinstance(other, InsertStage) and one.after == other.after:
            found[number] = f"then {_call(other.op, other.arguments)}"
    return found


def _call(op: str, arguments: Mapping[str, Any]) -> str:
    return f"{op}({', '.join(f'{name}={_shown(value)}' for name, value in arguments.items())})"


def _shown(value: Any) -> str:
    return "not set" if value is None else flow(plain(value))


def unified(before: str, after: str, name: str) -> str:
    r"""Return two texts of a file as a diff that `patch` and `git apply` take; empty where they are equal.

    Example:
        >>> print(unified("a: 1\n", "a: 2\n", "x.yaml"), end="")
        --- a/x.yaml
        +++ b/x.yaml
        @@ -1 +1 @@
        -a: 1
        +a: 2
    """
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    path = _below(name)
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _below(name: str) -> str:
    """Return a file's path as the tools take it: below the folder that they run in, the current one or the root.

    Example:
        >>> _below("./a/../b.yaml"), _below("/data/b.yaml")
        ('b.yaml', 'data/b.yaml')
    """
    path = os.path.relpath(name)
    return str(Path(name).resolve()).lstrip("/") if path.startswith("..") else path
