"""Stages that put elements together and take them apart."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.padding import padding_values
from pipeprof.pipelines.ops.values.structures import Scalars, Shapes
from pipeprof.pipelines.ops.values.values import Dtype, Flag, Positive, PositiveOrAutotune, Shape, Sizes


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
        default=None,
        description="Value of the padding of each component, or one value for all (0, empty text); a number takes the "
        "component's dtype.",
    )
    drop_remainder: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Batch ``dataset``."""
        arguments = building.arguments(self, address)
        if self.padding_values is not None:
            arguments["padding_values"] = padding_values(self.padding_values.value, dataset.element_spec)
        return dataset.padded_batch(**arguments)


class Unbatch(Stage):
    """Takes batches apart into their elements."""

    op: ClassVar[str] = "unbatch"


class Rebatch(Stage):
    """Takes batches apart and puts their elements together in batches of another size."""

    op: ClassVar[str] = "rebatch"

    batch_size: Sizes = Field(description="Number of elements in a batch, or a list of numbers that are used in turn.")
    drop_remainder: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")


class RaggedBatch(Stage):
    """Puts consecutive elements together whose shapes may differ, as ragged tensors."""

    op: ClassVar[str] = "ragged_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    drop_remainder: Flag = Field(default=False, description="Whether a last, smaller batch is dropped.")
    row_splits_dtype: Dtype = Field(default="int64", description="dtype of the row splits: int64 or int32.")


class SparseBatch(Stage):
    """Puts consecutive elements together whose shapes may differ, as sparse tensors."""

    op: ClassVar[str] = "sparse_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    row_shape: Shape = Field(description="Shape that every element fits in; null dimensions grow to the longest.")
