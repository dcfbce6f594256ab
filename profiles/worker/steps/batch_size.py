"""Batch size: bytes of its tensors and length of the first dimension of the first component that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.profiles.protocol.messages import BatchSize


def bytes_of(batch: Any) -> int:
    """Return the bytes of all tensors of fixed width in `batch`; strings and other variants count as nothing."""
    import tensorflow as tf

    parts = tf.nest.flatten(batch, expand_composites=True)
    return sum(part.dtype.size * part.shape.num_elements() for part in parts if _has_width(part))


def length_of(batch: Any) -> int | None:
    """Return the first dimension of the first component that has one; `None` if none has."""
    import tensorflow as tf

    lengths = (_first_dimension(part) for part in tf.nest.flatten(batch))
    return next((length for length in lengths if length is not None), None)


def _has_bytes(batch: Any) -> bool:
    """Whether the bytes are known: those of text, of datasets and of other objects are not."""
    import tensorflow as tf

    parts = (part for part in tf.nest.flatten(batch) if part is not None)
    return all(getattr(part, "dtype", tf.string) != tf.string for part in parts)


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


_ALIKE = 0.75
"""Of the looks, that see one length where the others are the last ones of an epoch."""


class BatchSizes:
    """Mean size of the first batch and of those that the loop holds when it looks at its window."""

    def __init__(self) -> None:
        self._spec: str | None = None
        self._lengths: list[int] = []
        self._bytes: list[int] = []

    def see(self, batch: Any) -> None:
        """Read the sizes of a batch."""
        self._spec = self._spec or _text(batch)
        length = length_of(batch)
        if length is not None:
            self._lengths.append(length)
        if _has_bytes(batch):
            self._bytes.append(bytes_of(batch))

    def mean(self) -> BatchSize:
        """Return the means so far; no length where it varies: a look meets long batches more often than there are."""
        often = max(map(self._lengths.count, set(self._lengths)), default=0)
        varies = often < _ALIKE * len(self._lengths)
        length = None if varies else _mean(self._lengths)
        return BatchSize(element=self._spec, bytes=_mean(self._bytes), length=length)


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None
