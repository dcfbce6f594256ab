"""Batch size: bytes of its tensors and length of the first dimension of the first component that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from pipeprof.profiles.protocol.steps import BatchSize
from pipeprof.profiles.worker.steps.sampled_mean import SampledMean

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
        self._due = 1
        self._spec: str | None = None
        self._first: tuple[float | None, float | None] = (None, None)
        self._bytes: SampledMean | None = None
        self._lengths: SampledMean | None = None

    @property
    def spent_ns(self) -> int:
        """Time that the reading took, in nanoseconds."""
        return sum(one.spent_ns for one in (self._bytes, self._lengths) if one is not None)

    def see_first(self, batch: Any) -> None:
        """Learn the structure of batches from the first one, which belongs to no window."""
        import tensorflow as tf

        self._spec = _text(batch)
        lengths = length_reader(batch)
        self._lengths = SampledMean(lengths)
        nbytes = None
        # Bytes of text, of datasets and of other objects are not known.
        if all(getattr(part, "dtype", tf.string) != tf.string for part in tf.nest.flatten(batch) if part is not None):
            read = _bytes_reader(batch)
            self._bytes, nbytes = SampledMean(read), read(batch)
        self._first = (nbytes, lengths(batch))

    def take(self, batch: Any) -> int:
        """Read a batch that is due; return how many batches later the next one is."""
        due = self._due
        self._due = UNCOUNTED
        for sample in (self._lengths, self._bytes):
            if sample is not None:
                sample.left -= due
                if sample.left <= 0:
                    sample.take(batch)
                self._due = min(self._due, sample.left)
        return self._due

    def tune(self, steps: int, seconds: float) -> None:
        """Choose how many batches to read: `steps` of them took `seconds`."""
        if steps and seconds > 0:
            for sample in (self._lengths, self._bytes):
                if sample is not None:
                    sample.tune(1e9 * seconds / steps)

    def mean(self) -> BatchSize:
        """Return the means, before a window the sizes of the first batch; `None` where a sample does not tell them."""
        nbytes, length = self._first
        if self._lengths is not None and self._lengths.seen:
            nbytes = self._bytes.mean() if self._bytes is not None else None
            length = self._lengths.mean()
        return BatchSize(element=self._spec, bytes=nbytes, length=length)


def length_reader(first: Any) -> Callable[[Any], int | None]:
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
