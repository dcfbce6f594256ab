"""Stages that combine elements into batches or split them."""

from typing import Any, ClassVar

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.padding import padding_values
from pipeprof.pipelines.ops.values.structures import Scalars, Shapes
from pipeprof.pipelines.ops.values.values import Dtype, Flag, Positive, PositiveOrAutotune, Shape, Sizes


class Batch(Stage):
    """Combines consecutive elements into batches."""

    op: ClassVar[str] = "batch"

    batch_size: Positive = argument("Number of elements in a batch.")
    drop_remainder: Flag = argument("Whether to drop the last batch if it is smaller.", default=False)
    num_parallel_calls: PositiveOrAutotune | None = argument(
        "Number of batches computed in parallel, or AUTOTUNE.", default=None
    )
    deterministic: Flag | None = argument("Whether parallel batches keep their order.", default=None)


class PaddedBatch(Stage):
    """Combines consecutive elements into batches, padded to the same shape."""

    op: ClassVar[str] = "padded_batch"

    batch_size: Positive = argument("Number of elements in a batch.")
    padded_shapes: Shapes | None = argument(
        "Shape of each component after padding; null pads to the longest element of the batch.", default=None
    )
    padding_values: Scalars | None = argument(
        'Padding value of each component, or one for all, in the component\'s dtype (default 0 or "").', default=None
    )
    drop_remainder: Flag = argument("Whether to drop the last batch if it is smaller.", default=False)

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

    batch_size: Sizes = argument("Number of elements in a batch, or a list of sizes used in turn.")
    drop_remainder: Flag = argument("Whether to drop the last batch if it is smaller.", default=False)


class RaggedBatch(Stage):
    """Combines consecutive elements of varying shape into ragged tensors."""

    op: ClassVar[str] = "ragged_batch"

    batch_size: Positive = argument("Number of elements in a batch.")
    drop_remainder: Flag = argument("Whether to drop the last batch if it is smaller.", default=False)
    row_splits_dtype: Dtype = argument("dtype of the row splits: int64 or int32.", default="int64")


class SparseBatch(Stage):
    """Combines consecutive elements of varying shape into sparse tensors."""

    op: ClassVar[str] = "sparse_batch"

    batch_size: Positive = argument("Number of elements in a batch.")
    row_shape: Shape = argument("Dense shape of an element; null pads to the longest.")
