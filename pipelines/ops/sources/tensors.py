"""Sources in memory: tensors, ranges and Python generators."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calls.element import PYTHON
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed, argument
from pipeprof.pipelines.ops.problems import error, failure, mismatch
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.structures import Dtypes, Shapes, Signature, Tensors
from pipeprof.pipelines.ops.values.values import Dtype, Flag, Integer, OuterElement, Seed, is_integer


def _range_end(value: Any) -> int | OuterElement:
    if isinstance(value, OuterElement) or (is_integer(value) and -(2**63) <= value < 2**63):
        return value  # type: ignore[no-any-return]  # a whole number or an OuterElement, as was just seen
    raise mismatch(value, "number", "a whole number of at most 64 bits" if is_integer(value) else "a whole number")


def _range_step(value: Any) -> int:
    if is_integer(value) and value != 0 and -(2**63) <= value < 2**63:
        return int(value)
    expected = "a whole number of at most 64 bits" if is_integer(value) and value else "a whole number other than 0"
    raise mismatch(value, "number", expected)


RangeEnd = Annotated[int | OuterElement, Checked(_range_end, {"type": "integer"})]
RangeStep = Annotated[int, Checked(_range_step, {"type": "integer", "not": {"const": 0}})]


class FromTensorSlices(Source):
    """One element for each slice of tensors along their first dimension."""

    op: ClassVar[str] = "from_tensor_slices"
    element_argument: ClassVar[str] = "tensors"

    tensors: Tensors = argument("Arrays and literals, alone or as the components of mappings and lists.")


class FromTensors(Source):
    """A single element that holds the given tensors."""

    op: ClassVar[str] = "from_tensors"
    element_argument: ClassVar[str] = "tensors"

    tensors: Tensors = argument("Arrays and literals, alone or as the components of mappings and lists.")


class Range(Source):
    """A range of integers."""

    op: ClassVar[str] = "range"
    own_fields: ClassVar[frozenset[str]] = frozenset({"start", "stop", "step"})
    element_argument: ClassVar[str] = "stop"

    start: Integer = argument("The first number.", default=0)
    stop: RangeEnd = argument("The end, exclusive.")
    step: RangeStep = argument("The step.", default=1)
    output_type: Dtype | None = argument("dtype of the numbers (TensorFlow: int64).", default=None)

    def build(self, building: Building, address: str) -> Any:
        """The dataset of numbers; TensorFlow takes the three by position."""
        arguments = building.arguments(self, address)
        stop = building.convert(self.stop)
        if isinstance(self.stop, OuterElement):
            stop = building.tf.cast(stop, building.tf.int64)
        return building.tf.data.Dataset.range(self.start, stop, self.step, **arguments)


class Random(Source):
    """An infinite stream of random int64 numbers."""

    op: ClassVar[str] = "random"

    seed: Seed | None = argument("Random seed; default: different in every run.", default=None)
    rerandomize_each_iteration: Flag | None = argument("Whether to draw new numbers in each epoch.", default=None)


class Counter(Source):
    """An infinite counter."""

    op: ClassVar[str] = "counter"

    start: Integer = argument("The first number.", default=0)
    step: Integer = argument("The step.", default=1)
    dtype: Dtype = argument("dtype of the numbers.", default="int64")


class PythonGenerator(Closed):
    """A generator function, under TensorFlow's own name of the argument."""

    python: Python = argument(PYTHON)


class FromGenerator(Source):
    """Elements of a Python generator."""

    op: ClassVar[str] = "from_generator"
    own_fields: ClassVar[frozenset[str]] = frozenset({"python", "generator"})
    ways: ClassVar[tuple[str, ...]] = ("python", "generator")
    element_argument: ClassVar[str] = "args"

    python: Python | None = argument(PYTHON, default=None)
    generator: PythonGenerator | None = argument("The function, by TensorFlow's argument name.", default=None)
    output_types: Dtypes | None = argument("dtypes of the components; output_signature is preferred.", default=None)
    output_shapes: Shapes | None = argument("Shapes of the components; output_signature is preferred.", default=None)
    args: Tensors | None = argument("Arguments of the function: a list of tensors, passed as arrays.", default=None)
    output_signature: Signature | None = argument(
        "Signature of the yielded elements: shape and dtype, or a structure of them.", default=None
    )

    @model_validator(mode="after")
    def _complete(self) -> FromGenerator:
        if self.output_signature is None and self.output_types is None:
            message = "missing output_signature: expected one such as `output_signature: {shape: [], dtype: int64}`"
            raise failure(("output_signature",), error(message, "missing_argument"))
        if self.output_signature is not None and (self.output_types is not None or self.output_shapes is not None):
            message = "output_signature cannot be combined with output_types or output_shapes: use only one of them"
            raise failure(("output_signature",), error(message, "conflict"))
        return self

    def build(self, building: Building, address: str) -> Any:
        """The dataset of what the generator gives."""
        reference = self.generator.python if self.generator else self.python
        arguments = building.arguments(self, address)
        args = arguments.get("args")
        if args is not None and not isinstance(args, tuple | list):
            arguments["args"] = (args,)
        return building.tf.data.Dataset.from_generator(building.generator(reference, address), **arguments)
