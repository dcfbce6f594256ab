"""Index expressions of ``x[…]`` in the form of ``getitem``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.from_python.records import Array, NotExpressible, RecordedKey, RecordedTensor


def key_text(key: RecordedKey, field: Callable[[RecordedTensor], str | int]) -> str | int:
    """Convert the key; ``field`` names a tensor among its bounds.

    Raises:
        NotExpressible: A bound is neither a number nor a field.

    Example:
        >>> key_text(RecordedKey((Ellipsis, slice(None, 3)), alone=False), lambda tensor: "")
        '..., :3'
    """
    words = [_word(item, field) for item in key.items]
    text = ", ".join(words) + ("," if len(words) == 1 and not key.alone else "")
    return int(text) if text.lstrip("-").isdigit() else text


def _word(item: Any, field: Callable[[RecordedTensor], str | int]) -> str:
    if item is Ellipsis:
        return "..."
    if item is None:
        return "tf.newaxis"
    if isinstance(item, slice):
        ends = f"{_bound(item.start, field)}:{_bound(item.stop, field)}"
        return ends if item.step is None else f"{ends}:{_bound(item.step, field)}"
    return _bound(item, field)


def _bound(value: Any, field: Callable[[RecordedTensor], str | int]) -> str:
    if value is None:
        return ""
    if isinstance(value, Array) and isinstance(value.values, int):
        return str(value.values)
    if isinstance(value, RecordedTensor):
        return str(field(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    msg = "an index that is not a number"
    raise NotExpressible(msg)
