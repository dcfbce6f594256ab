"""A spec's data with the place of every value at the value itself, so that parts can be moved, merged and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeprof.pipelines.spec.yaml.reader import Address, YamlDocument
from pipeprof.pipelines.spec.yaml.scalars import Scalar
from pipeprof.pipelines.spec.yaml.spans import TextPlace

Entries: TypeAlias = "dict[str | int, Item]"


@dataclass(slots=True, eq=False)
class Item:
    """A value and its place."""

    value: Scalar | Entries | list[Item]
    place: TextPlace


def grow(document: YamlDocument, address: Address = ()) -> Item:
    """Return the data of a document as a tree of its own."""

    def item(data: Any, at: Address) -> Item:
        if isinstance(data, dict):
            return Item({key: item(inner, (*at, key)) for key, inner in data.items()}, document.places[at])
        if isinstance(data, list):
            return Item([item(inner, (*at, index)) for index, inner in enumerate(data)], document.places[at])
        return Item(data, document.places[at])

    data = document.data
    for part in address:
        data = data[part]
    return item(data, address)


def flatten(root: Item) -> tuple[Any, dict[Address, TextPlace]]:
    """Return plain data, and the place of everything in it by address; the inverse of `grow`."""
    places: dict[Address, TextPlace] = {}

    def plain(item: Item, at: Address) -> Any:
        places[at] = item.place
        if isinstance(item.value, dict):
            return {key: plain(inner, (*at, key)) for key, inner in item.value.items()}
        if isinstance(item.value, list):
            return [plain(inner, (*at, index)) for index, inner in enumerate(item.value)]
        return item.value

    return plain(root, ()), places


def child(item: Item, key: str | int) -> Item:
    """The value under a key or index that is there."""
    if isinstance(item.value, list) and isinstance(key, int):
        return item.value[key]
    if isinstance(item.value, dict):
        return item.value[key]
    raise KeyError(key)


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


def operation_name(item: Item) -> str | None:
    """The operation that a stage or call is."""
    if isinstance(item.value, str):
        return item.value
    key = operation_key(item.value)
    return str(key) if key is not None else None


def stage_name(item: Item) -> str | None:
    """The ``name`` that a stage has among its arguments."""
    key = operation_key(item.value)
    arguments = item.value[key].value if key is not None and isinstance(item.value, dict) else None
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return str(name.value) if name is not None and isinstance(name.value, str | int | float) else None


def find_key(entries: Entries, key: str | int) -> str | int | None:
    """The key of a mapping that is written as ``key`` is: ``1000`` and ``"1000"`` are one."""
    if key in entries:
        return key
    return next((known for known in entries if str(known) == str(key)), None)
