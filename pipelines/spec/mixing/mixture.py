"""Two specs as one that has the parts of either: the difference as changes, and the data with some of them made.

A change is the smallest part that keeps its meaning alone: one argument, one option, a stage that is inserted,
removed or moved, stages that take each other's place, a function's body, a source, a recipe of `data:`. Whether the
spec with it alone is valid is not asked here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, same
from pipeprof.pipelines.spec.mixing.pair_stages import name_of, pair_stages
from pipeprof.pipelines.spec.yaml.tree import operation_key

UNMEASURED = frozenset({"name", "description", "ignore", "budgets"})
"""Keys that change nothing about the pipeline."""
_DROPPED = UNMEASURED - {"name"}
"""Keys that may name stages which only one side has."""
_WHOLE = frozenset({"step"})
_MOST = 60
"""Characters of a value in words."""


class _Missing:
    """No value: the key is on the other side only."""


_MISSING = _Missing()


@dataclass(frozen=True)
class _Same:
    value: Any

    def build(self, chosen: Collection[int]) -> Any:
        del chosen
        return self.value


@dataclass(frozen=True)
class _Choice:
    number: int
    a: Any
    b: Any

    def build(self, chosen: Collection[int]) -> Any:
        return self.b if self.number in chosen else self.a


@dataclass(frozen=True)
class _Entries:
    parts: Mapping[Any, _Part]
    optional: bool = False

    def build(self, chosen: Collection[int]) -> Any:
        found = {key: value for key, part in self.parts.items() if (value := part.build(chosen)) is not _MISSING}
        return found if found or not self.optional else _MISSING


@dataclass(frozen=True)
class _Items:
    parts: Sequence[_Part]
    optional: bool = False

    def build(self, chosen: Collection[int]) -> Any:
        found = [value for part in self.parts if (value := part.build(chosen)) is not _MISSING]
        return found if found or not self.optional else _MISSING


@dataclass(frozen=True)
class _Present:
    """A stage that is there with a change, or without it."""

    number: int
    with_it: bool
    part: _Part

    def build(self, chosen: Collection[int]) -> Any:
        return self.part.build(chosen) if (self.number in chosen) == self.with_it else _MISSING


_Part = _Same | _Choice | _Entries | _Items | _Present


@dataclass
class Mixture:
    """Two specs as one.

    Args:
        written: What paths of B are in its spec, where they were rewritten to hold from the folder of A.

    Attributes:
        changes: What leads from A to B, each in words, in the order of the spec.
        files: Paths by the number of their change, where both specs say the same and the files differ.

    Example:
        >>> mixture = Mixture({"stages": [{"batch": {"batch_size": 8}}]}, {"stages": [{"batch": {"batch_size": 16}}]})
        >>> mixture.changes
        ['stages.batch.batch_size: 8 → 16']
        >>> mixture.data({0})
        {'stages': [{'batch': {'batch_size': 16}}]}
    """

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    written: Mapping[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list, init=False)
    files: dict[int, str] = field(default_factory=dict, init=False)
    _root: _Part = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the changes."""
        self._root = _Entries(dict(self._top()))

    def data(self, chosen: Collection[int]) -> dict[str, Any]:
        """The data of A with some changes made."""
        found: dict[str, Any] = self._root.build(chosen)
        return found

    def _top(self) -> Iterator[tuple[str, _Part]]:
        for key in dict.fromkeys([*self.a, *self.b]):
            one, other = self.a.get(key, _MISSING), self.b.get(key, _MISSING)
            if key in _DROPPED:
                continue
            if key == STAGES:
                yield key, self._stages(one, other, key)
            elif key == SOURCE:
                yield key, self._operation(one, other, key)
            elif key == "measure":
                yield key, self._measure(one, other)
            elif key == "data":
                yield key, self._entries(one, other, key, deep=False)
            elif key == "options":
                yield key, self._entries(one, other, key, deep=True)
            elif key == "name" or str(key).startswith("x-"):
                yield key, _Same(one)
            else:
                yield key, self._value(one, other, key) if key not in _WHOLE else self._choice(one, other, key)

    def _change(self, text: str) -> int:
        self.changes.append(text)
        return len(self.changes) - 1

    def _as_written(self, value: Any) -> Any:
        """A value of B as its spec has it."""
        if isinstance(value, dict):
            return {key: self._as_written(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._as_written(each) for each in value]
        if isinstance(value, str):
            # A step has a path after `python:`.
            ends = (moved for moved in self.written if value == moved or value.endswith(f":{moved}"))
            moved = next(ends, None)
            return value.removesuffix(moved) + self.written[moved] if moved is not None else value
        return value

    def _choice(self, one: Any, other: Any, path: str) -> _Part:
        if type(one) is type(other) and same(one, other):
            return _Same(one)
        place, before, after = _narrowed(path, one, other)
        after = self._as_written(after)
        if type(before) is type(after) and same(before, after):
            number = self._change(f"{place}: other content of {_text(after)}")
            if isinstance(after, str):
                self.files[number] = after
            return _Choice(number, one, other)
        text = f"{_text(before)} → {_text(after)}"
        if before is _MISSING and one is not _MISSING:
            text = f"added {_text(after)}"
        if after is _MISSING and other is not _MISSING:
            text = f"removed {_text(before)}"
        return _Choice(self._change(f"{place}: {text}"), one, other)

    def _measure(self, one: Any, other: Any) -> _Part:
        """Settings of a run, which pairs do not use; the seed decides about the data."""
        known = [value if isinstance(value, dict) else {} for value in (one, other)]
        seed = self._choice(known[0].get("seed", _MISSING), known[1].get("seed", _MISSING), "measure.seed")
        parts = {**{key: _Same(value) for key, value in known[0].items()}, "seed": seed}
        return _Entries(parts, optional=one is _MISSING)

    def _entries(self, one: Any, other: Any, path: str, *, deep: bool) -> _Part:
        known = [{} if value is None or value is _MISSING else value for value in (one, other)]
        if not all(isinstance(value, dict) for value in known):
            return self._choice(one, other, path)
        parts: dict[Any, _Part] = {}
        for key in dict.fromkeys([*known[0], *known[1]]):
            first, second = (value.get(key, _MISSING) for value in known)
            if deep and isinstance(first if first is not _MISSING else second, dict):
                parts[key] = self._entries(first, second, f"{path}.{key}", deep=True)
            else:
                parts[key] = self._choice(first, second, f"{path}.{key}")
        return _Entries(parts, optional=one is _MISSING or other is _MISSING)

    def _stages(self, one: Any, other: Any, path: str) -> _Part:
        lists = [value if isinstance(value, list) else [] for value in (one, other)]
        paired = pair_stages(*lists)
        paths = [_paths(stages, path) for stages in lists]
        numbers = self._numbers_of_replaced(paired.replaced, paired.slots, paths)
        from_b = {other: one for one, other in paired.moved.items()}
        moves: dict[int, int] = {}
        shared: dict[int, _Part] = {}
        parts: list[_Part] = []
        for at, (mine, theirs) in enumerate(paired.slots):
            if mine is not None and theirs is not None:
                parts.append(self._operation(lists[0][mine], lists[1][theirs], paths[0][mine]))
                continue
            stage = mine if mine is not None else from_b.get(theirs if theirs is not None else -1)
            if stage is not None and stage in paired.moved:
                if stage not in moves:
                    target = paired.moved[stage]
                    where = _stage_before(paths[1], target, path)
                    moves[stage] = self._change(f"{paths[0][stage]}: moved {where}")
                    shared[stage] = self._operation(lists[0][stage], lists[1][target], paths[0][stage])
                parts.append(_Present(moves[stage], mine is None, shared[stage]))
            elif mine is not None:
                number = numbers.get(at)
                number = self._change(f"{paths[0][mine]}: removed") if number is None else number
                parts.append(_Present(number, False, _Same(lists[0][mine])))
            elif theirs is not None:
                number = numbers.get(at)
                if number is None:
                    where = _stage_before(paths[1], theirs, path)
                    number = self._change(
                        f"{paths[1][theirs]}: added {_call(self._as_written(lists[1][theirs]))} {where}"
                    )
                parts.append(_Present(number, True, _Same(lists[1][theirs])))
        return _Items(parts, optional=not isinstance(one, list) or not isinstance(other, list))

    def _numbers_of_replaced(
        self, replaced: Sequence[Sequence[int]], slots: Sequence[Any], paths: Sequence[Sequence[str]]
    ) -> dict[int, int]:
        """The change of each slot whose stages take each other's place."""
        found: dict[int, int] = {}
        for group in replaced:
            gone = [paths[0][slots[at].a] for at in group if slots[at].a is not None]
            come = [paths[1][slots[at].b].removeprefix("stages.") for at in group if slots[at].b is not None]
            number = self._change(f"{', '.join(gone)}: replaced by {', '.join(come)}")
            found.update(dict.fromkeys(group, number))
        return found

    def _operation(self, one: Any, other: Any, path: str) -> _Part:
        key = operation_key(one)
        if key is None or key != operation_key(other):
            return self._choice(one, other, path)
        return _Entries({**{each: _Same(one[each]) for each in one}, key: self._arguments(one[key], other[key], path)})

    def _arguments(self, one: Any, other: Any, path: str) -> _Part:
        known = [{} if value is None else value for value in (one, other)]
        if not all(isinstance(value, dict) for value in known):
            return self._choice(one, other, path)
        parts: dict[Any, _Part] = {}
        for key in dict.fromkeys([*known[0], *known[1]]):
            first, second, place = known[0].get(key, _MISSING), known[1].get(key, _MISSING), f"{path}.{key}"
            if key == "name" or str(key).startswith("x-"):
                parts[key] = _Same(first)
            elif key == STAGES and all(value is _MISSING or isinstance(value, list) for value in (first, second)):
                parts[key] = self._stages(first, second, place)
            elif key == SOURCE and isinstance(first, dict) and isinstance(second, dict):
                parts[key] = self._operation(first, second, place)
            else:
                parts[key] = self._value(first, second, place)
        return _Entries(parts)

    def _value(self, one: Any, other: Any, path: str) -> _Part:
        """An argument: pipelines inside of it in their parts, anything else as a whole."""
        if _is_pipeline(one) and _is_pipeline(other):
            return self._arguments(one, other, path)
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and any(map(_is_pipeline, one)):
            return _Items(
                [
                    self._value(first, second, f"{path}.{index}")
                    for index, (first, second) in enumerate(zip(one, other, strict=True))
                ]
            )
        if (
            isinstance(one, dict)
            and isinstance(other, dict)
            and one.keys() == other.keys()
            and any(map(_is_pipeline, one.values()))
        ):
            return _Entries({key: self._value(value, other[key], f"{path}.{key}") for key, value in one.items()})
        return self._choice(one, other, path)


def _is_pipeline(value: Any) -> bool:
    return isinstance(value, dict) and (SOURCE in value or STAGES in value)


def _paths(stages: Sequence[Any], path: str) -> list[str]:
    """Name each stage: by its name, else by its op, with a number where several are equal."""
    return [f"{path}.{name}" for name in _numbered([name_of(one) or operation_key(one) for one in stages])]


def _numbered(names: Sequence[Any]) -> list[str]:
    seen: Counter[str] = Counter()
    found = []
    for name in (str(one or "?") for one in names):
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def address_in(data: Mapping[str, Any], change: str) -> list[str | int] | None:
    """Where what a change is about stands in a spec, as keys and indices; None where that spec has no such part.

    Example:
        >>> resize = {"tf.image.resize": {"size": [8, 8]}}
        >>> data = {"stages": [{"map": {"name": "decode", "ops": ["tf.io.read_file", resize]}}]}
        >>> address_in(data, "stages.decode.ops.tf.image.resize.size: [4, 4] → [8, 8]")
        ['stages', 0, 'map', 'ops', 1, 'tf.image.resize', 'size']
        >>> address_in(data, "stages.cache: removed") is None
        True
    """
    at: Any = data
    address: list[str | int] = []
    left = change.partition(": ")[0]
    while left:
        if isinstance(at, list):
            # A stage goes by its name, an op of a function by what it is, any other item by its number.
            ways = (range(len(at)), map(operation_key, at), (name_of(one) or operation_key(one) for one in at))
            keys: dict[str, str | int] = {
                name: index for way in ways for index, name in enumerate(_numbered([str(one) for one in way]))
            }
        else:
            keys = {str(key): key for key in at} if isinstance(at, dict) else {}
        # Names have dots themselves: the longest is meant.
        fitting = [name for name in keys if left == name or left.startswith(f"{name}.")]
        if not fitting:
            return None
        part = max(fitting, key=len)
        is_stage, left = isinstance(at, list), left[len(part) + 1 :]
        address.append(keys[part])
        at = at[address[-1]]
        key = operation_key(at)
        if key is not None and (is_stage or part == SOURCE):
            address.append(key)
            at = at[key]
    return address


def _stage_before(paths: Sequence[str], index: int, path: str) -> str:
    return f"after {paths[index - 1].removeprefix(f'{path}.')}" if index else "after the source"


def _call(stage: Any) -> str:
    op = operation_key(stage)
    arguments = stage[op] if op is not None and isinstance(stage[op], dict) else {}
    text = ", ".join(f"{key}={_text(value)}" for key, value in arguments.items() if key != "name")
    return _cut(f"{op}({text})")


def _narrowed(path: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """The part of two values that differs, with its path: of lists the items, of mappings the entries."""
    if isinstance(one, list) and isinstance(other, list):
        shorter = min(len(one), len(other))
        start = next((at for at in range(shorter) if not same(one[at], other[at])), shorter)
        end = next((at for at in range(shorter - start) if not same(one[-1 - at], other[-1 - at])), shorter - start)
        left = [value[start : len(value) - end] for value in (one, other)]
        if len(left[0]) == len(left[1]) == 1:
            key = operation_key(left[0][0])
            if key is not None and key == operation_key(left[1][0]):
                name = _numbered([operation_key(one) for one in other])[start]
                return _narrowed(f"{path}.{name}", *(value[0][key] for value in left))
            return _narrowed(path, left[0][0], left[1][0])
        first, second = (value[0] if len(value) == 1 else value or _MISSING for value in left)
        return path, first, second
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() & other.keys():
        differ = [key for key in dict.fromkeys([*one, *other]) if not same(one.get(key), other.get(key))]
        if len(differ) == 1:
            return _narrowed(f"{path}.{differ[0]}", *(value.get(differ[0], _MISSING) for value in (one, other)))
        if differ:
            first, second = ({key: value[key] for key in differ if key in value} for value in (one, other))
            return path, first or _MISSING, second or _MISSING
    return path, one, other


def _text(value: Any) -> str:
    if value is _MISSING:
        return "not set"
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
