"""Provenance of a dataset: its creating call, inputs and arguments, so that it can be created again."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_SMALL: Final = 1000


@dataclass(frozen=True)
class Spot:
    """A frame of the user's: `end` is where the call ends, in line and UTF-8 bytes, where Python tells."""

    file: str
    line: int
    function: str
    end: tuple[int, int] | None = None


@dataclass(frozen=True)
class Facts:
    """What groups datasets into the stages of their user.

    Attributes:
        functions: Names of the functions that it was made with.
        stop: Where numbers end, as a number or a tensor.
        files: Its elements are names of files.
        unpacks: It unpacks what a tf.data service gives.
        seeds: The two numbers that seed it, or tensors of them.
    """

    functions: tuple[str, ...] = ()
    stop: Any = None
    files: bool = False
    unpacks: bool = False
    seeds: tuple[Any, Any] | None = None


@dataclass(frozen=True, eq=False)
class CreatedDataset:
    """An observed dataset.

    Attributes:
        reads: The datasets it reads, in order; None for a tensor that may be one, but whose creation was not observed.
        arguments: What the op was given, `kept`; None while a function was traced.
        library: The frame of a library that made it, where the user's code did not do so itself.
        inputs: Of what it reads, all but what its functions capture; None for one whose creation was not observed.
        bodies: The datasets that its functions return.
        function: Its first function, as a weak reference.
    """

    op: str
    spots: tuple[Spot, ...]
    name: str | None
    reads: tuple[CreatedDataset | None, ...] = field(repr=False)
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    functions: tuple[int, ...] = ()
    given: str | None = None
    library: Spot | None = None
    inputs: tuple[CreatedDataset | None, ...] = field(default=(), repr=False)
    bodies: tuple[CreatedDataset, ...] = field(default=(), repr=False)
    function: weakref.ref[Any] | None = field(default=None, repr=False)
    facts: Facts = field(default=Facts(), repr=False)


class Variant:
    """Placeholder for a tensor argument that may be a dataset."""


def is_variant(value: Any) -> bool:
    """Return whether the value is a variant tensor, which may be a dataset."""
    import tensorflow as tf

    return isinstance(value, tf.Tensor) and bool(value.dtype == tf.variant)


def kept(value: Any) -> Any:
    """Return an op's argument for storage: nothing large is kept alive; of a large tensor only its spec."""
    import tensorflow as tf

    if is_variant(value):
        return Variant
    if isinstance(value, (list, tuple)):
        return [kept(item) for item in value]
    if isinstance(value, tf.types.experimental.ConcreteFunction):
        return weakref.ref(value)
    if isinstance(value, tf.Tensor) and value.dtype == tf.resource:
        # While a shuffle's seed generator lives, TensorFlow keeps a copy of the array that was converted before.
        return Resource(value)
    if isinstance(value, tf.Tensor):
        count = value.shape.num_elements()
        return value if count is not None and count <= _SMALL else Large(tf.TensorSpec.from_tensor(value), value)
    return value


class Resource:
    """A handle that is not kept alive."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = weakref.ref(tensor)


class Large:
    """A tensor that is not kept alive."""

    def __init__(self, spec: Any, tensor: Any) -> None:
        self.spec = spec
        self.tensor = weakref.ref(tensor)

    @property
    def nbytes(self) -> int:
        """Size in bytes; 0 for strings and variants."""
        import tensorflow as tf

        if self.spec.dtype in (tf.string, tf.variant, tf.resource):
            return 0
        return int(self.spec.dtype.size * (self.spec.shape.num_elements() or 0))
