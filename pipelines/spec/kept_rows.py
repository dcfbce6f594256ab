"""A filter as a map of whole batches: the chain that keeps the rows for which its predicate is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.ops.calls.element import parse_call
from pipeprof.pipelines.ops.values.values import Field

_MASK = "kept"
"""Name of the field that says which rows are kept, with underscores where a field has it already."""


def rows_kept_of(fields: Sequence[Field], predicate: Sequence[Any]) -> list[Any]:
    """Return the calls that keep rows of a batch, for a map.

    Args:
        fields: The keys or indices of an element of plain tensors; empty for a single tensor.

    Example:
        >>> rows_kept_of([], [{"tf.less": {"y": 3}}])[2:]
        [{'tf.boolean_mask': {'on': [0, 1], 'to': 0}}, {'select': 0}]
    """
    mask: Field
    first: dict[str, Any]
    last: dict[str, Any]
    if not fields:
        mask, first, last = 1, {"to_tuple": [None, None]}, {"select": 0}
    elif isinstance(fields[0], int):
        mask, first, last = len(fields), {"to_tuple": [*fields, None]}, {"select": list(fields)}
    else:
        mask = next(name for length in range(len(fields) + 1) if (name := _MASK + length * "_") not in fields)
        first, last = {"to_dict": {**{str(name): name for name in fields}, mask: None}}, {"drop": [mask]}
    masked = [{"tf.boolean_mask": {"on": [name, mask], "to": name}} for name in fields or [0]]
    return [first, {"tf.vectorized_map": {"fn": _answering(predicate), "on": mask}}, *masked, last]


def _answering(predicate: Sequence[Any]) -> list[Any]:
    """The predicate as a chain whose result is the answer alone, as it is in a filter."""
    *others, last = predicate
    call = parse_call(last)
    fields = call.read()
    if call.target is not None:
        return [*others, last, {"select": call.target}]
    if not fields:
        return [*others, last]
    # Of several inputs, one gives way to the answer.
    return [*others, {call.name: {**last[call.name], "to": fields[0]}}, {"select": fields[0]}]
