"""What differs between two specs, each change in words with its place in the second one."""

from __future__ import annotations

import filecmp
import glob
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pipeprof.pipelines.changes.in_spec import SOURCE, STAGES, same
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.paths import has_scheme, is_glob, leaves
from pipeprof.pipelines.spec.set_value import operation_key
from pipeprof.pipelines.target.target import split_reference
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.judge.source_changes import change_of_reference, cut, is_same_function
from pipeprof.profiles.judge.stages import paired

_UNMEASURED = frozenset({"name", "description", "ignore", "budgets"})
"""Keys that change nothing about the pipeline."""
_MOST_BYTES = 64 << 20
"""Larger files of one name are taken for the same."""
Address: TypeAlias = "tuple[str | int, ...]"


class _Missing:
    """No value: the key is on the other side only."""


_MISSING = _Missing()


def changes_of_specs(a: LoadedSpec, b: LoadedSpec) -> list[tuple[str, Location | None]]:
    """Changes that lead from A to B, each with its line in B, or in a Python file of B; None if B lacks it."""
    found: list[tuple[str, Location | None]] = []
    for text, address in _differences(_measured(a.data), _measured(b.data), "", ()):
        place = b.locate(address) if address is not None else None
        found.append((text, Location(file=place.file, line=place.line) if place and place.line else None))
    for text in _other_files(a, b):
        found.append(change_of_reference((a.base_dir, b.base_dir), text))
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _measured(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a spec says of its pipeline; of the settings of a run, the seed decides about the data."""
    known = {key: value for key, value in data.items() if key not in _UNMEASURED and not str(key).startswith("x-")}
    known |= {key: known.get(key) or {} for key in ("data", "options", "measure")}
    return known | {"measure": {key: value for key, value in known["measure"].items() if key == "seed"}}


def _differences(one: Any, other: Any, path: str, at: Address) -> Iterator[tuple[str, Address | None]]:
    """Changes with their addresses in the second value; `path` is the address in words."""
    last, both = at[-1:], (one, other)
    if last in {(STAGES,), ("ops",)} and all(value is _MISSING or isinstance(value, list) for value in both):
        mine, theirs = ([] if value is _MISSING else value for value in both)
        yield from _of_operations(mine, theirs, path, at)
    elif last == (SOURCE,) and operation_key(one) is not None and operation_key(one) == operation_key(other):
        yield from _of_arguments(one, other, path, at)
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(one.get(key, _MISSING), other.get(key, _MISSING), inner, (*at, key))
    elif _are_mappings(one) and _are_mappings(other) and len(one) == len(other):
        for index, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from _differences(mine, its, f"{path}.{index}", (*at, index))
    elif not same(one, other):
        yield f"{path}: {_text(one)} → {_text(other)}", at if other is not _MISSING else None


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _of_operations(one: list[Any], other: list[Any], path: str, at: Address) -> Iterator[tuple[str, Address | None]]:
    mine, theirs = (_numbered([_name(each) or _op(each) for each in items]) for items in (one, other))
    # Those of one op and name belong together, and between them those of one op.
    same = (lambda item: (_op(item[1]), _name(item[1]))), (lambda item: _op(item[1]))
    for a, b in paired(list(enumerate(one)), list(enumerate(other)), *same):
        if b is None:
            yield f"{path}.{mine[a[0] if a is not None else 0]}: removed", None
        elif a is None:
            where = f"after {theirs[b[0] - 1]}" if b[0] else "after the source" if at[-1] == STAGES else "first"
            yield f"{path}.{theirs[b[0]]}: added {_call(b[1])} {where}", (*at, b[0])
        else:
            yield from _of_arguments(a[1], b[1], f"{path}.{mine[a[0]]}", (*at, b[0]))


def _of_arguments(one: Any, other: Any, path: str, at: Address) -> Iterator[tuple[str, Address | None]]:
    """Changes of what an operation is given, which is the same one on both sides."""
    yield from _differences(_given(one), _given(other), path, (*at, _op(other)))


def _op(item: Any) -> str:
    return item if isinstance(item, str) else str(operation_key(item) or "?")


def _name(item: Any) -> str | None:
    key = operation_key(item)
    name = item[key].get("name") if key is not None and isinstance(item[key], dict) else None
    return str(name) if name is not None else None


def _given(item: Any) -> Any:
    """What an operation is given, without its name and notes; an empty mapping for nothing."""
    key = operation_key(item)
    found = item[key] if key is not None else None
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if name != "name" and not str(name).startswith("x-")}
    return {} if found is None else found


def _numbered(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _call(item: Any) -> str:
    given = _given(item)
    arguments = [f"{key}={_text(value)}" for key, value in given.items()] if isinstance(given, dict) else [_text(given)]
    return cut(f"{_op(item)}({', '.join(arguments)})")


def _text(value: Any) -> str:
    return "not set" if value is _MISSING else cut(json.dumps(value, ensure_ascii=False, default=str))


def _other_files(a: LoadedSpec, b: LoadedSpec) -> Iterator[str]:
    """Relative paths that both specs name in folders of their own, where the files differ, or the function does."""
    if a.base_dir.resolve() == b.base_dir.resolve():
        return
    shared = set(_paths(a.data))
    for text in _paths(b.data):
        if text in shared:
            python = split_reference(text)
            one, other = (_files(spec.base_dir, python[0] if python else text) for spec in (a, b))
            alike = [file.name for file in one] == [file.name for file in other] and all(map(_equal, one, other))
            if not alike and not (python and one and other and is_same_function(one[0], other[0], python[1])):
                yield text


def _paths(data: Mapping[str, Any]) -> Iterator[str]:
    for leaf in leaves(data):
        if not has_scheme(leaf.text) and not leaf.text.startswith(("data:", "~", "/")):
            yield leaf.text


def _files(folder: Path, text: str) -> list[Path]:
    pattern = text if is_glob(text) else glob.escape(text)
    names = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - Path.glob refuses ".." and "~"
    return [folder / name for name in sorted(names)]


def _equal(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()) or one.samefile(other):
        return True
    size = one.stat().st_size
    return size == other.stat().st_size and (size > _MOST_BYTES or filecmp.cmp(one, other, shallow=False))
