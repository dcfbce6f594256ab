"""Lookup tables and Keras layers, written as the arguments of their construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.from_python.call_recorder import CallRecorder, ObservedCall
from pipeprof.pipelines.from_python.records import Array, Call, Opaque
from pipeprof.pipelines.ops.functions.layers import LAYERS

_ASIDE: Final = frozenset({"self", "name", "experimental_is_anonymous"})


class Objects:
    """Converter of method calls on objects to the arguments of their construction."""

    def __init__(self, watch: CallRecorder, value: Callable[[Any], Any]) -> None:
        self._watch = watch
        self._value = value

    def call(self, seen: ObservedCall, number: int) -> Call:
        """Make the record of a call of a table or layer; its input is ``x``."""
        given = seen.arguments
        thing = given.get("self")
        made = self._construction_of(thing)
        name = type(thing).__name__
        if seen.public.name != "lookup" and f"tf.keras.layers.{name}" not in LAYERS:
            return self._record(seen, number, name, {"made": Opaque("inputs, and it is no layer that `ops:` knows")})
        if made is None:
            return self._record(seen, number, name, {"made": Opaque(f"a {name} that was made before pipeprof looked")})
        if seen.public.name == "lookup":
            return self._record(seen, number, made.public.name, self._table(made, given.get("keys")))
        name = f"tf.keras.layers.{name}"
        return self._record(seen, number, name, self._layer(made, given))

    def _record(self, seen: ObservedCall, number: int, name: str, arguments: dict[str, Any]) -> Call:
        return Call(name, "function", arguments, self._value(seen.result), seen.where, number)

    def _construction_of(self, thing: Any) -> ObservedCall | None:
        return next(
            (call for call in self._watch.seen if call.public.kind == "object" and call.result is thing),
            None,
        )

    def _arguments(self, made: ObservedCall) -> dict[str, Any]:
        given = {**made.arguments, **made.arguments.get("kwargs", {})}
        return {name: value for name, value in given.items() if name not in _ASIDE and name != "kwargs"}

    def _table(self, made: ObservedCall, keys: Any) -> dict[str, Any]:
        given = self._arguments(made)
        initializer = self._construction_of(given.pop("initializer", None))
        found = {name: self._value(value) for name, value in given.items()}
        if initializer is None:
            return {
                **found,
                "x": self._value(keys),
                "made": Opaque("an initializer that was made before pipeprof looked"),
            }
        filled = {name: self._value(value) for name, value in self._arguments(initializer).items()}
        for part in ("key", "value"):
            values = filled.get(f"{part}s")
            if values is not None and f"{part}_dtype" not in filled:
                dtype = values.dtype if isinstance(values, Array) else _natural(values)
                filled |= (
                    {f"{part}_dtype": dtype} if dtype not in (None, "string" if part == "key" else "int64") else {}
                )
        return {**filled, **found, "x": self._value(keys)}

    def _layer(self, made: ObservedCall, given: dict[str, Any]) -> dict[str, Any]:
        found = {name: self._value(value) for name, value in self._arguments(made).items()}
        positional = given.get("args", ())
        inputs = {"x": self._value(positional[0])} if len(positional) == 1 else {"made": Opaque("several inputs")}
        called = {name: self._value(value) for name, value in given.get("kwargs", {}).items()}
        return {**found, **called, **inputs}


def _natural(values: Any) -> str | None:
    """Return the dtype that TensorFlow gives a list."""
    first = values[0] if isinstance(values, list | tuple) and values else None
    return {str: "string", int: "int32", float: "float32"}.get(type(first))
