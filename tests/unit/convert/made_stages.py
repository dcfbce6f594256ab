"""Stages of made-up pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage

Pipeline = Callable[..., Profile]
"""Makes a profile with stages whose loop waits for them."""


def stage(address: str, op: str, ms: float = 0.0, **given: Any) -> Stage:
    """A stage as written, with so many milliseconds of work per batch."""
    return Stage(id=address, op=op, origin="written", cpu_ms_per_batch=ms, **given)


def component(dtype: str, *shape: int | None, name: str = "0") -> Component:
    """A component of an element."""
    return Component(name=name, dtype=dtype, shape=list(shape))
