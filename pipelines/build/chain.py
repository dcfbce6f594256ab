"""Chains of calls under ``ops:``, run while TensorFlow traces the function of a stage.

A call is a function of the allowlist with its keyword arguments, ``on`` (the fields that go in) and ``to`` (where the
result goes); a call that gives the element another structure (`STRUCTURE`); a Keras layer, made once when the pipeline
is built; ``python``, a function in a file; or ``tf.vectorized_map`` of a chain.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.build.allowlist import CALL_ARGUMENTS, TAKES_LIST, inputs, reads_nothing, resolve
from pipeprof.pipelines.build.arguments import Making, constant, converted
from pipeprof.pipelines.build.fields import STRUCTURE, FieldError, describe, index_of, picked, place
from pipeprof.pipelines.build.pinned import pin_errors
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import OF_CALLS, layers

OpPath: TypeAlias = "tuple[str | int, ...]"
"""Place of a call below ``ops``: ``(2, "fn", 0)`` is the first call in the chain of the third call."""
ROUTES: Final = ("on", "to")
PYTHON: Final = "python"
VECTORIZED: Final = "tf.vectorized_map"
_CHAIN: Final = "fn"
"""The argument of `VECTORIZED` with the chain."""


def call_of(call: Any) -> tuple[str, Any]:
    """Name of a call, and what is written under it; nothing for a name alone.

    Example:
        >>> call_of("tf.size"), call_of({"select": ["a"]})
        (('tf.size', None), ('select', ['a']))
    """
    ((name, written),) = [(call, None)] if isinstance(call, str) else call.items()
    return name, written


@dataclass(frozen=True)
class CallChain:
    """A chain at its place; layers and functions of files are made once, by the place of their call.

    Attributes:
        argument: The stage's argument under which ``ops`` stands; empty when it stands in the stage itself.
        path: The place of the chain below ``ops``, and while a call runs of that call.
    """

    builder: Making
    address: str
    argument: str
    made: dict[Any, Any]
    path: OpPath = ()

    def prepare(self, calls: Sequence[Any]) -> None:
        """Make what exists once per pipeline."""
        for here, name, written in self._each(calls):
            if name == VECTORIZED:
                replace(here, path=(*here.path, _CHAIN)).prepare(written[_CHAIN])
            key = (self.address, self.argument, *here.path)
            if key in self.made or not (name == PYTHON or name in layers()):
                continue
            arguments = call_arguments(name, written)
            with here.pinned(name), self.builder.tf.init_scope():
                if name == PYTHON:
                    self.made[key] = self.builder.traceable(arguments["function"])
                else:
                    self.made[key] = self.builder.layer(functools.partial(self._layer, name, arguments))

    def run(self, calls: Sequence[Any], element: Any, *, answers: bool = False, predicate: bool = False) -> Any:
        """``element`` after calls; with ``answers`` the last result stands alone, also where ``on`` picked a field."""
        tf, count = self.builder.tf, len(calls)
        for number, (here, name, written) in enumerate(self._each(calls), 1):
            with tf.name_scope(here.scope()), here.pinned(name):
                element = here.call(name, written, element, alone=answers and number == count)
                if predicate and number == count:
                    _check_truth_value(tf, element)
        return element

    def _each(self, calls: Sequence[Any]) -> list[tuple[CallChain, str, Any]]:
        return [(replace(self, path=(*self.path, index)), *call_of(call)) for index, call in enumerate(calls)]

    def pinned(self, name: str) -> Any:
        """Errors inside are those of this call."""
        files = self.builder.files if name == PYTHON else ()
        return pin_errors(self.address, files, self.path, name, self.argument)

    def scope(self) -> str:
        """The name scope of this call, from the root of the graph: inner functions have graphs of their own."""
        parts = [f"ops_{part}" if isinstance(part, int) else part for part in self.path]
        return "/".join([node_name(self.address), *parts]) + "/"

    def call(self, name: str, written: Any, element: Any, *, alone: bool) -> Any:
        """The element after one call."""
        if name in STRUCTURE:
            return STRUCTURE[name](element, written)
        arguments = call_arguments(name, written)
        on, to = arguments.pop("on", None), arguments.pop("to", None)
        given = picked(element, on)
        if name == "copy":
            result = given
        elif name == "getitem":
            result = given[index_of(arguments["key"], element)]
        elif name == PYTHON:
            result = _called(self._made(), given, on)
        elif name == VECTORIZED:
            inner = replace(self, path=(*self.path, _CHAIN))
            calls = arguments.pop(_CHAIN)
            result = self.builder.tf.vectorized_map(lambda item: inner.run(calls, item), given, **arguments)
        elif name in layers():
            called = {key: arguments[key] for key in CALL_ARGUMENTS if key in arguments}
            result = self._made()(**given, **called) if isinstance(on, Mapping) else self._made()(given, **called)
        else:
            result = self._function(name, arguments, given, on)
        if type(result) is list:
            # As tf.data takes a list that a function returns; inside of a structure it would stack it.
            result = tuple(result)
        target = on if to is None and not alone and isinstance(on, str | int) else to
        if target is None and not alone and isinstance(on, list | tuple | Mapping) and on:
            raise PlainError("missing `to`: several inputs in `on` need `to: field` for the result")
        return result if target is None else place(element, tuple(to) if isinstance(to, list) else target, result)

    def _function(self, name: str, written: Mapping[str, Any], given: Any, on: Any) -> Any:
        arguments = {key: self._argument(key, value) for key, value in written.items()}
        if isinstance(on, Mapping):
            arguments |= given
        elif on is not None or not reads_nothing(name, arguments):
            values = given if isinstance(on, list | tuple) else (given,)
            names = inputs(name, arguments, len(values))
            if name in TAKES_LIST and isinstance(given, tuple) and names:
                values = (list(given),)
            arguments |= zip(names, values, strict=True)
        return resolve(name)(**arguments)

    def _argument(self, name: str, value: Any) -> Any:
        return converted(OF_CALLS.get(name, "constant"), value, self.builder)

    def _made(self) -> Any:
        return self.made[(self.address, self.argument, *self.path)]

    def _layer(self, name: str, written: Mapping[str, Any]) -> Any:
        known = [key for key in written if key not in (*ROUTES, *CALL_ARGUMENTS)]
        return resolve(name)(**{key: self._layer_argument(key, written[key]) for key in known})

    def _layer_argument(self, name: str, value: Any) -> Any:
        if OF_CALLS.get(name) == "dtype" and isinstance(value, str):
            return value.removeprefix("tf.")
        if name == "vocabulary" and isinstance(value, str):
            return self.builder.context.path(value)
        found = constant(value, self.builder)
        # Keras expects a list of texts, where files of lines give an array.
        if getattr(getattr(found, "dtype", None), "kind", None) in ("O", "S", "U"):
            return [item.decode() if isinstance(item, bytes) else item for item in found.tolist()]
        return found


def call_arguments(name: str, written: Any) -> dict[str, Any]:
    """What is written under a name by argument; a value that is no mapping is the one argument that there is."""
    if isinstance(written, Mapping):
        return dict(written)
    short = {"getitem": "key", PYTHON: "function"}.get(name)
    return {short: written} if short is not None else {}


def _called(function: Callable[..., Any], given: Any, on: Any) -> Any:
    if isinstance(on, Mapping):
        return function(**given)
    return function(*given) if type(given) is tuple else function(given)


def _check_truth_value(tf: Any, result: Any) -> None:
    """TensorFlow's own message about a wrong predicate names only its internals."""
    if not tf.is_tensor(result) or result.dtype != tf.bool or result.shape.rank not in (0, None):
        shown = f"{result.dtype.name} of shape {result.shape}" if tf.is_tensor(result) else describe(result)
        raise FieldError(f"the last call returns {shown}: expected a single bool: an element is kept when it is true")
