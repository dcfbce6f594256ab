"""Functions in Python files inside of a chain; ``--no-python`` refuses them."""

from __future__ import annotations

from typing import Any, ClassVar

from pipeprof.pipelines.ops.calls.base import Making, Running, SpecialCall
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import Problems, mismatch
from pipeprof.pipelines.ops.values.fields import FieldError, describe
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.specs import Specs
from pipeprof.pipelines.ops.values.values import Flag

_FILE = 'A function in a Python file, "file.py:function", relative to the spec; it runs with your permissions.'


class PythonCall(SpecialCall):
    """Calls a function in a Python file, traced by TensorFlow.

    ``python: {function: "f.py:fn", on, to}`` is equivalent to ``fn(x)``, where autograph rewrites ``fn`` as it does in
    a ``map``; ``x`` is the element or the field in ``on``. A tuple element, or a list in ``on``, goes in as several
    arguments; a mapping in ``on`` by name. ``python: "f.py:fn"`` is the same without routes.
    """

    call: ClassVar[str] = "python"
    family: ClassVar[str] = "python"
    short: ClassVar[str | None] = "function"
    makes: ClassVar[bool] = True

    function: Python = argument(_FILE)

    @classmethod
    def make(cls, operation: OpCall, making: Making) -> Any:
        """The function."""
        return making.traceable(operation.arguments["function"])

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """Call the user's function."""
        function = running.made(operation)
        if isinstance(operation.on, dict):
            return function(**given)
        return function(*given) if type(given) is tuple else function(given)


class _Inputs(SpecialCall):
    family: ClassVar[str] = "python"
    makes: ClassVar[bool] = True

    @classmethod
    def _check_routes(cls, on: Any, to: Any, problems: Problems) -> None:
        if isinstance(on, dict):
            problems.add(("on",), mismatch(on, "field", "a key or an index of the element, or a list of them"))

    @classmethod
    def make(cls, operation: OpCall, making: Making) -> Any:
        """The function."""
        return making.python(operation.arguments["func"])

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """Call the user's function."""
        if isinstance(given, dict):
            raise FieldError(f"the element is {describe(element)}: select the input fields with `on`")
        arguments = running.constants(operation)
        del arguments["func"]
        inputs = list(given) if isinstance(given, tuple) else [given]
        name = operation.name.removeprefix("tf.")
        return getattr(running.tf, name)(func=running.made(operation), inp=inputs, **arguments)


class NumpyFunction(_Inputs):
    """Calls a function in a Python file with NumPy arrays, in the Python interpreter.

    ``tf.numpy_function: {func: "f.py:fn", Tout: float32}`` is equivalent to ``tf.numpy_function(fn, inp, tf.float32)``,
    where ``inp`` lists the element, the components of a tuple element, or the field in ``on``.
    """

    call: ClassVar[str] = "tf.numpy_function"

    func: Python = argument(_FILE)
    Tout: Specs = argument("dtype of the result, or a list of dtypes.")
    stateful: Flag = argument(
        "Whether the function is stateful: equal inputs may give different results.", default=True
    )


class PyFunction(_Inputs):
    """Calls a function in a Python file with eager tensors, in the Python interpreter.

    ``tf.py_function: {func: "f.py:fn", Tout: float32}`` is equivalent to ``tf.py_function(fn, inp, tf.float32)``, where
    ``inp`` lists the element, the components of a tuple element, or the field in ``on``.
    """

    call: ClassVar[str] = "tf.py_function"

    func: Python = argument(_FILE)
    Tout: Specs = argument("dtype of the result, or a list of dtypes.")
