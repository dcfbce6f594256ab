"""Addresses in a spec's data: keys and indices, between which the name of an operation may be left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.spec.yaml_text import Address


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
