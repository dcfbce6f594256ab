"""A Python target: the user's function is imported, called, and must give a dataset."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target import load_function, parse_target


class NotADatasetError(UsageError):
    """The target's function returned something that is not a `tf.data.Dataset`."""


def call_target(text: str) -> Any:
    """Import and call the function `text` names, e.g. ``input.py:train``.

    Raises:
        NotADatasetError: It returned something else.
    """
    import tensorflow as tf

    result = load_function(parse_target(text))()
    if isinstance(result, tf.data.Dataset):
        return result
    kind = type(result).__name__
    msg = f"{text} returned a {kind}, expected a tf.data.Dataset: pipeprof measures tf.data pipelines only."
    raise NotADatasetError(msg)
