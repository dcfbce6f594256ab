"""The table of what a plan may hold: kinds of edits, stages, calls and arguments, with bounds for every number.

A plan may come from somebody else, and `pipeprof.apply` makes its edits in the user's process: no Python code, no file
and no call but those below. Bounds are above what any plan of
`fix` has, and below what makes TensorFlow abort.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.edits.edits import REWRITES
from pipeprof.pipelines.edits.environment import PRELOAD, VALUES, is_allocator
from pipeprof.pipelines.edits.plan_values import (
    ByField,
    Exactly,
    Fields,
    Named,
    NamedCall,
    PlainText,
    RealNumber,
    RefusedError,
    Several,
    Truth,
    Value,
    WholeNumber,
    at,
)

KEY: Final = "pipeprof_plan"
"""The first key of a plan, with its version."""
VERSIONS: Final = (1, 2)
"""The second one is that of plans with more than one step, which readers of the first would apply in part."""


@dataclass(frozen=True)
class Bound:
    """The largest number of something in a plan.

    Attributes:
        why: What `fix` writes, and what larger numbers do: measured on two cores with TensorFlow 2.21.
    """

    what: str
    most: int
    why: str


_CALLS_AT_A_TIME: Final = Bound("calls, files or datasets at a time", 4096, "fix: 64, or twice the cores; 2³¹ aborts")
_POOL: Final = Bound(
    "threads of a private pool", 2048, "fix: 16 for each stage that waits, or the cores; 4,096 take 15 s to start"
)
_AHEAD: Final = Bound("elements of a prefetch", 1024, "fix: AUTOTUNE, or up to 8; it holds as many elements")
_BUFFER: Final = Bound(
    "elements of shuffles in all steps",
    100_000_000,
    "fix: those of an epoch, or as many as before; each takes 24 bytes before the first element comes, 2.4 GB",
)
_SIZE: Final = Bound(
    "rows of a batch",
    10_000_000,
    "fix: a window, or as many as before; in a fused map and batch, 100,000,000 take 41 s before the first batch",
)
_FAR: Final = Bound(
    "elements of windows and of their shift, length of a bucket", 1_000_000_000, "fix: 256 shifts; lengths have 32 bits"
)
_PARTS: Final = Bound("components of an element that is cut", 1024, "fix: those of an element")
_STEPS: Final = Bound("steps", 32, "fix: a race each, 10 s and more; 150 steps took 169 s")
_EDITS: Final = Bound("edits in all steps", 4096, "fix: AUTOTUNE in each stage; 1,000 take no time")
_NEW: Final = Bound(
    "new stages in all steps", 64, "fix: a cache, a shuffle and a repeat in each joined dataset; each takes longer"
)
_WRITTEN: Final = Bound("stages of the pipeline", 10_000, "as many as are joined")
_BYTES: Final = Bound("bytes of the file", 4 * 1024**2, "10,000 stages with their fingerprints take 2 MB")
BOUNDS: Final = (
    _CALLS_AT_A_TIME, _POOL, _AHEAD, _BUFFER, _SIZE, _FAR, _PARTS, _STEPS, _EDITS, _NEW, _WRITTEN, _BYTES,
)  # fmt: skip
MOST_BYTES: Final = _BYTES.most
_CALLS: Final = WholeNumber(1, _CALLS_AT_A_TIME.most, tuned=True, none=True)
_PREFETCHED: Final = WholeNumber(1, _AHEAD.most, tuned=True)
_SHUFFLED: Final = WholeNumber(1, _BUFFER.most)
_ROWS: Final = WholeNumber(1, _SIZE.most)
_LENGTH: Final = WholeNumber(1, _FAR.most)
_COMPONENT: Final = WholeNumber(0, _PARTS.most - 1)
_OP: Final = PlainText(200, means="the op of a stage")
_ADDRESS: Final = PlainText(500, r"\w+(?:\.\w+)*", "an address")
_ADDRESS_OR_END: Final = PlainText(500, r"\w+(?:\.\w+)*", "an address", none=True)


class _Allocator(PlainText):
    """The path of an allocator's library."""

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        super().check(value, place)
        if not is_allocator(value):
            raise RefusedError(f"a plan cannot load this library; expected {self.words()}", place)

    def words(self) -> str:
        """See `Value`."""
        return "jemalloc or tcmalloc in a folder of the system's libraries, or of this Python's"


