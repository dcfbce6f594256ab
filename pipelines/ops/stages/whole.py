"""Stages on the whole dataset: a Python function of it, and options."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.model import Closed, argument
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.options import Options as DatasetOptions
from pipeprof.pipelines.ops.values.python_ref import Python, PythonRef

_PYTHON = 'A function in a Python file, "file.py:function", from dataset to dataset; it runs with your permissions.'


class Transformation(Closed):
    """A function from dataset to dataset, under TensorFlow's own name of the argument."""

    python: Python = argument(_PYTHON)


class Apply(Stage):
    """Applies a Python function from dataset to dataset."""

    op: ClassVar[str] = "apply"
    takes_name: ClassVar[bool] = False
    own_fields: ClassVar[frozenset[str]] = frozenset({"python", "transformation_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("python", "transformation_func")

    python: Python | None = argument(_PYTHON, default=None)
    transformation_func: Transformation | None = argument("The function, by TensorFlow's argument name.", default=None)

    @property
    def reference(self) -> PythonRef | None:
        """The function, in whichever way it was written."""
        return self.transformation_func.python if self.transformation_func else self.python

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Call it."""
        reference = self.reference
        made = dataset.apply(building.function(reference))
        if not isinstance(made, building.tf.data.Dataset):
            raise PlainError(f"{reference} returned {type(made).__name__}: expected a tf.data.Dataset")
        return made


class WithOptions(Stage):
    """Sets options of the whole pipeline; later options override earlier ones."""

    op: ClassVar[str] = "with_options"
    own_fields: ClassVar[frozenset[str]] = frozenset({"options"})

    options: DatasetOptions = argument("tf.data.Options by TensorFlow's names.")

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """``dataset`` with the options."""
        return dataset.with_options(building.options(self.options), **building.arguments(self, address))
