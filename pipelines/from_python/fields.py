"""Paths of tensors in an element's structure, and their fields in a spec."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.from_python.records import NotExpressible, RecordedTensor

Path = tuple[str | int, ...]


def paths(value: Any, below: Path = ()) -> dict[int, Path]:
    """Return the path of each tensor in a structure, by the tensor's number."""
    if isinstance(value, RecordedTensor):
        return {value.id: below}
    found: dict[int, Path] = {}
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple | list):
        items = enumerate(value)
    for key, one in items:
        for number, path in paths(one, (*below, key)).items():
            found.setdefault(number, path)
    return found


def field_of(path: Path) -> str | int:
    """Convert a path to the form of ``on``.

    Raises:
        NotExpressible: A key inside has a dot.
    """
    if len(path) == 1:
        return path[0]
    if any(not str(part) or "." in str(part) for part in path):
        msg = "the name of a nested field has a dot"
        raise NotExpressible(msg)
    return ".".join(map(str, path))


def replaced_fields(state: Any, path: Path, value: Any) -> Any:
    """Copy a structure with another value at a path."""
    first, *rest = path
    if isinstance(state, dict):
        return {**state, first: replaced_fields(state[str(first)], tuple(rest), value) if rest else value}
    at = int(first)
    inner = replaced_fields(state[at], tuple(rest), value) if rest else value
    return (*state[:at], inner, *state[at + 1 :])
