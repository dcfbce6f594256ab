"""Batch size: bytes of its tensors and length of the first dimension of the first component that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any, TypeAlias

from pipeprof.profiles.protocol.messages import BatchSize
from pipeprof.profiles.worker.steps.sampled_mean import SampledMeans

Sizes: TypeAlias = "tuple[float | None, float | None]"
"""Length and bytes of a batch."""
UNCOUNTED = sys.maxsize
"""Batches until the next one is due, where none is."""


def bytes_of(batch: Any) -> int:
    """Return the bytes of all tensors of fixed width in `batch`; strings and other variants count as nothing."""
    return _bytes_reader(batch)(batch)


def _has_width(component: Any) -> bool:
    import tensorflow as tf

    return isinstance(component, tf.Tensor) and component.dtype not in (tf.string, tf.variant, tf.resource)


def _first_dimension(component: Any) -> int | None:
    import tensorflow as tf

    if isinstance(component, tf.RaggedTensor):
        return int(component.nrows())
    if isinstance(component, tf.SparseTensor):
        return int(component.dense_shape[0])
    shape = getattr(component, "shape", None)
    return int(shape[0]) if shape is not None and shape.rank else None


def _component_text(component: Any) -> str:
    """Describe a component of an element: a tensor, ragged or sparse, `None`, or another value."""
    if component is None:
        return "None"
    dtype, shape = getattr(component, "dtype", None), getattr(component, "shape", None)
    if dtype is None or shape is None:
        return type(component).__name__.strip("_").removesuffix("Impl").removeprefix("Variant")
    return f"{dtype.name}{list(shape) if shape.rank is not None else '[…]'}"


def _text(batch: Any) -> str:
    """Describe the structure of a batch, without the class names of its dicts and tuples."""
    if isinstance(batch, Mapping):
        return f"{{{', '.join(f'{key}: {_text(one)}' for key, one in batch.items())}}}"
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return f"({', '.join(f'{key}: {_text(one)}' for key, one in zip(batch._fields, batch, strict=True))})"
    if isinstance(batch, list | tuple):
        inner = ", ".join(_text(one) for one in batch)
        return f"[{inner}]" if isinstance(batch, list) else f"({inner}{',' if len(batch) == 1 else ''})"
    return _component_text(batch)


class BatchSizes:
    """Sizes of the batches of a window: every batch is read, or so many of a fast pipeline as cost next to nothing.

    Attributes:
        left: How many batches later the next one is due; the loop counts them.
    """

    def __init__(self) -> None:
        self.left = 1
        self._spec: str | None = None
        self._first: Sizes = (None, None)
        self._means: SampledMeans | None = None

    @property
    def spent_ns(self) -> int:
        """Time that the reading took, in nanoseconds."""
        return self._means.spent_ns if self._means is not None else 0

    def see_first(self, batch: Any) -> None:
        """Learn the structure of batches from the first one, which belongs to no window."""
        self._spec = _text(batch)
        read = size_reader(batch)
        self._means, self._first = SampledMeans(read), read(batch)

    def take(self, batch: Any) -> int:
        """Read a batch that is due; return how many batches later the next one is."""
        return self._means.take(batch) if self._means is not None else UNCOUNTED

    def tune(self, steps: int, seconds: float) -> None:
        """Choose how many batches to read: `steps` of them took `seconds`."""
        if steps and seconds > 0 and self._means is not None:
            self._means.tune(1e9 * seconds / steps)

    def mean(self) -> BatchSize:
        """Return the means, before a window the sizes of the first batch; `None` where a sample does not tell them."""
        seen = self._means is not None and self._means.means()
        length, nbytes = seen or self._first
        return BatchSize(element=self._spec, bytes=nbytes, length=length)


def size_reader(first: Any) -> Callable[[Any], Sizes]:
    """Return what reads the length and the bytes of batches of the structure of `first`.

    Text, datasets and other objects have a length, and no known bytes. The loop's thread has nothing of this in its
    caches when a batch arrives, so that a function called costs 10 µs and more: tensors are reached without a walk
    through the structure, and their shape is taken once.
    """
    import tensorflow as tf

    # Bytes of text, of datasets and of other objects are not known.
    parts = [part for part in tf.nest.flatten(first) if part is not None]
    has_bytes = all(getattr(part, "dtype", tf.string) != tf.string for part in parts)
    leaves = list(_leaves(first))
    if not all(isinstance(leaf, tf.Tensor) for _, leaf in leaves):
        lengths = _length_reader(first)
        if not has_bytes:
            return lambda batch: (lengths(batch), None)
        nbytes = _bytes_reader(first)
        return lambda batch: (lengths(batch), nbytes(batch))
    ranked = next((at for at, (_, leaf) in enumerate(leaves) if leaf.shape.rank), None)
    # Of the others, nothing is wanted.
    plan = [
        (path, leaf.dtype.size if _has_width(leaf) else 0, at == ranked)
        for at, (path, leaf) in enumerate(leaves)
        if at == ranked or (has_bytes and _has_width(leaf))
    ]

    def read(batch: Any) -> Sizes:
        length, nbytes = None, 0
        for path, width, has_length in plan:
            part = batch
            for key in path:
                part = part[key]
            dims = part.shape.as_list()
            if has_length:
                length = dims[0]
            nbytes += width * prod(dims)
        return length, nbytes if has_bytes else None

    return read


def _leaves(batch: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield components with the keys that lead to them, in the order of `tf.nest`."""
    if isinstance(batch, Mapping):
        for key in sorted(batch):
            yield from _leaves(batch[key], (*path, key))
    elif isinstance(batch, tuple | list):
        for at, part in enumerate(batch):
            yield from _leaves(part, (*path, at))
    else:
        yield path, batch


def _length_reader(first: Any) -> Callable[[Any], int | None]:
    """Return what reads the length of batches of the structure of `first`."""
    import tensorflow as tf

    parts, flatten = tf.nest.flatten(first), tf.nest.flatten
    at = next((number for number, part in enumerate(parts) if _first_dimension(part) is not None), None)
    if at is None:
        return lambda _batch: None
    return lambda batch: _first_dimension(flatten(batch)[at])


def _bytes_reader(first: Any) -> Callable[[Any], int]:
    """Return what reads the bytes of batches of the structure of `first`."""
    import tensorflow as tf

    parts, flatten = tf.nest.flatten(first, expand_composites=True), tf.nest.flatten
    widths = [(number, part.dtype.size) for number, part in enumerate(parts) if _has_width(part)]

    def read(batch: Any) -> int:
        parts = flatten(batch, expand_composites=True)
        return sum(width * parts[number].shape.num_elements() for number, width in widths)

    return read
