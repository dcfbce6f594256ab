"""Hashes of a pipeline's first batches, to tell whether two pipelines give the same data."""

from __future__ import annotations

import hashlib
from typing import Any

from pipeprof.profiles.protocol.turns import BatchDigest

MOST_ROWS = 4096
"""Elements of a batch that are hashed one by one."""
_HASH_BYTES = 12


def digest_of(batch: Any) -> BatchDigest:
    """Describe a batch.

    Args:
        batch: An element of a dataset: any structure of tensors, ragged and sparse ones included.
    """
    import tensorflow as tf

    components = _components(batch)
    arrays = [_array(part) for part in components]
    structure = tf.nest.map_structure(lambda part: part, batch, expand_composites=False)
    spec = f"{_shape_of(structure)} {[(part.dtype.name, part.shape.rank) for part in components]}"
    return BatchDigest(_hash(arrays), _rows(arrays), spec)


def hash_of(element: Any) -> str | None:
    """The hash of all tensors of an element, as in `BatchDigest.data`; None where one of them is no data."""
    arrays = [_array(part) for part in _components(element)]
    return _hash(arrays) if all(array is not None for array in arrays) else None


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
