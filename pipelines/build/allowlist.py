"""The functions and layers that ``ops:`` may call: an allowlist of public TensorFlow functions.

They stand in ``signatures.json``, behind the signature that TensorFlow has for each. None of them
writes files, opens sockets or runs Python; a test traces every one and looks. ``layers.json`` has the constructors of
Keras's preprocessing layers without their further keyword arguments.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import functions, layers, parameters_of

WRITTEN_FOR: Final = "2.21"
"""The TensorFlow whose signatures the tables repeat; others may have more parameters."""
TAKES_LIST: Final = frozenset(
    {
        "tf.add_n", "tf.concat", "tf.einsum", "tf.math.add_n", "tf.meshgrid", "tf.ragged.stack", "tf.stack",
        "tf.strings.join",
    }
)  # fmt: skip
"""Functions whose first parameter takes a list of tensors: several inputs go there together."""
MAKES_TENSOR: Final = frozenset(
    {
        "tf.constant", "tf.convert_to_tensor", "tf.eye", "tf.fill", "tf.linspace", "tf.ones", "tf.range", "tf.zeros",
        "tf.random.normal", "tf.random.truncated_normal", "tf.random.uniform", "tf.linalg.eye", "tf.ragged.constant",
        "tf.random.stateless_normal", "tf.random.stateless_truncated_normal", "tf.random.stateless_uniform",
        "tf.signal.hamming_window", "tf.signal.hann_window",
    }
)  # fmt: skip
"""Functions that make a tensor of their arguments alone: the element only ever stands for the first parameter."""
CALL_ARGUMENTS: Final = ("training",)
"""Arguments of a layer's call; the others are those of its constructor."""


class UnknownFunctionError(PlainError, AttributeError):
    """The installed TensorFlow is older than the tables."""


@functools.cache
def parameters(name: str) -> Mapping[str, str | None]:
    """The parameters of a function or layer with their defaults as text, None for a required one."""
    if name in functions():
        return parameters_of(functions()[name])
    return {**parameters_of(layers()[name]), "dtype": "None", "name": "None", **dict.fromkeys(CALL_ARGUMENTS, "None")}


def inputs(name: str, given: Collection[str], count: int) -> list[str]:
    """The parameters of a function that inputs go to, where others are given by name.

    Raises:
        PlainError: There is no parameter left for them.

    Example:
        >>> inputs("tf.math.less", {"y"}, 1), inputs("tf.stack", set(), 3)
        (['x'], ['values'])
    """
    known = [key for key in parameters(name) if key not in given and key != "name"]
    if name in TAKES_LIST and count > 1:
        return [next(iter(parameters(name)))]
    if len(known) < count:
        listed = ", ".join(parameters(name))
        raise PlainError(f"{count} inputs for {name}: expected at most one for each free parameter ({listed})")
    return known[:count]


def reads_nothing(name: str, given: Collection[str]) -> bool:
    """Whether a function makes a tensor of its arguments alone, where some are given."""
    return name in MAKES_TENSOR and next(iter(parameters(name))) in given


def _einsum(inputs: Any, equation: str, optimize: str = "greedy", name: str | None = None) -> Any:
    tf: Any = importlib.import_module("tensorflow")
    return tf.einsum(equation, *(inputs if isinstance(inputs, list) else [inputs]), optimize=optimize, name=name)


def _meshgrid(args: Any, indexing: str = "xy", name: str = "meshgrid") -> Any:
    tf: Any = importlib.import_module("tensorflow")
    return tf.meshgrid(*(args if isinstance(args, list) else [args]), indexing=indexing, name=name)


# TensorFlow's own take their inputs one by one, and hide their keywords.
_IN_A_LIST: Final = {"tf.einsum": _einsum, "tf.meshgrid": _meshgrid}


def resolve(name: str) -> Any:
    """The public function that a name such as ``tf.io.read_file`` stands for; of a property, what reads it."""
    if name in _IN_A_LIST:
        return _IN_A_LIST[name]
    tf: Any = importlib.import_module("tensorflow")
    found = tf
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    if found is None:
        msg = f"TensorFlow {tf.__version__} does not have {name}: expected TensorFlow {WRITTEN_FOR} or similar"
        raise UnknownFunctionError(msg)
    return found.fget if isinstance(found, property) else found
