"""Batch size: bytes of its tensors and length of its first dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.profiles.protocol.steps import BatchSize


def bytes_of(batch: Any) -> int:
    """Return the bytes of all tensors of fixed width in `batch`; strings and other variants count as nothing."""
    import tensorflow as tf

    return sum(
        component.dtype.size * (component.shape.num_elements() or 0)
        for component in tf.nest.flatten(batch, expand_composites=True)
        if isinstance(component, tf.Tensor) and component.dtype not in (tf.string, tf.variant, tf.resource)
    )


def length_of(batch: Any) -> int | None:
    """Return the first dimension of the first component that has one: the number of elements where batches are made."""
    import tensorflow as tf

    return next((size for one in tf.nest.flatten(batch) if (size := _first_dimension(one)) is not None), None)


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


class Sizes:
    """Mean size of sampled batches, at most four per second."""

    def __init__(self) -> None:
        self._bytes: list[int] = []
        self._lengths: list[int] = []
        self._spec: str | None = None
        self._strings = False

    def see(self, batch: Any) -> None:
        """Sample one batch."""
        import tensorflow as tf

        if self._spec is None:
            self._spec = _text(batch)
            # Bytes of text, of datasets and of other objects are not known.
            self._strings = any(
                getattr(one, "dtype", tf.string) == tf.string for one in tf.nest.flatten(batch) if one is not None
            )
        if len(self._bytes) < 10_000:
            self._bytes.append(bytes_of(batch))
            length = length_of(batch)
            if length is not None:
                self._lengths.append(length)

    def mean(self) -> BatchSize:
        """Return means over the sampled batches; `bytes` is None where a batch contains strings."""
        return BatchSize(
            element=self._spec,
            bytes=sum(self._bytes) / len(self._bytes) if self._bytes and not self._strings else None,
            length=sum(self._lengths) / len(self._lengths) if self._lengths else None,
        )