CALLS: Final[Mapping[str, Fields]] = {
    "tf.signal.frame": Fields({"frame_length": _LENGTH, "frame_step": _LENGTH, "axis": Exactly(0), "on": _COMPONENT}),
    "getitem": Fields({"key": PlainText(20, r":, ::[1-9][0-9]{0,8}", "a stride such as `:, ::2`"), "on": _COMPONENT}),
}
"""The calls inside ``ops`` of a map: those that cut windows."""
_SIDE: Final = Fields({"on": _COMPONENT, "stages": Several(Fields({"batch": Fields({"batch_size": _LENGTH})}), 1, 1)})
INSERTED: Final[Mapping[str, Fields]] = {
    "cache": Fields(),
    "prefetch": Fields({"buffer_size": _PREFETCHED}),
    "repeat": Fields(),
    "shuffle": Fields({"buffer_size": _SHUFFLED}),
}
"""Arguments of a stage that `InsertStage` makes, by its op."""
REPLACING: Final[Mapping[str, Fields]] = {
    "batch": Fields({"batch_size": _ROWS}, {"drop_remainder": Truth()}),
    "bucket_by_sequence_length": Fields(
        {
            "element_length_func": Fields({"ops": Several(Exactly("tf.size"), 1, 1)}),
            "bucket_boundaries": Several(_LENGTH, 16, 1),
            "bucket_batch_sizes": Several(_ROWS, 17, 2),
        },
        {"drop_remainder": Truth()},
    ),
    "cache": Fields(),
    "flat_map": Fields({"source": Fields({"zip": Fields({"datasets": Several(_SIDE, _PARTS.most, 1)})})}),
    "map": Fields({"ops": Several(NamedCall(CALLS), 2 * _PARTS.most, 1)}),
    "unbatch": Fields(),
    "window": Fields({"size": _LENGTH, "shift": _LENGTH}),
}
"""Arguments of a stage or source that `ReplaceStages` makes, by its op."""
ARGUMENTS: Final[Mapping[str, Value]] = {
    "cycle_length": _CALLS,
    "num_parallel_calls": _CALLS,
    "num_parallel_reads": _CALLS,
}
"""Values that `SetArgument` sets in any stage, by argument."""
BUFFERS: Final[Mapping[str, Value]] = {"prefetch": _PREFETCHED, "shuffle": _SHUFFLED, "shuffle+repeat": _SHUFFLED}
"""Values of `buffer_size` that `SetArgument` sets, by the stage's op."""
_OPTIMIZATION: Final = "experimental_optimization."
OPTIONS: Final[Mapping[str, Value]] = {
    "autotune.enabled": Truth(),
    "deterministic": Truth(),
    f"{_OPTIMIZATION}apply_default_optimizations": Truth(),
    f"{_OPTIMIZATION}inject_prefetch": Truth(),
    f"{_OPTIMIZATION}map_and_batch_fusion": Truth(),
    f"{_OPTIMIZATION}map_fusion": Truth(),
    f"{_OPTIMIZATION}map_parallelization": Truth(),
    f"{_OPTIMIZATION}parallel_batch": Truth(),
    "threading.private_threadpool_size": WholeNumber(1, _POOL.most),
}
"""Values that `SetOption` sets, by the option's path."""
VARIABLES: Final[Mapping[str, Value]] = {
    name: _Allocator(4096) if name == PRELOAD else Exactly(value) for name, value in VALUES.items()
}
"""Values that `SetEnvironment` sets, by variable."""


def _with_arguments(rows: Mapping[str, Fields], optional: Mapping[str, Value]) -> ByField:
    return ByField(
        "op",
        {
            op: Fields({"arguments": row}, optional) if row.required else Fields({}, {"arguments": row, **optional})
            for op, row in rows.items()
        },
    )


EDITS: Final = ByField(
    "kind",
    {
        "InsertStage": _with_arguments(INSERTED, {"after": _ADDRESS_OR_END}),
        "SetArgument": ByField(
            "argument",
            {
                "buffer_size": ByField(
                    "op", {op: Fields({"stage": _ADDRESS, "value": value}) for op, value in BUFFERS.items()}
                ),
                **{
                    argument: Fields({"stage": _ADDRESS, "op": _OP, "value": value})
                    for argument, value in ARGUMENTS.items()
                },
            },
        ),
        "MoveStage": Fields({"stage": _ADDRESS, "op": _OP, "before": _ADDRESS}),
        "MoveFilter": Fields({"stage": _ADDRESS, "before": _ADDRESS}),
        "ReplaceStages": Fields(
            {"stages": Several(_ADDRESS, 256, 1)},
            {"by": Several(_with_arguments(REPLACING, {}), 4), "summary": PlainText(8192), "flat": Truth()},
        ),
        "VectoriseMap": Fields({"stage": _ADDRESS, "batch": _ADDRESS}),
        "VectoriseFilter": Fields({"stage": _ADDRESS, "batch": _ADDRESS}, {"fields": Exactly(None)}),
        "SplitMap": Fields(
            {"stage": _ADDRESS}, {"by": Several(_with_arguments(INSERTED, {}), 4), "batch": _ADDRESS_OR_END}
        ),
        "RewriteMap": ByField("how", {how: Fields({"stage": _ADDRESS}) for how in REWRITES}),
        "SetOption": ByField("path", {path: Fields({"value": value}) for path, value in OPTIONS.items()}),
        "SetEnvironment": ByField("variable", {name: Fields({"value": value}) for name, value in VARIABLES.items()}),
    },
)
"""Edits by kind."""
_STEP: Final = Several(EDITS, _EDITS.most)
PLAN: Final = Fields(
    {KEY: WholeNumber(VERSIONS[0], VERSIONS[-1]), "edits": _STEP, "stages": Named(_ADDRESS, _OP, _WRITTEN.most)},
    {
        "tool": Fields({}, {"name": PlainText(100)}),
        "target": PlainText(8192, printable=False),
        "speedup": RealNumber(1e6),
        "environment": PlainText(8192),
        "then": Several(_STEP, _STEPS.most - 1),
        "dtypes": Several(PlainText(100, means="the name of a dtype"), _WRITTEN.most),
        "bodies": Named(_ADDRESS, PlainText(200, means="a fingerprint"), _WRITTEN.most),
    },
)
"""A plan."""

