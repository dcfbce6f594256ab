"""Batch size: bytes of its tensors and length of the first dimension of the first component that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, prod, sqrt
from random import Random
from typing import Any, TypeAlias

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import BatchSize

COST_SHARE = 0.003
"""Share of the time between two batches that reading one may take."""
SAME_COST_SHARE = 0.0005
"""Share while all batches had the same values: more of them would tell nothing new."""
SLOW_READ = 4
"""Times the quickest reading that one takes at most: a longer mean comes from those that were interrupted."""
SAME = 1e-9
"""Squared deviation, as a part of the squared mean, up to which values are the same."""
LARGEST_ERROR = 0.01
"""Standard error, as a part of the mean, above which a sample gives no mean."""
SMALLEST_SAMPLE = 30
"""Batches, each standing for as many others, that a standard error is computed from."""


@dataclass
class SampledMeans:
    """Weighted means of the values that `read` gives of batches.

    Between two batches of the sample lies a random number of others, so that no rhythm of the data set, such as a
    smaller batch at the end of each epoch, is met too often or never.

    Attributes:
        read: Gives the values of a batch, always as many; `None` for one that it has not.
        stride: How many batches one of the sample stands for; one while all are read.
    """

    read: Callable[[Any], Sequence[float | None]]
    stride: int = 1
    seen: int = 0
    spent_ns: int = 0
    _least_ns: int | None = None
    _is_sample: bool = False
    _sums: list[_Sums] = field(default_factory=list)
    _random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a sample, no secret

    def take(self, batch: Any) -> int:
        """Read a batch; return how many batches later the next one is read."""
        began = time.perf_counter_ns()
        values = self.read(batch)
        if not self._sums:
            self._sums = [_Sums() for _ in values]
        self.seen += 1
        stride = self.stride
        for sums, value in zip(self._sums, values, strict=True):
            if value is not None:
                sums.weight += stride
                sums.squared_weight += stride * stride
                sums.values += stride * value
                sums.squares += stride * value * value
        left = 1 if stride == 1 else self._random.randint(1, 2 * stride - 1)
        # What the sums and the draw take counts as well: of a number, they take longer than its size.
        took = time.perf_counter_ns() - began
        self.spent_ns += took
        if self._least_ns is None or took < self._least_ns:
            self._least_ns = took
        return left

    def tune(self, interval_ns: float) -> None:
        """Choose how many batches to read, from the time between two of them."""
        if self._least_ns is None:
            return
        cost = min(self.spent_ns / self.seen, SLOW_READ * self._least_ns) / interval_ns
        self.stride = max(1, ceil(cost / COST_SHARE))
        if not any(sums.varies for sums in self._sums):
            # None counts for more than all that a mean needs so far.
            most = max((sums.weight for sums in self._sums), default=0) // (2 * SMALLEST_SAMPLE)
            self.stride = max(self.stride, min(ceil(cost / SAME_COST_SHARE), most))
        self._is_sample |= self.stride > 1

    def means(self) -> list[float | None]:
        """Return the means, none before the first batch; `None` where a sample does not tell one within one percent."""
        return [sums.mean(is_sample=self._is_sample) for sums in self._sums]


@dataclass(slots=True)
class _Sums:
    weight: int = 0
    squared_weight: int = 0
    values: float = 0.0
    squares: float = 0.0

    @property
    def varies(self) -> bool:
        return self.squares * self.weight - self.values**2 > SAME * self.values**2

    def mean(self, *, is_sample: bool) -> float | None:
        if not self.weight:
            return None
        mean = self.values / self.weight
        if not is_sample:
            return mean
        variance = max(0.0, self.squares / self.weight - mean * mean)
        size = self.weight**2 / self.squared_weight
        if size < SMALLEST_SAMPLE or sqrt(variance / size) > LARGEST_ERROR * abs(mean):
            return None
        return mean


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
