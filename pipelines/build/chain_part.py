"""The part of `ops:` chains that a predicate after them reads; without TensorFlow.

Calls that make nothing the predicate reads are left out. Those that give the element another structure cost nothing and
stay, so that fields keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.build.allowlist import functions, reads_nothing
from pipeprof.pipelines.build.chain import PYTHON, STRUCTURE, arguments_of, call_of
from pipeprof.pipelines.errors import PlainError

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices from the element to a component; empty for the whole element."""
_WHOLE: Final[Path] = ()


class CannotSplitError(PlainError):
    """What the predicate reads is another value when it is made twice."""


def part_of_chains(chains: Iterable[Sequence[Any]], predicate: Sequence[Any]) -> list[Any]:
    """Return the calls that answer on the element before `chains` what `predicate` answers after them.

    Raises:
        CannotSplitError: They would call something twice that may answer differently.

    Example:
        >>> part_of_chains([[{"tf.io.decode_jpeg": {"on": 0}}]], [{"tf.math.less": {"y": 5, "on": 1}}])
        [{'tf.math.less': {'y': 5, 'on': 1}}]
    """
    calls = [call for chain in (*chains, predicate) for call in chain]
    kept: list[Any] = []
    needed, mentioned = {_WHOLE}, set[Any]()
    for index, call in reversed(list(enumerate(calls))):
        name, written = call_of(call)
        if name in STRUCTURE:
            needed = {_before(name, written, path) for path in needed}
            mentioned |= {*_names(written)}
            kept.append(call)
            continue
        read, made, new = _routes(name, written, answers=index == len(calls) - 1)
        if any(_touch(path, other) for path in needed for other in made) or not mentioned.isdisjoint(new):
            _check_repeatable(name)
            needed = {path for path in needed if not any(_within(path, other) for other in made)} | {*read}
            kept.append(call)
    return kept[::-1]


def _check_repeatable(name: str) -> None:
    if name == PYTHON:
        raise CannotSplitError(f"{name} runs Python, which may depend on the elements before")
    if name not in functions() and name not in ("copy", "getitem"):
        raise CannotSplitError(f"{name} has no part that can be taken out")
    family, _, last = name.rpartition(".")
    if (
        name == "tf.image.sample_distorted_bounding_box"
        or last.startswith("random_")
        or (family == "tf.random" and not last.startswith("stateless_") and last not in ("fold_in", "split"))
    ):
        raise CannotSplitError(f"{name} draws random numbers: with fewer elements it draws others")


def _routes(name: str, written: Any, *, answers: bool) -> tuple[list[Path], list[Path], list[Any]]:
    """What a call reads, what it replaces, and the fields that are new with it."""
    given = arguments_of(name, written)
    on, to = given.get("on"), given.get("to")
    fields = [*on.values()] if isinstance(on, Mapping) else on if isinstance(on, list) else [on]
    read = [_path(field) for field in fields] if on is not None else [] if reads_nothing(name, given) else [_WHOLE]
    if name == "getitem" and str(given.get("key")).strip(" -0123456789:,.") not in ("", "tf.newaxis", "None"):
        read = [_WHOLE]
    target = on if to is None and isinstance(on, str | int) else to
    if answers or target is None:
        return read, [_WHOLE], []
    targets = target if isinstance(target, list) else [target]
    return read, [_path(one) for one in targets], [one for one in targets if one not in fields]


def _names(written: Any) -> Iterator[Any]:
    """The fields that a call names which gives the element another structure."""
    if isinstance(written, Mapping):
        yield from written
        written = [*written.values()]
    for one in written if isinstance(written, list) else [written]:
        if isinstance(one, list | Mapping):
            yield from _names(one)
        else:
            yield one


def _before(name: str, written: Any, path: Path) -> Path:
    """Path of a component before a call that rearranges; the whole element if it is built from several components."""
    if name == "rename":
        old = {new: old for old, new in written.items()}
        return (*(_path(old[str(path[0])]) if str(path[0]) in old else path[:1]), *path[1:]) if path else _WHOLE
    if name in ("select", "drop"):
        return _chosen(name, written, path)
    at: Any = written
    if name == "to_dict" and isinstance(written, list):
        at = {one: index if len(written) > 1 else None for index, one in enumerate(written)}
    for length, part in enumerate(path):
        if not isinstance(at, list | Mapping):
            return (*_path(at), *path[length:])
        inside = {str(key): inner for key, inner in (at.items() if isinstance(at, Mapping) else enumerate(at))}
        if str(part) not in inside:
            return _WHOLE
        at = inside[str(part)]
    return _WHOLE if isinstance(at, list | Mapping) else _path(at)


def _chosen(name: str, fields: Any, path: Path) -> Path:
    """Path before `select` or `drop`, where numbers are indices of a tuple."""
    if not isinstance(fields, list):
        return (*_path(fields), *path) if name == "select" else _WHOLE
    if not path or (isinstance(path[0], int) and (name == "drop" or any(isinstance(one, str) for one in fields))):
        return _WHOLE
    if isinstance(path[0], int):
        return (*_path(fields[path[0]]), *path[1:]) if path[0] < len(fields) else _WHOLE
    return path


def _path(field: Any) -> Path:
    if not isinstance(field, str):
        return _WHOLE if field is None else (field,)
    return tuple(int(part) if part.isdigit() else part for part in field.split("."))


def _touch(one: Path, other: Path) -> bool:
    return _within(one, other) or _within(other, one)


def _within(inner: Path, outer: Path) -> bool:
    return inner[: len(outer)] == outer
