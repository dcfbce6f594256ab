"""``map``, ``filter`` and other stages that call a function on each element."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.calls.element import OPS, PYTHON, Call, ElementFunction, check_targets
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.features import Features
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.structures import Tensors
from pipeprof.pipelines.ops.values.values import Flag, PositiveOrAutotune

Calls = Annotated[list[Call], Field(min_length=1)]


class Map(Stage):
    """Calls a function on each element."""

    op: ClassVar[str] = "map"
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "map_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "map_func")

    ops: Calls | None = Field(default=None, description=OPS)
    python: Python | None = Field(default=None, description=PYTHON)
    map_func: ElementFunction | None = Field(default=None, description="The function, by TensorFlow's argument name.")
    num_parallel_calls: PositiveOrAutotune | None = Field(
        default=None, description="Number of elements processed in parallel, or AUTOTUNE."
    )
    deterministic: Flag | None = Field(default=None, description="Whether parallel calls keep the order of elements.")
    synchronous: Flag | None = Field(
        default=None, description="Whether to prevent TensorFlow from making the map parallel."
    )
    use_unbounded_threadpool: Flag = Field(
        default=False, description="Whether to run calls outside the bounded thread pool."
    )

    @model_validator(mode="after")
    def _complete(self) -> Map:
        check_targets(self.function.ops or [], ("map_func",) if self.map_func else (), predicate=False)
        return self

    @property
    def function(self) -> ElementFunction:
        """The function, in whichever way it was written."""
        return self.map_func or ElementFunction.model_construct(ops=self.ops, python=self.python)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Map ``dataset``."""
        argument = "map_func" if self.map_func else ""
        function = building.element_function(self.function, dataset, address, argument=argument)
        return dataset.map(function, **building.arguments(self, address))


class _Predicate(Stage):
    """Arguments that ``filter`` and ``take_while`` share."""

    op: ClassVar[str] = ""
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "predicate"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "predicate")

    ops: Calls | None = Field(default=None, description=OPS + " The last call returns a single bool.")
    python: Python | None = Field(default=None, description=PYTHON)
    predicate: ElementFunction | None = Field(default=None, description="The function, by TensorFlow's argument name.")

    @model_validator(mode="after")
    def _complete(self) -> _Predicate:
        check_targets(self.function.ops or [], ("predicate",) if self.predicate else (), predicate=True)
        return self

    @property
    def function(self) -> ElementFunction:
        """The function, in whichever way it was written."""
        return self.predicate or ElementFunction.model_construct(ops=self.ops, python=self.python)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Apply the predicate to ``dataset``."""
        argument = "predicate" if self.predicate else ""
        function = building.element_function(self.function, dataset, address, predicate=True, argument=argument)
        return getattr(dataset, self.op)(function, **building.arguments(self, address))


class Filter(_Predicate):
    """Keeps the elements for which a function returns true."""

    op: ClassVar[str] = "filter"


class TakeWhile(_Predicate):
    """Stops at the first element for which a function returns false."""

    op: ClassVar[str] = "take_while"


class ParseExampleDataset(Stage):
    """Parses batches of serialised examples."""

    op: ClassVar[str] = "parse_example_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    features: Features = Field(description="The features of an example, as for tf.io.parse_example.")
    num_parallel_calls: PositiveOrAutotune | None = Field(
        default=1, description="Number of batches parsed in parallel, or AUTOTUNE."
    )
    deterministic: Flag | None = Field(default=None, description="Whether parallel calls keep the order of batches.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Parse ``dataset``."""
        made = building.tf.data.experimental.parse_example_dataset(**building.arguments(self, address))
        return dataset.apply(made)


class Scan(Stage):
    """Calls a function on a state and each element; it returns the next state and the output element."""

    op: ClassVar[str] = "scan"
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "scan_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "scan_func")

    initial_state: Tensors = Field(description="The state before the first element: arrays and literals.")
    ops: Calls | None = Field(
        default=None,
        description=OPS + " Its input is the tuple (state, element), its output (state, output).",
    )
    python: Python | None = Field(default=None, description=PYTHON)
    scan_func: ElementFunction | None = Field(default=None, description="The function, by TensorFlow's argument name.")

    @model_validator(mode="after")
    def _complete(self) -> Scan:
        check_targets(self.function.ops or [], ("scan_func",) if self.scan_func else (), predicate=False)
        return self

    @property
    def function(self) -> ElementFunction:
        """The function, in whichever way it was written."""
        return self.scan_func or ElementFunction.model_construct(ops=self.ops, python=self.python)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Scan ``dataset``; TensorFlow hands over state and element as two arguments."""
        argument = "scan_func" if self.scan_func else ""
        function = building.element_function(self.function, dataset, address, unpacked=True, argument=argument)
        return dataset.scan(scan_func=function, **building.arguments(self, address))
