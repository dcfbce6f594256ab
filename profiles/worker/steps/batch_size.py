"""Batch size: bytes of its tensors and length of its first dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """Mean size of sampled batches, at most four per second.

    Where epochs are short, many samples are the last batch of an epoch, which may be a smaller one: they count by as
    many last batches as there were.
    """

    def __init__(self) -> None:
        self._within = _SampledSizes()
        self._last = _SampledSizes()
        self._latest: tuple[int, int | None] | None = None
        self._spec: str | None = None
        self._strings = False

    def see(self, batch: Any, *, last_of_epoch: bool = False) -> None:
        """Sample one batch."""
        import tensorflow as tf

        if self._spec is None:
            self._spec = _text(batch)
            # Bytes of text, of datasets and of other objects are not known.
            self._strings = any(
                getattr(one, "dtype", tf.string) == tf.string for one in tf.nest.flatten(batch) if one is not None
            )
        self._settle(self._within)
        self._latest = (bytes_of(batch), length_of(batch))
        if last_of_epoch:
            self._settle(self._last)

    def see_first(self, batch: Any) -> None:
        """Sample the first batch of all, long before the next sample."""
        self.see(batch)
        self._settle(self._within)

    def end_epoch(self) -> None:
        """Learn that the last sample was the last batch of its epoch."""
        self._settle(self._last)

    def _settle(self, where: _SampledSizes) -> None:
        if self._latest is not None:
            where.add(*self._latest)
        self._latest = None

    def mean(self, steps: int = 0, restarts: int = 0) -> BatchSize:
        """Return means over the sampled batches; `bytes` is None where a batch contains strings.

        Args:
            steps: How many batches there were.
            restarts: How many epochs ended.
        """
        self._settle(self._within)
        last = min(1.0, restarts / steps) if steps else 0.0
        return BatchSize(
            element=self._spec,
            bytes=_weigh(self._within.bytes, self._last.bytes, last) if not self._strings else None,
            length=_weigh(self._within.lengths, self._last.lengths, last),
        )


@dataclass
class _SampledSizes:
    """Sizes of some batches."""

    bytes: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, nbytes: int, length: int | None) -> None:
        if len(self.bytes) < 10_000:
            self.bytes.append(nbytes)
            if length is not None:
                self.lengths.append(length)


def _weigh(within: list[int], last: list[int], share: float) -> float | None:
    """Return the mean of both, the last ones with their share of all; `None` without a sample.

    Args:
        within: Sizes of batches that another one of their epoch may have followed.
        last: Sizes of the last batches of epochs.
        share: Of the last batches among all.
    """
    if not within or not last:
        known = within or last
        return sum(known) / len(known) if known else None
    return (1 - share) * sum(within) / len(within) + share * sum(last) / len(last)
