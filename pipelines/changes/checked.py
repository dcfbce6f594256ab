"""The edits of a saved profile, which may come from somebody else, checked before they are made.

``--change FILE:N`` makes them in the user's process. So no edit names Python code, a file (but a library of the
system) or a call other than those below, and every number has a bound: above what any search writes, and below what
makes TensorFlow abort or wait. Measured on two cores with TensorFlow 2.21.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.changes.edits import (
    PRELOAD,
    VALUES,
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
    is_allocator,
    known_edits,
    to_document,
)
from pipeprof.pipelines.errors import ProfileError, escape
from pipeprof.pipelines.meaning.constants import AUTOTUNE

_SHOWN: Final = 200
"""Characters of a refused edit in a message."""
Check: TypeAlias = Callable[[Any], bool]


class RefusedEditError(ProfileError):
    """An edit that no search of pipeprof proposes."""


def checked_edits(documents: Sequence[Mapping[str, Any]]) -> list[PipelineEdit]:
    """Return the edits of a saved profile.

    Raises:
        RefusedEditError: One of them is not known to this version, or may not be made.
    """
    edits = known_edits(documents)
    if len(edits) < len(documents):
        raise RefusedEditError("one of the edits is not known to this version")
    for edit in edits:
        if not _PROPOSED.get(type(edit), _is())(edit):
            shown = escape(json.dumps(to_document(edit), ensure_ascii=False, default=str))
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
            raise RefusedEditError(f"pipeprof proposes no such edit, which may not be safe to make: {shown}")
    return edits


def _whole(most: int, least: int = 1, *, tuned: bool = False, none: bool = False) -> Check:
    """A whole number; in Python, `True` is the number 1."""
    return lambda value: (
        (type(value) is int and least <= value <= most) or (tuned and value == AUTOTUNE) or (none and value is None)
    )


def _is(*values: Any) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _text(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _list(item: Check, most: int, least: int = 1) -> Check:
    return lambda value: isinstance(value, list | tuple) and least <= len(value) <= most and all(map(item, value))


def _object(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    every = {**required, **(optional or {})}
    return lambda value: (
        isinstance(value, Mapping)
        and required.keys() <= value.keys() <= every.keys()
        and all(every[name](one) for name, one in value.items())
    )


def _one_of(rows: Mapping[str, Check]) -> Check:
    """A call: an object whose only key is the name of the function."""
    return lambda value: (
        isinstance(value, Mapping)
        and len(value) == 1
        and all(name in rows and rows[name](one) for name, one in value.items())
    )


_TRUTH: Final = _is(True, False)
# A search sets 64 calls, or twice the cores; 2³¹ aborts.
_CALLS: Final = _whole(4096, tuned=True, none=True)
# A search sets AUTOTUNE, or up to 8; it holds as many elements.
_AHEAD: Final = _whole(1024, tuned=True)
# Each takes 24 bytes before the first element comes: 2.4 GB.
_SHUFFLED: Final = _whole(100_000_000)
# In a fused map and batch, 100,000,000 rows take 41 s before the first batch.
_ROWS: Final = _whole(10_000_000)
# A search shifts windows by 256; lengths have 32 bits.
_LENGTH: Final = _whole(1_000_000_000)
_COMPONENT: Final = _whole(1023, 0)
_ADDRESS: Final = _text(r"\w+(?:\.\w+)*")
_OP: Final = _text(r"\w+(?:[.+]\w+)*")
CALLS: Final[Mapping[str, Check]] = {
    "tf.signal.frame": _object({"frame_length": _LENGTH, "frame_step": _LENGTH, "axis": _is(0), "on": _COMPONENT}),
    "getitem": _object({"key": _text(r":, ::[1-9][0-9]{0,8}"), "on": _COMPONENT}),
}
"""The calls inside ``ops`` of a new map: those that cut windows."""
INSERTED: Final[Mapping[str, Check]] = {
    "cache": _object({}),
    "prefetch": _object({"buffer_size": _AHEAD}),
    "repeat": _object({}),
    "shard": _object({"num_shards": _LENGTH, "index": _whole(1_000_000_000, 0)}),
    "shuffle": _object({"buffer_size": _SHUFFLED}),
    "skip": _object({"count": _whole(1_000_000_000, 0)}),
}
"""Arguments of a stage that `InsertStage` makes, by its op."""
_SIDE: Final = _object({"on": _COMPONENT, "stages": _list(_object({"batch": _object({"batch_size": _LENGTH})}), 1)})
REPLACING: Final[Mapping[str, Check]] = {
    "batch": _object({"batch_size": _ROWS}, {"drop_remainder": _TRUTH}),
    "cache": _object({}),
    "flat_map": _object({"source": _object({"zip": _object({"datasets": _list(_SIDE, 1024)})})}),
    "map": _object({"ops": _list(_one_of(CALLS), 2048)}),
    "unbatch": _object({}),
    "window": _object({"size": _LENGTH, "shift": _LENGTH}),
}
"""Arguments of a stage that `ReplaceStages` makes, by its op."""
ARGUMENTS: Final[Mapping[str, Check]] = dict.fromkeys(
    ("cycle_length", "num_parallel_calls", "num_parallel_reads"), _CALLS
)
"""Values that `SetArgument` sets in any stage, by argument."""
BUFFERS: Final[Mapping[str, Check]] = {"prefetch": _AHEAD, "shuffle": _SHUFFLED, "shuffle+repeat": _SHUFFLED}
"""Values of `buffer_size` that `SetArgument` sets, by the stage's op."""
_OPTIMIZATION: Final = "experimental_optimization."
OPTIONS: Final[Mapping[str, Check]] = {
    "autotune.cpu_budget": _is(0),
    "autotune.enabled": _TRUTH,
    f"{_OPTIMIZATION}apply_default_optimizations": _TRUTH,
    f"{_OPTIMIZATION}inject_prefetch": _TRUTH,
    f"{_OPTIMIZATION}map_and_batch_fusion": _TRUTH,
    f"{_OPTIMIZATION}map_fusion": _TRUTH,
    f"{_OPTIMIZATION}map_parallelization": _TRUTH,
    f"{_OPTIMIZATION}parallel_batch": _TRUTH,
    # A search sets 16 for each stage that waits, or the cores; 4,096 take 15 s to start.
    "threading.private_threadpool_size": _whole(2048),
}
"""Values that `SetOption` sets, by the option's path."""


