"""Stages that put elements together and take them apart."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.structures import Scalars, Shapes
from pipeprof.pipelines.ops.values import Flag, Positive, PositiveOrAutotune


class Batch(Stage):
    """Puts consecutive elements together into batches."""

    op: ClassVar[str] = "batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    drop_remainder: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")
    num_parallel_calls: PositiveOrAutotune | None = Field(
        default=None, description="Batches that are made at the same time; AUTOTUNE lets tf.data choose."
    )
    deterministic: Flag | None = Field(default=None, description="Whether parallel batches keep their order.")


class PaddedBatch(Stage):
    """Puts consecutive elements together, padded to the same shape."""

    op: ClassVar[str] = "padded_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    padded_shapes: Shapes | None = Field(
        default=None,
        description="Shape of each component after padding; null dimensions grow to the longest of the batch.",
    )
    padding_values: Scalars | None = Field(
        default=None, description="Value of the padding of each component (0, empty text)."
    )
    drop_remainder: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")


class Unbatch(Stage):
    """Takes batches apart into their elements."""

    op: ClassVar[str] = "unbatch"