_LONGEST_PLACE: Final = 500
_CODE: Final = "a plan cannot name Python code"
_FIRST: Final[Mapping[str, str]] = {
    **dict.fromkeys(("python", "from_generator", "generator", "apply", "tf.py_function", "tf.numpy_function"), _CODE),
    **dict.fromkeys(("filename", "filenames", "file_pattern", "snapshot", "save"), "a plan cannot name files"),
}
"""Names that a refusal is about before anything else is, with the reason; code comes before files."""


def check_plan(document: Mapping[str, Any]) -> None:
    """Check a plan as JSON gives it.

    Raises:
        RefusedError: It holds something that is not in the table; what could run code is named first, then files.
    """
    first = _named_first({field: document.get(field) for field in ("edits", "then")})
    if first is not None:
        raise first
    PLAN.check(document, "")
    edits = [edit for step in (document["edits"], *document.get("then", ())) for edit in step]
    new = sum(1 if edit["kind"] == "InsertStage" else len(edit.get("by", ())) for edit in edits)
    shuffled = sum(_shuffled(edit) for edit in edits)
    for count, most, what in (
        (len(edits), _EDITS.most, _EDITS.what),
        (new, _NEW.most, _NEW.what),
        (shuffled, _BUFFER.most, _BUFFER.what),
    ):
        if count > most:
            raise RefusedError(f"expected at most {most:,} {what}, got {count:,}", "edits")


def _shuffled(edit: Mapping[str, Any]) -> int:
    """Elements of the shuffle that an edit makes or changes."""
    if not str(edit.get("op")).startswith("shuffle"):
        return 0
    size = edit.get("value") if edit["kind"] == "SetArgument" else edit.get("arguments", {}).get("buffer_size")
    return size if isinstance(size, int) else 0


def _named_first(steps: Mapping[str, Any]) -> RefusedError | None:
    """Return the refusal of a value that could run code, else of one that names a file."""
    files: RefusedError | None = None
    for place, name in _names(steps, ""):
        reason = _FIRST.get(name)
        if reason == _CODE:
            return RefusedError(reason, place)
        if reason is not None and files is None:
            files = RefusedError(reason, place)
    return files


def _names(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Keys, ops, arguments and calls anywhere in a value, with their places; however deep, as a plan may be hostile."""
    todo = [_inside(value, place)]
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
            continue
        here, name, inner = found
        if name is not None:
            yield here, name
        todo.append(_inside(inner, here))


def _inside(value: Any, place: str) -> Iterator[tuple[str, str | None, Any]]:
    """The parts of a value: their place, the name that stands there, and what may have parts in turn."""
    # Else what is nested without end takes the square of its depth.
    place = place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield f"{place}[{number}]", item if isinstance(item, str) else None, item
    elif isinstance(value, dict):
        for key, item in value.items():
            yield at(place, key), key, item
            if key in {"op", "argument"} and isinstance(item, str):
                yield at(place, key), item, None


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield the edits for the documentation: kind, what it is about, and what is allowed there."""
    for kind, row in EDITS.rows.items():
        yield from _rows_of(kind, "", row)


def _rows_of(kind: str, about: str, row: Fields | ByField) -> Iterator[tuple[str, str, str]]:
    if isinstance(row, Fields):
        by = row.optional.get("by")
        yield kind, about, row.words() if by is None else Fields(row.required, _but(row.optional, "by")).words()
        if isinstance(by, Several) and isinstance(by.item, ByField):
            yield kind, "`by`", f"{by.least} to {by.most} of the following"
            yield from _rows_of(kind, "`by`", by.item)
        return
    for name, inner in row.rows.items():
        yield from _rows_of(kind, ", ".join(filter(None, (about, f"`{row.key}` `{name}`"))), inner)


def _but(values: Mapping[str, Value], name: str) -> dict[str, Value]:
    return {key: value for key, value in values.items() if key != name}