def _are_new(stages: Sequence[NewStage], rows: Mapping[str, Check]) -> bool:
    return len(stages) <= 4 and all(one.op in rows and rows[one.op](one.arguments) for one in stages)


_PROPOSED: Final[Mapping[type[PipelineEdit], Check]] = {
    InsertStage: lambda edit: (
        _are_new([NewStage(edit.op, edit.arguments)], INSERTED) and (edit.after is None or _ADDRESS(edit.after))
    ),
    SetArgument: lambda edit: (
        _ADDRESS(edit.stage)
        and _OP(edit.op)
        and {**ARGUMENTS, "buffer_size": BUFFERS.get(edit.op, _is())}.get(edit.argument, _is())(edit.value)
    ),
    MoveStage: lambda edit: _ADDRESS(edit.stage) and _OP(edit.op) and _ADDRESS(edit.before),
    VectoriseMap: lambda edit: _ADDRESS(edit.stage) and _ADDRESS(edit.batch),
    ReplaceStages: lambda edit: (
        _list(_ADDRESS, 256)(edit.stages) and _are_new(edit.by, REPLACING) and edit.summary.isprintable()
    ),
    SetOption: lambda edit: OPTIONS.get(edit.path, _is())(edit.value),
    SetEnvironment: lambda edit: (
        isinstance(edit.value, str) and is_allocator(edit.value)
        if edit.variable == PRELOAD
        else _is(VALUES.get(edit.variable, 0))(edit.value)
    ),
}
"""Whether an edit of a kind is one that a search proposes; one of another kind is none."""
