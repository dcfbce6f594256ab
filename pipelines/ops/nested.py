"""Functions that make a dataset from an element: a pipeline of its own, or a function in a Python file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from pipeprof.pipelines.ops.base import AnyStage, NestedSource
from pipeprof.pipelines.ops.element import PYTHON
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.problems import failure, mismatch
from pipeprof.pipelines.ops.values import Python

SOURCE = "Source of the pipeline made for each element, which stands for its first argument when that is left out."
STAGES = "Stages of the pipeline made for each element, in order."


class PipelineFunction(Closed):
    """A function from an element to a dataset, under TensorFlow's own name of the argument."""

    ways: ClassVar[tuple[str, ...]] = ("source", "python")

    source: NestedSource | None = Field(default=None, description=SOURCE)
    stages: list[AnyStage] | None = Field(default=None, description=STAGES)
    python: Python | None = Field(default=None, description=PYTHON)

    @model_validator(mode="after")
    def _complete(self) -> PipelineFunction:
        if self.stages is not None and self.python is not None:
            raise failure(("stages",), mismatch(self.stages, "function", "no stages beside `python`"), self.stages)
        return self
