"""New values as text that fits the lines around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.spec.yaml.writer import WIDTH, BlockWriter, flow, quoted, scalar


def item_lines(value: Any, column: int, *, as_block: bool) -> list[str]:
    """An item of a list in lines of its own."""
    return _lines([value], column, frozenset({1, 2}) if as_block else frozenset())


def entry_lines(key: str, value: Any, column: int, *, as_block: bool = False) -> list[str]:
    """An entry of a mapping in lines of its own."""
    return _lines({key: value}, column, frozenset({1, 2}) if as_block else frozenset())


def block_lines(value: Any, column: int) -> list[str]:
    """A mapping or list that is not empty, in lines of its own."""
    return _lines(value, column, frozenset())


def _lines(value: Any, column: int, open_depths: frozenset[int]) -> list[str]:
    def fits(start: str, inner: Any, at: Sequence[str | int]) -> bool:
        return len(at) not in open_depths and len(start) + 1 + len(flow(inner)) <= WIDTH

    return [line.text for line in BlockWriter(fits).block(value, (), column)]


def like(value: Any, before: str) -> str:
    """A value on one line; a text in the quotes that stood there before."""
    if isinstance(value, str) and before[:1] == '"':
        return quoted(value)
    if isinstance(value, str) and before[:1] == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return scalar(value) if not isinstance(value, dict | list) else flow(value)
