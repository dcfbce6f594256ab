"""Keras layers of a spec: created once when the pipeline is built, called in functions."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.build.signatures import resolve
from pipeprof.pipelines.ops.calls.base import Making, Running
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.functions.layers import CALL_ARGUMENTS
from pipeprof.pipelines.ops.values.values import DtypeName


def make_layer(operation: OpCall, making: Making) -> Any:
    """Create the layer of a call."""
    arguments = {
        name: str(value) if isinstance(value, DtypeName) else _text_list(making.constant(value))
        for name, value in operation.arguments.items()
        if name not in CALL_ARGUMENTS
    }
    return resolve(operation.name)(**arguments)


def _text_list(value: Any) -> Any:
    """Convert an array of texts, as files of lines give them, to the list that Keras expects."""
    if getattr(getattr(value, "dtype", None), "kind", None) not in ("O", "S", "U"):
        return value
    return [item.decode() if isinstance(item, bytes) else item for item in value.tolist()]


def run_layer(operation: OpCall, given: Any, running: Running) -> Any:
    """Call the layer with the inputs that ``on`` picked."""
    layer = running.made(operation)
    called = {name: operation.arguments[name] for name in CALL_ARGUMENTS if name in operation.arguments}
    if isinstance(operation.on, dict):
        return layer(**given, **called)
    return layer(given, **called)
