"""Signatures of the allowlist's functions as the installed TensorFlow has them.

``python -m pipeprof.pipelines.build.signatures [NAME…]`` prints every row that differs from the tables, or new rows.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.functions.catalog import table

WRITTEN_FOR = "2.21"
"""The TensorFlow whose signatures the tables repeat; others may have more parameters."""


class UnknownFunctionError(PlainError, AttributeError):
    """The installed TensorFlow is older than the tables."""


def _listed(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, list | tuple) else [inputs]


def _einsum(equation: Any, inputs: Any, optimize: str = "greedy", name: str | None = None) -> Any:
    tf: Any = importlib.import_module("tensorflow")
    return tf.einsum(equation, *_listed(inputs), optimize=optimize, name=name)


def _meshgrid(args: Any, indexing: str = "xy", name: str = "meshgrid") -> Any:
    tf: Any = importlib.import_module("tensorflow")
    return tf.meshgrid(*_listed(args), indexing=indexing, name=name)


# Their keywords are hidden behind ``**kwargs`` in TensorFlow's own signatures.
_STARRED = {"tf.einsum": _einsum, "tf.meshgrid": _meshgrid}


def resolve(name: str) -> Any:
    """The public function that a name such as ``tf.io.read_file`` stands for; of a property, what reads it."""
    if name in _STARRED:
        return _STARRED[name]
    tf: Any = importlib.import_module("tensorflow")
    found = tf
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    if found is None:
        msg = f"TensorFlow {tf.__version__} does not have {name}: expected TensorFlow {WRITTEN_FOR} or similar"
        raise UnknownFunctionError(msg)
    return found.fget if isinstance(found, property) else found


def _default(value: Any) -> str:
    dtype = getattr(value, "as_numpy_dtype", None)
    return f"tf.{value.name}" if dtype is not None else repr(value)


def signature(name: str) -> str:
    """The parameters of a function, without those whose default is a function: no spec can give one.

    Raises:
        ValueError: It takes any number of positional arguments, which `ops:` cannot write.
    """
    parts = []
    for parameter in inspect.signature(resolve(name)).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ValueError(f"{name} takes {parameter}, which has no name to write")
        if (
            callable(parameter.default)
            and parameter.default is not parameter.empty
            and not hasattr(parameter.default, "name")
        ):
            continue
        required = parameter.default is parameter.empty
        parts.append(parameter.name if required else f"{parameter.name}={_default(parameter.default)}")
    return ", ".join(parts)


def row(name: str) -> str:
    """The line of the table for a function."""
    return f'    "{name}": "{signature(name)}",'


def main() -> None:
    """Print the rows that differ, or the given ones."""
    asked = sys.argv[1:]
    names = asked or [name for name, text in table().items() if signature(name) != text]
    for name in names:
        print(row(name))


if __name__ == "__main__":
    main()
