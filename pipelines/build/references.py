"""The object that a reference to a Python file names, once the file has run (worker only)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.spec.paths import PathError


def resolve_reference(module: ModuleType, reference: PythonRef) -> Any:
    """Return what a reference names: a function, or a dataset that the file makes when it is imported.

    Raises:
        PathError: The file has no such function.
    """
    found: Any = module
    for part in reference.function.split("."):
        found = getattr(found, part, None)
    call = reference.call
    if call is not None and callable(found):
        if call.partial:
            return functools.partial(found, *call.positional, **call.named)
        found = found(*call.positional, **call.named)
    if not callable(found) and not _is_dataset(found):
        what = f"what {reference.function} returns" if call is not None else reference.function
        msg = f"{reference}: {what} is not a function after the file has run"
        raise PathError(msg)
    return found


def _is_dataset(value: Any) -> bool:
    return any(kind.__name__ == "DatasetV2" for kind in type(value).__mro__)


def rewrite(tf: Any, function: Callable[..., Any]) -> tuple[Callable[..., Any], Any]:
    """Rewrite a function as autograph does it.

    Returns:
        The rewritten function, and its map from lines to the user's.
    """
    if isinstance(function, functools.partial):
        inner, lines = rewrite(tf, function.func)
        return functools.partial(inner, *function.args, **function.keywords), lines
    if inspect.ismethod(function):
        rewritten = tf.autograph.to_graph(function.__func__)
        return functools.partial(rewritten, function.__self__), rewritten.ag_source_map
    rewritten = tf.autograph.to_graph(function)
    return rewritten, rewritten.ag_source_map
