"""Stages that keep elements: for later epochs, or ahead of time."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.values import OutputPath, PositiveOrAutotune


class Cache(Stage):
    """Keeps all elements of the first epoch for the later ones, in memory or in a file."""

    op: ClassVar[str] = "cache"

    filename: OutputPath = Field(
        default="",
        validate_default=False,
        description="Path of the cache on disk, relative to the spec; in memory when empty.",
    )  # type: ignore[assignment]


class Prefetch(Stage):
    """Makes elements ahead of time, while the consumer is busy."""

    op: ClassVar[str] = "prefetch"

    buffer_size: PositiveOrAutotune = Field(description="Number of elements made ahead; AUTOTUNE lets tf.data choose.")
