"""Scope of ``for_each``, whose calls share their random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

seeded: ContextVar[bool] = ContextVar("seeded", default=False)


@contextmanager
def sharing() -> Iterator[None]:
    """Read a chain as one inside of ``for_each``."""
    token = seeded.set(True)
    try:
        yield
    finally:
        seeded.reset(token)
