"""What stands around every import of a user's file; a worker sets it, and by default nothing does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_guards: list[Callable[[], AbstractContextManager[object]]] = []
_running: list[None] = []


def guard_imports(guard: Callable[[], AbstractContextManager[object]]) -> None:
    """Have every import of a user's file run within what `guard` returns."""
    _guards[:] = [guard]


@contextmanager
def importing() -> Iterator[None]:
    """An import of a user's file; one within another is a part of it."""
    if _running or not _guards:
        yield
        return
    _running.append(None)
    try:
        with _guards[0]():
            yield
    finally:
        _running.pop()
