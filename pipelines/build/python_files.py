"""Functions in the user's Python files, by references such as ``file.py:function``."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeprof.pipelines.build.pinned import remember_lines
from pipeprof.pipelines.spec.paths import PathError
from pipeprof.pipelines.target.running import import_file, is_dataset, leave_defaults
from pipeprof.pipelines.target.target import filled_call, split_reference


def imported(path: Path, reference: str) -> Callable[..., Any]:
    """The function of a reference, imported from its file at a path; for a dataset, a function that returns it."""
    # A name of its own, so that the user's file can neither hide nor be hidden by an installed module.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    module = import_file(path, f"_pipeprof_python_{digest}")
    leave_defaults()
    found = resolve_reference(module, reference)
    return found if callable(found) else lambda: found


def resolve_reference(module: ModuleType, reference: str) -> Any:
    """Return what a reference names: a function, or a dataset that the file makes when it is imported."""
    _, name, arguments = split_reference(reference) or ("", reference, "")
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if arguments and callable(found):
        call = filled_call(arguments)
        if call.partial:
            return functools.partial(found, *call.positional, **call.named)
        try:
            found = found(*call.positional, **call.named)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                # The arguments in the spec are not those of the user's function; TensorFlow has no part in it.
                raise PathError(f"{reference}: {error}") from error
            raise
    if not callable(found) and not is_dataset(found):
        what = f"what {name} returns" if arguments else name
        raise PathError(f"{reference}: {what} is not a function after the file has run")
    return found


def traceable(tf: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as AutoGraph rewrites it, whose errors know the user's lines; inside of others it would not do so."""
    rewritten, lines = _rewritten(tf, function)

    def located(*inputs: Any, **named: Any) -> Any:
        try:
            return rewritten(*inputs, **named)
        except Exception as problem:
            remember_lines(problem, lines)
            raise

    return located


def _rewritten(tf: Any, function: Callable[..., Any]) -> tuple[Callable[..., Any], Any]:
    if isinstance(function, functools.partial):
        inner, lines = _rewritten(tf, function.func)
        return functools.partial(inner, *function.args, **function.keywords), lines
    if inspect.ismethod(function):
        rewritten = tf.autograph.to_graph(function.__func__)
        return functools.partial(rewritten, function.__self__), rewritten.ag_source_map
    rewritten = tf.autograph.to_graph(function)
    return rewritten, rewritten.ag_source_map


def dataset_of(returned: Any) -> Any:
    """Return the dataset of what a target returned: a target may return its step with it, which is not a part of it."""
    alone = isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])
    return returned[0] if alone else returned
