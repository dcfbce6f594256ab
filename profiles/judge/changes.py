"""What differs between two specs, in lines. Pure functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_MISSING = object()
_NOT_MEASURED = frozenset({"name", "description", "extends", "ignore", "budgets"})
"""Keys that change nothing about the pipeline."""


def spec_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The values that differ, each with its path: ``stages.decode.num_parallel_calls: 1 → 2``.

    A stage is named as `--set` names it: by its name, else by its op, with a number where several have the same.

    Args:
        a: Data of one spec, everything merged.
        b: Data of the other one.

    Example:
        >>> spec_changes({"stages": [{"batch": {"batch_size": 8}}]}, {"stages": [{"batch": {"batch_size": 16}}]})
        ['stages.batch.batch_size: 8 → 16']
    """
    before, after = dict(_flat(a)), dict(_flat(b))
    found = []
    for path in dict.fromkeys([*before, *after]):
        one, other = before.get(path, _MISSING), after.get(path, _MISSING)
        if path.split(".", 1)[0] in _NOT_MEASURED or one == other:
            continue
        found.append(f"{path}: {_text(one)} → {_text(other)}")
    order = [[path for path in flat if path.startswith("stages.") and path.count(".") == 1] for flat in (before, after)]
    both = [[path for path in side if path in other] for side, other in zip(order, reversed(order), strict=True)]
    if both[0] != both[1]:
        found.append(f"order of the stages: {_names(both[0])} → {_names(both[1])}")
    return found


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a mapping with their dotted paths; a stage itself is a leaf, too, without a value."""
    for key, value in data.items():
        path = f"{prefix}{key}"
        if key == "stages" and isinstance(value, list):
            seen: Counter[str] = Counter()
            for stage in value:
                name, arguments = _stage(stage)
                seen[name] += 1
                place = f"{path}.{name}" if seen[name] == 1 else f"{path}.{name}#{seen[name]}"
                yield place, next(iter(stage), None) if isinstance(stage, Mapping) else stage
                yield from _flat(arguments, f"{place}.")
        elif isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _stage(stage: Any) -> tuple[str, Mapping[str, Any]]:
    op = next(iter(stage), "?") if isinstance(stage, Mapping) else "?"
    given = stage[op] if isinstance(stage, Mapping) and stage else {}
    arguments = {key: value for key, value in given.items() if key != "name"} if isinstance(given, Mapping) else {}
    return str(given.get("name", op)) if isinstance(given, Mapping) else op, arguments


def _text(value: Any) -> str:
    return "not there" if value is _MISSING else json.dumps(value, ensure_ascii=False, default=str)


def _names(paths: list[str]) -> str:
    return ", ".join(path.removeprefix("stages.") for path in paths)
