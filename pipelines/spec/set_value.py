"""``--set path=value``: change a spec without editing it.

A path is keys, list indices and stage names, joined by dots. A stage (a source, a function in ``ops``, an entry of
``data``) is a mapping with one key, and that key may be left out: ``stages.2.batch_size`` and
``stages.2.batch.batch_size`` are the same. In a list of stages a stage's name stands for its index, and so does the
name of an operation that occurs once. ``stages.+=VALUE`` appends, ``stages.+2=VALUE`` puts the value before item 2;
``null`` removes a key, a stage or a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.spec.yaml_text import MAX_DEPTH, Address, Item, Span, SpecProblem, YamlError, read_flag
from pipeprof.pipelines.suggest import suggest

FLAG: Final = "--set "
_ADD: Final = "+"
# Their items are things that can be taken out; in other lists (a shape) nothing is a value.
_LISTS_OF_PARTS: Final = ("stages", "ops", "ignore", "datasets")


@dataclass(frozen=True)
class _Path:
    parts: tuple[str, ...]
    flag: int

    def span(self, first: int, count: int = 1) -> Span:
        """Where parts of the path stand in the flag as shown."""
        before = sum(len(part) + 1 for part in self.parts[:first])
        return Span(1, len(FLAG) + before + 1, max(1, len(self.joined(first, count))), self.flag)

    def joined(self, first: int, count: int) -> str:
        return ".".join(self.parts[first : first + count])


def apply_sets(
    root: Item, sets: Sequence[str], environment: Mapping[str, str] | None, used: dict[str, str | None]
) -> list[SpecProblem]:
    """Apply every ``path=value`` to what was read, later ones over earlier ones.

    Args:
        root: changed in place; the places of changed values are then in the flag.
        used: gets the variables that were looked up.

    Returns:
        What is wrong with the flags; columns count from the start of ``--set ``.
    """
    problems: list[SpecProblem] = []
    for number, text in enumerate(sets):
        written, equals, value_text = text.partition("=")
        path = _Path(tuple(written.strip().split(".")), number)
        whole = Span(1, len(FLAG) + 1, max(1, len(written)), number)
        try:
            if not equals:
                raise YamlError(whole, "set-form", f"missing '=' in '{text}': expected --set path=value")
            if not all(path.parts) or len(path.parts) > MAX_DEPTH:
                message = f"expected 1 to {MAX_DEPTH} names and indices joined by dots, as stages.2.batch_size"
                raise YamlError(whole, "set-form", f"got '{written}', {message}")
            value = read_flag(value_text, number, len(FLAG) + len(written) + 1, environment)
            used |= value.used
            problems += value.problems[:1]
            if value.root is not None and not value.problems:
                _set(root, path, value.root)
        except YamlError as error:
            problems.append(error.problem)
    return problems


def _set(root: Item, path: _Path, value: Item) -> None:
    """Walk to the last part of the path, make what does not exist yet, and put the value there."""
    holder, at = root, 0
    address: Address = ()
    while True:
        if isinstance(holder.value, list) and path.parts[at].startswith(_ADD) and at == len(path.parts) - 1:
            before = path.parts[at][1:]
            index = _step(holder, address, _Path((*path.parts[:at], before), path.flag), at)[0] if before else None
            holder.value.insert(len(holder.value) if index is None else int(index), value)
            return
        key, used = _step(holder, address, path, at)
        at += used
        if at == len(path.parts):
            break
        span = path.span(at - 1)
        if isinstance(holder.value, dict) and key not in holder.value:
            holder.value[key] = Item(None, span, span)
        entries: Any = holder.value
        inner: Item = entries[key]
        if inner.value is None:
            inner.value = [] if path.parts[at].startswith(_ADD) else {}
        elif isinstance(inner.value, str) and address and address[-1] == "ops":
            inner.value = {inner.value: Item(None, inner.span, inner.span)}
        holder, address = inner, (*address, key)
    _put(holder, address, key, value, path.span(at - used, used) if used else None)


def _put(holder: Item, address: Address, key: str | int, value: Item, key_span: Span | None) -> None:
    value.key = key_span
    if isinstance(holder.value, list) and isinstance(key, int):
        if value.value is None and address and address[-1] in _LISTS_OF_PARTS:
            del holder.value[key]
        else:
            holder.value[key] = value
    elif isinstance(holder.value, dict):
        if value.value is None and key in holder.value and not is_operation(address):
            del holder.value[key]
        else:
            holder.value[key] = value


def _step(holder: Item, address: Address, path: _Path, at: int) -> tuple[str | int, int]:
    """The key or index that the next parts of a path mean, and how many parts these are."""
    value = holder.value
    if not isinstance(value, dict | list):
        message = f"'{path.joined(0, at)}' is a value: the path must end there"
        raise YamlError(path.span(at), "set-path", message)
    for labels in _labels(value):
        # A key may have dots itself.
        for count in range(len(path.parts) - at, 0, -1):
            keys = labels.get(path.joined(at, count), [])
            if len(keys) > 1:
                places = ", ".join(f"{path.joined(0, at)}.{key}" for key in keys)
                message = f"'{path.joined(at, count)}' is ambiguous ({places}): use an index"
                raise YamlError(path.span(at), "ambiguous", message)
            if keys:
                return keys[0], count
    part = path.parts[at]
    if isinstance(value, dict):
        inner = operation_key(value) if is_operation(address) else None
        return (inner, 0) if inner is not None else (int(part) if is_index(part) else part, 1)
    if is_index(part):
        message = f"index {part} of '{path.joined(0, at)}' is out of range: it has {len(value)} items"
        raise YamlError(path.span(at), "out-of-range", message)
    known = list(dict.fromkeys(label for labels in _labels(value)[1:] for label in labels))
    message = f"no '{part}' in '{path.joined(0, at)}': expected an index or one of {', '.join(known[:8])}"
    raise YamlError(path.span(at), "unknown-stage", message, suggest(part, known))


def _labels(value: dict[str | int, Item] | list[Item]) -> list[dict[str, list[str | int]]]:
    """Keys and indices by what a path may call them; the first way that knows a name counts."""
    if isinstance(value, dict):
        return [{str(key): [key] for key in value}]
    indices: dict[str, list[str | int]] = {str(index): [index] for index in range(len(value))}
    names: dict[str, list[str | int]] = {}
    operations: dict[str, list[str | int]] = {}
    for index, item in enumerate(value):
        key = item.value if isinstance(item.value, str) else operation_key(item.value)
        if key is None:
            continue
        operations.setdefault(str(key), []).append(index)
        arguments = item.value[key].value if isinstance(item.value, dict) else None
        name = arguments.get("name") if isinstance(arguments, dict) else None
        if name is not None and isinstance(name.value, str | int | float):
            names.setdefault(str(name.value), []).append(index)
    return [indices, names, operations]


def is_operation(address: Address) -> bool:
    """Whether a mapping at this address holds one operation under its name: a source, a stage, an input, a call."""
    parent = address[-2] if len(address) > 1 else None
    return bool(address) and (
        address[-1] == "source" or parent in ("stages", "ops") or (parent == "data" and len(address) == 2)
    )


def operation_key(value: object) -> str | int | None:
    """Return the only key of a mapping, notes (``x-``) not counted; ``None`` if there is not exactly one."""
    keys = [key for key in value if not str(key).startswith("x-")] if isinstance(value, dict) else []
    return keys[0] if len(keys) == 1 else None


def child_key(value: object, part: str | int) -> str | int | None:
    """The key or index of what a part of an address means: ``1000`` and ``"1000"`` are one."""
    if isinstance(value, dict):
        return next((key for key in value if str(key) == str(part)), None)
    if isinstance(value, list) and is_index(str(part)) and int(part) < len(value):
        return int(part)
    return None


def is_index(text: str) -> bool:
    """Whether a text can be the index of an item."""
    return text.isascii() and text.isdigit() and len(text) <= 9


def walk_address(data: Any, parts: Sequence[str | int]) -> Address:
    """Follow an address, whose one-key mappings may be skipped, as far as the data goes.

    Example:
        >>> walk_address({"stages": [{"batch": {"batch_size": 2}}]}, ["stages", 0, "batch_size"])
        ('stages', 0, 'batch', 'batch_size')
    """
    address: Address = ()
    current = data
    for part in parts:
        key = child_key(current, part)
        while key is None:
            key = operation_key(current) if is_operation(address) else None
            if key is None:
                return address
            address, current = (*address, key), current[key]
            key = child_key(current, part)
        address, current = (*address, key), current[key]
    return address
