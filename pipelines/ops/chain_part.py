"""The part of `ops:` chains that a predicate after them reads, as a chain of its own; without TensorFlow.

A call that makes nothing the predicate reads is left out. So are calls that rearrange the element: what they rename is
called by the name that it has without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.element import parse_call
from pipeprof.pipelines.ops.calls.opcall import ROUTES, OpCall
from pipeprof.pipelines.ops.calls.seeds import is_random
from pipeprof.pipelines.ops.functions.catalog import function
from pipeprof.pipelines.ops.values.values import Field

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices from the element to a component; empty for the whole element."""

_WHOLE: Path = ()
_REARRANGING = frozenset({"select", "drop", "rename", "to_tuple", "to_dict"})


class CannotSplitError(PlainError):
    """The predicate reads what no part of the chains makes alone, or what is another value when it is made twice."""


def part_of_chains(chains: Iterable[Sequence[Any]], predicate: Sequence[Any]) -> list[Any]:
    """Return the chain that answers on the element before `chains` what `predicate` answers after them.

    Returns:
        The calls of the chains that the predicate needs, then its own, with `on` and `to` as the element before has
        the fields.

    Raises:
        CannotSplitError: There is no such chain, or it would call something twice that may answer differently.

    Example:
        >>> part_of_chains([["tf.square", {"to_tuple": [None, None]}]], [{"tf.math.less": {"y": 5, "on": 1}}])
        ['tf.square', {'tf.math.less': {'y': 5}}]
    """
    written = [call for chain in (*chains, predicate) for call in chain]
    calls = [parse_call(call) for call in written]
    return _Slice(calls, _needed(calls)).chain(written)


def _needed(calls: Sequence[OpCall]) -> list[frozenset[Path] | None]:
    """Components that later calls read after each call; None for calls that can be dropped."""
    found: list[frozenset[Path] | None] = []
    needed = frozenset({_WHOLE})
    for index, call in reversed(list(enumerate(calls))):
        answers = index == len(calls) - 1
        if call.name in _REARRANGING:
            found.append(needed)
            needed = frozenset(_WHOLE if (before := _before(call, path)) is None else before for path in needed)
            continue
        written = [_WHOLE] if answers else _written(call)
        if any(_touch(path, other) for path in needed for other in written):
            found.append(needed)
            rest = {path for path in needed if not any(_within(path, other) for other in written)}
            needed = frozenset({*rest, *_read(call)})
        else:
            found.append(None)
    return found[::-1]


class _Slice:
    """The calls that are needed, one after the other, with the names of fields that hold without the others."""

    def __init__(self, calls: Sequence[OpCall], needed: Sequence[frozenset[Path] | None]) -> None:
        self._calls = calls
        self._needed = needed
        self._base: Path = _WHOLE
        self._rearranged: list[OpCall] = []

    def chain(self, written: Sequence[Any]) -> list[Any]:
        """The chain, from the calls as they are written."""
        found: list[Any] = []
        for index, (call, needed) in enumerate(zip(self._calls, self._needed, strict=True)):
            if call.name in _REARRANGING:
                self._rearranged.append(call)
            elif needed is not None:
                special = special_calls().get(call.name)
                msg = None
                if special is not None and special.family == "python":
                    msg = f"{call.name} runs Python, which may depend on the elements before"
                elif is_random(call.name):
                    msg = f"{call.name} draws random numbers: with fewer elements it draws others"
                elif function(call.name) is None and call.name not in ("copy", "getitem"):
                    msg = f"{call.name} has no part that can be taken out"
                elif call.name == "getitem" and _names_in(call):
                    msg = "getitem reads a field that its key names"
                if msg is not None:
                    raise CannotSplitError(msg)
                answers = index == len(self._calls) - 1
                found.append(self._renamed(written[index], call, needed, answers=answers))
        if self._calls and self._calls[-1].name in _REARRANGING and (field := self._address(_WHOLE)):
            found.append({"select": _field(field)})
        if not found:
            raise CannotSplitError("the predicate calls no function")
        return found

    def _address(self, path: Path) -> Path:
        """The name without the calls that rearrange."""
        at: Path | None = path
        for call in reversed(self._rearranged):
            at = _before(call, at) if at is not None else None
        if at is None:
            raise CannotSplitError(f"{_shown(path)} is put together by {self._rearranged[-1].name}")
        return (*self._base, *at)

    def _renamed(self, written: Any, call: OpCall, needed: frozenset[Path], *, answers: bool) -> Any:
        on, to = call.on, call.to
        whole = self._address(_WHOLE) if _reads_whole(call) else _WHOLE
        if on is None:
            new_on: Any = _field(whole) if whole else None
        elif isinstance(on, dict):
            new_on = {name: self._field(field) for name, field in on.items()}
        elif isinstance(on, tuple):
            new_on = [self._field(field) for field in on]
        else:
            at = self._address(_path(on))
            new_on = _field(at) if at else None
        new_to: Any = None
        if to is not None:
            new_to = [self._field(field) for field in to] if isinstance(to, tuple) else self._field(to)
        target = None if answers else call.target
        if target is None:
            self._base, self._rearranged = (whole if on is None else _WHOLE), []
        else:
            self._check_others(call, needed, _written(call))
        same = new_on == _listed(on) and new_to == _listed(to)
        return written if same else _rewritten(written, call, new_on, new_to)

    def _field(self, field: Field) -> Field:
        """The name of a field."""
        address = self._address(_path(field))
        if not address:
            raise CannotSplitError(f"{field!r} is the whole element before")
        return _field(address)

    def _check_others(self, call: OpCall, needed: frozenset[Path], written: Sequence[Path]) -> None:
        """Check that a result does not replace a component that is still read under another name."""
        mine = [self._address(path) for path in written]
        others = [path for path in needed if not any(_within(path, other) for other in written)]
        for path in others:
            # A call may change a part of what is read: then it has the same place in both.
            if any(_within(other, path) for other in written):
                continue
            if any(_touch(self._address(path), other) for other in mine):
                raise CannotSplitError(f"{call.name} would replace {_shown(path)}, which is read after it")


