"""``interleave`` and ``flat_map``: stages that map each element to a dataset and flatten the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.base import AnyStage, Inner, NestedSource, Stage
from pipeprof.pipelines.ops.calls.element import PYTHON
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.nested import ON, SOURCE, STAGES, PipelineFunction, check_start
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.values import ElementField, Flag, Positive, PositiveOrAutotune


class _Nesting(Stage):
    """Arguments that ``interleave`` and ``flat_map`` share."""

    own_fields: ClassVar[frozenset[str]] = frozenset({"source", "stages", "on", "python", "map_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = (("source", "stages", "on"), "python", "map_func")
    opens_element: ClassVar[bool] = True

    source: NestedSource | None = argument(SOURCE, default=None)
    stages: list[AnyStage] | None = argument(STAGES, default=None)
    on: ElementField | None = argument(ON, default=None)
    python: Python | None = argument(PYTHON, default=None)
    map_func: PipelineFunction | None = argument("The function, by TensorFlow's argument name.", default=None)

    @model_validator(mode="after")
    def _begins(self) -> _Nesting:
        check_start(self)
        return self

    @property
    def function(self) -> PipelineFunction:
        """The function, in whichever way it was written."""
        return self.map_func or PipelineFunction.model_construct(
            source=self.source, stages=self.stages, on=self.on, python=self.python
        )

    def pipelines(self) -> Iterator[Inner]:
        """The pipeline made for each element."""
        if self.function.python is None:
            yield Inner((), ("map_func",) if self.map_func is not None else (), self.function, per_element=True)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Nest pipelines in ``dataset``."""
        function = building.pipeline_function(self.function, dataset, address)
        return getattr(dataset, self.op)(function, **building.arguments(self, address))


class Interleave(_Nesting):
    """Maps each element to a dataset and interleaves the elements of these datasets."""

    op: ClassVar[str] = "interleave"

    cycle_length: PositiveOrAutotune | None = argument(
        "Number of inner datasets read concurrently; chosen by TensorFlow by default.", default=None
    )
    block_length: Positive | None = argument(
        "Number of consecutive elements from one inner dataset (TensorFlow: 1).", default=None
    )
    num_parallel_calls: PositiveOrAutotune | None = argument(
        "Number of inner datasets read in parallel, or AUTOTUNE.", default=None
    )
    deterministic: Flag | None = argument("Whether parallel reads keep the order of elements.", default=None)


class FlatMap(_Nesting):
    """Maps each element to a dataset and concatenates these datasets."""

    op: ClassVar[str] = "flat_map"
