"""Stages that combine elements into batches or split them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.padding import padding_values
from pipeprof.pipelines.ops.values.structures import Scalars, Shapes
from pipeprof.pipelines.ops.values.values import Dtype, Flag, Positive, PositiveOrAutotune, Shape, Sizes


class Batch(Stage):
    """Combines consecutive elements into batches."""

    op: ClassVar[str] = "batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    drop_remainder: Flag = Field(default=False, description="Whether to drop the last batch if it is smaller.")
    num_parallel_calls: PositiveOrAutotune | None = Field(
        default=None, description="Number of batches computed in parallel, or AUTOTUNE."
    )
    deterministic: Flag | None = Field(default=None, description="Whether parallel batches keep their order.")


class PaddedBatch(Stage):
    """Combines consecutive elements into batches, padded to the same shape."""

    op: ClassVar[str] = "padded_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    padded_shapes: Shapes | None = Field(
        default=None,
        description="Shape of each component after padding; null pads to the longest element of the batch.",
    )
    padding_values: Scalars | None = Field(
        default=None,
        description='Padding value of each component, or one for all, in the component\'s dtype (default 0 or "").',
    )
    drop_remainder: Flag = Field(default=False, description="Whether to drop the last batch if it is smaller.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Batch ``dataset``."""
        arguments = building.arguments(self, address)
        if self.padding_values is not None:
            arguments["padding_values"] = padding_values(self.padding_values.value, dataset.element_spec)
        return dataset.padded_batch(**arguments)


class Unbatch(Stage):
    """Splits batches into their elements."""

    op: ClassVar[str] = "unbatch"


class Rebatch(Stage):
    """Regroups batches into batches of another size."""

    op: ClassVar[str] = "rebatch"

    batch_size: Sizes = Field(description="Number of elements in a batch, or a list of sizes used in turn.")
    drop_remainder: Flag = Field(default=False, description="Whether to drop the last batch if it is smaller.")


class RaggedBatch(Stage):
    """Combines consecutive elements of varying shape into ragged tensors."""

    op: ClassVar[str] = "ragged_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    drop_remainder: Flag = Field(default=False, description="Whether to drop the last batch if it is smaller.")
    row_splits_dtype: Dtype = Field(default="int64", description="dtype of the row splits: int64 or int32.")


class SparseBatch(Stage):
    """Combines consecutive elements of varying shape into sparse tensors."""

    op: ClassVar[str] = "sparse_batch"

    batch_size: Positive = Field(description="Number of elements in a batch.")
    row_shape: Shape = Field(description="Dense shape of an element; null pads to the longest.")
