"""One call of an ``ops:`` chain, written and checked: what is called, with which constants, on which fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeprof.pipelines.ops.functions.catalog import Function, function
from pipeprof.pipelines.ops.problems import Problems, mismatch
from pipeprof.pipelines.ops.values.values import Field, parse_field

ROUTES = ("on", "to")
"""Keys of a call that are no arguments: where its inputs come from and where its result goes."""

ANSWERS = frozenset({"pred", "branch_index"})
"""Chains inside a call whose last call gives an answer: its result stands alone."""
On = Field | tuple[Field, ...] | dict[str, Field]
To = Field | tuple[Field, ...]
OpPath = tuple[str | int, ...]
"""Place of a call below ``ops``: ``(2, "branch_fns.1", 0)`` is the first call in a branch of the third call."""


@dataclass(frozen=True)
class OpCall:
    """One call of a chain.

    Attributes:
        name: A function of the allowlist (``tf.io.read_file``), a layer (``tf.keras.layers.Rescaling``), or a call of
            its own form (``tf.cond``, ``select``; see `pipeprof.pipelines.ops.calls.base`).
        on: None for the whole element; a field; a tuple of fields, which go in by position (empty: no input at all);
            or a mapping of parameters to fields.
        to: Target field of the result; a tuple unpacks a list or tuple. None if not written.
        chains: Chains inside, by their place in the call: ``true_fn``, ``branch_fns.0``.
    """

    name: str
    arguments: dict[str, Any]
    on: On | None = None
    to: To | None = None
    bare: bool = False
    chains: dict[str, tuple[OpCall, ...]] = field(default_factory=dict)

    @property
    def target(self) -> To | None:
        """Target field of the result: ``to``, else the field in ``on``; None replaces the whole element."""
        return self.on if self.to is None and isinstance(self.on, str | int) else self.to

    def inputs(self) -> list[str]:
        """Names of the parameters that the inputs go to, in order of the inputs; of functions of the allowlist."""
        called = function(self.name)
        if called is None:
            return []
        if isinstance(self.on, dict):
            return list(self.on)
        return called.inputs(set(self.arguments), input_count(called, self.on, set(self.arguments))) or []

    def read(self) -> tuple[Field, ...] | None:
        """The fields that go in; None for the whole element."""
        if isinstance(self.on, dict):
            return tuple(self.on.values())
        if isinstance(self.on, tuple):
            return self.on
        return None if self.on is None else (self.on,)


def walk_calls(calls: Sequence[OpCall], path: OpPath = ()) -> Iterator[tuple[OpPath, OpCall]]:
    """All calls of a chain with those inside them, depth-first in written order, each with its path."""
    for index, call in enumerate(calls):
        yield (*path, index), call
        for place, inner in call.chains.items():
            yield from walk_calls(inner, (*path, index, place))


def chain_path(place: str) -> OpPath:
    """The keys of a chain's place in its call.

    Example:
        >>> chain_path("branch_fns.0")
        ('branch_fns', 0)
    """
    return tuple(int(part) if part.isdigit() else part for part in place.split("."))


def input_count(called: Function, on: On | None, given: set[str]) -> int:
    """Count the inputs that are passed by position."""
    if isinstance(on, dict):
        return 0
    if isinstance(on, tuple):
        return len(on)
    if on is None and called.makes_tensor and called.parameters[0].name in given:
        return 0
    return 1


def parse_routes(call: dict[str, Any], problems: Problems) -> tuple[On | None, To | None]:
    """``on`` and ``to`` of a call."""
    on: On | None = None
    to: To | None = None
    try:
        given = call.get("on")
        on = _mapped(given) if isinstance(given, dict) else _fields(given)
    except ValueError:
        expected = "a key or an index of the element, a list of them, or a mapping of parameters to them"
        problems.add(("on",), mismatch(call["on"], "field", expected))
    try:
        to = _fields(call.get("to"))
        if to == ():
            raise mismatch([], "field", "")
    except ValueError:
        problems.add(("to",), mismatch(call["to"], "field", "a key or an index of the element, or a list of them"))
    return on, to


def _mapped(given: dict[Any, Any]) -> dict[str, Field]:
    if not given or not all(isinstance(name, str) for name in given):
        raise mismatch(given, "field", "")
    return {name: parse_field(value) for name, value in given.items()}


def _fields(given: Any) -> To | None:
    if isinstance(given, list | tuple):
        return tuple(parse_field(item) for item in given)
    return None if given is None else parse_field(given)