def _names_in(call: OpCall) -> list[str]:
    found: list[str] = []
    call.arguments["key"].python(found.append)
    return found


def _read(call: OpCall) -> list[Path]:
    if _reads_whole(call):
        return [_WHOLE]
    return [_path(field) for field in call.read() or ()]


def _reads_whole(call: OpCall) -> bool:
    made_of_nothing = function(call.name) is not None and not call.inputs()
    return call.on is None and not made_of_nothing


def _written(call: OpCall) -> list[Path]:
    target = call.target
    if target is None:
        return [_WHOLE]
    return [_path(field) for field in target] if isinstance(target, tuple) else [_path(target)]


def _before(call: OpCall, path: Path) -> Path | None:
    """Path of a component before a rearranging call; None if it is built from several components."""
    if call.name == "rename":
        names = {new: old for old, new in call.arguments["names"].items()}
        if not path or any("." in new for new in names):
            return None
        return (*(_path(names[str(path[0])]) if str(path[0]) in names else path[:1]), *path[1:])
    if call.name in ("select", "drop"):
        return _chosen(call, path)
    names = call.arguments["structure"]
    if call.name == "to_tuple" or isinstance(names, dict):
        return _in_structure(names, path)
    # Names of the components of a tuple; one of them may name a single tensor.
    if not path or path[0] not in names:
        return None
    return (names.index(path[0]), *path[1:]) if len(names) > 1 else path[1:]


def _in_structure(at: Any, path: Path) -> Path | None:
    """Path before `to_tuple` or `to_dict`."""
    for length, part in enumerate(path):
        if not isinstance(at, dict | tuple):
            return _inside(at, path[length:])
        at = _part(at, part)
        if at is _NONE:
            return None
    return None if isinstance(at, dict | tuple) else _inside(at, ())


_NONE = object()


def _part(structure: dict[str, Any] | tuple[Any, ...], part: str | int) -> Any:
    if isinstance(structure, dict):
        return structure.get(str(part), _NONE)
    return structure[part] if isinstance(part, int) and part < len(structure) else _NONE


def _inside(field: Field | None, rest: Path) -> Path:
    return rest if field is None else (*_path(field), *rest)


def _chosen(call: OpCall, path: Path) -> Path | None:
    """Path before `select` or `drop`, where numbers are tuple indices."""
    fields = call.arguments["fields"]
    if not isinstance(fields, tuple):
        return (*_path(fields), *path)
    if not path:
        return None
    first, rest = path[0], path[1:]
    if isinstance(first, int) and any(isinstance(field, str) for field in fields):
        # A key of digits reads as a place.
        return None
    if not isinstance(first, int):
        return path if (first in fields) == (call.name == "select") else None
    if call.name == "select":
        return (*_path(fields[first]), *rest) if first < len(fields) else None
    kept = (index for index in range(first + len(fields) + 1) if index not in fields)
    return (next(index for number, index in enumerate(kept) if number == first), *rest)


def _rewritten(written: Any, call: OpCall, on: Any, to: Any) -> dict[str, Any]:
    value = written[call.name] if isinstance(written, dict) else None
    special = special_calls().get(call.name)
    arguments = special.arguments_of(value) if special is not None else value or {}
    arguments = {name: inner for name, inner in arguments.items() if name not in ROUTES}
    routes = {"on": on, "to": to}
    return {call.name: {**arguments, **{name: field for name, field in routes.items() if field is not None}}}


def _listed(routes: Any) -> Any:
    return list(routes) if isinstance(routes, tuple) else routes


def _path(field: Field) -> Path:
    if isinstance(field, int):
        return (field,)
    return tuple(int(part) if part.isdigit() else part for part in field.split("."))


def _field(path: Path) -> Field:
    return path[0] if len(path) == 1 else ".".join(map(str, path))


def _shown(path: Path) -> str:
    return str(_field(path)) if path else "the whole element"


def _touch(one: Path, other: Path) -> bool:
    return _within(one, other) or _within(other, one)


def _within(inner: Path, outer: Path) -> bool:
    return inner[: len(outer)] == outer
