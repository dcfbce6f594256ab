"""Stages that choose, repeat and reorder elements."""

from typing import Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.calls.element import ElementFunction, check_targets
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import Count, FilledText, Flag, Integer, NotNegative, Positive, Seed, Shares


class Shuffle(Stage):
    """Fills a buffer with elements and samples from it at random."""

    op: ClassVar[str] = "shuffle"

    buffer_size: Positive = argument("Number of elements in the buffer.")
    seed: Seed | None = argument("Random seed; default: different in every run.", default=None)
    reshuffle_each_iteration: Flag | None = argument("Whether to reshuffle in each epoch.", default=True)


class Repeat(Stage):
    """Repeats the elements, epoch after epoch."""

    op: ClassVar[str] = "repeat"

    count: Count | None = argument("Number of epochs; infinite by default and with -1.", default=None)


class Take(Stage):
    """Takes only the first elements."""

    op: ClassVar[str] = "take"

    count: Count = argument("Number of elements; -1: all.")


class Skip(Stage):
    """Skips the first elements."""

    op: ClassVar[str] = "skip"

    count: Count = argument("Number of elements; -1: all.")


class Shard(Stage):
    """Keeps every n-th element, the share of one of several workers."""

    op: ClassVar[str] = "shard"

    num_shards: Positive = argument("Number of shards.")
    index: NotNegative = argument("Index of the shard, from 0.")

    @model_validator(mode="after")
    def _below_number(self) -> "Shard":
        if self.index >= self.num_shards:
            expected = f"an index below num_shards, which is {self.num_shards}"
            raise failure(("index",), mismatch(self.index, "number", expected), self.index)
        return self


class Enumerate(Stage):
    """Pairs each element with its number, as a tuple."""

    op: ClassVar[str] = "enumerate"

    start: Integer = argument("The first number.", default=0)


class Unique(Stage):
    """Drops duplicate elements; elements must be scalars."""

    op: ClassVar[str] = "unique"


class IgnoreErrors(Stage):
    """Drops elements for which an earlier stage raised an error."""

    op: ClassVar[str] = "ignore_errors"

    log_warning: Flag = argument("Whether TensorFlow logs the errors that it ignores.", default=False)


class RejectionResample(Stage):
    """Drops elements at random to reach a target class distribution; yields (class, element) tuples."""

    op: ClassVar[str] = "rejection_resample"
    own_fields: ClassVar[frozenset[str]] = frozenset({"class_func"})

    class_func: ElementFunction = argument("The class of an element: an int32 number.")
    target_dist: Shares = argument("Target distribution of the classes.")
    initial_dist: Shares | None = argument(
        "Initial distribution of the classes; estimated from the elements by default.", default=None
    )
    seed: Seed | None = argument("Random seed; default: different in every run.", default=None)

    @model_validator(mode="after")
    def _complete(self) -> "RejectionResample":
        check_targets(self.class_func.ops or [], ("class_func",), predicate=True)
        given = self.initial_dist
        if given is not None and len(given) != len(self.target_dist):
            expected = f"a share for each of the {len(self.target_dist)} classes of target_dist"
            raise failure(("initial_dist",), mismatch(given, "weights", expected), given)
        return self

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Resample ``dataset``."""
        function = building.element_function(self.class_func, dataset, address, answers=True, argument="class_func")
        return dataset.rejection_resample(class_func=function, **building.arguments(self, address))


class AssertCardinality(Stage):
    """Asserts the number of elements; the pipeline raises an error if it is wrong."""

    op: ClassVar[str] = "assert_cardinality"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    expected_cardinality: Count = argument("Number of elements; -1: infinite.")


class PadToCardinality(Stage):
    """Appends empty elements up to a given number; elements are mappings, and an added key marks the real ones."""

    op: ClassVar[str] = "pad_to_cardinality"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    cardinality: NotNegative = argument("Number of elements after padding.")
    mask_key: FilledText = argument("Key that is true for real elements, false for padding.", default="valid")
