"""Stages that choose, repeat and reorder elements."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.calls.element import ElementFunction, check_targets
from pipeprof.pipelines.ops.problems import failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.values import Count, FilledText, Flag, Integer, NotNegative, Positive, Seed, Shares


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


class Shard(Stage):
    """Gives every n-th element only: the part of one of several workers."""

    op: ClassVar[str] = "shard"

    num_shards: Positive = Field(description="Number of parts.")
    index: NotNegative = Field(description="Which part, counted from 0.")

    @model_validator(mode="after")
    def _below_number(self) -> Shard:
        if self.index >= self.num_shards:
            expected = f"an index below num_shards, which is {self.num_shards}"
            raise failure(("index",), mismatch(self.index, "number", expected), self.index)
        return self


class Enumerate(Stage):
    """Gives each element with its number, as a tuple."""

    op: ClassVar[str] = "enumerate"

    start: Integer = Field(default=0, description="The first number.")


class Unique(Stage):
    """Leaves out elements that came before; they are single numbers or texts."""

    op: ClassVar[str] = "unique"


class IgnoreErrors(Stage):
    """Leaves out elements that the stages before could not make."""

    op: ClassVar[str] = "ignore_errors"

    log_warning: Flag = Field(default=False, description="Whether TensorFlow writes what it leaves out to its log.")


class RejectionResample(Stage):
    """Leaves out elements at random so that classes have given shares; each comes with its class, as a tuple."""

    op: ClassVar[str] = "rejection_resample"
    own_fields: ClassVar[frozenset[str]] = frozenset({"class_func"})

    class_func: ElementFunction = Field(description="The class of an element: an int32 number.")
    target_dist: Shares = Field(description="Share of each class that comes out.")
    initial_dist: Shares | None = Field(
        default=None, description="Share of each class that goes in; estimated as elements come when left out."
    )
    seed: Seed | None = Field(default=None, description="Seed of the draws; drawn anew for every run when left out.")

    @model_validator(mode="after")
    def _complete(self) -> RejectionResample:
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
    """Says how many elements there are, and stops the pipeline if that is wrong."""

    op: ClassVar[str] = "assert_cardinality"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    expected_cardinality: Count = Field(description="Number of elements; -1 for no end.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Assert about ``dataset``."""
        made = building.tf.data.experimental.assert_cardinality(**building.arguments(self, address))
        return dataset.apply(made)


class PadToCardinality(Stage):
    """Adds empty elements until there are a given number; each is a mapping, and one more key says which are real."""

    op: ClassVar[str] = "pad_to_cardinality"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    cardinality: NotNegative = Field(description="Number of elements afterwards.")
    mask_key: FilledText = Field(default="valid", description="Key that is true for real elements.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Pad ``dataset``."""
        made = building.tf.data.experimental.pad_to_cardinality(**building.arguments(self, address))
        return dataset.apply(made)
