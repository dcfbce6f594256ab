"""Execution of a chain of calls while TensorFlow traces the function of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.build.layers import run_layer
from pipeprof.pipelines.build.pin_errors import pin_errors
from pipeprof.pipelines.build.signatures import resolve
from pipeprof.pipelines.ops.calls.base import Running, special_calls
from pipeprof.pipelines.ops.calls.control import check_truth_value
from pipeprof.pipelines.ops.calls.opcall import OpCall, OpPath
from pipeprof.pipelines.ops.calls.seeds import drawing, draws
from pipeprof.pipelines.ops.functions.catalog import function
from pipeprof.pipelines.ops.functions.layers import layers
from pipeprof.pipelines.ops.values.fields import pick, place


def call(operation: OpCall, element: Any, running: Running, *, whole: bool = False) -> Any:
    """The element after one call.

    With ``whole`` the result stands alone unless ``to`` was written, also when ``on`` picked a field.

    Raises:
        FieldError: ``on`` or ``to`` do not fit the element; TensorFlow's own errors pass through.
    """
    special = special_calls().get(operation.name)
    if special is not None:
        result = special.run(operation, _given(operation, element), element, running)
    elif operation.name in layers():
        result = run_layer(operation, _given(operation, element), running)
    else:
        arguments = running.constants(operation)
        given = _given(operation, element)
        if isinstance(operation.on, dict):
            arguments |= given
        else:
            parameters = operation.inputs()
            described = function(operation.name)
            if described is not None and described.takes_list and parameters:
                arguments[parameters[0]] = list(given) if isinstance(given, tuple) else given
            else:
                inputs = given if isinstance(operation.on, tuple) else (given,) * bool(parameters)
                arguments |= dict(zip(parameters, inputs, strict=True))
        if draws(operation) and (seed := running.seed()) is not None:
            arguments["seed"] = seed
        result = resolve(operation.name)(**arguments)
    if type(result) is list:
        # As tf.data takes a list that a function returns; inside of a structure it would stack it.
        result = tuple(result)
    target = operation.to if whole else operation.target
    return result if target is None else place(element, target, result)


def _given(operation: OpCall, element: Any) -> Any:
    """Select the input of ``on``: the element, a field, a tuple of fields or a mapping of parameters."""
    on = operation.on
    if on is None:
        return element
    if isinstance(on, dict):
        return {name: pick(element, field) for name, field in on.items()}
    if isinstance(on, tuple):
        return tuple(pick(element, field) for field in on)
    return pick(element, on)


class ChainBuilder(Protocol):
    """Interface of the builder for chains."""

    tf: Any
    files: list[str]

    def constant(self, value: Any) -> Any:
        """A constant of the spec as TensorFlow takes it."""

    def made(self, operation: OpCall) -> Any:
        """The object that was made for a call."""


@dataclass(frozen=True)
class Shared:
    """The random numbers that all fields of a ``for_each`` share."""

    seed: Any
    below: OpPath
    numbers: Mapping[OpPath, int]


@dataclass(frozen=True)
class ChainRun:
    """A chain at its place; implements `pipeprof.pipelines.ops.calls.base.Running` for the call at ``path``."""

    builder: ChainBuilder
    address: str
    argument: str = ""
    path: OpPath = ()
    shared: Shared | None = None

    def run(self, calls: Sequence[OpCall], element: Any, *, answers: bool = False, predicate: bool = False) -> Any:
        """``element`` after these calls, which stand below this place."""
        for index, operation in enumerate(calls):
            last = index == len(calls) - 1
            here = replace(self, path=(*self.path, index))
            special = special_calls().get(operation.name)
            files = self.builder.files if special is not None and special.family == "python" else ()
            with (
                self.tf.name_scope(here.scope()),
                pin_errors(self.address, files, here.path, operation.name, self.argument),
            ):
                element = call(operation, element, here, whole=answers and last)
                if predicate and last:
                    check_truth_value(self.tf, element)
        return element

    def scope(self) -> str:
        """The name scope of this call, from the root of the graph: inner functions have graphs of their own."""
        parts = [f"ops_{part}" if isinstance(part, int) else part.replace(".", "_") for part in self.path]
        return "/".join([node_name(self.address), *parts]) + "/"

    @property
    def tf(self) -> Any:
        """The module tensorflow."""
        return self.builder.tf

    def constant(self, value: Any) -> Any:
        """A constant of the spec as TensorFlow takes it."""
        return self.builder.constant(value)

    def constants(self, operation: OpCall) -> dict[str, Any]:
        """All constants of a call as TensorFlow takes them."""
        return {name: self.constant(value) for name, value in operation.arguments.items()}

    def chain(self, operation: OpCall, place: str, element: Any, *, answers: bool = False) -> Any:
        """``element`` after the chain at ``place`` of this call."""
        inner = replace(self, path=(*self.path, place))
        return inner.run(operation.chains.get(place, ()), element, answers=answers)

    def made(self, operation: OpCall) -> Any:
        """The object that was made for a call when the pipeline was built."""
        return self.builder.made(operation)

    def seeded(self, operation: OpCall, place: str, seed: Any) -> ChainRun:
        """Return the runner with all draws in the chain at ``place`` derived from ``seed``."""
        return replace(self, shared=Shared(seed, (*self.path, place), drawing(operation.chains[place])))

    def seed(self) -> Any:
        """The seed of this call inside of ``for_each``; None elsewhere."""
        if self.shared is None:
            return None
        number = self.shared.numbers[self.path[len(self.shared.below) :]]
        return self.tf.random.experimental.stateless_fold_in(self.shared.seed, number)

    def uniform(self, shape: list[int], maxval: int | None = None) -> Any:
        """Random numbers, drawn for each element: float32 in [0, 1), or int32 below ``maxval``."""
        tf, seed = self.tf, self.seed()
        kind = {} if maxval is None else {"maxval": maxval, "dtype": tf.int32}
        if seed is None:
            return tf.random.uniform(shape, **kind)
        return tf.random.stateless_uniform(shape, seed, **({"minval": 0} | kind))

    def shuffled(self, count: int) -> Any:
        """The numbers below ``count`` in random order, drawn for each element."""
        tf, seed = self.tf, self.seed()
        if seed is None:
            return tf.random.shuffle(tf.range(count))
        return tf.random.experimental.stateless_shuffle(tf.range(count), seed)
