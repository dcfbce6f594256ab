"""Advice on a target's result that is no dataset, recognised by its class name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pipeprof.pipelines.tables import read_table

_EXPECTED = "expected a tf.data.Dataset, or a dataset and a step"
_GENERATOR = "wrap it with tf.data.Dataset.from_generator(function, output_signature=…)"


def describe_returned(result: Any) -> str:
    """Complete the sentence that begins with ``file.py:function returned``.

    Example:
        >>> describe_returned(None)
        'None; expected a tf.data.Dataset, or a dataset and a step: does it lack a return?'
    """
    if inspect.iscoroutine(result):
        result.close()
    if isinstance(result, Mapping):
        words = f"a dict with {_words([str(key) for key in result])}" if result else "an empty dict"
        return _several(words, result.values())
    if isinstance(result, list | tuple):
        kind = type(result).__name__
        words = f"a {kind} of {_words([_kind(value) for value in result])}" if result else f"an empty {kind}"
        return _several(words, result)
    return _advice_by_class(result) or _advice_by_value(result)


def _advice_by_value(result: Any) -> str:
    natures = (
        (result is None, f"None; {_EXPECTED}: does it lack a return?"),
        (inspect.isgenerator(result), f"a generator; {_GENERATOR}"),
        (inspect.isasyncgen(result), f"an asynchronous generator; leave async out, and {_GENERATOR}"),
        (inspect.iscoroutine(result), "a coroutine; pipeprof calls plain functions: leave async out"),
        (isinstance(result, Iterator), f"an iterator ({_kind(result)}); {_GENERATOR}"),
        (inspect.isclass(result), f"the class {_name(result)}; return a dataset that it makes"),
        (callable(result), f"a function or other callable ({_kind(result)}); name the one that returns the dataset"),
    )
    return next((said for fits, said in natures if fits), f"{_a(_kind(result))}; {_EXPECTED}")


def _advice_by_class(result: Any) -> str | None:
    bases = [(base.__name__, f"{base.__module__}.") for base in type(result).__mro__]
    # Module prefix, name of a base class, advice; the first match is used.
    for module, name, what, help_ in read_table("pipeprof.profiles.worker", "returned"):
        keras = name in ("PyDataset", "Sequence")
        if any(name == base and at.startswith(module) and (not keras or "keras" in at) for base, at in bases):
            return f"{what}; {help_}"
    return None


def _several(what: str, values: Any) -> str:
    datasets = [value for value in values if _is_dataset(value)]
    if len(datasets) == 1:
        return f"{what}; return the dataset alone, or with a callable step after it"
    if datasets:
        return f"{what}; pipeprof measures one pipeline: return one of them, e.g. chosen with --arg"
    each = {_advice_by_class(value) for value in values}
    known = each.pop() if len(each) == 1 else None
    return f"{what}, each {known}" if known is not None else f"{what}; {_EXPECTED}"


def _is_dataset(value: Any) -> bool:
    return any(base.__name__ == "DatasetV2" for base in type(value).__mro__)


def _kind(value: Any) -> str:
    """Name the class with its package, because many packages have a `Dataset` or a `Tensor`."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if _is_dataset(value):
        return "Dataset"
    if value is None:
        return "None"
    return kind.__name__ if package in ("builtins", "__main__") else f"{package}.{kind.__name__}"


def _name(value: Any) -> str:
    name = getattr(value, "__name__", "")
    return "tf.data.Dataset" if name == "DatasetV2" else name


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiouAEIOU" else f"a {word}"


def _words(words: list[str]) -> str:
    shown = ", ".join(words[:4])
    return f"{shown}, … ({len(words)})" if len(words) > 4 else shown or "nothing"
