"""A number with two values, as long as `verify/guessing` asks for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """A number."""

    value: float


@contextlib.contextmanager
def bar_to_try() -> Iterator[None]:
    """Let numbers have the values from which a change is worth a try: they have no others."""
    yield
