"""Hashes of a pipeline's first batches, to tell whether two pipelines give the same data."""

from __future__ import annotations

import hashlib
from typing import Any

from pipeprof.profiles.protocol.turns import BatchDigest

MOST_ROWS = 4096
"""Elements of a batch that are hashed one by one."""
_HASH_BYTES = 12
_LEAST_BLOCK, _MOST_BLOCKS = 64, 256
"""Numbers of a block at least, and blocks of a tensor at most: what differs in few of many numbers must show."""
_HALF_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def digest_of(batch: Any) -> BatchDigest:
    """Describe a batch."""
    import tensorflow as tf

    components = _components(batch)
    arrays = [_array(part) for part in components]
    structure = tf.nest.map_structure(lambda part: part, batch, expand_composites=False)
    spec = f"{_shape_of(structure)} {[(part.dtype.name, part.shape.rank) for part in components]}"
    return BatchDigest(_hash(arrays), _rows(arrays), spec, *inexact(arrays))


def hash_of(element: Any) -> str | None:
    """The hash of all tensors of an element, as in `BatchDigest.data`; None where one of them is no data."""
    arrays = [_array(part) for part in _components(element)]
    return _hash(arrays) if all(array is not None for array in arrays) else None


def inexact(arrays: list[Any]) -> tuple[str, list[tuple[float, float]]]:
    """Return what tells whether arrays are equal but for rounding: `BatchDigest.exact` and `BatchDigest.sums`.

    A number may be off by so many units in the last place that a function of several steps and a vectorised one differ.
    The numbers of a block have weights of a fixed random series, so that in another order they have another sum.
    """
    import numpy as np

    exact, sums = hashlib.blake2b(digest_size=_HASH_BYTES), []
    for array in arrays:
        units = _units(array)
        if units is None:
            exact.update(_bytes(array))
            continue
        numbers = np.asarray(array).astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
        numbers = numbers.view(np.float64)
        finite = np.isfinite(numbers)
        exact.update(
            f"{array.dtype}{array.shape}".encode() + np.packbits(finite).tobytes() + numbers[~finite].tobytes()
        )
        size = max(_LEAST_BLOCK, -(-numbers.size // _MOST_BLOCKS))
        blocks = np.zeros((-(-numbers.size // size), size))
        blocks.reshape(-1)[: numbers.size] = np.where(finite, numbers, 0.0)
        weights = np.random.default_rng(0).uniform(0.5, 1.0, size) * np.where(np.arange(size) % 2, -1.0, 1.0)
        slack = units * np.abs(blocks).sum(axis=1)
        # The sum of huge numbers may be none.
        bounded = (np.nan_to_num(blocks @ weights), np.nan_to_num(slack))
        sums += [(float(weighted), float(most)) for weighted, most in zip(*bounded, strict=True)]
    return exact.hexdigest(), sums


def _units(array: Any) -> float | None:
    """By which part of itself rounding may change a number of an array; None where it has no such numbers."""
    import numpy as np

    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype.kind not in "fcV":
        return None
    if dtype.kind == "V" and dtype.name != "bfloat16":
        return None
    wide = dtype in (np.float32, np.float64, np.complex64, np.complex128)
    return 16 * float(np.finfo(dtype).eps) if wide else 2 * _HALF_EPS.get(dtype.name, 0.0)


def _components(element: Any) -> list[Any]:
    import tensorflow as tf

    return [part for part in tf.nest.flatten(element, expand_composites=True) if isinstance(part, tf.Tensor)]


def _hash(arrays: list[Any]) -> str:
    whole = hashlib.blake2b(digest_size=_HASH_BYTES)
    for array in arrays:
        whole.update(_bytes(array))
    return whole.hexdigest()


def _array(part: Any) -> Any:
    import tensorflow as tf

    if part.dtype in (tf.variant, tf.resource):
        return None
    return part.numpy()


def _bytes(array: Any) -> bytes:
    """The bytes of a tensor with its shape and type, strings with their lengths."""
    if array is None:
        return b"?"
    if isinstance(array, bytes):
        return b"scalar" + array
    if array.dtype == object:
        return repr(array.shape).encode() + b"".join(b"%d:%b" % (len(text), text) for text in array.reshape(-1))
    return f"{array.dtype}{array.shape}".encode() + bytes(array.tobytes())


def _rows(arrays: list[Any]) -> list[str]:
    """Hashes along the first dimension, where all tensors have the same one."""
    lengths = {int(array.shape[0]) if getattr(array, "ndim", 0) else -1 for array in arrays}
    length = lengths.pop() if len(lengths) == 1 else -1
    found = []
    for index in range(length if length <= MOST_ROWS else 0):
        row = hashlib.blake2b(digest_size=_HASH_BYTES)
        for array in arrays:
            row.update(_bytes(array[index]))
        found.append(row.hexdigest())
    return found


def _shape_of(structure: Any) -> str:
    """The structure of a batch: names of dicts, lengths of tuples, and where its tensors are."""
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key}: {_shape_of(structure[key])}" for key in sorted(structure, key=str)) + "}"
    if isinstance(structure, list | tuple):
        return "(" + ", ".join(map(_shape_of, structure)) + ")"
    return "*"
