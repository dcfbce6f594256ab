"""Stages as they stand in a spec and in a chain of Python calls, for code that only the user can write."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.changes.in_spec import plain
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.yaml.writer import block_lines
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView
from pipeprof.profiles.wording import NamedStage, call_around, listed, place_of

_WIDTH = 88
"""Longest line in flow style."""
_FUNCTIONS = frozenset(
    {"ops", "python", "source", "stages", "map_func", "predicate", "scan_func", "transformation_func", "generator"}
)
"""Arguments that a spec writes for the function."""
_OWN = frozenset({"name", *_FUNCTIONS})
_UNKNOWN = "fn"
"""Name of a function that has none."""


def function_name(stage: StageView) -> str:
    """Name the function of a stage in Python: as in the user's code or the spec, else after the stage's address."""
    if stage.written is None:
        return stage.name if stage.name is not None and stage.name.isidentifier() else _UNKNOWN
    written = _python_target(stage)
    return written.rpartition(":")[2] if written is not None else node_name(stage.id)


def function_text(stage: StageView) -> str:
    """Return the function of a stage as a call is given it: the expression of the user's file where it is known."""
    name = function_name(stage)
    return stage.given.text if stage.given is not None else "..." if name == _UNKNOWN else name


def function_names(view: PipelineView) -> tuple[str, ...]:
    """Return the names of the user's own functions, as far as a spec has them."""
    return tuple(function_name(stage) for stage in view.stages if _python_target(stage) is not None)


def free_name(wanted: str, *taken: str) -> str:
    """A name that is none of those that the user's code has already.

    Example:
        >>> free_name("rows"), free_name("rows", "rows"), free_name("rows", "rows.read")
        ('rows', 'all_rows', 'all_rows')
    """
    heads = {name.partition(".")[0] for name in taken}
    while wanted in heads:
        wanted = f"all_{wanted}"
    return wanted


def function_file(stage: StageView) -> str:
    """The file of a stage's function: the spec's, where it names one."""
    written = _python_target(stage)
    return written.partition(":")[0] if written is not None else "file.py"


def _python_target(stage: StageView) -> str | None:
    target = (stage.written or {}).get("python")
    return target if isinstance(target, str) and ":" in target else None


def arguments_of(stage: StageView) -> dict[str, Any]:
    """The arguments for YAML: as the spec has them, else as the graph tells, with the function left open."""
    if stage.written is not None:
        return dict(stage.written)
    found = {name: value for name, value in stage.arguments.items() if name not in _OWN}
    return {"python": "file.py:fn", **found} if traits(stage.op).written_with_function else found


def stage_yaml(op: str, arguments: Mapping[str, Any]) -> list[str]:
    """One stage as an item of ``stages:``."""
    return block_lines([plain({op: arguments})], 0)


def source_yaml(op: str, arguments: Mapping[str, Any]) -> list[str]:
    """A source as it stands below ``source:``."""
    return block_lines(plain({op: arguments}), 0)


def stage_call(stage: StageView, arguments: Mapping[str, Any]) -> str:
    """One stage as a call: ``.batch(batch_size=32)``; as the user's file has it, but for values that are others now."""
    if (written := _own_arguments(stage, arguments)) is not None:
        return f".{stage.op}({written})"
    given = [function_text(stage)] if traits(stage.op).written_with_function else []
    given += [f"{name}={python_text(value)}" for name, value in arguments.items() if name not in _OWN]
    return f".{stage.op}({', '.join(given)})"


def _own_arguments(stage: StageView, arguments: Mapping[str, Any]) -> str | None:
    """The arguments of a stage as the user's file has them, but for values that are others now; None without a file."""
    if stage.own is None:
        return None
    row = traits(stage.op)
    names = row.positional or ((row.function,) if row.function is not None else ())
    changed = {name: value for name, value in arguments.items() if stage.arguments.get(name) != value}
    new = {name: python_text(value) for name, value in changed.items() if name not in _OWN}
    return stage.own.with_values(names, new)


def python_text(value: Any) -> str:
    """A value as Python writes it."""
    return "tf.data.AUTOTUNE" if value == AUTOTUNE else repr(value)


def in_place(stages: Sequence[NamedStage], calls: str, *, source: bool = False) -> str:
    """Return a line that has other calls in place of stages that follow each other, and says of which.

    Args:
        stages: In the order of the data.
        calls: From the first dot on.
        source: Whether the first stage is a source; `calls` is then a whole expression.

    Example:
        ``dataset = dataset.batch(4).map(parse)  # in place of map and batch, lines 12 to 14``
    """
    begin, end = stages[0].location, stages[-1].location
    where = place_of(begin)
    if begin is not None and end is not None and begin.file == end.file and begin.line < end.line:
        where = f"lines {begin.line} to {end.line}"
    names = listed([call_around(stage.op, stage.location) or stage.op for stage in stages])
    return f"dataset = {'' if source else 'dataset'}{calls}  # in place of {names}{f', {where}' if where else ''}"


def parsing_function(name: str, features: Mapping[str, Any] | None, *, whole: bool) -> list[str]:
    """A function that parses a batch of records.

    Args:
        features: As a spec has them; ``None`` where they are those of the user's code.
        whole: Whether it does nothing else.
    """
    more = "" if whole else "  # and the other operations of the function"
    lines = f"features = {features_python(features)}".splitlines() if features is not None else []
    return [*lines, f"def {name}(records):", f"    return tf.io.parse_example(records, features){more}"]


