"""Stages that choose, repeat and reorder elements."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.values import Count, Flag, Positive, Seed


class Shuffle(Stage):
    """Fills a buffer with elements and draws from it at random."""

    op: ClassVar[str] = "shuffle"

    buffer_size: Positive = Field(description="Number of elements in the buffer.")
    seed: Seed | None = Field(default=None, description="Seed of the order; drawn anew for every run when left out.")
    reshuffle_each_iteration: Flag | None = Field(
        default=True, description="Whether each epoch has an order of its own."
    )


class Repeat(Stage):
    """Gives the elements again, epoch after epoch."""

    op: ClassVar[str] = "repeat"

    count: Count | None = Field(default=None, description="Number of epochs; without end when left out or -1.")


class Take(Stage):
    """Gives only the first elements."""

    op: ClassVar[str] = "take"

    count: Count = Field(description="Number of elements; all of them when -1.")


class Skip(Stage):
    """Leaves out the first elements."""

    op: ClassVar[str] = "skip"

    count: Count = Field(description="Number of elements; all of them when -1.")
