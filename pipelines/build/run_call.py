"""Execution of ``ops:`` on an element: select fields, call TensorFlow's functions, store results."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.build.layers import run_layer
from pipeprof.pipelines.build.signatures import resolve
from pipeprof.pipelines.ops.calls.base import Running, special_calls
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.calls.seeds import draws
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
        result = _function(operation, element, running)
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


def _function(operation: OpCall, element: Any, running: Running) -> Any:
    """The result of a function of the allowlist."""
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
    return resolve(operation.name)(**arguments)