def written_features(stage: StageView) -> Mapping[str, Any] | None:
    """The ``features`` of the first call in a spec's function that has some."""
    return _features(calls_of(stage))


def _features(calls: Sequence[tuple[str, Any]]) -> Mapping[str, Any] | None:
    given = (arguments.get("features") for _, arguments in calls if isinstance(arguments, Mapping))
    return next((features for features in given if isinstance(features, Mapping)), None)


def calls_of(stage: StageView) -> list[tuple[str, Any]]:
    """The calls of a spec's ``ops:`` with what they are given, None for a bare name; empty where there are none."""
    written = stage.written or {}
    inner = written.get("map_func") or written.get("predicate")
    ops = written.get("ops") or (inner.get("ops") if isinstance(inner, Mapping) else None)
    return _calls(ops if isinstance(ops, list) else [])


def _calls(ops: Sequence[Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for item in ops:
        if isinstance(item, str):
            found.append((item, None))
        elif isinstance(item, Mapping) and len(item) == 1:
            ((name, given),) = item.items()
            found.append((str(name), given))
    return found


def features_python(features: Mapping[str, Any]) -> str:
    """Feature specs as Python writes them.

    Example:
        >>> features_python({"a": {"FixedLenFeature": {"shape": [], "dtype": "int64"}}})
        "{'a': tf.io.FixedLenFeature(shape=[], dtype=tf.int64)}"
    """
    parts = []
    for name, feature in features.items():
        ((kind, arguments),) = feature.items() if isinstance(feature, Mapping) and len(feature) == 1 else (("…", {}),)
        given = ", ".join(
            f"{key}=tf.{value}" if key in ("dtype", "row_splits_dtype") else f"{key}={python_text(value)}"
            for key, value in (arguments or {}).items()
        )
        parts.append(f"{name!r}: tf.io.{kind}({given})")
    line = "{" + ", ".join(parts) + "}"
    return line if len(line) <= _WIDTH else "\n".join(["{", *(f"    {part}," for part in parts), "}"])


def structure_of(stage: StageView) -> Sequence[str] | int | None:
    """Return the structure of a source's element: names of a dict, the length of a tuple, ``None`` for neither.

    The names are in the order of `StageView.element`. An unknown structure counts as a tuple.
    """
    if stage.written is None:
        return _structure_by_keys(stage)
    written = stage.written.get("tensors", stage.written.get("output_signature"))
    if isinstance(written, Mapping) and not _single(written):
        # TensorFlow takes the components of a dict in the order of its sorted keys.
        return sorted(map(str, written)) if all(_leaf(value) for value in written.values()) else None
    if isinstance(written, list | tuple) and any(isinstance(one, Mapping) for one in written):
        return len(written) if all(_leaf(one) for one in written) else None
    return None


def _structure_by_keys(stage: StageView) -> Sequence[str] | int | None:
    count, keys = len(stage.element or ()), stage.keys
    if keys is None or len(keys) != count or all(key == str(index) for index, key in enumerate(keys)):
        return count if count > 1 else None
    return list(keys) if not any("." in key for key in keys) else None


_SINGLE = ({"npy", "mmap_mode"}, {"npz", "key"}, {"array"}, {"shape", "dtype", "name"}, {"files"}, {"lines"})


def _single(value: Mapping[str, Any]) -> bool:
    return any(set(value) <= keys for keys in _SINGLE)


def _leaf(value: Any) -> bool:
    return _single(value) if isinstance(value, Mapping) else False


def from_python(
    components: Sequence[ComponentView], names: Sequence[str], call: str, *, rows: int | None = None, batched: bool
) -> list[str]:
    """The body of a map's function that gets its values from Python, with their types and shapes.

    Args:
        names: Of a dict; empty for a tensor or a tuple.
        call: ``tf.numpy_function``'s first arguments, e.g. ``"lambda i: rows[i], [index]"``.
        rows: How many elements come out at a time, where that is known.
        batched: Whether a batch of elements comes out.
    """
    known = list(components)
    taken = {*re.findall(r"\w+", call), *keyword.kwlist, "tf"}
    values = [
        name if name.isidentifier() and name not in taken else f"value_{place}" for place, name in enumerate(names)
    ]
    values = values or [f"value_{place}" for place in range(len(known))]
    types = ", ".join(f"tf.{component.dtype}" for component in known)

    def shaped(value: str, one: ComponentView) -> str:
        if one.shape is None:
            return value
        shape = [rows, *one.shape] if batched else list(one.shape)
        return f"tf.ensure_shape({value}, {shape})"

    if len(known) == 1 and not names:
        return [f"value = tf.numpy_function({call}, {types})", f"return {shaped('value', known[0])}"]
    lines = [f"{', '.join(values)}{',' if len(values) == 1 else ''} = tf.numpy_function({call}, [{types}])"]
    parts = [shaped(value, one) for value, one in zip(values, known, strict=True)]
    if names:
        return [
            *lines,
            "return {" + ", ".join(f"{name!r}: {part}" for name, part in zip(names, parts, strict=True)) + "}",
        ]
    return [*lines, f"return {', '.join(parts)}"]
