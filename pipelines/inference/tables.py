"""Tables of functions by the names of ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def entries(table: dict[str, _Function]) -> Callable[..., Callable[[_Function], _Function]]:
    """Make a decorator, ``@infers("map", "filter")``, that puts a function into a table under these names."""

    def infers(*ops: str) -> Callable[[_Function], _Function]:
        def register(function: _Function) -> _Function:
            table.update(dict.fromkeys(ops, function))
            return function

        return register

    return infers
