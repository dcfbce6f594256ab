"""Stages that group elements: windows, groups and buckets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.base import Inner, Stage
from pipeprof.pipelines.ops.calls.element import ElementFunction, check_targets
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.nested import PipelineFunction
from pipeprof.pipelines.ops.problems import error, failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.padding import padding_values
from pipeprof.pipelines.ops.values.structures import Scalars, Shapes
from pipeprof.pipelines.ops.values.values import Flag, Integers, Positive


class Window(Stage):
    """Groups consecutive elements into datasets; a ``flat_map`` with `stages` alone flattens them again."""

    op: ClassVar[str] = "window"

    size: Positive = argument("Number of elements in a window.")
    shift: Positive | None = argument("Number of elements by which windows advance; default: the size.", default=None)
    stride: Positive = argument("Stride of the elements in a window.", default=1)
    drop_remainder: Flag = argument("Whether to drop last windows that are smaller.", default=False)


class GroupByWindow(Stage):
    """Groups elements by key and turns every full group into a dataset."""

    op: ClassVar[str] = "group_by_window"
    own_fields: ClassVar[frozenset[str]] = frozenset({"key_func", "reduce_func", "window_size_func"})

    key_func: ElementFunction = argument("The key of an element: an int64 number.")
    reduce_func: PipelineFunction = argument(
        "Stages applied to the dataset of a group, or a function of key and dataset."
    )
    window_size: Positive | None = argument("Number of elements of a full group.", default=None)
    window_size_func: ElementFunction | None = argument(
        "Group size by key: a function from the key to an int64.", default=None
    )

    @model_validator(mode="after")
    def _complete(self) -> GroupByWindow:
        if (self.window_size is None) == (self.window_size_func is None):
            message = "{} of window_size and window_size_func: expected exactly one of them"
            got = "neither" if self.window_size is None else "both"
            place = () if self.window_size is None else ("window_size_func",)
            raise failure(place, error(message.format(got), "window_size", got=got))
        check_targets(self.key_func.ops or [], ("key_func",), predicate=True)
        if self.window_size_func is not None:
            check_targets(self.window_size_func.ops or [], ("window_size_func",), predicate=True)
        return self

    def pipelines(self) -> Iterator[Inner]:
        """The function of a group."""
        if self.reduce_func.python is None:
            yield Inner(("reduce_func",), ("reduce_func",), self.reduce_func, per_element=True)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Group ``dataset``."""
        arguments = building.arguments(self, address)
        if self.window_size_func is not None:
            arguments["window_size_func"] = building.element_function(
                self.window_size_func, dataset, address, answers=True, unpacked=False, argument="window_size_func"
            )
        return dataset.group_by_window(
            key_func=building.element_function(self.key_func, dataset, address, answers=True, argument="key_func"),
            reduce_func=building.dataset_function(self.reduce_func, address, "reduce_func"),
            **arguments,
        )


class BucketBySequenceLength(Stage):
    """Batches elements of similar length together."""

    op: ClassVar[str] = "bucket_by_sequence_length"
    own_fields: ClassVar[frozenset[str]] = frozenset({"element_length_func"})

    element_length_func: ElementFunction = argument("The length of an element: an int32 number.")
    bucket_boundaries: Integers = argument("Upper length boundaries of the buckets, ascending.")
    bucket_batch_sizes: Integers = argument("Batch size of each bucket: one more than boundaries.")
    padded_shapes: Shapes | None = argument(
        "Shape of each component after padding; null pads to the longest.", default=None
    )
    padding_values: Scalars | None = argument(
        'Padding value of each component, or one for all, in the component\'s dtype (default 0 or "").', default=None
    )
    pad_to_bucket_boundary: Flag = argument(
        "Whether to pad null dimensions to the bucket boundary instead of the longest element.", default=False
    )
    no_padding: Flag = argument("Whether to batch without padding.", default=False)
    drop_remainder: Flag = argument("Whether to drop last batches that are smaller.", default=False)

    @model_validator(mode="after")
    def _complete(self) -> BucketBySequenceLength:
        check_targets(self.element_length_func.ops or [], ("element_length_func",), predicate=True)
        boundaries, sizes = self.bucket_boundaries, self.bucket_batch_sizes
        if list(boundaries) != sorted(set(boundaries)):
            problem = mismatch(boundaries, "numbers", "numbers in ascending order")
            raise failure(("bucket_boundaries",), problem, boundaries)
        if len(sizes) != len(boundaries) + 1:
            message = f"{len(sizes)} batch sizes for {len(boundaries)} boundaries: expected {len(boundaries) + 1}"
            raise failure(("bucket_batch_sizes",), error(message, "numbers", got=len(sizes)), sizes)
        return self

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Bucket ``dataset``."""
        function = building.element_function(
            self.element_length_func, dataset, address, answers=True, argument="element_length_func"
        )
        arguments = building.arguments(self, address)
        if self.padding_values is not None and not self.no_padding:
            arguments["padding_values"] = padding_values(self.padding_values.value, dataset.element_spec)
        return dataset.bucket_by_sequence_length(element_length_func=function, **arguments)
