"""Edits as JSON: one of each kind that a search writes, and values to put in place of their parts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from pipeprof.pipelines.changes.checked import ARGUMENTS, BUFFERS, INSERTED, OPTIONS, REPLACING
from pipeprof.pipelines.changes.edits import VALUES

FRAME = {"frame_length": 26, "frame_step": 1, "axis": 0, "on": 0}
SIDE = {"on": 0, "stages": [{"batch": {"batch_size": 281}}]}
NEW: dict[str, Any] = {
    "batch": {"batch_size": 4, "drop_remainder": True},
    "cache": {},
    "flat_map": {"source": {"zip": {"datasets": [SIDE]}}},
    "map": {"ops": [{"tf.signal.frame": FRAME}, {"getitem": {"key": ":, ::2", "on": 0}}]},
    "unbatch": {},
    "window": {"size": 281, "shift": 256},
}
LIBRARY = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


def edits() -> list[dict[str, Any]]:
    """One edit for each row of the table."""
    inserted = {
        "prefetch": {"buffer_size": "AUTOTUNE"}, "shuffle": {"buffer_size": 1000}, "skip": {"count": 3},
        "shard": {"num_shards": 4, "index": 0},
    }  # fmt: skip
    places = [{"after": None}, {"after": "stages.0"}, {"after": "source.inputs.1.stages.0"}, *[{}] * 3]
    found: list[dict[str, Any]] = [
        {"kind": "InsertStage", "op": op, "arguments": inserted.get(op, {}), **places[number]}
        for number, op in enumerate(INSERTED)
    ]
    found += [
        {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": argument, "value": value}
        for argument, value in zip(ARGUMENTS, (16, None, "AUTOTUNE"), strict=True)
    ]
    found += [
        {"kind": "SetArgument", "stage": "stages.1", "op": op, "argument": "buffer_size", "value": 8} for op in BUFFERS
    ]
    found += [
        {"kind": "MoveStage", "stage": "stages.1", "op": "shuffle", "before": "stages.0"},
        {"kind": "ReplaceStages", "stages": ["stages.0"], "by": [], "summary": "", "flat": False},
        {"kind": "VectoriseMap", "stage": "stages.0", "batch": "stages.1"},
    ]
    found += [
        {"kind": "ReplaceStages", "stages": ["stages.0", "stages.1"], "by": [{"op": op, "arguments": NEW[op]}]}
        for op in REPLACING
    ]
    values = {"threading.private_threadpool_size": 8, "autotune.cpu_budget": 0}
    found += [{"kind": "SetOption", "path": path, "value": values.get(path, False)} for path in OPTIONS]
    found += [{"kind": "SetEnvironment", "variable": name, "value": value or LIBRARY} for name, value in VALUES.items()]
    return found


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a document: what holds it, and its key or number there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, 10**40, 1.0, 1e308]),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.sampled_from(["python", "snapshot", "cache", "map", "source", "AUTOTUNE", "\x1b[31m", "/tmp/x", "A;id", "load"]),
)
KEYS = st.one_of(
    st.sampled_from(["kind", "op", "arguments", "python", "ops", "path", "filename", "stage", "value", "by", "edits"]),
    st.text(max_size=6),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """Edits with parts that are others, more or fewer."""
    found = copy.deepcopy(edits())
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(places(found))))
        match draw(st.sampled_from(["value", "drop", "more", "twice"])):
            case "value":
                holder[key] = draw(JSON)
            case "drop":
                del holder[key]
            case "more" if isinstance(holder, dict):
                holder[draw(KEYS)] = draw(JSON)
            case _:
                other, place = draw(st.sampled_from(list(places(found))))
                holder[key] = copy.deepcopy(other[place])
    return found
