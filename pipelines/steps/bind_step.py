"""Adapter from a user's step function (target or command line) to a function of one batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pipeprof.pipelines.errors import UsageError

Step = Callable[[Any], object]
_EXPECTED = "expected a step with one parameter, the batch, or with one for each part of it"
# Methods of Keras that take the parts of a batch, though only the first is required.
_BY_PARTS = ("train_on_batch", "test_on_batch")


def fitted(step: Callable[..., object], element_spec: Any, name: str) -> Step:
    """Wrap the step as a function of the batch.

    A step with one parameter gets the batch; one that needs as many as the batch, a tuple, has parts gets these, and
    one that needs parameters by the names of a dict's keys gets the values.
    """
    _refuse_layer(step, element_spec, name)
    parts = len(element_spec) if isinstance(element_spec, tuple) else 1
    try:
        parameters = list(inspect.signature(step).parameters.values())
    except (TypeError, ValueError):
        return step
    kinds = inspect.Parameter
    needed = [
        parameter for parameter in parameters if parameter.default is kinds.empty and parameter.kind not in _VARIABLE
    ]
    positional = [
        parameter for parameter in parameters if parameter.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    most = None if any(parameter.kind is kinds.VAR_POSITIONAL for parameter in parameters) else len(positional)
    by_parts = isinstance(element_spec, tuple) and getattr(step, "__name__", "") in _BY_PARTS
    if not by_parts and len(needed) <= 1 and (most is None or most >= 1) and set(needed) <= set(positional):
        return step
    fits = set(needed) <= set(positional) and len(needed) <= parts and (most is None or parts <= most)
    if isinstance(element_spec, tuple) and fits:
        return lambda batch: step(*batch)
    names = {parameter.name for parameter in needed}
    if isinstance(element_spec, Mapping) and names and names <= set(element_spec):
        takes_all = any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters)
        if takes_all or set(element_spec) <= {parameter.name for parameter in parameters}:
            return lambda batch: step(**batch)
    takes = ", ".join(parameter.name for parameter in parameters) or "nothing"
    raise UsageError(f"{name} takes {takes}, but a batch is {_words(element_spec)}; {_EXPECTED}")


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _refuse_layer(step: object, element_spec: Any, name: str) -> None:
    """Refuse a text layer or a model returned next to the dataset: many functions return one that is no step."""
    names = {base.__name__ for base in type(step).__mro__ if base.__module__.partition(".")[0] == "keras"}
    if "Layer" not in names or ("Model" in names and not isinstance(element_spec, tuple)):
        return
    what, fix = ("model", "model.train_step") if "Model" in names else ("layer", "a function that trains")
    raise UsageError(
        f"{name} is a Keras {what} ({type(step).__name__}), which does not take such batches for training: return the "
        f"dataset alone, or with {fix} after it"
    )


def _words(element_spec: Any) -> str:
    if isinstance(element_spec, tuple):
        return f"a tuple of {len(element_spec)}"
    if isinstance(element_spec, Mapping):
        return f"a dict with {', '.join(str(key) for key in element_spec)}"
    return "a single tensor"
